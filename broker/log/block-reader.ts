/**
 * The `StoredReader` of readers that are behind: whole batches out of the block cache, each with its CRC checked. Where a
 * reader goes on is remembered, and who goes on from read to read has the following entries fetched ahead; into the middle
 * of a large entry the object's sparse index leads.
 */
import type { Clock } from '../../io/clock.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { invariant } from '../../std/invariant.ts';
import { LruByBytes } from '../../std/lru-by-bytes.ts';
import { gatherBatches } from './batch/gather-batches.ts';
import { batchHeaderBytes, batchSizeBytes, crcFits, lastOffset } from './batch/record-batch.ts';
import { endOfReadableBatches, positionOfOffset } from './batch/walk-batches.ts';
import type { BlockCache, BlockRead } from './block-cache.ts';
import type { IndexEntry } from './format/partition-state.ts';
import { offsetBeforeTimestamp, positionBefore } from './format/sparse-index.ts';
import { readRange, type RetryLimits } from './ranged-read.ts';
import type { SparseIndexes } from './sparse-indexes.ts';
import type { Following, StoredRead, StoredReader } from './stored-reader.ts';

export interface BlockReaderOptions {
  readonly cache: BlockCache;
  readonly sparse: SparseIndexes;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly retry: RetryLimits;
  /** One read gives at most about so much; the caller asks again. */
  readonly maxReadBytes: number;
  /** A batch that is larger is read past the cache. */
  readonly maxCachedBatchBytes: number;
  /** Entries up to this size are searched from their beginning. */
  readonly searchedBytes: number;
  /** Behind a reader that goes on so much is fetched ahead, at first and at most. */
  readonly minAheadBytes: number;
  readonly maxAheadBytes: number;
  /** Places that are remembered. */
  readonly maxPlaces: number;
}

/** Where a reader will go on, and how much is fetched ahead of it. */
interface Place {
  readonly position: number;
  readonly aheadBytes: number;
}

/** Bytes were damaged on their way, perhaps: they are fetched anew once. */
const attempts = 2;
const maxEntriesAhead = 64;
/** While searching for an offset, however little is asked for. */
const minSearchReadBytes = 256 * 1024;

export class BlockReader implements StoredReader {
  readonly #options: BlockReaderOptions;
  readonly #abort = new AbortController();
  /** Entry and offset → where the batch of that offset begins. */
  readonly #places: LruByBytes<string, Place>;

  constructor(options: BlockReaderOptions) {
    invariant(options.maxReadBytes >= batchHeaderBytes, 'a read holds a header', { maxReadBytes: options.maxReadBytes });
    this.#options = options;
    this.#places = new LruByBytes({ budgetBytes: options.maxPlaces });
  }

