/**
 * What compiled decoders call besides their own inlined reads: the slow and the rare. All positions are checked by the caller against
 * the frame's end first or here; the only thing that leaves is a `ProtocolError`.
 */
import { zeroUuid } from './layout.ts';
import { ProtocolError } from './protocol-error.ts';

/** Longest string that Kafka reads or writes, in bytes. */
export const maxStringBytes = 0x7fff;
/** Elements that any message may hold whatever its size; and one more per this many bytes of frame, up to the last figure (faults.md B13). */
const elementsFree = 65_536;
const bytesPerElement = 16;
const elementsMost = 262_144;

/** What arrays of one message may still hold. An empty element may cost 1 byte on the wire and 100 in memory: so they are counted. */
export function elementBudget(frameBytes: number): number {
  return Math.min(elementsMost, elementsFree + Math.floor(frameBytes / bytesPerElement));
}

export class Reader {
  /** Where the last out-of-line read ended. */
  pos = 0;
  /** Elements still allowed in this message. */
  elements = 0;

  fail(where: string, why: string): never {
    throw new ProtocolError(`${where}: ${why}`);
  }

  /** An unsigned varint, at most five bytes; sets `pos`. */
  varint(b: Buffer, p: number, where: string): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = b[p++];
      if (byte === undefined) this.fail(where, 'the frame ends inside it');
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.pos = p;
        return value >>> 0;
      }
    }
    return this.fail(where, 'varint of more than 5 bytes');
  }

  /** Skips one unknown tagged field's value; sets `pos`. */
  skipTagged(b: Buffer, p: number, where: string): void {
    const size = this.varint(b, p, where);
    if (size > b.length - this.pos) this.fail(where, `tagged field of ${size} bytes in a frame with ${b.length - this.pos} left`);
    this.pos += size;
  }

  /** Takes `n` elements of at least `least` bytes each from the budget, `weight` of them counting as one. */
  claim(n: number, least: number, weight: number, left: number, where: string): void {
    if (n * least > left) this.fail(where, `${n} elements in a frame with ${left} bytes left`);
    this.elements -= n / weight;
    if (this.elements < 0) this.fail(where, 'more elements than a message of this size may hold');
  }

  uuid(b: Buffer, p: number): string {
    if ((b[p]! | b[p + 8]! | b[p + 15]! | b[p + 6]!) === 0 && b.readDoubleBE(p) === 0 && b.readDoubleBE(p + 8) === 0) return zeroUuid;
    return b.toString('base64url', p, p + 16);
  }

  /** `n` > 0 bytes of UTF-8, which the caller found to be there; what is no UTF-8 becomes U+FFFD, as in Java. */
  string(b: Buffer, p: number, n: number): string {
    return b.toString('utf8', p, p + n);
  }
}
