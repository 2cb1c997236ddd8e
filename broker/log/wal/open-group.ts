/**
 * The open group: slices of all partitions that will be uploaded together as one WAL object (design §3).
 * Large batches stay where they arrived; small ones are copied together, so that a batch of 100 bytes does not
 * keep a socket chunk of 64 KiB alive.
 */
import { crc32cCombine } from '../../../std/crc32c.ts';
import { type Block, blockOf } from '../../../std/reused-memory.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { Durability } from '../partition-log.ts';
import { crcWithBatch } from '../batch/record-batch.ts';
import type { ObjectKey } from '../format/object-keys.ts';
import { encodeSlices, type ProducerBatch, type Slice } from '../format/slices.ts';
import { SparseIndexBuilder } from '../format/sparse-index.ts';

/** What a slice costs in objects, besides its bytes; measured, for one with an idempotent batch. */
const sliceOverheadBytes = 1200;
const producerOverheadBytes = 100;
/** Batches below this size are copied into their slice's own buffer. */
const copyBelowBytes = 16 * 1024;
/** A block of reused memory is larger than what lies in it, by a sixteenth on average. */
const blockSlack = 17 / 16;

/** The partition behind a slice: told when its slice got its place and when it counts. */
export interface SliceOwner {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: number;
  /** The log start as the next slice shall store it; readers see it when that slice counts. */
  readonly nextLogStartOffset: number;
  /** What the first slice after the opening continues; undefined for all later ones. */
  takeBase(): ObjectKey | '' | undefined;
  /** The slice has its number and position: part of the state from here on, but not visible. */
  slicePlaced(object: ObjectKey, slice: Slice): void;
  /** The slice counts: durable, with everything before it. */
  sliceCounted(slice: SliceBuilder): void;
  /** The slice left the log cache; its bytes must not be referenced any longer. */
  sliceEvicted(slice: SliceBuilder): void;
}

export interface AppendedBatch {
  readonly bytes: Buffer;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly maxTimestampMs: number;
  readonly producer: ProducerBatch | undefined;
}

export class SliceBuilder {
  readonly owner: SliceOwner;
  readonly group: OpenGroup;
  readonly firstOffset: number;
  readonly base: ObjectKey | '' | undefined;
  readonly chunkFirstOffsets: number[] = [];
  readonly producers: ProducerBatch[] = [];
  readonly sparse = new SparseIndexBuilder();
  lastOffset: number;
  /** What `place` stored as the partition's log start. */
  logStartOffset = 0;
  length = 0;
  maxTimestampMs = -1;
  crc = 0;
  #heldBytes = 0;
  readonly #chunks: Buffer[] = [];
  /** Where chunks lie that were not copied. */
  readonly #blocks: Block[] = [];
  #lent = false;
  #scratch: Buffer | undefined;
  #scratchUsed = 0;
  #scratchChunkStart = 0;

  constructor(owner: SliceOwner, group: OpenGroup, firstOffset: number, base: ObjectKey | '' | undefined) {
    this.owner = owner;
    this.group = group;
    this.firstOffset = firstOffset;
    this.lastOffset = firstOffset - 1;
    this.base = base;
  }

  /** Memory that goes when the slice goes: what the log cache counts. */
  get memoryBytes(): number {
    return sliceOverheadBytes + this.producers.length * producerOverheadBytes + this.#heldBytes;
  }

  /**
   * Whole batches, each chunk beginning with one. Who reads them may keep them as long as he likes: the slice's memory is then
   * not used again, but left to garbage collection.
   */
  get chunks(): readonly Buffer[] {
    this.#lent = true;
    return this.#chunks;
  }

  /** The same for who holds the group meanwhile. */
  chunksWhileHeld(): readonly Buffer[] {
    return this.#chunks;
  }

