/**
 * Cuts a connection's byte stream into frames: an int32 size, then as many bytes. A frame inside one chunk is handed out as a
 * view on it. A larger one is gathered into one buffer, into which the socket itself reads where it can (`place`). That buffer is
 * allocated at once while little memory is promised to frames that have not arrived, else once half of the frame is here:
 * memory follows what really arrived, not what a size field claims (faults.md B02–B04).
 */
import { type Block, blockOf, ReusedMemory } from '../../std/reused-memory.ts';
import type { RequestMemory } from './request-memory.ts';

export type NextFrame = Frame | { readonly kind: 'incomplete' } | { readonly kind: 'refused'; readonly sizeBytes: number };

/** `bytes` may be used until `release`, and longer by those who hold their block (`blockOf`). */
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

  /** Somebody may still look at `bytes`: they are counted no longer, but their memory is not used for others. */
  abandon(): void {
    this.pin?.neverReuse();
    this.release();
  }
}

export interface FrameReaderOptions {
  readonly maxFrameBytes: number;
  readonly memory: RequestMemory;
  /** Where the frames' buffers come from; by default each is fresh. */
  readonly reused?: ReusedMemory;
}

const SIZE_BYTES = 4;
/** Larger frames wait for their first half before they get a buffer. */
const PROMISED_AT_MOST_BYTES = 2 * 1024 * 1024;
const fresh = new ReusedMemory({ maxFreeBytes: 0, smallestBytes: Infinity, largestBytes: 0 });
/** Frames up to this size are gathered in a buffer of their own at once; smaller pieces than this are gathered together. */
const SMALL_BYTES = 4096;
const incomplete: NextFrame = { kind: 'incomplete' };

export class FrameReader {
  private readonly options: Required<FrameReaderOptions>;
  /** Chunks of which not all bytes were looked at yet; more than one only while the connection is paused. */
  private readonly chunks: Chunk[] = [];
  private position = 0;
  private sizeSeen = 0;
  private size = 0;
  private gathering: Gathering | undefined;

  constructor(options: FrameReaderOptions) {
    this.options = { reused: fresh, ...options };
  }

  /** `bytes` are ours from here on. */
  push(bytes: Buffer, block?: Block): void {
    if (bytes.length === 0) return;
    this.options.memory.take(bytes.length);
    this.chunks.push({ bytes, pin: new Pin(this.options.memory, bytes.length, block) });
  }

  /** `bytes` are ours during this call: what belongs to the large frame under way goes to its place, the rest is copied. */
  pushBorrowed(bytes: Buffer): void {
    let rest = bytes;
    if (this.chunks.length === 0) {
      rest = this.beginLargeFrame(bytes);
      const { gathering } = this;
      if (gathering?.place !== undefined) {
        const here = Math.min(rest.length, gathering.missingBytes);
        gathering.add(rest.subarray(0, here));
        rest = rest.subarray(here);
      }
    }
    if (rest.length === 0) return;
    const block = this.options.reused.take(rest.length);
    const copy = block?.bytes.subarray(0, rest.length) ?? Buffer.allocUnsafeSlow(rest.length);
    rest.copy(copy);
    this.push(copy, block);
  }

  /** Where the next bytes of the stream belong, when that is known. */
  place(): Buffer | undefined {
    return this.chunks.length === 0 ? this.gathering?.place : undefined;
  }

  /** So many bytes now stand at the place. */
  placed(sizeBytes: number): void {
    this.gathering?.filled(sizeBytes);
  }

  next(): NextFrame {
    for (;;) {
      if (this.gathering?.missingBytes === 0) return this.gathered(this.gathering);
      const chunk = this.chunks[0];
      if (chunk === undefined) return incomplete;
      if (this.gathering !== undefined) {
        this.gather(chunk, this.gathering);
        continue;
      }
      if (!this.readSize(chunk)) continue;
      if (this.size < 0 || this.size > this.options.maxFrameBytes) return { kind: 'refused', sizeBytes: this.size };
      if (this.size <= chunk.bytes.length - this.position) return this.viewOf(chunk);
      this.gathering = new Gathering(this.size, this.options);
    }
  }

