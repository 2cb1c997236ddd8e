import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeMessage, encodeMessage } from './codecs.ts';
import { encodeResponse } from './frames.ts';
import { ApiKeys } from './messages.gen.ts';
import { ProtocolError } from './protocol-error.ts';

const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA';

test('int64: exact within ±2^53, the nearest double beyond, clamped at the ends', () => {
  const sent: readonly (readonly [number, string])[] = [
    [0, '0000000000000000'],
    [-1, 'ffffffffffffffff'],
    [2 ** 31, '0000000080000000'],
    [-(2 ** 31) - 1, 'ffffffff7fffffff'],
    [2 ** 32 - 1, '00000000ffffffff'],
    [2 ** 32, '0000000100000000'],
    [-(2 ** 32), 'ffffffff00000000'],
    [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
    [Number.MIN_SAFE_INTEGER, 'ffe0000000000001'],
    [2 ** 62, '4000000000000000'],
    [2 ** 63, '7fffffffffffffff'],
    [Infinity, '7fffffffffffffff'],
    [-(2 ** 63), '8000000000000000'],
    [-Infinity, '8000000000000000'],
  ];
  for (const [value, hex] of sent) {
    const offset = encodeMessage('OffsetCommitValue', 3, { offset: value, metadata: '', commitTimestamp: 0 });
    assert.equal(offset.subarray(0, 8).toString('hex'), hex);
    const clamped = Math.min(Math.max(value, -(2 ** 63)), 2 ** 63);
    assert.equal(decodeMessage('OffsetCommitValue', 3, offset).offset, clamped);
  }
});

test('uuids are what Kafka prints', () => {
  const bytes = encodeMessage('MetadataRequest', 12, { topics: [{ topicId: '_1ZqZQVGbDzdJ4GEMgBHmw', name: null }, { name: 'a' }] });
  assert.ok(bytes.includes(Buffer.from('ff566a6505466c3cdd2781843200479b', 'hex')));
  const decoded = decodeMessage('MetadataRequest', 12, bytes);
  assert.deepStrictEqual(
    decoded.topics?.map((topic) => [topic.topicId, topic.name]),
    [
      ['_1ZqZQVGbDzdJ4GEMgBHmw', null],
      [zeroUuid, 'a'],
    ],
  );
  assert.throws(() => encodeMessage('MetadataRequest', 12, { topics: [{ topicId: 'short', name: null }] }), ProtocolError);
});

test('what a version lacks is left out on the wire and at its default after decoding', () => {
  const decoded = decodeMessage('FetchRequest', 4, encodeMessage('FetchRequest', 4, { maxWaitMs: 1, minBytes: 2, topics: [], rackId: 'r', sessionId: 9 }));
  assert.deepStrictEqual([decoded.rackId, decoded.sessionId, decoded.sessionEpoch, decoded.clusterId, decoded.forgottenTopicsData], ['', 0, -1, null, []]);
  assert.deepStrictEqual(decoded.replicaState, { replicaId: -1, replicaEpoch: -1 });
});

test('null where the version allows none is refused, but a string that other versions may leave null goes out empty', () => {
  assert.throws(() => encodeMessage('OffsetFetchRequest', 1, { groupId: 'g', topics: null }), /OffsetFetchRequest v1 topics: null/);
  const joined = { errorCode: 0, generationId: 1, protocolName: null, leader: '', memberId: '', members: [] };
  assert.equal(decodeMessage('JoinGroupResponse', 6, encodeMessage('JoinGroupResponse', 6, joined)).protocolName, '');
  assert.equal(decodeMessage('JoinGroupResponse', 7, encodeMessage('JoinGroupResponse', 7, joined)).protocolName, null);
  assert.throws(() => decodeMessage('HeartbeatRequest', 0, Buffer.from('ffff', 'hex')), /null where the version allows none/);
});

test('tagged fields: known ones in any order, unknown ones skipped, sizes that lie refused', () => {
  const body = encodeMessage('FetchRequest', 15, { maxWaitMs: 1, minBytes: 2, topics: [] });
  const before = body.subarray(0, -1);
  const decode = (tags: string) => decodeMessage('FetchRequest', 15, Buffer.concat([before, hexBytes(tags)]));
  // Tag 1: replica 7 at epoch 8, no tags of its own; tag 0: cluster id "c"; tag 9: nobody knows.
  const replicaState = '010d 00000007 0000000000000008 00';
  const decoded = decode(`03${replicaState}0903aabbcc00020263`);
  assert.deepStrictEqual([decoded.clusterId, decoded.replicaState], ['c', { replicaId: 7, replicaEpoch: 8 }]);
  assert.equal(decode('02 00020263 00020264').clusterId, 'd', 'the last of two counts, as in Kafka');
  for (const lie of ['0200020263', '01000302630000', '010001026300', '0109ff7f', '01']) assert.throws(() => decode(lie), ProtocolError, lie);
});

test('a million unknown tagged fields are skipped in one pass (B14)', () => {
  const body = encodeMessage('HeartbeatRequest', 4, { groupId: 'g', generationId: 1, memberId: 'm' });
  const tags = Buffer.alloc(2_000_000, 0);
  for (let at = 0; at < tags.length; at += 2) tags[at] = 5;
  const frame = Buffer.concat([body.subarray(0, -1), Buffer.from('c0843d', 'hex'), tags]);
  assert.equal(decodeMessage('HeartbeatRequest', 4, frame).memberId, 'm');
});

test('lengths that the frame cannot hold are refused before anything is allocated (B12)', () => {
  for (const count of ['fffffffe', '7fffffff', '80000000', '00000002']) {
    assert.throws(() => decodeMessage('MetadataRequest', 1, Buffer.from(`${count}000161`, 'hex')), ProtocolError, count);
  }
  for (const count of ['ffffffff0f', '808080808001', 'ffffffff7f', '80']) {
    assert.throws(() => decodeMessage('MetadataRequest', 9, Buffer.from(count, 'hex')), ProtocolError, count);
  }
  assert.equal(decodeMessage('MetadataRequest', 9, Buffer.from('800000000000', 'hex')).topics, null, 'a varint need not be minimal');
});

test('millions of empty elements in a frame that holds them are refused (B13)', () => {
  const count = 5_000_000;
  const head = Buffer.alloc(4);
  head.writeInt32BE(count);
  const frame = Buffer.concat([head, Buffer.alloc(2 * count)]);
  assert.throws(() => decodeMessage('MetadataRequest', 1, frame), /more elements than/);
  const honest = Array.from({ length: 100_000 }, (_, at) => ({ name: `topic-number-${at}` }));
  const decoded = decodeMessage('MetadataRequest', 1, encodeMessage('MetadataRequest', 1, { topics: honest }));
  assert.equal(decoded.topics?.length, 100_000);
});

test('strings: not UTF-8, NUL, the longest that Kafka reads, one more', () => {
  const decode = (bytes: Buffer) => decodeMessage('GroupMetadataKey', 0, Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes])).group;
  assert.equal(decode(Buffer.from('61ff62', 'hex')), 'a\ufffdb');
  assert.equal(decode(Buffer.from('a\0b')), 'a\0b');
  assert.equal(decode(Buffer.alloc(32_767, 97)).length, 32_767);
  assert.throws(() => encodeMessage('GroupMetadataKey', 0, { group: 'a'.repeat(32_768) }), ProtocolError);
  const compact = Buffer.concat([Buffer.from('818002', 'hex'), Buffer.alloc(32_768, 97), Buffer.alloc(8)]);
  assert.throws(() => decodeMessage('HeartbeatRequest', 4, compact), /more than 32767/);
});

