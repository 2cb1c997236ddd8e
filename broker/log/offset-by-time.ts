/**
 * Offsets by timestamp (ListOffsets, KIP-79, KIP-734) inside bytes that were read: headers tell which batch can hold the
 * answer, only that one is decompressed. Records that cannot be read hold no answer; they are the reader's to complain about.
 */
import { lastOffset, leaderEpoch, maxTimestamp } from './batch/record-batch.ts';
import { forEachRecord } from './batch/records.ts';
import { wholeBatchBytes } from './batch/walk-batches.ts';
import type { TimestampOffset } from './partition-log.ts';

export interface TimestampSearch {
  /** Records before it are deleted: the log start offset. */
  readonly minOffset: number;
  /** A batch that is larger decompressed holds no answer. */
  readonly maxDecompressedBytes: number;
}

/** First record of the batches in `buffer` whose timestamp is at or after `timestampMs`. */
export function firstRecordAtOrAfter(buffer: Buffer, timestampMs: number, search: TimestampSearch): TimestampOffset | undefined {
  let position = 0;
  for (let sizeBytes = wholeBatchBytes(buffer, 0); sizeBytes > 0; sizeBytes = wholeBatchBytes(buffer, position)) {
    if (maxTimestamp(buffer, position) >= timestampMs && lastOffset(buffer, position) >= search.minOffset) {
      const found = firstRecordInBatch(buffer.subarray(position, position + sizeBytes), timestampMs, search);
      if (found !== undefined) return found;
    }
    position += sizeBytes;
  }
  return undefined;
}

/** The record of the greatest timestamp, the first of equals. */
export function recordOfMaxTimestamp(buffer: Buffer, search: TimestampSearch): TimestampOffset | undefined {
  let position = 0;
  let newest = -1;
  let newestTimestamp = -1;
  for (let sizeBytes = wholeBatchBytes(buffer, 0); sizeBytes > 0; sizeBytes = wholeBatchBytes(buffer, position)) {
    const timestampMs = maxTimestamp(buffer, position);
    if (timestampMs > newestTimestamp && lastOffset(buffer, position) >= search.minOffset) {
      newest = position;
      newestTimestamp = timestampMs;
    }
    position += sizeBytes;
  }
  if (newest < 0) return undefined;
  return firstRecordInBatch(buffer.subarray(newest, newest + wholeBatchBytes(buffer, newest)), newestTimestamp, search);
}

function firstRecordInBatch(batch: Buffer, timestampMs: number, { minOffset, maxDecompressedBytes }: TimestampSearch): TimestampOffset | undefined {
  const epoch = leaderEpoch(batch, 0);
  let found: TimestampOffset | undefined;
  forEachRecord(batch, { maxOutputBytes: maxDecompressedBytes }, (record) => {
    if (found === undefined && record.timestampMs >= timestampMs && record.offset >= minOffset) {
      found = { offset: record.offset, timestampMs: record.timestampMs, leaderEpoch: epoch };
    }
  });
  return found;
}
