import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildBatch } from './build-batch.ts';
import { assignOffsetAndEpoch, baseOffset, crcFits, lastOffset, leaderEpoch, maxTimestamp, sequenceAfter, setTimestamps } from './record-batch.ts';
import { endOfReadableBatches, positionOfOffset, walkBatches } from './walk-batches.ts';

function batchAt(offset: number, count: number): Buffer {
  return buildBatch({ baseOffset: offset, records: Array.from({ length: count }, () => ({ key: null, value: Buffer.alloc(10), timestampMs: 1 })) });
}

const first = batchAt(10, 2);
const second = batchAt(12, 1);
const third = batchAt(20, 5);
const log = Buffer.concat([first, second, third]);

test('the walk gives every whole batch and ends where one is cut', () => {
  const offsets = (bytes: Buffer) => [...walkBatches(bytes)].map((batch) => [batch.position, batch.baseOffset, batch.lastOffset]);
  const all = [
    [0, 10, 11],
    [first.length, 12, 12],
    [first.length + second.length, 20, 24],
  ];
  assert.deepEqual(offsets(log), all);
  assert.deepEqual(offsets(log.subarray(0, -1)), all.slice(0, 2));
  assert.deepEqual(offsets(log.subarray(0, first.length + 20)), all.slice(0, 1));
  assert.deepEqual(offsets(Buffer.alloc(200)), []);
});

test('the batch of an offset is the first that does not end before it, also where offsets are missing', () => {
  const position = (offset: number) => positionOfOffset(log, 0, offset);
  assert.deepEqual([0, 10, 11, 12, 13, 19, 24, 25].map(position), [0, 0, 0, first.length, ...[13, 19, 24].map(() => first.length + second.length), -1]);
  assert.equal(positionOfOffset(log, first.length, 10), first.length);
});

test('a reader gets whole batches up to its size and the offset bound, the first one whatever its size', () => {
  const end = (maxBytes: number, offsetBound: number) => endOfReadableBatches(log, 0, { maxBytes, offsetBound });
  const two = first.length + second.length;
  assert.equal(end(1, 100), first.length);
  assert.equal(end(0, 100), first.length);
  assert.equal(end(two - 1, 100), first.length);
  assert.equal(end(two, 100), two);
  assert.equal(end(1e6, 100), log.length);
  assert.equal(end(1e6, 25), log.length);
  assert.equal(end(1e6, 24), two);
  assert.equal(end(1e6, 12), first.length);
  assert.equal(end(1e6, 11), 0);
});

test('offsets, epochs and timestamps around 2^31, 2^32 and 2^53 are written in place and read back, and the CRC fits', () => {
  for (const offset of [0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 3]) {
    const batch = batchAt(0, 3);
    assignOffsetAndEpoch(batch, 0, offset, 2 ** 31 - 1);
    assert.deepEqual([baseOffset(batch, 0), lastOffset(batch, 0), leaderEpoch(batch, 0)], [offset, offset + 2, 2 ** 31 - 1]);
    setTimestamps(batch, 0, { type: 'LogAppendTime', maxTimestampMs: offset });
    assert.equal(maxTimestamp(batch, 0), offset);
    setTimestamps(batch, 0, { type: 'CreateTime', maxTimestampMs: -1 });
    assert.equal(maxTimestamp(batch, 0), -1);
    assert.ok(crcFits(batch, 0));
  }
});

test('headers are read at any position, whatever lies before', () => {
  const moved = Buffer.concat([Buffer.alloc(33, 0xff), third]);
  assert.deepEqual([baseOffset(moved, 33), lastOffset(moved, 33), crcFits(moved, 33)], [20, 24, true]);
});

test('sequences start again at 0 behind 2^31 − 1', () => {
  assert.deepEqual([sequenceAfter(0, 5), sequenceAfter(2 ** 31 - 1, 0), sequenceAfter(2 ** 31 - 1, 1), sequenceAfter(2 ** 31 - 3, 4)], [5, 2 ** 31 - 1, 0, 1]);
});
