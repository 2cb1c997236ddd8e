/** The batch that the probe writes: one record, without key, whose value is its number in 8 bytes. */
import { crc32c } from '../../std/crc32c.ts';

const headerBytes = 61;
const valueBytes = 8;
/** Length, attributes, timestamp delta, offset delta, no key, length of the value, the value, no headers. */
const beforeValue = Buffer.from([28, 0, 0, 0, 1, 2 * valueBytes]);
const valueAt = headerBytes + beforeValue.length;
const batchBytes = valueAt + valueBytes + 1;

export function probeBatch(value: number, timestampMs: number): Buffer {
  const batch = Buffer.alloc(batchBytes);
  batch.writeInt32BE(batchBytes - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeBigInt64BE(BigInt(timestampMs), 27);
  batch.writeBigInt64BE(BigInt(timestampMs), 35);
  batch.writeBigInt64BE(-1n, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(1, 57);
  beforeValue.copy(batch, headerBytes);
  batch.writeBigInt64BE(BigInt(value), valueAt);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** Hands out offset and value of each whole batch; returns the offset that follows, undefined when there was none. */
export function readProbeBatches(bytes: Buffer, each: (offset: number, value: number) => void): number | undefined {
  let next: number | undefined;
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 8) + 12;
    if (at + length > bytes.length) break;
    const batch = bytes.subarray(at, at + length);
    if (length !== batchBytes || batch.readUInt32BE(17) !== crc32c(batch.subarray(21))) throw new Error('a batch that the probe did not write');
    const offset = Number(batch.readBigInt64BE(0));
    each(offset, Number(batch.readBigInt64BE(valueAt)));
    next = offset + 1;
    at += length;
  }
  return next;
}
