/**
 * The sparse index of a slice: a mark about every 256 KiB, so that a read inside a large slice needs one block of it and
 * not the whole (design §6). Marks cut the slice into blocks of whole batches; each tells where the next block begins and
 * the greatest timestamp of the block that it ends. WAL groups, stream set objects and stream objects carry them alike.
 */
import { type ByteReader, FormatError } from '../../../std/byte-reader.ts';
import type { ByteWriter } from '../../../std/byte-writer.ts';

export interface SparseMark {
  /** First offset of the batch that begins here. */
  readonly offset: number;
  /** From the beginning of the slice. */
  readonly position: number;
  /** Of the block before the mark; −1: it has none. */
  readonly maxTimestampMs: number;
}

export const noMarks: readonly SparseMark[] = [];
const intervalBytes = 256 * 1024;
const minMarkBytes = 3;

/** Told of consecutive pieces (a batch, or several), sets the marks. */
export class SparseIndexBuilder {
  #marks: SparseMark[] | undefined;
  #position = 0;
  #nextMarkAt = intervalBytes;
  #maxTimestampMs = -1;

  get marks(): readonly SparseMark[] {
    return this.#marks ?? noMarks;
  }

  /** Adds all that another builder was told of. */
  addAll(other: SparseIndexBuilder, firstOffset: number): void {
    let before = { offset: firstOffset, position: 0 };
    for (const mark of other.marks) {
      this.add(before.offset, mark.position - before.position, mark.maxTimestampMs);
      before = mark;
    }
    this.add(before.offset, other.#position - before.position, other.#maxTimestampMs);
  }

  add(firstOffset: number, length: number, maxTimestampMs: number): void {
    if (this.#position >= this.#nextMarkAt) {
      this.#marks ??= [];
      this.#marks.push({ offset: firstOffset, position: this.#position, maxTimestampMs: this.#maxTimestampMs });
      this.#nextMarkAt = this.#position + intervalBytes;
      this.#maxTimestampMs = -1;
    }
    this.#position += length;
    if (maxTimestampMs > this.#maxTimestampMs) this.#maxTimestampMs = maxTimestampMs;
  }
}

/** The mark from which to look for the batch that holds `offset`; undefined: from the slice's beginning. */
export function markBefore(marks: readonly SparseMark[], offset: number): SparseMark | undefined {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((marks[middle] as SparseMark).offset <= offset) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1];
}

/** First offset of the first block that may hold a record at or after `timestampMs`; undefined: the slice's first block. */
export function offsetBeforeTimestamp(marks: readonly SparseMark[], timestampMs: number): number | undefined {
  let start: number | undefined;
  for (const mark of marks) {
    if (mark.maxTimestampMs >= timestampMs) return start;
    start = mark.offset;
  }
  return start;
}

export function encodeMarks(writer: ByteWriter, marks: readonly SparseMark[], firstOffset: number): void {
  writer.varint(marks.length);
  let before: SparseMark = { offset: firstOffset, position: 0, maxTimestampMs: 0 };
  for (const mark of marks) {
    writer.varint(mark.offset - before.offset);
    writer.varint(mark.position - before.position);
    writer.signedVarint(mark.maxTimestampMs - before.maxTimestampMs);
    before = mark;
  }
}

export function decodeMarks(
  reader: ByteReader,
  slice: { readonly firstOffset: number; readonly lastOffset: number; readonly length: number },
): readonly SparseMark[] {
  const count = reader.count(minMarkBytes);
  if (count === 0) return noMarks;
  const marks: SparseMark[] = [];
  let before: SparseMark = { offset: slice.firstOffset, position: 0, maxTimestampMs: 0 };
  for (let i = 0; i < count; i++) {
    const offset = before.offset + reader.varint();
    const position = before.position + reader.varint();
    const maxTimestampMs = before.maxTimestampMs + reader.signedVarint();
    if (offset <= before.offset || offset > slice.lastOffset || position <= before.position || position >= slice.length)
      throw new FormatError('marks of a sparse index are out of order');
    before = { offset, position, maxTimestampMs };
    marks.push(before);
  }
  return marks;
}
