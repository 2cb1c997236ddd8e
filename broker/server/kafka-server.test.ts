import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../../std/invariant.ts';
import { closeConnection, noAnswer } from './handler.ts';
import { apiVersionsFrame, heartbeatFrame, ServerFixture } from './testing/server-fixture.ts';
import type { FakeSocket } from './testing/fake-socket.ts';

function correlationIds(socket: FakeSocket): number[] {
  return socket.frames().map((frame) => frame.readInt32BE(0));
}

test('requests are started while earlier ones wait, and answers leave in request order', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([heartbeatFrame('a', 11), heartbeatFrame('b', 12), heartbeatFrame('c', 13)]));
  assert.deepEqual(fixture.startedGroups, ['a', 'b', 'c']);
  fixture.started[2]!.resolve({ errorCode: 0 });
  fixture.started[1]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual(correlationIds(socket), []);
  fixture.started[0]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual(correlationIds(socket), [11, 12, 13]);
  assert.equal(socket.writes.length, 1);
});

test('a serial request waits for those before it, and those after it wait for it', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([heartbeatFrame('a', 1), apiVersionsFrame(2), heartbeatFrame('b', 3)]));
  assert.deepEqual(fixture.startedGroups, ['a']);
  assert.equal(socket.reading, false);
  fixture.started[0]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual(fixture.startedGroups, ['a', 'b']);
  assert.deepEqual(correlationIds(socket), [1, 2]);
  assert.equal(socket.reading, true);
});

test('serial requests that are answered at once leave in one write', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([apiVersionsFrame(1), apiVersionsFrame(2), apiVersionsFrame(3)]));
  assert.deepEqual(correlationIds(socket), [1, 2, 3]);
  assert.equal(socket.writes.length, 1);
});

test('a request that asks for no answer gets none, and those behind it get theirs', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([heartbeatFrame('a', 1), heartbeatFrame('b', 2)]));
  fixture.started[0]!.resolve(noAnswer);
  fixture.started[1]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual(correlationIds(socket), [2]);
});

test('answers that are ready leave before a handler closes the connection', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([heartbeatFrame('a', 1), heartbeatFrame('b', 2), heartbeatFrame('c', 3)]));
  fixture.started[0]!.resolve({ errorCode: 0 });
  fixture.started[1]!.resolve(closeConnection);
  await fixture.clock.settle();
  assert.deepEqual([correlationIds(socket), socket.closed], [[1], 'ended']);
});

test('negative and repeated correlation ids are echoed as they are (B17)', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(Buffer.concat([apiVersionsFrame(-7), apiVersionsFrame(-7)]));
  assert.deepEqual(correlationIds(socket), [-7, -7]);
});

test('10,000 pipelined requests that nobody reads stay within the limits (B16)', async () => {
  const fixture = await ServerFixture.start({ settings: { 'connection.max.in.flight.requests': '8' } });
  const socket = fixture.transport.connectClient();
  const frames = Array.from({ length: 10_000 }, (_, index) => heartbeatFrame(`g${index}`, index));
  socket.receive(Buffer.concat(frames));
  assert.equal(fixture.started.length, 8);
  assert.equal(socket.reading, false);
  for (let done = 0; done < frames.length; done++) {
    fixture.started[done]!.resolve({ errorCode: 0 });
    if (done % 4 === 3) await fixture.clock.settle();
    assert.ok(fixture.started.length <= done + 1 + 8);
  }
  await fixture.clock.settle();
  assert.equal(correlationIds(socket).length, 10_000);
  assert.equal(socket.reading, true);
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0);
});

test('bytes of requests under way on one connection are limited', async () => {
  const fixture = await ServerFixture.start({ settings: { 'connection.max.request.bytes': '3000' } });
  const socket = fixture.transport.connectClient();
  for (let i = 0; i < 10; i++) socket.receive(heartbeatFrame('x'.repeat(1000), i));
  assert.equal(fixture.started.length, 3);
  assert.equal(socket.reading, false);
  fixture.started[0]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.equal(fixture.started.length, 4);
});

