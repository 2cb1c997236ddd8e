/**
 * Walking over stored batches, which were checked when they came in: only headers are looked at. A batch that does not
 * fit ends the walk, for a read may end inside one.
 */
import { attributes, baseOffset, batchHeaderBytes, batchSizeBytes, lastOffset, leaderEpoch, maxTimestamp, producerId } from './record-batch.ts';

export interface StoredBatch {
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly maxTimestamp: number;
  readonly attributes: number;
  readonly producerId: number;
}

/** Every whole batch from `start` on. For cold paths: makes an object per batch. */
export function* walkBatches(buffer: Buffer, start = 0): Generator<StoredBatch> {
  for (let position = start; ; ) {
    const sizeBytes = wholeBatchBytes(buffer, position);
    if (sizeBytes === 0) return;
    yield {
      position,
      sizeBytes,
      baseOffset: baseOffset(buffer, position),
      lastOffset: lastOffset(buffer, position),
      leaderEpoch: leaderEpoch(buffer, position),
      maxTimestamp: maxTimestamp(buffer, position),
      attributes: attributes(buffer, position),
      producerId: producerId(buffer, position),
    };
    position += sizeBytes;
  }
}

/** Position of the first whole batch from `start` on whose last offset is at or after `offset`; −1 when there is none. */
export function positionOfOffset(buffer: Buffer, start: number, offset: number): number {
  for (let position = start; ; ) {
    const sizeBytes = wholeBatchBytes(buffer, position);
    if (sizeBytes === 0) return -1;
    if (lastOffset(buffer, position) >= offset) return position;
    position += sizeBytes;
  }
}

export interface BatchRangeLimits {
  /** The end may not pass this many bytes behind `start`, except by the first batch. */
  readonly maxBytes: number;
  /** Batches that end at or past this offset are left out: the high watermark or the last stable offset. */
  readonly offsetBound: number;
}

/**
 * Where the whole batches end that a reader may get from `start` on; `start` when not even one. The first batch is given
 * even when it is larger than `maxBytes`.
 */
export function endOfReadableBatches(buffer: Buffer, start: number, limits: BatchRangeLimits): number {
  let end = start;
  for (;;) {
    const sizeBytes = wholeBatchBytes(buffer, end);
    if (sizeBytes === 0 || lastOffset(buffer, end) >= limits.offsetBound) return end;
    if (end > start && end + sizeBytes - start > limits.maxBytes) return end;
    end += sizeBytes;
    if (end - start >= limits.maxBytes) return end;
  }
}

/** Size of the batch at `position`, 0 unless all of it lies in `buffer`. */
export function wholeBatchBytes(buffer: Buffer, position: number): number {
  if (buffer.length - position < batchHeaderBytes) return 0;
  const sizeBytes = batchSizeBytes(buffer, position);
  return sizeBytes >= batchHeaderBytes && position + sizeBytes <= buffer.length ? sizeBytes : 0;
}