test('an answer stays as it was when the next one is written', () => {
  const first = encodeResponse(ApiKeys.Heartbeat, 4, 1, { errorCode: 1 });
  const copy = Buffer.concat(first);
  encodeResponse(ApiKeys.Heartbeat, 4, 2, { errorCode: 2 });
  assert.deepStrictEqual(Buffer.concat(first), copy);
});

test('an encoding that failed half-way leaves nothing to the next', () => {
  const records = Buffer.alloc(5000);
  const bad = {
    acks: 1,
    timeoutMs: 1,
    topicData: [
      { name: 't', partitionData: [{ index: 0, records }] },
      { name: 'x'.repeat(40_000), partitionData: [] },
    ],
  };
  assert.throws(() => encodeMessage('ProduceRequest', 9, bad), ProtocolError);
  assert.equal(Buffer.concat(encodeResponse(ApiKeys.Heartbeat, 4, 1, { errorCode: 0 })).length, 4 + 4 + 1 + 4 + 2 + 1);
});

test('messages larger than the scratch buffer, below and above what is kept of it', () => {
  for (const count of [3_000, 30_000, 200_000]) {
    const topics = Array.from({ length: count }, (_, at) => ({ name: `topic-number-${at}-${'ü'.repeat(20)}` }));
    const decoded = decodeMessage('MetadataRequest', 12, encodeMessage('MetadataRequest', 12, { topics }));
    assert.deepStrictEqual([decoded.topics?.length, decoded.topics?.at(-1)?.name], [count, topics.at(-1)?.name]);
  }
});

test('names and versions that do not exist are refused', () => {
  assert.throws(() => encodeMessage('Nothing' as 'GroupMetadataKey', 0, { group: '' }), ProtocolError);
  for (const version of [-1, 1, 0.5, NaN]) assert.throws(() => encodeMessage('GroupMetadataKey', version, { group: '' }), ProtocolError);
});

function hexBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}
