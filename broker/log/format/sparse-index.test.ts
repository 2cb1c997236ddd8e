import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ByteReader, FormatError } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import { decodeMarks, encodeMarks, offsetBeforeTimestamp, markBefore, SparseIndexBuilder } from './sparse-index.ts';

interface Piece {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly position: number;
  readonly length: number;
  readonly maxTimestampMs: number;
}

const slice = fc
  .array(
    fc.record({ records: fc.integer({ min: 1, max: 50 }), length: fc.integer({ min: 61, max: 300_000 }), maxTimestampMs: fc.integer({ min: -1, max: 40 }) }),
    {
      minLength: 1,
      maxLength: 40,
    },
  )
  .map((drawn) => {
    const pieces: Piece[] = [];
    let [offset, position] = [1000, 0];
    for (const { records, length, maxTimestampMs } of drawn) {
      pieces.push({ firstOffset: offset, lastOffset: offset + records - 1, position, length, maxTimestampMs });
      offset += records;
      position += length;
    }
    return { pieces, firstOffset: 1000, lastOffset: offset - 1, length: position };
  });

function marksOf(pieces: readonly Piece[]) {
  const builder = new SparseIndexBuilder();
  for (const { firstOffset, length, maxTimestampMs } of pieces) builder.add(firstOffset, length, maxTimestampMs);
  return builder.marks;
}

test('a search by offset begins at most a block and a batch before it, never behind it', () => {
  fc.assert(
    fc.property(slice, ({ pieces }) => {
      const marks = marksOf(pieces);
      for (const { firstOffset, lastOffset, position } of pieces) {
        for (const offset of [firstOffset, lastOffset]) {
          const from = markBefore(marks, offset)?.position ?? 0;
          assert.ok(from <= position && position - from <= 256 * 1024 + 300_000);
          assert.ok(pieces.some((piece) => piece.position === from));
        }
      }
    }),
  );
});

test('a search by time begins in the first block that has such a record, or before it', () => {
  fc.assert(
    fc.property(slice, fc.integer({ min: 0, max: 41 }), ({ pieces }, timestampMs) => {
      const marks = marksOf(pieces);
      const first = pieces.find((piece) => piece.maxTimestampMs >= timestampMs);
      const from = offsetBeforeTimestamp(marks, timestampMs) ?? 1000;
      if (first) assert.ok(from <= first.firstOffset && first.position - (markBefore(marks, from)?.position ?? 0) <= 256 * 1024 + 300_000);
    }),
  );
});

test('marks are read back as they were written, and out of order they are refused', () => {
  fc.assert(
    fc.property(slice, (written) => {
      const marks = marksOf(written.pieces);
      const writer = new ByteWriter();
      encodeMarks(writer, marks, written.firstOffset);
      assert.deepEqual(decodeMarks(new ByteReader(writer.finish()), written), marks);
      if (marks.length === 0) return;
      assert.throws(() => decodeMarks(new ByteReader(writer.finish()), { ...written, length: marks.at(-1)!.position }), FormatError);
      assert.throws(() => decodeMarks(new ByteReader(writer.finish()), { ...written, lastOffset: marks.at(-1)!.offset - 1 }), FormatError);
    }),
  );
});