  async read(entry: IndexEntry, offset: number, maxBytes: number, following?: Following): Promise<StoredRead> {
    let read: StoredRead = { kind: 'unavailable', cause: 'not tried' };
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      read = await this.#readOnce(entry, offset, Math.min(maxBytes, this.#options.maxReadBytes), following);
      if (read.kind !== 'corrupt') return read;
      this.#options.cache.forget(entry.object);
    }
    return read;
  }

  async seekTimestamp(entry: IndexEntry, timestampMs: number): Promise<number> {
    if (entry.length <= this.#options.searchedBytes) return entry.firstOffset;
    return offsetBeforeTimestamp(await this.#options.sparse.marksOf(entry), timestampMs) ?? entry.firstOffset;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#options.cache.close();
  }

  async #readOnce(entry: IndexEntry, offset: number, maxBytes: number, following: Following | undefined): Promise<StoredRead> {
    const place = this.#places.get(placeKey(entry, offset));
    const start = place?.position ?? (await this.#searchFrom(entry, offset));
    for (let position = start; ; ) {
      const found = await this.#wholeBatches(entry, position, place ? maxBytes : Math.max(maxBytes, minSearchReadBytes));
      if (found.kind !== 'found') return found;
      for (const [i, chunk] of found.chunks.entries()) {
        const at = positionOfOffset(chunk, 0, offset);
        if (at >= 0)
          return this.#answer({ entry, position: position + at, chunks: [chunk.subarray(at), ...found.chunks.slice(i + 1)], maxBytes, place, following });
        position += chunk.length;
      }
      if (position >= entry.length) return { kind: 'corrupt', reason: `no batch with offset ${offset} at ${entry.position}` };
    }
  }

  async #searchFrom(entry: IndexEntry, offset: number): Promise<number> {
    if (offset <= entry.firstOffset || entry.length <= this.#options.searchedBytes) return 0;
    const position = positionBefore(await this.#options.sparse.marksOf(entry), offset);
    return position < entry.length ? position : 0;
  }

  /** As many of the batches as may be given, checked; remembers where this reader will go on. */
  #answer(found: {
    readonly entry: IndexEntry;
    readonly position: number;
    readonly chunks: readonly Buffer[];
    readonly maxBytes: number;
    readonly place: Place | undefined;
    readonly following: Following | undefined;
  }): StoredRead {
    const { entry, maxBytes, place, following } = found;
    const chunks: Buffer[] = [];
    let position = found.position;
    let nextOffset = 0;
    for (const chunk of found.chunks) {
      const leftBytes = maxBytes - (position - found.position);
      const end = endOfReadableBatches(chunk, 0, { maxBytes: leftBytes, offsetBound: Infinity });
      if (chunks.length > 0 && end > leftBytes) break;
      const checked = checkBatches(chunk, end);
      if (checked.fault >= 0) return { kind: 'corrupt', reason: `CRC of the batch at ${entry.position + position + checked.fault} does not match` };
      chunks.push(end === chunk.length ? chunk : chunk.subarray(0, end));
      position += end;
      nextOffset = checked.lastOffset + 1;
      if (end < chunk.length) break;
    }
    this.#goOn(entry, position, nextOffset, place, following);
    return { kind: 'found', chunks };
  }

  #goOn(entry: IndexEntry, position: number, nextOffset: number, place: Place | undefined, following: Following | undefined): void {
    const { minAheadBytes, maxAheadBytes } = this.#options;
    const aheadBytes = place ? Math.min(maxAheadBytes, Math.max(minAheadBytes, place.aheadBytes * 2)) : 0;
    const next = position < entry.length ? entry : following?.(1);
    if (next) this.#places.set(placeKey(next, next === entry ? nextOffset : next.firstOffset), { position: next === entry ? position : 0, aheadBytes }, 1);
    let coveredBytes = entry.length - position;
    for (let steps = 1; following && coveredBytes < aheadBytes && steps <= maxEntriesAhead; steps++) {
      const ahead = following(steps);
      if (!ahead) return;
      this.#options.cache.prefetch({ key: ahead.object, position: ahead.position, length: Math.min(ahead.length, aheadBytes - coveredBytes) });
      coveredBytes += ahead.length;
    }
  }

  /** The whole batches among the next `maxBytes`, at least one. */
  async #wholeBatches(entry: IndexEntry, position: number, maxBytes: number): Promise<StoredRead> {
    const remaining = entry.length - position;
    let wantedBytes = Math.min(remaining, Math.max(maxBytes, batchHeaderBytes));
    for (;;) {
      const read = await this.#readBytes(entry, position, wantedBytes);
      if (read.kind === 'short') return { kind: 'corrupt', reason: `the object ends at ${read.sizeBytes}` };
      if (read.kind !== 'found') return read;
      const { chunks, nextBytes } = gatherBatches(read.chunks);
      if (chunks.length > 0) return { kind: 'found', chunks };
      if (nextBytes < batchHeaderBytes || nextBytes > remaining || nextBytes <= wantedBytes) {
        return { kind: 'corrupt', reason: `no whole batch at ${entry.position + position}` };
      }
      wantedBytes = nextBytes;
    }
  }

  async #readBytes(entry: IndexEntry, position: number, length: number): Promise<BlockRead> {
    const start = entry.position + position;
    const { cache, maxReadBytes, maxCachedBatchBytes } = this.#options;
    if (length > Math.max(maxReadBytes, maxCachedBatchBytes)) return this.#readPastCache(entry, start, length);
    const wanted = { key: entry.object, position: start, length, usefulEnd: entry.position + entry.length };
    return cache.tryRead(wanted) ?? cache.read(wanted);
  }

  async #readPastCache({ object }: IndexEntry, start: number, length: number): Promise<BlockRead> {
    const read = await readRange(object, { start, end: start + length }, { ...this.#options, signal: this.#abort.signal });
    if (read.kind !== 'found') return read;
    return read.bytes.length === length ? { kind: 'found', chunks: [read.bytes] } : { kind: 'short', sizeBytes: read.sizeBytes };
  }
}

/** Where the first batch with another CRC begins, −1: nowhere. */
function checkBatches(chunk: Buffer, end: number): { readonly fault: number; readonly lastOffset: number } {
  let last = 0;
  for (let at = 0; at < end; at += batchSizeBytes(chunk, at)) {
    if (!crcFits(chunk, at)) return { fault: at, lastOffset: -1 };
    last = at;
  }
  return { fault: -1, lastOffset: lastOffset(chunk, last) };
}

function placeKey(entry: IndexEntry, offset: number): string {
  return `${entry.object} ${entry.position} ${offset}`;
}
