import assert from 'node:assert/strict';
import test from 'node:test';
import { apis } from './apis.ts';
import { encodeMessage } from './codecs.ts';
import { decodeCorrelationId, decodeRequest, decodeRequestHeader, decodeResponse, encodeRequest, encodeResponse } from './frames.ts';
import { ApiKeys } from './messages.gen.ts';
import { ProtocolError } from './protocol-error.ts';

const topicId = 'ciSaNeXD24Yqp6hka2Fq_g';

test('a request travels: header v1 and v2, client id present, empty and null', () => {
  for (const version of [8, 9]) {
    for (const clientId of ['client', '', null, 'größe']) {
      const frame = bodyOf(encodeRequest(ApiKeys.Metadata, version, -7, clientId, { topics: [{ name: 'orders' }] }));
      const header = decodeRequestHeader(frame);
      assert.deepStrictEqual(
        [header.apiKey, header.apiVersion, header.correlationId, header.clientId, header.api?.name, header.known],
        [ApiKeys.Metadata, version, -7, clientId, 'Metadata', true],
      );
      const { body, trailingBytes } = decodeRequest(ApiKeys.Metadata, version, frame, header.bodyOffset);
      assert.deepStrictEqual([body.topics?.[0]?.name, body.allowAutoTopicCreation, trailingBytes], ['orders', true, 0]);
    }
  }
});

test('the golden bytes of a Metadata request with header v2', () => {
  const frame = bodyOf(encodeRequest(ApiKeys.Metadata, 12, 1, 'c', { topics: null }));
  // Key 3, version 12, correlation id 1, classic client id, no header tags; null topics, two booleans, no tags.
  assert.equal(frame.toString('hex'), '0003000c000000010001630000010000');
});

test('response header v1 has tagged fields, v0 and every ApiVersions answer has none', () => {
  assert.equal(bodyOf(encodeResponse(ApiKeys.Heartbeat, 3, 5, { errorCode: 0 })).toString('hex'), '00000005000000000000');
  assert.equal(bodyOf(encodeResponse(ApiKeys.Heartbeat, 4, 5, { errorCode: 0 })).toString('hex'), '000000050000000000000000');
  const answer = bodyOf(encodeResponse(ApiKeys.ApiVersions, 3, 5, { errorCode: 35, apiKeys: [] }));
  assert.equal(answer.subarray(0, 7).toString('hex'), '00000005002301');
  assert.equal(decodeResponse(ApiKeys.ApiVersions, 3, answer).body.errorCode, 35);
  assert.equal(decodeCorrelationId(answer), 5);
});

test('the size in front counts records that go out by reference', () => {
  const records = [Buffer.alloc(3000, 1), Buffer.alloc(5, 2)];
  const chunks = encodeResponse(ApiKeys.Fetch, 13, 9, {
    responses: [
      {
        topicId,
        partitions: [
          { ...fetched(0), records },
          { ...fetched(1), records: Buffer.alloc(10, 3) },
        ],
      },
    ],
  });
  assert.ok(chunks.includes(records[0]!), 'large records are not copied');
  const whole = Buffer.concat(chunks);
  assert.equal(whole.readInt32BE(0), whole.length - 4);
  const { body } = decodeResponse(ApiKeys.Fetch, 13, whole.subarray(4));
  const [first, second] = body.responses[0]!.partitions;
  assert.deepStrictEqual([first?.records, second?.records], [Buffer.concat(records), Buffer.alloc(10, 3)]);
});

test('decoded records are views on the frame', () => {
  const frame = bodyOf(
    encodeRequest(ApiKeys.Produce, 9, 1, null, {
      acks: 1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: Buffer.alloc(2000) }] }],
    }),
  );
  const { body } = decodeRequest(ApiKeys.Produce, 9, frame, decodeRequestHeader(frame).bodyOffset);
  assert.equal(body.topicData[0]?.partitionData[0]?.records?.buffer, frame.buffer);
});

test('the header of an unknown API or version can be read, its body not', () => {
  const header = (apiKey: number, version: number) => decodeRequestHeader(Buffer.from([0, apiKey, 0, version, 0, 0, 0, 1, 0, 1, 99]));
  assert.deepStrictEqual([header(99, 0).api, header(99, 0).known], [undefined, false]);
  assert.deepStrictEqual([header(18, 99).api?.name, header(18, 99).known, header(18, 99).clientId], ['ApiVersions', false, 'c']);
  assert.equal(header(7, 0).api, undefined, 'ControlledShutdown is between brokers');
  assert.throws(() => decodeRequest(ApiKeys.Fetch, 3, Buffer.alloc(20), 10), ProtocolError);
  assert.throws(() => decodeRequest(ApiKeys.Fetch, 19, Buffer.alloc(20), 10), ProtocolError);
});

test('a header that is cut or lies about its client id is refused (B07)', () => {
  const frame = bodyOf(encodeRequest(ApiKeys.Metadata, 12, 1, 'client', { topics: null }));
  for (let length = 0; length < 17; length++) assert.throws(() => decodeRequestHeader(frame.subarray(0, length)), ProtocolError, `${length} bytes`);
  const negative = Buffer.from(frame);
  negative.writeInt16BE(-2, 8);
  assert.throws(() => decodeRequestHeader(negative), ProtocolError);
});

test('tagged fields of the request header are skipped', () => {
  const head = Buffer.from('0003000c00000001ffff', 'hex');
  const header = decodeRequestHeader(Buffer.concat([head, Buffer.from('020003aabbcc0701ff', 'hex'), Buffer.from('00010000', 'hex')]));
  assert.equal(header.bodyOffset, head.length + 9);
  assert.throws(() => decodeRequestHeader(Buffer.concat([head, Buffer.from('010004aabbcc', 'hex')])), ProtocolError);
});

test('bytes after the body are ignored and counted (B11)', () => {
  const body = encodeMessage('HeartbeatRequest', 4, { groupId: 'g', generationId: 1, memberId: 'm' });
  const frame = Buffer.concat([body, Buffer.alloc(1 << 20)]);
  const decoded = decodeRequest(ApiKeys.Heartbeat, 4, frame, 0);
  assert.deepStrictEqual([decoded.body.memberId, decoded.trailingBytes], ['m', 1 << 20]);
});

test('the table of APIs is complete and ascending', () => {
  assert.equal(apis.length, 77);
  assert.deepStrictEqual(
    apis.map((api) => api.key),
    Object.values(ApiKeys).sort((a, b) => a - b),
  );
  const fetch = apis.find((api) => api.key === ApiKeys.Fetch);
  assert.deepStrictEqual([fetch?.minVersion, fetch?.maxVersion, fetch?.flexibleFrom], [4, 18, 12]);
});

function bodyOf(chunks: readonly Uint8Array[]): Buffer {
  const whole = Buffer.concat(chunks);
  assert.equal(whole.readInt32BE(0), whole.length - 4);
  return whole.subarray(4);
}

function fetched(partitionIndex: number) {
  return { partitionIndex, errorCode: 0, highWatermark: 2 ** 40, lastStableOffset: 2 ** 40, abortedTransactions: null };
}