  /** Bytes behind the size when `bytes` begin with one, and its frame goes on behind them; else all of them. */
  private beginLargeFrame(bytes: Buffer): Buffer {
    if (this.sizeSeen > 0 || bytes.length < SIZE_BYTES) return bytes;
    const size = bytes.readInt32BE(0);
    if (size <= bytes.length - SIZE_BYTES || size > this.options.maxFrameBytes) return bytes;
    this.size = size;
    this.sizeSeen = SIZE_BYTES;
    this.gathering = new Gathering(size, this.options);
    return bytes.subarray(SIZE_BYTES);
  }

  /** Has a frame begun whose last byte is not here yet? */
  get midFrame(): boolean {
    return this.sizeSeen > 0;
  }

  /** Bytes that the frame under way still lacks; 0 between frames. */
  get missingBytes(): number {
    return this.gathering?.missingBytes ?? 0;
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

  private gather(chunk: Chunk, gathering: Gathering): void {
    const end = Math.min(chunk.bytes.length, this.position + gathering.missingBytes);
    if (end > this.position) gathering.add(chunk.bytes.subarray(this.position, end));
    this.position = end;
    this.dropIfUsedUp(chunk);
  }

  private gathered(gathering: Gathering): Frame {
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

/** Bytes that were counted in the broker's request memory: until the last holder drops it, who gives their block back, too. */
class Pin {
  private readonly memory: RequestMemory;
  private readonly block: Block | undefined;
  private bytes: number;
  private holders = 1;

  constructor(memory: RequestMemory, bytes: number, block: Block | undefined) {
    this.memory = memory;
    this.block = block;
    this.bytes = bytes;
  }

  share(): Pin {
    this.holders++;
    return this;
  }

  neverReuse(): void {
    this.block?.neverReuse();
  }

  drop(): void {
    this.holders--;
    if (this.holders > 0) return;
    this.memory.release(this.bytes);
    this.block?.release();
  }
}

class Gathering {
  private readonly size: number;
  private readonly memory: RequestMemory;
  private readonly reused: ReusedMemory;
  private received = 0;
  private pieces: Buffer[] = [];
  /** Room that is left in the last piece, when that is one of our own. */
  private room = 0;
  private block: Block | undefined;
  private target: Buffer | undefined;
  private readonly promised: boolean;

  constructor(size: number, { memory, reused }: Required<FrameReaderOptions>) {
    this.size = size;
    this.memory = memory;
    this.reused = reused;
    this.promised = size <= PROMISED_AT_MOST_BYTES && memory.promise(size);
    if (this.promised) this.target = this.allocate();
  }

  get missingBytes(): number {
    return this.size - this.received;
  }

  get place(): Buffer | undefined {
    return this.missingBytes > 0 ? this.target?.subarray(this.received) : undefined;
  }

  add(piece: Buffer): void {
    this.target ??= this.allocateWhenHalf(piece.length);
    if (this.target !== undefined) piece.copy(this.target, this.received);
    else if (piece.length >= SMALL_BYTES) this.keep(piece);
    else this.keepSmall(piece);
    this.filled(piece.length);
  }

  filled(bytes: number): void {
    this.received += bytes;
    this.memory.take(bytes);
    if (this.promised) this.memory.promiseKept(bytes);
  }

  frame(): Frame {
    return new Frame(this.target!, new Pin(this.memory, this.size, this.block));
  }

  /** The socket may still read into the target: it is not given back. */
  drop(): void {
    if (this.promised) this.memory.promiseKept(this.missingBytes);
    this.memory.release(this.received);
  }

  private allocateWhenHalf(arriving: number): Buffer | undefined {
    if (this.size > SMALL_BYTES && (this.received + arriving) * 2 < this.size) return undefined;
    const target = this.allocate();
    let position = 0;
    for (const piece of this.pieces) position += piece.copy(target, position, 0, Math.min(piece.length, this.received - position));
    this.pieces = [];
    return target;
  }

  private allocate(): Buffer {
    this.block = this.reused.take(this.size);
    return this.block?.bytes.subarray(0, this.size) ?? Buffer.allocUnsafeSlow(this.size);
  }

  private keep(piece: Buffer): void {
    this.trimLast();
    // A view that outlives its chunk.
    blockOf(piece)?.neverReuse();
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
