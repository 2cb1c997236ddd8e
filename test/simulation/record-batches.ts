/**
 * Record batches (magic 2) as the simulated clients write and read them: small, independent of the broker's code.
 * A record's value is its number and a filling that follows from it, so that a reader knows what must be there.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { crc32c } from '../../std/crc32c.ts';

const headerBytes = 61;

export interface BatchProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

export const noProducer: BatchProducer = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

export interface BatchContent {
  readonly values: readonly number[];
  readonly timestampMs: number;
  readonly gzip: boolean;
}

export function buildBatch(content: BatchContent, producer: BatchProducer): Buffer {
  const plain = Buffer.concat(content.values.map((value, i) => recordOf(value, i)));
  const records = content.gzip ? gzipSync(plain) : plain;
  const batch = Buffer.alloc(headerBytes + records.byteLength);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.byteLength - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(content.gzip ? 1 : 0, 21);
  batch.writeInt32BE(content.values.length - 1, 23);
  batch.writeBigInt64BE(BigInt(content.timestampMs), 27);
  batch.writeBigInt64BE(BigInt(content.timestampMs), 35);
  batch.writeBigInt64BE(BigInt(producer.producerId), 43);
  batch.writeInt16BE(producer.producerEpoch, 51);
  batch.writeInt32BE(producer.baseSequence, 53);
  batch.writeInt32BE(content.values.length, 57);
  records.copy(batch, headerBytes);
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17);
  return batch;
}

export interface ReadBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly leaderEpoch: number;
  readonly values: readonly number[];
}

export class DamagedBatch extends Error {
  override readonly name = 'DamagedBatch';
}

/** Whole batches from a fetch answer; a cut one at the end is left out. Throws `DamagedBatch` for bytes that no client would accept. */
export function readBatches(bytes: Buffer): readonly ReadBatch[] {
  const batches: ReadBatch[] = [];
  let at = 0;
  while (bytes.byteLength - at >= headerBytes) {
    const length = bytes.readInt32BE(at + 8) + 12;
    if (length < headerBytes) throw new DamagedBatch(`batch length ${length}`);
    if (at + length > bytes.byteLength) break;
    batches.push(readBatch(bytes.subarray(at, at + length)));
    at += length;
  }
  return batches;
}

function readBatch(batch: Buffer): ReadBatch {
  const baseOffset = Number(batch.readBigInt64BE(0));
  if (batch.readInt8(16) !== 2) throw new DamagedBatch(`magic ${batch.readInt8(16)} at ${baseOffset}`);
  if (batch.readUInt32BE(17) !== crc32c(batch.subarray(21)) >>> 0) throw new DamagedBatch(`CRC of the batch at ${baseOffset}`);
  const count = batch.readInt32BE(57);
  const records = batch.readInt16BE(21) % 8 === 1 ? gunzipSync(batch.subarray(headerBytes)) : batch.subarray(headerBytes);
  const values: number[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const size = readVarint(records, at);
    values.push(valueOf(records.subarray(size.next, size.next + size.value), i, baseOffset));
    at = size.next + size.value;
  }
  return { baseOffset, lastOffset: baseOffset + batch.readInt32BE(23), leaderEpoch: batch.readInt32BE(12), values };
}

/** Attributes, timestamp delta 0, offset delta, no key, value, no headers. */
function recordOf(value: number, index: number): Buffer {
  const text = fillingOf(value);
  const body = Buffer.concat([Buffer.from([0, 0]), varint(index), varint(-1), varint(text.byteLength), text, varint(0)]);
  return Buffer.concat([varint(body.byteLength), body]);
}

function valueOf(body: Buffer, index: number, baseOffset: number): number {
  const delta = readVarint(body, 2);
  const key = readVarint(body, delta.next);
  const length = readVarint(body, key.next);
  const text = body.subarray(length.next, length.next + length.value);
  const value = Number.parseInt(text.toString('latin1'), 10);
  if (delta.value !== index || key.value !== -1 || !text.equals(fillingOf(value))) throw new DamagedBatch(`record ${index} of the batch at ${baseOffset}`);
  return value;
}

export function fillingOf(value: number): Buffer {
  return Buffer.from(`${value}:`.padEnd(12 + ((value * 7919) % 90), String(value)), 'latin1');
}

function varint(value: number): Buffer {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  const bytes: number[] = [];
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function readVarint(bytes: Buffer, at: number): { readonly value: number; readonly next: number } {
  let raw = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 28) throw new DamagedBatch('varint');
    raw |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return { value: (raw >>> 1) ^ -(raw & 1), next: at };
}
