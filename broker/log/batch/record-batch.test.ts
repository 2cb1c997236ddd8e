import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../../std/crc32c.ts';
import { buildBatch } from './build-batch.ts';
import { assignOffsetAndEpoch, crcWithBatch } from './record-batch.ts';

test('the CRC of many batches is that of their bytes, whatever their sizes and offsets', () => {
  const batches = [10, 5_000, 1, 100_000, 4_000, 70_000].map((sizeBytes, index) => {
    const batch = buildBatch({ records: [{ key: null, value: Buffer.alloc(sizeBytes, index + 1), timestampMs: 1 }] });
    assignOffsetAndEpoch(batch, 0, index * 1_000_000, index);
    return batch;
  });
  let crc = 0;
  for (const batch of batches) crc = crcWithBatch(crc, batch);
  assert.equal(crc, crc32c(Buffer.concat(batches)));
});

test('a batch that was damaged since its CRC was checked is found by the sum', () => {
  const batch = buildBatch({ records: [{ key: null, value: Buffer.alloc(10_000), timestampMs: 1 }] });
  batch[5_000] = 1;
  assert.notEqual(crcWithBatch(0, batch), crc32c(batch));
});