test('a client that does not read its answers gets no further requests started, until it does', async () => {
  const fixture = await ServerFixture.start({ settings: { 'connection.max.response.bytes': '100' } });
  const socket = fixture.transport.connectClient();
  socket.fastReader = false;
  for (let i = 0; i < 50; i++) socket.receive(apiVersionsFrame(i));
  const answered = correlationIds(socket).length;
  assert.ok(answered < 10, `${answered} answers`);
  assert.ok(fixture.responseMemory.usedBytes > 0);
  assert.equal(socket.reading, false);
  socket.fastReader = true;
  socket.drain();
  await fixture.clock.settle();
  assert.equal(correlationIds(socket).length, 50);
  assert.equal(fixture.responseMemory.usedBytes, 0);
});

test('when slow readers hold the memory for answers, each gets one answer and no second', async () => {
  const fixture = await ServerFixture.start({ settings: { 'queued.max.response.bytes': '100' } });
  const sockets = Array.from({ length: 20 }, () => fixture.transport.connectClient());
  for (const socket of sockets) socket.fastReader = false;
  for (let round = 0; round < 5; round++) for (const socket of sockets) socket.receive(apiVersionsFrame(round));
  assert.deepEqual(
    sockets.slice(5).map((socket) => socket.frames().length),
    sockets.slice(5).map(() => 1),
  );
  for (const socket of sockets) {
    socket.fastReader = true;
    socket.drain();
  }
  await fixture.clock.advance(2000);
  assert.deepEqual(
    sockets.map((socket) => socket.frames().length),
    sockets.map(() => 5),
  );
});

test('past the broker-wide limit of request bytes sockets are paused, and go on as requests end', async () => {
  const settings = { 'queued.max.request.bytes': '200000', 'socket.request.max.bytes': '200000' };
  const fixture = await ServerFixture.start({ settings });
  const sockets = Array.from({ length: 10 }, () => fixture.transport.connectClient());
  for (const socket of sockets) socket.receive(heartbeatFrame('x'.repeat(30_000)));
  assert.equal(fixture.started.length, 10);
  assert.ok(sockets.some((socket) => !socket.reading));
  for (const request of fixture.started) request.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.ok(sockets.every((socket) => socket.reading));
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0);
});

test('incomplete requests that fill the memory do not stop everybody: one after the other comes through or is dropped (B04)', async () => {
  const settings = { 'queued.max.request.bytes': '200000', 'socket.request.max.bytes': '200000' };
  const fixture = await ServerFixture.start({ settings });
  const frame = heartbeatFrame('x'.repeat(30_000));
  const sockets = Array.from({ length: 10 }, () => fixture.transport.connectClient());
  for (const socket of sockets) socket.receive(frame.subarray(0, 25_000));
  const paused = sockets.filter((socket) => !socket.reading);
  assert.ok(paused.length > 0);
  await fixture.clock.advance(40_000);
  assert.ok(fixture.closedBecause('memory') > 0);
  for (const socket of sockets) if (socket.closed === 'no' && socket.reading) socket.receive(frame.subarray(25_000));
  await fixture.clock.settle();
  assert.ok(fixture.started.length > 0);
});

test('a connection on which nothing happens is closed, one that waits for its answer is not', async () => {
  const fixture = await ServerFixture.start({ settings: { 'connections.max.idle.ms': '5000' } });
  const idle = fixture.transport.connectClient();
  const waiting = fixture.transport.connectClient();
  waiting.receive(heartbeatFrame('a'));
  await fixture.clock.advance(10_000);
  assert.notEqual(idle.closed, 'no');
  assert.equal(waiting.closed, 'no');
  assert.equal(fixture.closedBecause('idle'), 1);
});

test('a slow reader is closed only when it reads nothing at all for the idle time', async () => {
  const fixture = await ServerFixture.start({ settings: { 'connections.max.idle.ms': '5000' } });
  const socket = fixture.transport.connectClient();
  socket.fastReader = false;
  socket.receive(apiVersionsFrame());
  await fixture.clock.advance(4000);
  assert.equal(socket.closed, 'no');
  await fixture.clock.advance(4000);
  assert.equal(socket.closed, 'destroyed');
});

test('a request that drips in is closed after request.receive.timeout.ms (B03)', async () => {
  const fixture = await ServerFixture.start({ settings: { 'request.receive.timeout.ms': '20000' } });
  const socket = fixture.transport.connectClient();
  const frame = heartbeatFrame('a'.repeat(500));
  for (let i = 0; i < 40 && socket.closed === 'no'; i++) {
    socket.receive(frame.subarray(i, i + 1));
    await fixture.clock.advance(1000);
  }
  assert.notEqual(socket.closed, 'no');
  assert.equal(fixture.closedBecause('slow-request'), 1);
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0);
});

