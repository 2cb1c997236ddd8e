import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import { defaultTopicLogConfig, type TopicLogConfig } from '../topic-log-config.ts';
import { buildBatch, type NewBatch } from './build-batch.ts';
import { codecs, type CodecName } from './compression.ts';
import * as header from './record-batch.ts';
import { decodeRecords } from './records.ts';
import { crc32c } from '../../../std/crc32c.ts';
import { validateBatches, type ValidationOptions, type ValidBatches, type RejectedBatches } from './validate-batches.ts';

const nowMs = 1_700_000_000_000;

function batchOf(count: number, changes: Partial<NewBatch> = {}): Buffer {
  const records = Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`key-${index}`),
    value: Buffer.alloc(20, index),
    timestampMs: nowMs + index,
  }));
  return buildBatch({ records, ...changes });
}

function validate(records: Buffer, config: Partial<TopicLogConfig> = {}, origin: ValidationOptions['origin'] = 'client') {
  return validateBatches(records, { origin, config: { ...defaultTopicLogConfig, ...config }, nowMs, maxDecompressedBytes: 1 << 20 });
}

function accepted(records: Buffer, config?: Partial<TopicLogConfig>): ValidBatches {
  const outcome = validate(records, config);
  assert.equal(outcome.kind, 'ok', JSON.stringify(outcome));
  return outcome;
}

function refused(records: Buffer, config?: Partial<TopicLogConfig>): RejectedBatches {
  const outcome = validate(records, config);
  assert.equal(outcome.kind, 'rejected');
  return outcome;
}

