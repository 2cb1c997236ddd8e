/** The rows of frames in the fault catalogue (B01–B15): what is no request closes its own connection, is logged once, and costs nobody else anything. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeResponse } from '../protocol/frames.ts';
import { ApiKeys } from '../protocol/messages.gen.ts';
import { requestFrame } from './testing/request-context.ts';
import { apiVersionsFrame, heartbeatFrame, ServerFixture } from './testing/server-fixture.ts';

function frameOf(body: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

function header(apiKey: number, version: number, rest: Buffer = Buffer.from([0xff, 0xff])): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeInt16BE(apiKey, 0);
  bytes.writeInt16BE(version, 2);
  bytes.writeInt32BE(99, 4);
  return Buffer.concat([bytes, rest]);
}

async function closesOnly(bytes: Buffer, label: string): Promise<void> {
  const fixture = await ServerFixture.start();
  const bystander = fixture.transport.connectClient();
  const socket = fixture.transport.connectClient();
  socket.receive(apiVersionsFrame(1));
  socket.receive(bytes);
  await fixture.clock.settle();
  assert.notEqual(socket.closed, 'no', label);
  assert.equal(socket.frames().length, 1, label);
  assert.equal(fixture.logged.length, 1, label);
  bystander.receive(apiVersionsFrame(2));
  assert.equal(bystander.frames().length, 1, label);
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0, label);
}

test('sizes that no request has close the connection (B01, B02)', async () => {
  for (const size of [-1, -(2 ** 31), 2 ** 31 - 1, 104_857_601]) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(size);
    await closesOnly(bytes, `size ${size}`);
  }
});

test('HTTP, TLS and noise close the connection (B06)', async () => {
  await closesOnly(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'http');
  await closesOnly(Buffer.from('1603010200010001fc0303', 'hex'), 'tls');
  await closesOnly(Buffer.from('\r\n\r\n\r\n\r\n'), 'newlines');
});

test('frames that end inside the header close the connection (B07)', async () => {
  await closesOnly(frameOf(Buffer.alloc(0)), 'size 0');
  await closesOnly(frameOf(Buffer.from([0, 18, 0])), 'size 3');
  await closesOnly(frameOf(header(ApiKeys.Heartbeat, 0, Buffer.from([0, 9, 65]))), 'client id cut');
});

test('unknown and inter-broker APIs, and versions that are not served, close the connection (B08, B10)', async () => {
  for (const apiKey of [-1, 999, 4, 5, 6, 7, 52, 53, 58, 62, 63, ApiKeys.WriteTxnMarkers]) await closesOnly(frameOf(header(apiKey, 0)), `api ${apiKey}`);
  await closesOnly(frameOf(header(ApiKeys.Heartbeat, 99)), 'version 99');
  await closesOnly(frameOf(header(ApiKeys.Heartbeat, -1)), 'version -1');
  await closesOnly(frameOf(header(ApiKeys.Produce, 99)), 'produce 99');
});

test('ApiVersions of an unknown version is answered in version 0 with error 35 and the ranges (B09)', async () => {
  for (const version of [99, -1, 32_767]) {
    const fixture = await ServerFixture.start();
    const socket = fixture.transport.connectClient();
    socket.receive(frameOf(header(ApiKeys.ApiVersions, version, Buffer.from([0, 1, 120, 0, 7, 7]))));
    const [answer] = socket.frames();
    const { body, correlationId } = decodeResponse(ApiKeys.ApiVersions, 0, answer!);
    assert.deepEqual([correlationId, body.errorCode], [99, 35]);
    assert.deepEqual(
      body.apiKeys.map((range) => [range.apiKey, range.minVersion, range.maxVersion]),
      [
        [12, 0, 4],
        [18, 0, 4],
      ],
    );
    assert.equal(socket.closed, 'no');
  }
});

test('a body that does not parse closes the connection (B12, B14)', async () => {
  const cut = heartbeatFrame('group');
  for (let length = 12; length < cut.length - 4; length++) {
    const part = Buffer.from(cut.subarray(4, 4 + length));
    await closesOnly(frameOf(part), `cut at ${length}`);
  }
  await closesOnly(frameOf(header(ApiKeys.Heartbeat, 4, Buffer.from('ffff00ffffffffffff', 'hex'))), 'varint of six bytes');
  await closesOnly(frameOf(header(ApiKeys.Heartbeat, 4, Buffer.from('ffffffffffff0f', 'hex'))), 'four billion tagged fields');
});

test('bytes after the body are ignored, as Kafka does (B11)', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  socket.receive(frameOf(Buffer.concat([apiVersionsFrame(3).subarray(4), Buffer.alloc(1024 * 1024)])));
  assert.equal(socket.frames().length, 1);
  assert.equal(socket.closed, 'no');
});

test('strange client ids and names neither close the connection nor reach a metric label (B15)', async () => {
  const fixture = await ServerFixture.start();
  const socket = fixture.transport.connectClient();
  for (const clientId of ['\u0000\n"', 'x'.repeat(32_767), '\ud800 lone', null]) {
    socket.receive(requestFrame(ApiKeys.ApiVersions, 0, {}, { clientId: clientId ?? null }));
  }
  assert.equal(socket.frames().length, 4);
  assert.equal(fixture.metrics.value('automq_requests_total', 'ApiVersions'), 4);
  assert.equal(fixture.metrics.total('automq_requests_total'), 4);
});

test('many bad connections write few log lines', async () => {
  const fixture = await ServerFixture.start();
  for (let i = 0; i < 500; i++) fixture.transport.connectClient().receive(Buffer.from('GET / HTTP/1.1\r\n'));
  assert.ok(fixture.logged.length <= 10);
  assert.equal(fixture.closedBecause('frame-size'), 500);
  await fixture.clock.advance(20_000);
  fixture.transport.connectClient().receive(Buffer.from('GET / HTTP/1.1\r\n'));
  assert.equal(fixture.logged.at(-1)?.[1]?.['linesLeftOut'], 490);
});

test('random bytes in frames of the right size never disturb the server', async () => {
  const fixture = await ServerFixture.start({ handle: () => ({ errorCode: 0 }) });
  const frames = fc.record({ apiKey: fc.constantFrom(12, 18, 0, 1), version: fc.integer({ min: -2, max: 6 }), rest: fc.uint8Array({ maxLength: 80 }) });
  fc.assert(
    fc.property(frames, ({ apiKey, version, rest }) => {
      const socket = fixture.transport.connectClient();
      socket.receive(frameOf(header(apiKey, version, Buffer.from(rest))));
      socket.hangUp();
    }),
    { numRuns: 2000 },
  );
  await fixture.clock.settle();
  assert.equal(fixture.server.openConnections, 0);
  assert.equal(fixture.metrics.value('automq_request_memory_bytes'), 0);
  assert.equal(fixture.metrics.total('automq_request_failures_total'), 0);
});