test('connections past max.connections and max.connections.per.ip are closed, others stay', async () => {
  const fixture = await ServerFixture.start({ settings: { 'max.connections': '3', 'max.connections.per.ip': '2' } });
  const sockets = ['10.0.0.1:1', '10.0.0.1:2', '10.0.0.1:3', '10.0.0.2:1', '10.0.0.3:1'].map((remote) => fixture.transport.connectClient(remote));
  assert.deepEqual(
    sockets.map((socket) => socket.closed !== 'no'),
    [false, false, true, false, true],
  );
  sockets[0]!.hangUp();
  assert.equal(fixture.transport.connectClient('10.0.0.1:4').closed, 'no');
});

test('a handler that throws is answered by its own error, or closes only its connection', async () => {
  const failing = () => {
    throw new Error('bug');
  };
  const answered = await ServerFixture.start({ handle: failing, failed: () => ({ errorCode: 56 }) });
  const first = answered.transport.connectClient();
  first.receive(heartbeatFrame('a'));
  assert.equal(first.frames().length, 1);
  assert.equal(first.closed, 'no');
  const closed = await ServerFixture.start({ handle: failing });
  const second = closed.transport.connectClient();
  const other = closed.transport.connectClient();
  second.receive(heartbeatFrame('a'));
  other.receive(apiVersionsFrame());
  assert.notEqual(second.closed, 'no');
  assert.equal(other.frames().length, 1);
  assert.equal(closed.metrics.value('automq_request_failures_total', 'Heartbeat'), 1);
});

test('a rejected second stage is handled like a throw', async () => {
  const fixture = await ServerFixture.start({ failed: () => ({ errorCode: 56 }) });
  const socket = fixture.transport.connectClient();
  socket.receive(heartbeatFrame('a', 5));
  fixture.started[0]!.reject(new Error('bug'));
  await fixture.clock.settle();
  assert.deepEqual(correlationIds(socket), [5]);
});

test('a broken invariant is never answered: it closes the connection and is reported', async () => {
  const fixture = await ServerFixture.start({ failed: () => ({ errorCode: 56 }) });
  const socket = fixture.transport.connectClient();
  socket.receive(heartbeatFrame('a'));
  fixture.started[0]!.reject(new InvariantError('broken'));
  await fixture.clock.settle();
  assert.deepEqual([correlationIds(socket), fixture.brokenInvariants.length], [[], 1]);
  assert.notEqual(socket.closed, 'no');
});

test('handlers hear once that their client is gone, and late answers are dropped', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(heartbeatFrame('a'));
  let calls = 0;
  fixture.started[0]!.context.connection.onClose(() => calls++);
  socket.hangUp();
  fixture.started[0]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual([calls, correlationIds(socket).length, fixture.server.openConnections], [1, 0, 0]);
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0);
});

test('a graceful stop answers what is under way and starts nothing more', async () => {
  const fixture = await ServerFixture.start();
  const busy = fixture.transport.connectClient();
  const idle = fixture.transport.connectClient();
  busy.receive(heartbeatFrame('a', 1));
  let stopped = false;
  void fixture.server.close().then(() => (stopped = true));
  await fixture.clock.settle();
  assert.deepEqual([fixture.transport.listening, idle.closed, busy.closed, stopped], [0, 'ended', 'no', false]);
  busy.receive(heartbeatFrame('b', 2));
  fixture.started[0]!.resolve({ errorCode: 0 });
  await fixture.clock.settle();
  assert.deepEqual([fixture.startedGroups, correlationIds(busy), busy.closed, stopped], [['a'], [1], 'ended', true]);
  assert.equal(fixture.clock.pendingTimers, 0);
});

test('a stop does not wait for long polls, nor longer than shutdown.timeout.ms for anything', async () => {
  const polling = await ServerFixture.start({ longPoll: true });
  const poller = polling.transport.connectClient();
  poller.receive(heartbeatFrame('a'));
  await Promise.all([polling.server.close(), polling.clock.settle()]);
  assert.notEqual(poller.closed, 'no');
  const stuck = await ServerFixture.start({ settings: { 'shutdown.timeout.ms': '3000' } });
  const socket = stuck.transport.connectClient();
  socket.receive(heartbeatFrame('a'));
  const closing = stuck.server.close();
  await stuck.clock.advance(3000);
  await closing;
  assert.notEqual(socket.closed, 'no');
  await stuck.server.close();
});
