/**
 * Where compiled encoders write. One scratch buffer serves all messages of the process (encoding is synchronous): a message is written
 * there in one pass, without its size known before, and leaves as one exact Buffer, or several with the records of the caller
 * between them. So small answers cost one small allocation, and large ones no page faults beyond their own.
 */
import { maxStringBytes } from './reader.ts';
import { ProtocolError } from './protocol-error.ts';

/** The scratch buffer at rest; one that had to grow is kept up to the second size. */
const scratchBytes = 64 * 1024;
const scratchKeptBytes = 1024 * 1024;
/** Bytes and records up to this size are copied: a chunk of their own would cost writev more than the copy. */
const copyBytes = 1024;
/** Strings up to this length are tried as ASCII, byte by byte, which beats the call into the runtime. */
const shortString = 32;

export class Writer {
  buffer = Buffer.allocUnsafeSlow(scratchBytes);
  /** Where the last out-of-line write ended. */
  pos = 0;
  /** Bytes that the message takes from the caller's buffers. */
  externalBytes = 0;
  private readonly cuts: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  /** Begins a message; what an encoder that threw left behind is forgotten. */
  begin(): void {
    this.externalBytes = 0;
    this.cuts.length = 0;
  }

  fail(where: string, why: string): never {
    throw new ProtocolError(`${where}: ${why}`);
  }

  /** Makes room for `n` bytes at `p`; returns the buffer to go on with. */
  grow(p: number, n: number): Buffer {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, p + n));
    this.buffer.copy(larger, 0, 0, p);
    this.buffer = larger;
    return larger;
  }

  /** The following write at `p` and return where they ended; `buffer` may be another one afterwards. */
  varint(p: number, value: number): number {
    const b = this.room(p, 5);
    let rest = value;
    while (rest > 127) {
      b[p++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    b[p++] = rest;
    return p;
  }

  int16(p: number, value: number): number {
    const b = this.room(p, 2);
    b[p] = value >> 8;
    b[p + 1] = value;
    return p + 2;
  }

  int32(p: number, value: number): number {
    const b = this.room(p, 4);
    b[p] = value >> 24;
    b[p + 1] = value >> 16;
    b[p + 2] = value >> 8;
    b[p + 3] = value;
    return p + 4;
  }

  /** Clamped to the range of int64. */
  int64(b: Buffer, p: number, value: number): void {
    let high = 0;
    let low = value;
    if (value >>> 0 !== value) {
      high = Math.floor(value / 4294967296);
      low = value - high * 4294967296;
      if (high > 0x7fffffff) {
        high = 0x7fffffff;
        low = 0xffffffff;
      } else if (high < -0x80000000) {
        high = -0x80000000;
        low = 0;
      }
      low >>>= 0;
    }
    b[p] = high >> 24;
    b[p + 1] = high >> 16;
    b[p + 2] = high >> 8;
    b[p + 3] = high;
    b[p + 4] = low >> 24;
    b[p + 5] = low >> 16;
    b[p + 6] = low >> 8;
    b[p + 7] = low;
  }

  uuid(b: Buffer, p: number, value: string, where: string): void {
    if (value.length !== 22 || b.write(value, p, 16, 'base64url') !== 16) this.fail(where, `not a uuid: ${value}`);
  }

  /** A string in the compact form (length + 1 as varint) or the classic one (length as int16). */
  string(p: number, value: string, compact: boolean, where: string): number {
    const length = value.length;
    if (length <= shortString) {
      const b = this.room(p, length + 2);
      const start = compact ? p + 1 : p + 2;
      let at = 0;
      for (; at < length; at++) {
        const code = value.charCodeAt(at);
        if (code > 127) break;
        b[start + at] = code;
      }
      if (at === length) {
        if (compact) b[p] = length + 1;
        else {
          b[p] = 0;
          b[p + 1] = length;
        }
        return start + length;
      }
    }
    return this.longString(p, value, compact, where);
  }

  /** Bytes or records with their length before them; by reference when large, unless `copy`. */
  bytes(p: number, value: Uint8Array | readonly Uint8Array[], compact: boolean, copy: boolean): number {
    const parts = value instanceof Uint8Array ? undefined : value;
    let size = 0;
    if (parts) for (const part of parts) size += part.length;
    else size = (value as Uint8Array).length;
    let at = compact ? this.varint(p, size + 1) : this.int32(p, size);
    const inline = copy || size <= copyBytes;
    if (!parts) return this.part(at, value as Uint8Array, inline);
    for (const part of parts) at = this.part(at, part, inline);
    return at;
  }

  /** Puts the size of a tagged field, whose value begins right after `start`, before it; one byte was left for it. */
  tagSize(start: number, p: number): number {
    const size = p - start - 1;
    if (size < 128) {
      this.buffer[start] = size;
      return p;
    }
    const extra = size < 1 << 14 ? 1 : size < 1 << 21 ? 2 : size < 1 << 28 ? 3 : 4;
    this.room(p, extra).copyWithin(start + 1 + extra, start + 1, p);
    this.varint(start, size);
    return p + extra;
  }

  /** The message that was written up to `p`, in chunks that nothing else will touch. */
  finish(p: number): Uint8Array[] {
    const out = this.takeOut(p);
    if (this.cuts.length === 0) return [out];
    const chunks: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.cuts) {
      if (at > from) chunks.push(out.subarray(from, at));
      chunks.push(bytes);
      from = at;
    }
    if (p > from) chunks.push(out.subarray(from, p));
    this.cuts.length = 0;
    return chunks;
  }

  private takeOut(p: number): Buffer {
    if (this.buffer.length > scratchKeptBytes) {
      const grown = this.buffer;
      this.buffer = Buffer.allocUnsafeSlow(scratchBytes);
      if (p > grown.length / 2) return grown.subarray(0, p);
      return copyOf(grown, p);
    }
    return copyOf(this.buffer, p);
  }

  private part(p: number, bytes: Uint8Array, inline: boolean): number {
    if (bytes.length === 0) return p;
    if (inline) {
      this.room(p, bytes.length).set(bytes, p);
      return p + bytes.length;
    }
    this.cuts.push({ at: p, bytes });
    this.externalBytes += bytes.length;
    return p;
  }

  private longString(p: number, value: string, compact: boolean, where: string): number {
    const size = Buffer.byteLength(value);
    if (size > maxStringBytes) this.fail(where, `string of ${size} bytes`);
    const b = this.room(p, size + 3);
    let at = p;
    if (compact) at = this.varint(p, size + 1);
    else {
      b[at++] = size >> 8;
      b[at++] = size;
    }
    return at + b.write(value, at, size, 'utf8');
  }

  private room(p: number, n: number): Buffer {
    return p + n > this.buffer.length ? this.grow(p, n) : this.buffer;
  }
}

function copyOf(scratch: Buffer, size: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  scratch.copy(out, 0, 0, size);
  return out;
}
