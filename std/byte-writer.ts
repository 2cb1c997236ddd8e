/** Builds a byte string of big-endian fields in one growing buffer. */
import { invariant } from './invariant.ts';

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16BE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(value, this.#length);
  }

  /** A signed 64-bit integer within ±(2^53 − 1). */
  i64(value: number): void {
    invariant(Number.isSafeInteger(value), 'not a safe integer', { value });
    this.#reserve(8);
    const high = Math.floor(value / 0x1_0000_0000);
    this.#buffer.writeInt32BE(high, this.#length);
    this.#buffer.writeUInt32BE(value - high * 0x1_0000_0000, this.#length + 4);
    this.#length += 8;
  }

  /** An unsigned integer below 2^53, seven bits a byte, least significant first. */
  varint(value: number): void {
    invariant(Number.isSafeInteger(value) && value >= 0, 'not an unsigned integer', { value });
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Zig-zag, so that small negative numbers stay small. */
  signedVarint(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
  }

  /** Bytes with their length (varint) before them. */
  sizedBytes(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.bytes(value);
  }

  string(value: string): void {
    this.sizedBytes(Buffer.from(value, 'utf8'));
  }

  /** A view of what was written; writing on may invalidate it. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
