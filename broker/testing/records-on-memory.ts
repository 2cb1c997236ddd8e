/** Records of tests: the content of each fits its offset. Read back with the clock moved by hand. */
import assert from 'node:assert/strict';
import { decodeRecords } from '../log/batch/records.ts';
import { walkBatches } from '../log/batch/walk-batches.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { ManualClock } from '../server/testing/manual-clock.ts';

/** Offsets of all records, whose content fits their offset. */
export async function readAll(log: PartitionLog, clock: ManualClock): Promise<number[]> {
  const offsets: number[] = [];
  for (let offset = log.logStartOffset; offset < log.highWatermark; ) {
    const outcome = await clock.until(Promise.resolve(log.read(offset, { maxBytes: 100_000, isolation: 'uncommitted' })));
    assert.ok(outcome.kind === 'records' && outcome.sizeBytes > 0, JSON.stringify(outcome));
    for (const chunk of outcome.chunks as readonly Buffer[]) {
      for (const batch of walkBatches(chunk)) {
        const decoded = decodeRecords(chunk.subarray(batch.position, batch.position + batch.sizeBytes), { maxOutputBytes: 1 << 20 });
        const value = decoded.kind === 'ok' ? decoded.records[0]?.value : undefined;
        assert.ok(value && Buffer.from(value).equals(Buffer.alloc(value.byteLength, `${batch.baseOffset} `)));
        offsets.push(batch.baseOffset);
        offset = batch.lastOffset + 1;
      }
    }
  }
  return offsets;
}
