/**
 * Cuts a connection's byte stream into frames: an int32 size, then as many bytes. A frame inside one chunk is handed out as a
 * view on it. A larger one is gathered into one buffer, which is allocated once half of the frame is here: each byte is copied
 * once, and memory follows what really arrived, not what a size field claims (faults.md B02–B04).
 */
import type { RequestMemory } from './request-memory.ts';

export type NextFrame = Frame | { readonly kind: 'incomplete' } | { readonly kind: 'refused'; readonly sizeBytes: number };

/** `bytes` may be used until `release`; views on it may live longer, uncounted. */
export class Frame {
  readonly kind = 'frame';
  readonly bytes: Buffer;
  private pin: Pin | undefined;

  constructor(bytes: Buffer, pin: Pin) {
    this.bytes = bytes;
    this.pin = pin;
  }

  release(): void {
    this.pin?.drop();
    this.pin = undefined;
  }
}

export interface FrameReaderOptions {
  readonly maxFrameBytes: number;
  readonly memory: RequestMemory;
}

const SIZE_BYTES = 4;
/** Frames up to this size are gathered in a buffer of their own at once; smaller pieces than this are gathered together. */
const SMALL_BYTES = 4096;
const incomplete: NextFrame = { kind: 'incomplete' };

export class FrameReader {
  private readonly options: FrameReaderOptions;
  /** Chunks of which not all bytes were looked at yet; more than one only while the connection is paused. */
  private readonly chunks: Chunk[] = [];
  private position = 0;
  private sizeSeen = 0;
  private size = 0;
  private gathering: Gathering | undefined;

  constructor(options: FrameReaderOptions) {
    this.options = options;
  }

  push(bytes: Buffer): void {
    if (bytes.length > 0) this.chunks.push({ bytes, pin: new Pin(this.options.memory, bytes.length) });
  }

  next(): NextFrame {
    for (;;) {
      const chunk = this.chunks[0];
      if (chunk === undefined) return incomplete;
      if (this.gathering !== undefined) {
        const frame = this.gather(chunk, this.gathering);
        if (frame !== undefined) return frame;
        continue;
      }
      if (!this.readSize(chunk)) continue;
      if (this.size < 0 || this.size > this.options.maxFrameBytes) return { kind: 'refused', sizeBytes: this.size };
      if (this.size <= chunk.bytes.length - this.position) return this.viewOf(chunk);
      this.gathering = new Gathering(this.size, this.options.memory);
    }
  }

  /** Has a frame begun whose last byte is not here yet? */
  get midFrame(): boolean {
    return this.sizeSeen > 0;
  }

  /** Bytes that the frame under way still lacks; 0 between frames. */
  get missingBytes(): number {
    return this.gathering === undefined ? 0 : this.gathering.size - this.gathering.received;
  }

  /** Forgets everything that was not handed out. */
  close(): void {
    for (const chunk of this.chunks) chunk.pin.drop();
    this.chunks.length = 0;
    this.gathering?.drop();
    this.gathering = undefined;
  }

  private readSize(chunk: Chunk): boolean {
    const { bytes } = chunk;
    if (this.sizeSeen === 0 && bytes.length - this.position >= SIZE_BYTES) {
      this.size = bytes.readInt32BE(this.position);
      this.sizeSeen = SIZE_BYTES;
      this.position += SIZE_BYTES;
      return true;
    }
    while (this.sizeSeen < SIZE_BYTES && this.position < bytes.length) {
      this.size = this.sizeSeen === 0 ? bytes[this.position]! : (this.size << 8) | bytes[this.position]!;
      this.sizeSeen++;
      this.position++;
    }
    if (this.sizeSeen === SIZE_BYTES) return true;
    this.dropIfUsedUp(chunk);
    return false;
  }

  private viewOf(chunk: Chunk): Frame {
    const end = this.position + this.size;
    const frame = new Frame(chunk.bytes.subarray(this.position, end), chunk.pin.share());
    this.position = end;
    this.sizeSeen = 0;
    this.dropIfUsedUp(chunk);
    return frame;
  }

  private gather(chunk: Chunk, gathering: Gathering): Frame | undefined {
    const end = Math.min(chunk.bytes.length, this.position + gathering.size - gathering.received);
    if (end > this.position) gathering.add(chunk.bytes.subarray(this.position, end));
    this.position = end;
    this.dropIfUsedUp(chunk);
    if (gathering.received < gathering.size) return undefined;
    this.gathering = undefined;
    this.sizeSeen = 0;
    return gathering.frame();
  }

  private dropIfUsedUp(chunk: Chunk): void {
    if (this.position < chunk.bytes.length) return;
    this.chunks.shift();
    this.position = 0;
    chunk.pin.drop();
  }
}

interface Chunk {
  readonly bytes: Buffer;
  readonly pin: Pin;
}

/** Counts bytes in the broker's request memory for as long as somebody holds them. */
class Pin {
  private readonly memory: RequestMemory;
  private bytes: number;
  private holders = 1;

  constructor(memory: RequestMemory, bytes: number) {
    this.memory = memory;
    this.bytes = bytes;
    memory.take(bytes);
  }

  share(): Pin {
    this.holders++;
    return this;
  }

  grow(bytes: number): void {
    this.bytes += bytes;
    this.memory.take(bytes);
  }

  drop(): void {
    this.holders--;
    if (this.holders === 0) this.memory.release(this.bytes);
  }
}

class Gathering {
  readonly size: number;
  received = 0;
  private readonly pin: Pin;
  private pieces: Buffer[] = [];
  /** Room that is left in the last piece, when that is one of our own. */
  private room = 0;
  private target: Buffer | undefined;

  constructor(size: number, memory: RequestMemory) {
    this.size = size;
    this.pin = new Pin(memory, 0);
  }

  add(piece: Buffer): void {
    this.pin.grow(piece.length);
    this.target ??= this.allocateWhenHalf(piece.length);
    if (this.target !== undefined) piece.copy(this.target, this.received);
    else if (piece.length >= SMALL_BYTES) this.keep(piece);
    else this.keepSmall(piece);
    this.received += piece.length;
  }

  frame(): Frame {
    return new Frame(this.target!, this.pin);
  }

  drop(): void {
    this.pin.drop();
  }

  private allocateWhenHalf(arriving: number): Buffer | undefined {
    if (this.size > SMALL_BYTES && (this.received + arriving) * 2 < this.size) return undefined;
    const target = Buffer.allocUnsafeSlow(this.size);
    let position = 0;
    for (const piece of this.pieces) position += piece.copy(target, position, 0, Math.min(piece.length, this.received - position));
    this.pieces = [];
    return target;
  }

  private keep(piece: Buffer): void {
    this.trimLast();
    this.pieces.push(piece);
  }

  /** A drip of single bytes would otherwise cost a Buffer for each. */
  private keepSmall(piece: Buffer): void {
    if (piece.length > this.room) {
      this.trimLast();
      this.pieces.push(Buffer.allocUnsafeSlow(SMALL_BYTES));
      this.room = SMALL_BYTES;
    }
    piece.copy(this.pieces.at(-1)!, SMALL_BYTES - this.room);
    this.room -= piece.length;
  }

  private trimLast(): void {
    const last = this.pieces.pop();
    if (last !== undefined) this.pieces.push(this.room > 0 ? last.subarray(0, SMALL_BYTES - this.room) : last);
    this.room = 0;
  }
}
