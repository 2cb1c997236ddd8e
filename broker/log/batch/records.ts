/**
 * The records inside one batch, as objects: for cold paths only (coordinators, inspection, compaction). What is wrong
 * with a batch is a value: its text belongs to Kafka's INVALID_RECORD.
 */
import { FormatError } from '../../../std/byte-reader.ts';
import { decompress, type Decompressed } from './compression.ts';
import * as header from './record-batch.ts';
import { RecordCursor, type RecordHeader } from './record-cursor.ts';

export interface DecodedRecord {
  readonly offset: number;
  readonly timestampMs: number;
  /** Views of the batch, or of the decompressed records. */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

export type DecodedRecords = { readonly kind: 'ok'; readonly records: readonly DecodedRecord[] } | InvalidRecords;
export interface InvalidRecords {
  readonly kind: 'invalid';
  readonly message: string;
}

export interface DecodeLimits {
  /** Records that are larger decompressed are refused. */
  readonly maxOutputBytes: number;
}

/** `batch` begins with a whole batch whose header was checked. */
export function decodeRecords(batch: Buffer, limits: DecodeLimits): DecodedRecords {
  const records: DecodedRecord[] = [];
  const fault = forEachRecord(batch, limits, (record) => {
    records.push({ offset: record.offset, timestampMs: record.timestampMs, key: record.key(), value: record.value(), headers: record.headers() });
  });
  return fault ?? { kind: 'ok', records };
}

/** Calls `visit` with one cursor for all records. */
export function forEachRecord(batch: Buffer, limits: DecodeLimits, visit: (record: RecordCursor) => void): InvalidRecords | undefined {
  const payload = recordsPayload(batch, limits);
  if (payload.kind === 'invalid') return payload;
  return visitRecords(batch, payload.bytes, visit);
}

/** The bytes of the records, decompressed. */
export function recordsPayload(batch: Buffer, limits: DecodeLimits): Decompressed {
  const payload = batch.subarray(header.batchHeaderBytes, header.batchSizeBytes(batch, 0));
  return decompress(header.attributes(batch, 0) & header.compressionMask, payload, limits.maxOutputBytes);
}

export function visitRecords(batch: Buffer, payload: Buffer, visit: (record: RecordCursor) => void): InvalidRecords | undefined {
  const cursor = new RecordCursor(batch, payload);
  try {
    while (cursor.next()) visit(cursor);
  } catch (cause) {
    if (cause instanceof FormatError) return { kind: 'invalid', message: cause.message };
    throw cause;
  }
  return undefined;
}
