/** The proxy does to a link what its name says: a fault that does not happen would prove nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import test, { afterEach, beforeEach } from 'node:test';
import { ChaosProxy } from './chaos-proxy.ts';
import { lastingPort } from './ports.ts';

let server: Server;
let proxy: ChaosProxy;
let received: string;
const clients: Socket[] = [];

/** Answers `X` with `X!`. */
beforeEach(async () => {
  received = '';
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received += String(data);
      socket.write(`${String(data)}!`);
    });
  });
  const port = await lastingPort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  proxy = await ChaosProxy.start(await lastingPort(), port);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  server.close();
});

async function client(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1');
  clients.push(socket);
  socket.on('error', () => {});
  // Without a reader the end of a connection is not noticed.
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = (await once(socket, 'data')) as [Buffer];
  return String(data);
}

/** Also of one that ends with an error. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

test('an open link passes everything, in order', async () => {
  const socket = await client();
  assert.equal(await ask(socket, 'one'), 'one!');
  assert.equal(await ask(socket, 'two'), 'two!');
});

test('what a black hole holds arrives when the link heals, and nothing before', async () => {
  const socket = await client();
  await ask(socket, 'one');
  proxy.blackHole();
  socket.write('two');
  const other = await client();
  proxy.shape({ requests: { bytes: 'hold' } });
  other.write('three');
  assert.equal(received, 'one');
  const answers = Promise.all([once(socket, 'data'), once(other, 'data')]);
  proxy.heal();
  assert.deepEqual((await answers).map(String), ['two!', 'three!']);
});

test('an answer can be lost after the server did its work; its connection ends when the link heals', async () => {
  const socket = await client();
  await ask(socket, 'one');
  proxy.shape({ answers: { bytes: 'swallow' } });
  const end = closed(socket);
  socket.write('two');
  while (proxy.swallowedBytes < 'two!'.length) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(received, 'onetwo');
  proxy.heal();
  await end;
  assert.equal(await ask(await client(), 'four'), 'four!');
});

test('a connection is reset in the middle of an answer', async () => {
  proxy.resetAfter(3);
  const socket = await client();
  const end = closed(socket);
  socket.write('a long question');
  await end;
  assert.equal(await ask(await client(), 'two'), 'two!');
});

test('where nobody listens connections are refused, until somebody does', async () => {
  const socket = await client();
  await ask(socket, 'one');
  const end = closed(socket);
  proxy.refuse();
  await end;
  const refused = connect(proxy.port, '127.0.0.1');
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  await proxy.admit();
  assert.equal(await ask(await client(), 'two'), 'two!');
});

test('a slow link delays and narrows, and loses nothing', async () => {
  proxy.shape({ requests: { delayMs: 30 }, answers: { bytesPerSecond: 20_000 } });
  const socket = await client();
  const text = 'x'.repeat(1_000);
  const began = performance.now();
  let answer = '';
  socket.on('data', (data) => (answer += String(data)));
  socket.write(text);
  while (answer.length < text.length) await once(socket, 'data');
  assert.equal(answer, `${text}!`);
  assert.ok(performance.now() - began >= 30);
});
