/** Reads what `ByteWriter` wrote. Every read is checked against the bytes that are there: stored bytes may be damaged or hostile. */

/** Stored bytes that do not parse: corruption, never the end of a log. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

export class ByteReader {
  readonly #buffer: Buffer;
  #position: number;
  readonly #end: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#position = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }

  i32(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }

  i64(): number {
    const at = this.#take(8);
    const value = this.#buffer.readInt32BE(at) * 0x1_0000_0000 + this.#buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new FormatError(`64-bit integer out of range: ${value}`);
    return value;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      factor *= 0x80;
    }
    throw new FormatError('variable-length integer out of range');
  }

  signedVarint(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A count of elements of at least `minBytes` each: refused when the rest cannot hold them. */
  count(minBytes: number): number {
    const count = this.varint();
    if (count * minBytes > this.remaining) throw new FormatError(`${count} elements do not fit ${this.remaining} bytes`);
    return count;
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  sizedBytes(): Buffer {
    return this.bytes(this.varint());
  }

  string(): string {
    return this.sizedBytes().toString('utf8');
  }

  #take(bytes: number): number {
    if (bytes > this.remaining) throw new FormatError(`${bytes} bytes wanted, ${this.remaining} left`);
    const at = this.#position;
    this.#position += bytes;
    return at;
  }
}