/** Overwrites header bytes and makes the CRC fit again. */
function tampered(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  change(batch);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

test('a plain batch is accepted as it is, with its header in the summary', () => {
  const batch = batchOf(3, { producerId: 77, producerEpoch: 2, baseSequence: 2 ** 31 - 2 });
  const before = Buffer.from(batch);
  const { records, batches } = accepted(batch);
  assert.equal(records, batch);
  assert.deepEqual(records, before);
  assert.deepEqual(batches, [
    {
      position: 0,
      sizeBytes: batch.length,
      baseOffset: 0,
      lastOffsetDelta: 2,
      recordCount: 3,
      firstTimestamp: nowMs,
      maxTimestamp: nowMs + 2,
      attributes: 0,
      leaderEpoch: -1,
      producerId: 77,
      producerEpoch: 2,
      baseSequence: 2 ** 31 - 2,
      lastSequence: 0,
    },
  ]);
});

test('nothing, or less than one batch, is INVALID_RECORD', () => {
  const batch = batchOf(1);
  for (const length of [0, 5, 11, 16, 17, 60, batch.length - 1]) assert.equal(refused(batch.subarray(0, length)).error, ErrorCodes.INVALID_RECORD, `${length}`);
});

test('a length field that no record fits is CORRUPT_MESSAGE, one past the end is INVALID_RECORD', () => {
  for (const [length, error] of [
    [-1, 2],
    [0, 2],
    [13, 2],
    [-(2 ** 31), 2],
    [48, 2],
    [2 ** 31 - 1, 87],
  ] as const) {
    const batch = batchOf(1);
    batch.writeInt32BE(length, 8);
    assert.equal(refused(batch).error, error, `${length}`);
  }
});

test('magic 0 and 1 are INVALID_RECORD, an unknown magic is CORRUPT_MESSAGE', () => {
  for (const [magic, error] of [
    [0, 87],
    [1, 87],
    [3, 2],
    [-1, 2],
  ] as const) {
    const batch = batchOf(1);
    batch.writeInt8(magic, 16);
    assert.equal(refused(batch).error, error, `${magic}`);
  }
});

test('two batches are INVALID_RECORD, an incomplete second one is cut off', () => {
  const batch = batchOf(2);
  assert.equal(refused(Buffer.concat([batch, batch])).error, ErrorCodes.INVALID_RECORD);
  const { records, batches } = accepted(Buffer.concat([batch, batch.subarray(0, 40)]));
  assert.deepEqual(records, batch);
  assert.equal(batches.length, 1);
});

test('any flipped bit behind the CRC is CORRUPT_MESSAGE', () => {
  const size = batchOf(1).length;
  for (let bit = 17 * 8; bit < size * 8; bit += 7) {
    const batch = batchOf(1);
    batch[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(refused(batch).error, ErrorCodes.CORRUPT_MESSAGE, `${bit}`);
  }
});

test('base offsets are ours to give: another than 0 is INVALID_RECORD; a leader epoch is overwritten', () => {
  assert.equal(refused(batchOf(1, { baseOffset: 5 })).error, ErrorCodes.INVALID_RECORD);
  accepted(batchOf(1, { leaderEpoch: 99 }));
});

test('max.message.bytes counts the whole batch and is looked at before the CRC', () => {
  const batch = batchOf(1);
  accepted(batch, { maxMessageBytes: batch.length });
  batch[30]! ^= 1;
  assert.equal(refused(batch, { maxMessageBytes: batch.length - 1 }).error, ErrorCodes.MESSAGE_TOO_LARGE);
});

test('a count that does not fit the offsets is INVALID_RECORD', () => {
  for (const [delta, count] of [
    [2, 2],
    [2, -1],
    [2, 0],
    [2, 4],
    [-1, 0],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [-(2 ** 31), 1],
  ] as const) {
    const batch = tampered(batchOf(3), (bytes) => {
      bytes.writeInt32BE(delta, 23);
      bytes.writeInt32BE(count, 57);
    });
    assert.equal(refused(batch).error, ErrorCodes.INVALID_RECORD, `${delta} ${count}`);
  }
});

test('control records, unknown attributes and unknown codecs are INVALID_RECORD', () => {
  assert.equal(refused(batchOf(1, { control: true })).error, ErrorCodes.INVALID_RECORD);
  for (const bits of [5, 6, 7, 0x40, 0x80, 0x0100, 0x8000]) {
    const batch = tampered(batchOf(1), (bytes) => bytes.writeUInt16BE(bits, 21));
    assert.equal(refused(batch).error, ErrorCodes.INVALID_RECORD, `${bits}`);
  }
});

test('a producer id needs a sequence, a transaction a producer id, and ids past 2^53 are not ours', () => {
  assert.equal(refused(batchOf(1, { producerId: 5, producerEpoch: 0, baseSequence: -1 })).error, ErrorCodes.INVALID_RECORD);
  assert.equal(refused(batchOf(1, { producerId: 5, producerEpoch: 0, baseSequence: -5 })).error, ErrorCodes.INVALID_RECORD);
  assert.equal(refused(batchOf(1, { transactional: true })).error, ErrorCodes.INVALID_RECORD);
  accepted(batchOf(1, { transactional: true, producerId: 5, producerEpoch: 0, baseSequence: 0 }));
  const huge = tampered(batchOf(1, { baseSequence: 0, producerEpoch: 0 }), (bytes) => bytes.writeBigInt64BE(2n ** 63n - 1n, 43));
  assert.equal(refused(huge).error, ErrorCodes.INVALID_RECORD);
});

test('a negative producer id is no producer, whatever the number', () => {
  const { batches } = accepted(batchOf(1, { producerId: -7, producerEpoch: 0, baseSequence: 0 }));
  assert.equal(batches[0]?.producerId, header.noProducerId);
});

test('timestamps outside the bounds are INVALID_TIMESTAMP and the bad records are named', () => {
  const records = [0, -3_000, 5_000].map((shift) => ({ key: null, value: null, timestampMs: nowMs + shift }));
  const bounds = { timestampBeforeMaxMs: 2_000, timestampAfterMaxMs: 4_000 };
  const outcome = refused(buildBatch({ records: [records[0]!, records[2]!] }), bounds);
  assert.equal(outcome.error, ErrorCodes.INVALID_TIMESTAMP);
  assert.deepEqual(
    outcome.recordErrors?.map(({ batchIndex }) => batchIndex),
    [1],
  );
  assert.deepEqual(
    refused(buildBatch({ records: [records[1]!, records[0]!, records[2]!] }), bounds).recordErrors?.map(({ batchIndex }) => batchIndex),
    [0, 2],
  );
  accepted(buildBatch({ records: [records[0]!] }), bounds);
});

test('extreme timestamps are INVALID_TIMESTAMP even where the topic has no bounds; "none" passes', () => {
  const unbounded = { timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER, timestampAfterMaxMs: Number.MAX_SAFE_INTEGER };
  for (const timestamp of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n]) {
    const batch = tampered(batchOf(1), (bytes) => {
      bytes.writeBigInt64BE(timestamp, 27);
      bytes.writeBigInt64BE(timestamp, 35);
    });
    assert.equal(refused(batch, unbounded).error, ErrorCodes.INVALID_TIMESTAMP, `${timestamp}`);
  }
  accepted(buildBatch({ records: [{ key: null, value: null, timestampMs: -1 }] }), { timestampBeforeMaxMs: 1 });
});

test('a maximum timestamp that cannot be is replaced by that of the records', () => {
  for (const lie of [-1n, 0n, 2n ** 62n]) {
    const batch = tampered(batchOf(4), (bytes) => bytes.writeBigInt64BE(lie, 35));
    const { records, batches } = accepted(batch);
    assert.equal(batches[0]?.maxTimestamp, nowMs + 3);
    assert.ok(header.crcFits(records, 0));
  }
});

test('LogAppendTime: type and maximum are set in place and the CRC fits, compressed or not', () => {
  for (const compression of Object.keys(codecs) as CodecName[]) {
    const batch = batchOf(3, { compression });
    const { records, batches } = accepted(batch, { timestampType: 'LogAppendTime' });
    assert.equal(records, batch);
    assert.ok(header.crcFits(records, 0));
    assert.equal(batches[0]?.maxTimestamp, nowMs);
    assert.equal(batches[0]?.attributes, codecs[compression] | header.logAppendTimeFlag);
    const decoded = decodeRecords(records, { maxOutputBytes: 10_000 });
    assert.ok(decoded.kind === 'ok' && decoded.records.every((record) => record.timestampMs === nowMs));
  }
});

test('a producer that sets LogAppendTime itself: refused where the broker does, unset where it does not', () => {
  const marked = () => tampered(batchOf(2), (bytes) => bytes.writeInt16BE(header.logAppendTimeFlag, 21));
  const outcome = refused(marked(), { timestampType: 'LogAppendTime' });
  assert.equal(outcome.error, ErrorCodes.INVALID_TIMESTAMP);
  assert.equal(outcome.recordErrors?.length, 2);
  const { records, batches } = accepted(marked());
  assert.equal(batches[0]?.attributes, 0);
  assert.ok(header.crcFits(records, 0));
});

test('a compacted topic refuses records without key, by their place, in every codec', () => {
  const compact = { cleanupPolicy: { delete: false, compact: true } };
  for (const compression of Object.keys(codecs) as CodecName[]) {
    accepted(batchOf(3, { compression }), compact);
    const records = ['a', null, 'b', null].map((key) => ({ key: key == null ? null : Buffer.from(key), value: Buffer.from('v'), timestampMs: nowMs }));
    const outcome = refused(buildBatch({ records, compression }), compact);
    assert.equal(outcome.error, ErrorCodes.INVALID_RECORD);
    assert.deepEqual(
      outcome.recordErrors?.map(({ batchIndex }) => batchIndex),
      [1, 3],
    );
  }
});

test('where records are read, their own faults and a count that lies are INVALID_RECORD', () => {
  const compact = { cleanupPolicy: { delete: false, compact: true } };
  const lies: [string, (bytes: Buffer) => void][] = [
    ['record size', (bytes) => bytes.writeUInt8(0x7e, 61)],
    [
      'fewer records',
      (bytes) => {
        bytes.writeInt32BE(1, 23);
        bytes.writeInt32BE(2, 57);
      },
    ],
    [
      'more records',
      (bytes) => {
        bytes.writeInt32BE(3, 23);
        bytes.writeInt32BE(4, 57);
      },
    ],
    ['not gzip', (bytes) => bytes.writeInt16BE(codecs.gzip, 21)],
    ['not snappy', (bytes) => bytes.writeInt16BE(codecs.snappy, 21)],
    ['not lz4', (bytes) => bytes.writeInt16BE(codecs.lz4, 21)],
    ['not zstd', (bytes) => bytes.writeInt16BE(codecs.zstd, 21)],
  ];
  for (const [name, lie] of lies) assert.equal(refused(tampered(batchOf(3), lie), compact).error, ErrorCodes.INVALID_RECORD, name);
});

test('a decompression bomb is refused in a compacted topic and stays unread in a normal one', () => {
  const records = [{ key: Buffer.from('k'), value: Buffer.alloc(8 << 20), timestampMs: nowMs }];
  for (const compression of ['gzip', 'snappy', 'lz4'] as const) {
    const bomb = buildBatch({ records, compression });
    accepted(Buffer.from(bomb));
    assert.equal(refused(bomb, { cleanupPolicy: { delete: false, compact: true } }).error, ErrorCodes.INVALID_RECORD, compression);
  }
});

test('compression.type of the topic wins over the producer’s, records stay byte for byte', () => {
  for (const from of Object.keys(codecs) as CodecName[]) {
    for (const to of Object.keys(codecs) as CodecName[]) {
      const batch = batchOf(5, { compression: from, producerId: 9, producerEpoch: 1, baseSequence: 3 });
      const want = decodeRecords(batch, { maxOutputBytes: 10_000 });
      const { records, batches } = accepted(batch, { compressionType: to });
      assert.equal(batches[0]!.attributes, codecs[to]);
      assert.equal(batches[0]!.producerId, 9);
      assert.ok(header.crcFits(records, 0));
      assert.deepEqual(decodeRecords(records, { maxOutputBytes: 10_000 }), want);
    }
  }
});

test('a batch that grows past max.message.bytes by recompression is MESSAGE_TOO_LARGE', () => {
  const batch = buildBatch({ records: [{ key: null, value: Buffer.alloc(10_000), timestampMs: nowMs }], compression: 'gzip' });
  assert.equal(refused(batch, { compressionType: 'uncompressed', maxMessageBytes: 9_000 }).error, ErrorCodes.MESSAGE_TOO_LARGE);
});

test('inner offsets that are not 0, 1, 2 … are INVALID_RECORD where records are read', () => {
  for (const compression of ['uncompressed', 'gzip'] as const) {
    const records = [7, 8].map((offsetDelta) => ({ key: Buffer.from('k'), value: null, timestampMs: nowMs, offsetDelta }));
    const batch = tampered(buildBatch({ records, compression }), (bytes) => bytes.writeInt32BE(1, 23));
    assert.equal(refused(batch, { cleanupPolicy: { delete: false, compact: true } }).error, ErrorCodes.INVALID_RECORD);
  }
});

test('our own coordinators may write several batches and control records, but not garbage', () => {
  const batches = Buffer.concat([batchOf(1), batchOf(1, { control: true, producerId: 4, producerEpoch: 0 })]);
  const outcome = validate(batches, {}, 'coordinator');
  assert.ok(outcome.kind === 'ok' && outcome.batches.length === 2 && outcome.batches[1]!.position > 0);
  assert.equal(validate(batches.subarray(0, -1), {}, 'coordinator').kind, 'rejected');
  assert.equal(validate(Buffer.alloc(0), {}, 'coordinator').kind, 'rejected');
});
