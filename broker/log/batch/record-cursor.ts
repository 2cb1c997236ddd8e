/**
 * Steps through the records of one batch of magic 2 (KIP-98) without an object per record. Records come from strangers:
 * every length is checked, and what is wrong is a `FormatError` with the text of Kafka's INVALID_RECORD case.
 *
 *   record = length, attributes (1 byte), timestamp delta, offset delta, key, value, count of headers, headers
 *   header = key, value; every number but the attributes is a zig-zag varint, a length of −1 means null
 */
import { FormatError } from '../../../std/byte-reader.ts';
import * as header from './record-batch.ts';

export interface RecordHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

export class RecordCursor {
  readonly #payload: Buffer;
  readonly #count: number;
  readonly #baseOffset: number;
  readonly #firstTimestamp: number;
  /** All records have this one when the batch has the type LogAppendTime. */
  readonly #logAppendTime: number | undefined;
  #position = 0;
  #keyPosition = 0;
  #keyBytes = 0;
  #valuePosition = 0;
  #valueBytes = 0;
  #headersPosition = 0;
  #headerCount = 0;

  /** Of the current record, from 0. */
  index = -1;
  offsetDelta = 0;
  timestampMs = 0;

  /** `payload`: the batch's records, decompressed. */
  constructor(batch: Buffer, payload: Buffer) {
    this.#payload = payload;
    this.#count = header.recordCount(batch, 0);
    this.#baseOffset = header.baseOffset(batch, 0);
    this.#firstTimestamp = header.firstTimestamp(batch, 0);
    this.#logAppendTime = (header.attributes(batch, 0) & header.logAppendTimeFlag) === 0 ? undefined : header.maxTimestamp(batch, 0);
  }

  /** Goes to the next record; false at the end, when exactly as many records were there as the header says. */
  next(): boolean {
    if (this.index + 1 >= this.#count) {
      if (this.#position !== this.#payload.length) throw new FormatError('Incorrect declared batch size, records still remaining');
      return false;
    }
    const length = this.#varint();
    const end = this.#position + length;
    if (length < 0 || end > this.#payload.length)
      throw new FormatError(`Invalid record size: expected ${length} bytes in record payload, ${this.#payload.length - this.#position} are left`);
    this.#take(1);
    const timestampDelta = this.#varint();
    this.timestampMs = this.#logAppendTime ?? this.#firstTimestamp + timestampDelta;
    this.offsetDelta = this.#varint();
    this.#keyBytes = this.#varint();
    this.#keyPosition = this.#take(this.#keyBytes);
    this.#valueBytes = this.#varint();
    this.#valuePosition = this.#take(this.#valueBytes);
    this.#headerCount = this.#varint();
    this.#headersPosition = this.#position;
    this.#skipHeaders(end);
    if (this.#position !== end)
      throw new FormatError(`Invalid record size: expected to read ${length} bytes in record payload, but instead read ${this.#position - end + length}`);
    this.index += 1;
    return true;
  }

  get offset(): number {
    return this.#baseOffset + this.offsetDelta;
  }

  get hasKey(): boolean {
    return this.#keyBytes >= 0;
  }

  /** A view. */
  key(): Buffer | null {
    return this.#view(this.#keyPosition, this.#keyBytes);
  }

  /** A view. */
  value(): Buffer | null {
    return this.#view(this.#valuePosition, this.#valueBytes);
  }

  headers(): RecordHeader[] {
    const end = this.#position;
    this.#position = this.#headersPosition;
    const headers: RecordHeader[] = [];
    for (let index = 0; index < this.#headerCount; index += 1) {
      const keyBytes = this.#varint();
      const keyPosition = this.#take(keyBytes);
      const valueBytes = this.#varint();
      const valuePosition = this.#take(valueBytes);
      headers.push({ key: this.#payload.toString('utf8', keyPosition, keyPosition + keyBytes), value: this.#view(valuePosition, valueBytes) });
    }
    this.#position = end;
    return headers;
  }

  #skipHeaders(end: number): void {
    if (this.#headerCount < 0 || this.#headerCount > end - this.#position) throw new FormatError(`Found invalid number of record headers ${this.#headerCount}`);
    for (let index = 0; index < this.#headerCount; index += 1) {
      const keyBytes = this.#varint();
      if (keyBytes < 0) throw new FormatError(`Invalid negative header key size ${keyBytes}`);
      this.#take(keyBytes);
      this.#take(this.#varint());
    }
  }

  #view(position: number, length: number): Buffer | null {
    return length < 0 ? null : this.#payload.subarray(position, position + length);
  }

  /** Position of the next `length` bytes, which are then behind; none when it is negative. */
  #take(length: number): number {
    const position = this.#position;
    if (length > this.#payload.length - position)
      throw new FormatError(`Found invalid record structure: ${length} bytes wanted, ${this.#payload.length - position} left`);
    if (length > 0) this.#position += length;
    return position;
  }

  /** Exact up to 2^53, rounded past it. */
  #varint(): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte & 1 ? -(byte + 1) / 2 : byte / 2;
    let value = byte & 0x7f;
    for (let factor = 0x80; ; factor *= 0x80) {
      if (factor >= 2 ** 70) throw new FormatError('Found invalid record structure: varint is too long');
      byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  #byte(): number {
    const byte = this.#payload[this.#position];
    if (byte === undefined) throw new FormatError('Incorrect declared batch size, premature EOF reached');
    this.#position += 1;
    return byte;
  }
}
