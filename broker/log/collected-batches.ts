/** What one read has found so far: views of whole batches, up to a size. */
import { lastOffset as lastOffsetOfBatch } from './batch/record-batch.ts';
import { endOfReadableBatches, positionOfOffset } from './batch/walk-batches.ts';

export class CollectedBatches {
  readonly chunks: Buffer[] = [];
  readonly #maxBytes: number;
  sizeBytes = 0;
  nextOffset = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get full(): boolean {
    return this.sizeBytes > 0 && this.sizeBytes >= this.#maxBytes;
  }

  /** Adds a chunk of whole batches that ends before `endOffset`, if it fits: no look at its batches is needed. */
  addWhole(bytes: Buffer, endOffset: number): boolean {
    if (this.sizeBytes + bytes.length > this.#maxBytes) return false;
    this.chunks.push(bytes);
    this.sizeBytes += bytes.length;
    this.nextOffset = endOffset;
    return true;
  }

  /** Adds batches of `bytes` from the one with `offset` on. Answers the offset that follows, −1 when the limit was met. */
  add(bytes: Buffer, offset: number, bound: number): number {
    const start = positionOfOffset(bytes, 0, offset);
    if (start < 0) return -1;
    const end = endOfReadableBatches(bytes, start, { maxBytes: this.#maxBytes - this.sizeBytes, offsetBound: bound });
    if (end === start) return -1;
    if (this.sizeBytes > 0 && this.sizeBytes + end - start > this.#maxBytes) return -1;
    this.chunks.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    this.sizeBytes += end - start;
    this.nextOffset = lastOffsetBefore(bytes, start, end) + 1;
    return end === bytes.length ? this.nextOffset : -1;
  }
}

/** Last offset of the last batch before `end`. */
function lastOffsetBefore(bytes: Buffer, start: number, end: number): number {
  let position = start;
  for (;;) {
    const next = position + bytes.readInt32BE(position + 8) + 12;
    if (next >= end) return lastOffsetOfBatch(bytes, position);
    position = next;
  }
}
