/** Makes record batches of magic 2: for coordinators, recompression and tests. */
import { ByteWriter } from '../../../std/byte-writer.ts';
import { codecs, compress, type CodecName } from './compression.ts';
import * as header from './record-batch.ts';
import type { RecordHeader } from './record-cursor.ts';

export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** −1: none. */
  readonly timestampMs: number;
  readonly headers?: readonly RecordHeader[];
  /** From the batch's base offset; the record's place when it is left out. */
  readonly offsetDelta?: number;
}

export interface NewBatch {
  /** At least one. */
  readonly records: readonly NewRecord[];
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  readonly compression?: CodecName;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
}

export function buildBatch(batch: NewBatch): Buffer {
  const firstTimestamp = batch.records[0]?.timestampMs ?? header.noTimestamp;
  const lastOffsetDelta = batch.records.at(-1)?.offsetDelta ?? batch.records.length - 1;
  let maxTimestamp = header.noTimestamp;
  for (const record of batch.records) maxTimestamp = Math.max(maxTimestamp, record.timestampMs);
  const codec = batch.compression ?? 'uncompressed';
  return assembleBatch(compress(codec, encodeRecords(batch.records, firstTimestamp)), {
    baseOffset: batch.baseOffset ?? 0,
    leaderEpoch: batch.leaderEpoch ?? -1,
    attributes: codecs[codec] | (batch.transactional ? header.transactionalFlag : 0) | (batch.control ? header.controlFlag : 0),
    lastOffsetDelta,
    firstTimestamp,
    maxTimestamp,
    producerId: batch.producerId ?? header.noProducerId,
    producerEpoch: batch.producerEpoch ?? -1,
    baseSequence: batch.baseSequence ?? header.noSequence,
    recordCount: batch.records.length,
  });
}

/** A batch of this header around records that are encoded and compressed already. */
export function assembleBatch(payload: Uint8Array, fields: header.BatchFields): Buffer {
  const batch = Buffer.allocUnsafe(header.batchHeaderBytes + payload.byteLength);
  batch.set(payload, header.batchHeaderBytes);
  header.writeHeader(batch, fields);
  return batch;
}

function encodeRecords(records: readonly NewRecord[], firstTimestamp: number): Buffer {
  const payload = new ByteWriter();
  for (const [index, record] of records.entries()) {
    const body = new ByteWriter(64 + (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0));
    body.u8(0);
    body.signedVarint(record.timestampMs - firstTimestamp);
    body.signedVarint(record.offsetDelta ?? index);
    writeNullable(body, record.key);
    writeNullable(body, record.value);
    const headers = record.headers ?? [];
    body.signedVarint(headers.length);
    for (const { key, value } of headers) {
      writeNullable(body, Buffer.from(key, 'utf8'));
      writeNullable(body, value);
    }
    payload.signedVarint(body.length);
    payload.bytes(body.finish());
  }
  return payload.finish();
}

function writeNullable(writer: ByteWriter, bytes: Uint8Array | null): void {
  if (bytes == null) return writer.signedVarint(-1);
  writer.signedVarint(bytes.byteLength);
  writer.bytes(bytes);
}
