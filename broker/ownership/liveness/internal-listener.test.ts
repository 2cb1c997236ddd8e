import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../io/logger.ts';
import { systemClock } from '../../../io/system-clock.ts';
import { tcpTransport } from '../../../io/tcp-transport.ts';
import type { Connection } from '../../../io/transport.ts';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { askWitness, probeSubject } from './internal-exchange.ts';
import { InternalListener } from './internal-listener.ts';
import { encodeMessage, InternalFrames, type InternalMessage, internalVersion, type Subject } from './internal-protocol.ts';

const transport = tcpTransport();
const asking = { transport, clock: systemClock, deadlineMs: 5_000 };
const host = '127.0.0.1';

function open(node: number, limits: { readonly maxConnections?: number; readonly maxProbes?: number } = {}): Promise<InternalListener> {
  return InternalListener.open({
    clock: systemClock,
    logger: silentLogger,
    transport,
    node: node as NodeId,
    host,
    port: 0,
    maxConnections: limits.maxConnections ?? 10,
    maxProbes: limits.maxProbes ?? 10,
  });
}

const subjectAt = (port: number, node: number, epoch: number): Subject => ({ incarnation: { node: node as NodeId, epoch }, host, port });

/** A connection that says what comes back, one thing at a time. */
async function client(port: number): Promise<{ connection: Connection; next: () => Promise<InternalMessage | 'closed'> }> {
  const connection = await transport.connect({ host, port });
  const frames = new InternalFrames();
  const came: (InternalMessage | 'closed')[] = [];
  const waiting: ((one: InternalMessage | 'closed') => void)[] = [];
  const hand = (one: InternalMessage | 'closed') => {
    const first = waiting.shift();
    if (first) first(one);
    else came.push(one);
  };
  connection.setHandler({ onData: (chunk) => frames.push(chunk).forEach(hand), onDrain: () => {}, onClose: () => hand('closed') });
  return {
    connection,
    next: () => {
      const first = came.shift();
      return first ? Promise.resolve(first) : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

test('a ping is answered with the newest incarnation of the process, and whether it lives', async () => {
  const listener = await open(3);
  const { connection, next } = await client(listener.port);
  const ping = async () => {
    connection.write([encodeMessage({ kind: 'ping', incarnation: { node: 3 as NodeId, epoch: 7 } })]);
    return next();
  };
  assert.deepEqual(await ping(), { kind: 'pong', node: 3, epoch: 0, living: false });
  listener.setSelf({ node: 3 as NodeId, epoch: 7 });
  assert.deepEqual(await ping(), { kind: 'pong', node: 3, epoch: 7, living: true });
  listener.setSelf(undefined);
  assert.deepEqual(await ping(), { kind: 'pong', node: 3, epoch: 7, living: false });
  listener.setSelf({ node: 3 as NodeId, epoch: 8 });
  assert.deepEqual(await ping(), { kind: 'pong', node: 3, epoch: 8, living: true });
  await listener.close();
  assert.equal(await next(), 'closed');
  await listener.close();
});

test('bytes that no broker sends close the connection; so does an answer that nobody asked for', async () => {
  const listener = await open(3);
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), encodeMessage({ kind: 'probed', outcome: 'reached' })]) {
    const { connection, next } = await client(listener.port);
    connection.write([bytes]);
    assert.equal(await next(), 'closed');
  }
  await listener.close();
});

test('a newer broker that asks what this one does not know is told so, and goes on asking what it does', async () => {
  const listener = await open(3);
  listener.setSelf({ node: 3 as NodeId, epoch: 7 });
  const { connection, next } = await client(listener.port);
  const ping = Buffer.concat([encodeMessage({ kind: 'ping', incarnation: { node: 3 as NodeId, epoch: 7 } }), Buffer.from('later')]);
  ping.writeInt32BE(ping.length - 4, 0);
  ping.writeUInt8(internalVersion + 1, 4);
  const question = Buffer.from(ping);
  question.writeUInt8(99, 5);
  connection.write([question, ping]);
  assert.deepEqual(await next(), { kind: 'unsupported', upTo: internalVersion });
  assert.deepEqual(await next(), { kind: 'pong', node: 3, epoch: 7, living: true });
  await listener.close();
});

test('a witness that does not know the question is one that cannot look', async () => {
  const listener = await transport.listen({ host, port: 0 }, (connection) =>
    connection.setHandler({ onData: () => connection.write([encodeMessage({ kind: 'unsupported', upTo: 1 })]), onDrain: () => {}, onClose: () => {} }),
  );
  const witness = subjectAt(listener.port, 4, 1);
  assert.equal(await askWitness(witness, subjectAt(listener.port, 3, 1), asking), 'unavailable');
  await listener.close();
});

test('a connection too many is closed at once, the others go on', async () => {
  const listener = await open(3, { maxConnections: 1 });
  const first = await client(listener.port);
  first.connection.write([encodeMessage({ kind: 'ping', incarnation: { node: 3 as NodeId, epoch: 1 } })]);
  assert.equal(((await first.next()) as InternalMessage).kind, 'pong');
  assert.equal(await (await client(listener.port)).next(), 'closed');
  first.connection.write([encodeMessage({ kind: 'ping', incarnation: { node: 3 as NodeId, epoch: 1 } })]);
  assert.equal(((await first.next()) as InternalMessage).kind, 'pong');
  await listener.close();
});

test('a witness says what it finds', async () => {
  const subject = await open(3);
  const witness = await open(4);
  const at = subjectAt(witness.port, 4, 1);
  const look = (epoch: number, node = 3) => askWitness(at, subjectAt(subject.port, node, epoch), asking);
  subject.setSelf({ node: 3 as NodeId, epoch: 7 });
  assert.equal(await look(7), 'reached');
  assert.equal(await look(6), 'replaced');
  assert.equal(await look(8), 'silent');
  assert.equal(await look(7, 5), 'refused');
  await subject.close();
  assert.equal(await look(7), 'refused');
  const busy = await open(5, { maxProbes: 0 });
  assert.equal(await askWitness(subjectAt(busy.port, 5, 1), subjectAt(witness.port, 4, 1), asking), 'unavailable');
  await busy.close();
  await witness.close();
  assert.equal(await look(7), 'unavailable');
});

test('one that accepts and says nothing is silent after the deadline; one that closes or babbles is silent at once', async () => {
  const listeners = await Promise.all(
    [
      () => {},
      (connection: Connection) => connection.destroy(),
      (connection: Connection) => {
        connection.setHandler({ onData: () => connection.write([Buffer.alloc(64, 0xff)]), onDrain: () => {}, onClose: () => {} });
      },
    ].map((onConnection) => transport.listen({ host, port: 0 }, onConnection)),
  );
  const [mute, ...rude] = listeners.map(({ port }) => subjectAt(port, 3, 7));
  assert.equal(await probeSubject(mute!, { ...asking, deadlineMs: 50 }), 'silent');
  for (const one of rude) assert.equal(await probeSubject(one, { ...asking, deadlineMs: 60_000 }), 'silent');
  await Promise.all(listeners.map((listener) => listener.close()));
});