  /** Nothing looks at the chunks any more, but those to whom they were lent. */
  releaseMemory(): void {
    for (const block of this.#blocks) {
      if (this.#lent) block.neverReuse();
      block.release();
    }
    this.#blocks.length = 0;
    if (!this.#lent) this.#chunks.length = 0;
  }

  append(batch: AppendedBatch): void {
    this.sparse.add(batch.firstOffset, batch.bytes.length, batch.maxTimestampMs);
    if (batch.bytes.length < copyBelowBytes) this.#appendCopy(batch.bytes, batch.firstOffset);
    else this.#appendView(batch.bytes, batch.firstOffset);
    this.crc = crcWithBatch(this.crc, batch.bytes);
    this.length += batch.bytes.length;
    this.lastOffset = batch.lastOffset;
    if (batch.maxTimestampMs > this.maxTimestampMs) this.maxTimestampMs = batch.maxTimestampMs;
    if (batch.producer) this.producers.push(batch.producer);
  }

  #appendView(bytes: Buffer, firstOffset: number): void {
    this.#chunks.push(bytes);
    this.chunkFirstOffsets.push(firstOffset);
    const block = blockOf(bytes);
    if (block) {
      block.hold();
      this.#blocks.push(block);
    }
    this.#heldBytes += block ? bytes.length * blockSlack : bytes.length;
    this.#scratch = undefined;
  }

  #appendCopy(bytes: Buffer, firstOffset: number): void {
    const scratch = this.#scratch;
    if (scratch && this.#scratchUsed + bytes.length <= scratch.length) {
      bytes.copy(scratch, this.#scratchUsed);
      this.#scratchUsed += bytes.length;
      this.#chunks[this.#chunks.length - 1] = scratch.subarray(this.#scratchChunkStart, this.#scratchUsed);
      return;
    }
    // Most slices of an idle partition hold one small batch: room for more comes with the second.
    const capacity = this.length === 0 ? bytes.length : Math.max(bytes.length, Math.min(64 * 1024, Math.max(1024, this.length * 2)));
    this.#scratch = Buffer.allocUnsafeSlow(capacity);
    this.#heldBytes += capacity;
    bytes.copy(this.#scratch, 0);
    this.#scratchUsed = bytes.length;
    this.#scratchChunkStart = 0;
    this.#chunks.push(this.#scratch.subarray(0, bytes.length));
    this.chunkFirstOffsets.push(firstOffset);
  }
}

export class OpenGroup {
  readonly slices: SliceBuilder[] = [];
  sizeBytes = 0;
  #durability: Deferred | undefined;
  /** The log cache, later on, and uploads under way. */
  #holders = 1;

  addSlice(owner: SliceOwner, firstOffset: number, base: ObjectKey | '' | undefined): SliceBuilder {
    const slice = new SliceBuilder(owner, this, firstOffset, base);
    this.slices.push(slice);
    return slice;
  }

  /** Memory that goes when the group goes. */
  get memoryBytes(): number {
    return this.slices.reduce((sum, slice) => sum + slice.memoryBytes, 0);
  }

  /** The slices' bytes stay as they are until `release`. */
  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) for (const slice of this.slices) slice.releaseMemory();
  }

  /** How this group ends; one promise for all who wait. */
  durability(): Promise<Durability> {
    this.#durability ??= deferred();
    return this.#durability.promise;
  }

  /** Tells all who wait now. A later `durability()` asks anew: a refused upload may still succeed. */
  settle(durability: Durability): void {
    const waiting = this.#durability;
    this.#durability = durability === 'durable' ? settled(durability) : undefined;
    waiting?.resolve(durability);
  }

  /** Gives every slice its place, tells the owners, and answers what has to be stored. */
  place(object: ObjectKey): { readonly content: Buffer[]; readonly contentBytes: number; readonly contentCrc: number; readonly footer: Buffer } {
    this.slices.sort(byPartition);
    const content: Buffer[] = [];
    const placed: Slice[] = [];
    let position = 0;
    let contentCrc = 0;
    for (const builder of this.slices) {
      const { owner } = builder;
      builder.logStartOffset = owner.nextLogStartOffset;
      const slice: Slice = {
        topicId: owner.topicId,
        partition: owner.partition,
        leaderEpoch: owner.leaderEpoch,
        firstOffset: builder.firstOffset,
        lastOffset: builder.lastOffset,
        logStartOffset: builder.logStartOffset,
        position,
        length: builder.length,
        maxTimestampMs: builder.maxTimestampMs,
        crc: builder.crc,
        base: builder.base,
        producers: builder.producers,
        marks: builder.sparse.marks,
      };
      for (const chunk of builder.chunksWhileHeld()) content.push(chunk);
      contentCrc = crc32cCombine(contentCrc, builder.crc, builder.length);
      position += builder.length;
      placed.push(slice);
      owner.slicePlaced(object, slice);
    }
    const footer = new ByteWriter(64 + placed.length * 96);
    encodeSlices(footer, placed);
    return { content, contentBytes: position, contentCrc, footer: footer.finish() };
  }
}

function byPartition(a: SliceBuilder, b: SliceBuilder): number {
  if (a.owner.topicId !== b.owner.topicId) return a.owner.topicId < b.owner.topicId ? -1 : 1;
  return a.owner.partition - b.owner.partition;
}

interface Deferred {
  readonly promise: Promise<Durability>;
  readonly resolve: (durability: Durability) => void;
}

function deferred(): Deferred {
  let resolve: (durability: Durability) => void = () => {};
  const promise = new Promise<Durability>((r) => {
    resolve = r;
  });
  return { promise, resolve };
}

function settled(durability: Durability): Deferred {
  return { promise: Promise.resolve(durability), resolve: () => {} };
}
