import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { type HttpServer, startHttpServer, textAnswer } from './http-server.ts';

const routes = {
  '/healthz': async () => textAnswer(200, 'alive'),
  '/broken': async () => {
    throw new Error('password=hunter2');
  },
  '/stuck': () => new Promise<never>(() => {}),
};

async function serving(run: (server: HttpServer) => Promise<void>): Promise<void> {
  const server = await startHttpServer({ host: '127.0.0.1', port: 0, routes, answerTimeoutMs: 50, headersTimeoutMs: 200, connectionsLimit: 4 });
  try {
    await run(server);
  } finally {
    await server.close();
    await server.close();
  }
}

/** Sends `text` as it is and resolves with everything that came back until the server closed. */
function raw(server: HttpServer, text: string): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(server.port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.write(text);
  });
}

const request = (line: string, ...headers: string[]) => [line, 'connection: close', ...headers, '', ''].join('\r\n');

test('a path of the table is answered, with or without a query', () =>
  serving(async (server) => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/healthz?x=1`);
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), 'alive\n');
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  }));

test('HEAD has the headers and no body', () =>
  serving(async (server) => {
    const answer = await raw(server, request('HEAD /healthz HTTP/1.1', 'host: localhost'));
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /content-length: 6/);
    assert.ok(answer.endsWith('\r\n\r\n'));
  }));

for (const path of [
  '/../../etc/passwd',
  '/healthz/../../x',
  '/%2e%2e/etc/passwd',
  '/__proto__',
  '/constructor',
  '/',
  '//healthz',
  'http://elsewhere/healthz',
]) {
  test(`the path ${path} is not found`, () =>
    serving(async (server) => {
      assert.match(await raw(server, request(`GET ${path} HTTP/1.1`, 'host: localhost')), /^HTTP\/1\.1 404 /);
    }));
}

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['a POST', request('POST /healthz HTTP/1.1', 'host: localhost', 'content-length: 0'), /^HTTP\/1\.1 405 [^]*allow: GET, HEAD/],
  ['a body that never comes', request('GET /healthz HTTP/1.1', 'host: localhost', 'content-length: 1000000'), /^HTTP\/1\.1 413 /],
  ['a chunked body', request('GET /healthz HTTP/1.1', 'host: localhost', 'transfer-encoding: chunked'), /^HTTP\/1\.1 413 /],
  ['a rebound host name', request('GET /healthz HTTP/1.1', 'host: evil.example'), /^HTTP\/1\.1 421 /],
  ['headers of 1 MB', request('GET /healthz HTTP/1.1', 'host: localhost', `x: ${'y'.repeat(1_000_000)}`), /^$/],
  ['a TLS hello', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001', /^$/],
  ['an upgrade', request('GET /healthz HTTP/1.1', 'host: localhost', 'upgrade: websocket').replace('connection: close', 'connection: upgrade'), /^$/],
];
for (const [name, text, expected] of refused) {
  test(`${name} is refused, and others are still served`, () =>
    serving(async (server) => {
      assert.match(await raw(server, text), expected);
      assert.equal((await fetch(`http://localhost:${server.port}/healthz`)).status, 200);
    }));
}

test('headers that never end cost their connection', () =>
  serving(async (server) => {
    const answer = await raw(server, 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n');
    assert.ok(answer === '' || answer.startsWith('HTTP/1.1 408'), answer);
  }));

test('a route that throws answers 500 and does not show the error', () =>
  serving(async (server) => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/broken`);
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /hunter2/);
  }));

test('a route that never answers is a 503', () =>
  serving(async (server) => {
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/stuck`)).status, 503);
  }));

test('connections past the limit are closed', () =>
  serving(async (server) => {
    const idle = await Promise.all(
      Array.from(
        { length: 4 },
        () =>
          new Promise<ReturnType<typeof connect>>((resolve) => {
            const socket = connect(server.port, '127.0.0.1', () => resolve(socket));
            socket.on('error', () => {});
          }),
      ),
    );
    assert.equal(await raw(server, ''), '');
    for (const socket of idle) socket.destroy();
  }));
