/** Record batches for the corpus: good ones, and ways to break them with and without mending the CRC. */
import { buildBatch, type NewBatch, type NewRecord } from '../../../broker/log/batch/build-batch.ts';
import { crc32c } from '../../../std/crc32c.ts';

export const crcPosition = 17;
export const attributesPosition = 21;
export const lastOffsetDeltaPosition = 23;
export const firstTimestampPosition = 27;
export const maxTimestampPosition = 35;
export const producerIdPosition = 43;
export const recordCountPosition = 57;
export const headerBytes = 61;

const timestampMs = 1_700_000_000_000;

export function records(count: number, change: Partial<NewRecord> = {}): NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`k${index}`),
    value: Buffer.alloc(20, index),
    timestampMs: timestampMs + index,
    ...change,
  }));
}

export function batch(change: Partial<NewBatch> = {}): Buffer {
  return buildBatch({ records: records(3), ...change });
}

/** Overwrites bytes and makes length and CRC fit again. */
export function forged(change: (bytes: Buffer) => void, base = batch()): Buffer {
  change(base);
  return mended(base);
}

export function mended(base: Buffer): Buffer {
  base.writeInt32BE(base.length - 12, 8);
  base.writeUInt32BE(crc32c(base.subarray(attributesPosition)), crcPosition);
  return base;
}

/** Overwrites bytes and leaves the rest. */
export function broken(change: (bytes: Buffer) => void): Buffer {
  const base = batch();
  change(base);
  return base;
}

/** A batch whose header says what `like` says, around a payload that may be anything. */
export function around(payload: Uint8Array, codec: number, count = 3): Buffer {
  const header = Buffer.from(batch().subarray(0, headerBytes));
  header.writeInt16BE(codec, attributesPosition);
  header.writeInt32BE(count - 1, lastOffsetDeltaPosition);
  header.writeInt32BE(count, recordCountPosition);
  return mended(Buffer.concat([header, payload]));
}

/** One record of the formats before 0.11: magic 0 or 1, no key, the value as given. CRC-32, which is not checked before the magic. */
export function legacyMessage(magic: 0 | 1, value: Uint8Array): Buffer {
  const body = Buffer.alloc(magic === 0 ? 10 : 18);
  body.writeInt8(magic, 0);
  if (magic === 1) body.writeBigInt64BE(BigInt(timestampMs), 2);
  body.writeInt32BE(-1, body.length - 8);
  body.writeInt32BE(value.length, body.length - 4);
  const head = Buffer.alloc(16);
  head.writeInt32BE(4 + body.length + value.length, 8);
  head.writeUInt32BE(crc32(Buffer.concat([body, value])), 12);
  return Buffer.concat([head, body, value]);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
