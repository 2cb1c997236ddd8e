/**
 * Large buffers that are used again. A fresh one costs more than the bytes in it: page faults when it is filled, and V8 counts it as
 * growth of the heap, so that at 400 MB/s of requests it marks the whole heap some twenty times a second (docs/performance.md).
 *
 * A block is counted by its holders and used again when the last one has released it. Whoever hands out views and cannot know
 * when they end keeps the block from that: it is then freed by garbage collection, as any other buffer. So forgetting to
 * release costs time, never bytes.
 */
import { invariant } from './invariant.ts';

export interface ReusedMemoryOptions {
  /** Blocks that wait to be used again, at most; the one that waits longest goes first. */
  readonly maxFreeBytes: number;
  /** Below it fresh memory is cheaper. */
  readonly smallestBytes: number;
  readonly largestBytes: number;
  /** Overwrites what is released, so that a test sees who still reads it. */
  readonly poison?: boolean;
}

const blocks = new WeakMap<ArrayBufferLike, Block>();
const poisonByte = 0xdb;
/** Of every released block, always: a batch whose header is gone is refused, not served. */
const alwaysPoisonedBytes = 64;

/** The block that these bytes lie in; undefined for ordinary memory. */
export function blockOf(bytes: Uint8Array): Block | undefined {
  return blocks.get(bytes.buffer);
}

export class Block {
  /** All of it; fill and use the part that was asked for. */
  readonly bytes: Buffer;
  readonly #memory: ReusedMemory;
  #holders = 0;
  #reusable = true;

  constructor(memory: ReusedMemory, sizeBytes: number) {
    this.#memory = memory;
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    blocks.set(this.bytes.buffer, this);
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    invariant(this.#holders > 0, 'a block is released once by each holder');
    this.#holders--;
    if (this.#holders === 0 && this.#reusable) this.#memory.give(this);
  }

  /** Views are out whose end nobody tells: garbage collection shall free it. */
  neverReuse(): void {
    this.#reusable = false;
  }
}

export class ReusedMemory {
  readonly #options: ReusedMemoryOptions;
  /** By size; in each list, and in `#waiting`, the one that waits longest comes first. */
  readonly #free = new Map<number, Block[]>();
  readonly #waiting = new Set<Block>();
  #freeBytes = 0;

  constructor(options: ReusedMemoryOptions) {
    this.#options = options;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** At least `sizeBytes`, with one holder; undefined for sizes that are not worth it. */
  take(sizeBytes: number): Block | undefined {
    if (sizeBytes < this.#options.smallestBytes || sizeBytes > this.#options.largestBytes) return undefined;
    const { capacity, step } = capacityFor(sizeBytes);
    const block = this.#takeFree(capacity) ?? this.#takeFree(capacity + step) ?? new Block(this, capacity);
    block.hold();
    return block;
  }

  /** Called by the block itself. */
  give(block: Block): void {
    block.bytes.fill(poisonByte, 0, this.#options.poison ? block.bytes.length : alwaysPoisonedBytes);
    const { length } = block.bytes;
    const list = this.#free.get(length);
    if (list) list.push(block);
    else this.#free.set(length, [block]);
    this.#waiting.add(block);
    this.#freeBytes += length;
    while (this.#freeBytes > this.#options.maxFreeBytes) this.#dropOldest();
  }

  #takeFree(capacity: number): Block | undefined {
    const block = this.#free.get(capacity)?.pop();
    if (!block) return undefined;
    this.#waiting.delete(block);
    this.#freeBytes -= capacity;
    return block;
  }

  #dropOldest(): void {
    const [oldest] = this.#waiting;
    if (!oldest) return;
    this.#waiting.delete(oldest);
    this.#free.get(oldest.bytes.length)?.shift();
    this.#freeBytes -= oldest.bytes.length;
  }
}

/** Eight sizes between powers of two: an eighth is wasted at most. */
function capacityFor(sizeBytes: number): { readonly capacity: number; readonly step: number } {
  const step = Math.max(64, 2 ** (31 - Math.clz32(Math.max(1, sizeBytes - 1)) - 3));
  return { capacity: Math.ceil(sizeBytes / step) * step, step };
}
