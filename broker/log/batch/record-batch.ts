/**
 * The header of a record batch of magic 2 (KIP-98), 61 bytes, read and written in place. The log stores batches as
 * producers sent them and looks only here.
 *
 * 64-bit fields are read as numbers: exact up to 2^53, rounded past it. Callers compare such values with limits before
 * they use them.
 */
import { crc32c, crc32cCombine, crc32cPatch } from '../../../std/crc32c.ts';

export const batchHeaderBytes = 61;
/** Base offset and length, which the length field does not count. */
export const batchOverheadBytes = 12;
/** Position of the first byte that the CRC covers: it and everything behind. */
const crcStart = 21;

/** Below it reading is as quick as calculating. */
const worthCombiningBytes = 4096;

const lengthPosition = 8;
const leaderEpochPosition = 12;
const magicPosition = 16;
const crcPosition = 17;
const attributesPosition = 21;
const lastOffsetDeltaPosition = 23;
const firstTimestampPosition = 27;
const maxTimestampPosition = 35;
const producerIdPosition = 43;
const producerEpochPosition = 51;
const baseSequencePosition = 53;
const recordCountPosition = 57;

export const compressionMask = 0x07;
export const logAppendTimeFlag = 0x08;
export const transactionalFlag = 0x10;
export const controlFlag = 0x20;

export const noTimestamp = -1;
export const noProducerId = -1;
export const noSequence = -1;
const sequences = 2 ** 31;

/** Bytes of the whole batch at `at`, as its header claims. */
export function batchSizeBytes(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + lengthPosition) + batchOverheadBytes;
}

export function baseOffset(buffer: Buffer, at: number): number {
  return readInt64(buffer, at);
}

export function leaderEpoch(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + leaderEpochPosition);
}

export function magic(buffer: Buffer, at: number): number {
  return buffer.readInt8(at + magicPosition);
}

export function storedCrc(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at + crcPosition);
}

export function attributes(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + attributesPosition);
}

export function lastOffsetDelta(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + lastOffsetDeltaPosition);
}

export function firstTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + firstTimestampPosition);
}

export function maxTimestamp(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + maxTimestampPosition);
}

export function producerId(buffer: Buffer, at: number): number {
  return readInt64(buffer, at + producerIdPosition);
}

export function producerEpoch(buffer: Buffer, at: number): number {
  return buffer.readInt16BE(at + producerEpochPosition);
}

export function baseSequence(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + baseSequencePosition);
}

export function recordCount(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at + recordCountPosition);
}

export function lastOffset(buffer: Buffer, at: number): number {
  return baseOffset(buffer, at) + lastOffsetDelta(buffer, at);
}

/** Sequences run from 0 to 2^31 − 1 and start again. */
export function sequenceAfter(sequence: number, steps: number): number {
  return (sequence + steps) % sequences;
}

/** Whether the stored CRC fits the bytes. The whole batch must lie in `buffer`. */
/**
 * The CRC of some bytes and this batch behind them, from theirs. What the batch's own CRC covers is not read again: it was
 * checked when the batch came in, and damage since then is found by whoever checks the sum.
 */
export function crcWithBatch(crc: number, batch: Buffer): number {
  if (batch.length < worthCombiningBytes) return crc32c(batch, crc);
  return crc32cCombine(crc32c(batch.subarray(0, crcStart), crc), storedCrc(batch, 0), batch.length - crcStart);
}

export function crcFits(buffer: Buffer, at: number): boolean {
  return crc32c(buffer.subarray(at + crcStart, at + batchSizeBytes(buffer, at))) === storedCrc(buffer, at);
}

/** Neither field is under the batch's CRC. */
export function assignOffsetAndEpoch(buffer: Buffer, at: number, offset: number, epoch: number): void {
  writeInt64(buffer, at, offset);
  buffer.writeInt32BE(epoch, at + leaderEpochPosition);
}

/** Overwrites timestamp type and maximum timestamp, and mends the CRC without reading the records. */
export function setTimestamps(
  buffer: Buffer,
  at: number,
  timestamps: { readonly type: 'CreateTime' | 'LogAppendTime'; readonly maxTimestampMs: number },
): void {
  const old = attributes(buffer, at);
  const next = timestamps.type === 'LogAppendTime' ? old | logAppendTimeFlag : old & ~logAppendTimeFlag;
  const patched = buffer.subarray(at + crcStart, at + producerIdPosition);
  const before = crc32c(patched);
  buffer.writeInt16BE(next, at + attributesPosition);
  writeInt64(buffer, at + maxTimestampPosition, timestamps.maxTimestampMs);
  const bytesBehind = batchSizeBytes(buffer, at) - producerIdPosition;
  buffer.writeUInt32BE(crc32cPatch(storedCrc(buffer, at), { before, after: crc32c(patched), bytesBehind }), at + crcPosition);
}

export interface BatchFields {
  readonly baseOffset: number;
  readonly leaderEpoch: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/** Writes the header of a batch that fills `batch`; its records are there already (the CRC covers them). */
export function writeHeader(batch: Buffer, fields: BatchFields): void {
  writeInt64(batch, 0, fields.baseOffset);
  batch.writeInt32BE(batch.length - batchOverheadBytes, lengthPosition);
  batch.writeInt32BE(fields.leaderEpoch, leaderEpochPosition);
  batch.writeInt8(2, magicPosition);
  batch.writeInt16BE(fields.attributes, attributesPosition);
  batch.writeInt32BE(fields.lastOffsetDelta, lastOffsetDeltaPosition);
  writeInt64(batch, firstTimestampPosition, fields.firstTimestamp);
  writeInt64(batch, maxTimestampPosition, fields.maxTimestamp);
  writeInt64(batch, producerIdPosition, fields.producerId);
  batch.writeInt16BE(fields.producerEpoch, producerEpochPosition);
  batch.writeInt32BE(fields.baseSequence, baseSequencePosition);
  batch.writeInt32BE(fields.recordCount, recordCountPosition);
  batch.writeUInt32BE(crc32c(batch.subarray(crcStart)), crcPosition);
}

function readInt64(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * 0x1_0000_0000 + buffer.readUInt32BE(position + 4);
}

function writeInt64(buffer: Buffer, position: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  buffer.writeInt32BE(high, position);
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, position + 4);
}
