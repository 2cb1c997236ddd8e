import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { buildBatch } from './batch/build-batch.ts';
import { codecs, type CodecName } from './batch/compression.ts';
import { setTimestamps } from './batch/record-batch.ts';
import { firstRecordAtOrAfter, recordOfMaxTimestamp } from './offset-by-time.ts';

const search = { minOffset: 0, maxDecompressedBytes: 1 << 20 };

interface Stored {
  readonly offset: number;
  readonly timestampMs: number;
}

function log(batches: readonly { readonly timestamps: readonly number[]; readonly compression: CodecName }[]): {
  readonly bytes: Buffer;
  readonly records: Stored[];
} {
  const records: Stored[] = [];
  const parts = batches.map(({ timestamps, compression }) => {
    const baseOffset = records.length;
    for (const timestampMs of timestamps) records.push({ offset: records.length, timestampMs });
    return buildBatch({
      baseOffset,
      leaderEpoch: 3,
      compression,
      records: timestamps.map((timestampMs) => ({ key: null, value: Buffer.from('v'), timestampMs })),
    });
  });
  return { bytes: Buffer.concat(parts), records };
}

const batches = fc.array(
  fc.record({
    timestamps: fc.array(fc.integer({ min: -1, max: 40 }), { minLength: 1, maxLength: 5 }),
    compression: fc.constantFrom(...(Object.keys(codecs) as CodecName[])),
  }),
  { maxLength: 8 },
);

test('the first record at or after a time is the one that a look at every record finds', () => {
  fc.assert(
    fc.property(batches, fc.integer({ min: 0, max: 41 }), fc.nat(20), (written, timestampMs, minOffset) => {
      const { bytes, records } = log(written);
      const want = records.find((record) => record.offset >= minOffset && record.timestampMs >= timestampMs);
      assert.deepEqual(firstRecordAtOrAfter(bytes, timestampMs, { ...search, minOffset }), want && { ...want, leaderEpoch: 3 });
    }),
  );
});

test('the record of the greatest timestamp is the first of the greatest', () => {
  fc.assert(
    fc.property(batches, (written) => {
      const { bytes, records } = log(written);
      const greatest = Math.max(-1, ...records.map((record) => record.timestampMs));
      const want = greatest < 0 ? undefined : records.find((record) => record.timestampMs === greatest);
      assert.deepEqual(recordOfMaxTimestamp(bytes, search), want && { ...want, leaderEpoch: 3 });
    }),
  );
});

test('in a batch of LogAppendTime every record has the time of the append', () => {
  const { bytes } = log([{ timestamps: [5, 6, 7], compression: 'gzip' }]);
  setTimestamps(bytes, 0, { type: 'LogAppendTime', maxTimestampMs: 1_000 });
  assert.deepEqual(firstRecordAtOrAfter(bytes, 900, search), { offset: 0, timestampMs: 1_000, leaderEpoch: 3 });
});

test('bytes that end inside a batch are searched up to there; records that cannot be read hold no answer', () => {
  const { bytes } = log([
    { timestamps: [5], compression: 'uncompressed' },
    { timestamps: [9], compression: 'gzip' },
    { timestamps: [9], compression: 'uncompressed' },
  ]);
  const second = bytes.readInt32BE(8) + 12;
  assert.equal(firstRecordAtOrAfter(bytes.subarray(0, second + 30), 6, search), undefined);
  assert.equal(firstRecordAtOrAfter(bytes.subarray(0, second + 30), 5, search)?.offset, 0);
  bytes.fill(0xff, second + 61, second + 70);
  assert.equal(firstRecordAtOrAfter(bytes, 6, search)?.offset, 2);
});
