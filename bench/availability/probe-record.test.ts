import assert from 'node:assert/strict';
import test from 'node:test';
import { buildBatch } from '../../broker/log/batch/build-batch.ts';
import { probeBatch, readProbeBatches } from './probe-record.ts';

function valueOf(number: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeBigInt64BE(BigInt(number));
  return value;
}

/** As a broker stores it: the base offset is not covered by the CRC. */
function stored(offset: number, number: number): Buffer {
  const batch = probeBatch(number, 1_234);
  batch.writeBigInt64BE(BigInt(offset), 0);
  return batch;
}

test('the batch is the one that a general builder makes', () => {
  assert.deepEqual(probeBatch(77, 1_234), buildBatch({ records: [{ key: null, value: valueOf(77), timestampMs: 1_234 }] }));
});

test('whole batches are read back, a cut one at the end is left', () => {
  const seen: [number, number][] = [];
  const bytes = Buffer.concat([stored(5, 50), stored(6, 60), stored(7, 70).subarray(0, 70)]);
  assert.equal(
    readProbeBatches(bytes, (offset, value) => seen.push([offset, value])),
    7,
  );
  assert.deepEqual(seen, [
    [5, 50],
    [6, 60],
  ]);
  assert.equal(
    readProbeBatches(Buffer.alloc(0), () => {}),
    undefined,
  );
});

test('a damaged batch is an error', () => {
  const bytes = stored(5, 50);
  bytes.writeUInt8(1, bytes.length - 2);
  assert.throws(() => readProbeBatches(bytes, () => {}), /did not write/);
});
