/**
 * Whole batches out of bytes that arrived in several buffers. Batches that lie in one buffer stay views of it; only one
 * that two buffers share is copied together.
 */
import { batchHeaderBytes, batchSizeBytes } from './record-batch.ts';
import { wholeBatchBytes } from './walk-batches.ts';

export interface GatheredBatches {
  readonly chunks: readonly Buffer[];
  /** Of the batches. What is left behind them is an incomplete batch. */
  readonly sizeBytes: number;
  /** Size of that incomplete batch as far as its header is there, else a header's; 0: there is none. */
  readonly nextBytes: number;
}

/** Size and length are all that is needed to go on. */
const sizeFieldEnd = 12;

/** Ends early at bytes that are no batch: then `nextBytes` is less than a header. */
export function gatherBatches(buffers: readonly Buffer[]): GatheredBatches {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let carried: Buffer = Buffer.alloc(0);
  for (let i = 0; i < buffers.length; i++) {
    let rest = buffers[i] as Buffer;
    while (carried.length > 0 && rest.length > 0) {
      const wanted = carried.length < sizeFieldEnd ? sizeFieldEnd : batchSizeBytes(carried, 0);
      if (wanted < sizeFieldEnd) return { chunks, sizeBytes, nextBytes: wanted };
      const taken = rest.subarray(0, Math.max(0, wanted - carried.length));
      carried = Buffer.concat([carried, taken], carried.length + taken.length);
      rest = rest.subarray(taken.length);
      if (wholeBatchBytes(carried, 0) === 0) {
        if (carried.length >= sizeFieldEnd && batchSizeBytes(carried, 0) < batchHeaderBytes)
          return { chunks, sizeBytes, nextBytes: batchSizeBytes(carried, 0) };
        continue;
      }
      chunks.push(carried);
      sizeBytes += carried.length;
      carried = Buffer.alloc(0);
    }
    const end = endOfWholeBatches(rest);
    if (end > 0) chunks.push(end === rest.length ? rest : rest.subarray(0, end));
    sizeBytes += end;
    if (end < rest.length) carried = rest.subarray(end);
    if (carried.length >= sizeFieldEnd && batchSizeBytes(carried, 0) < batchHeaderBytes) break;
  }
  const nextBytes = carried.length === 0 ? 0 : carried.length < sizeFieldEnd ? batchHeaderBytes : batchSizeBytes(carried, 0);
  return { chunks, sizeBytes, nextBytes };
}

function endOfWholeBatches(bytes: Buffer): number {
  let end = 0;
  for (let sizeBytes = wholeBatchBytes(bytes, 0); sizeBytes > 0; sizeBytes = wholeBatchBytes(bytes, end)) end += sizeBytes;
  return end;
}
