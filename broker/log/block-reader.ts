/**
 * The `StoredReader` of readers that are behind: whole batches out of the block cache, each checked. Where a
 * reader goes on is remembered, and who goes on from read to read has the following entries fetched ahead; into the middle
 * of a large entry the object's sparse index leads.
 */
import type { Clock } from '../../io/clock.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { invariant } from '../../std/invariant.ts';
import { LruByBytes } from '../../std/lru-by-bytes.ts';
import { gatherBatches } from './batch/gather-batches.ts';
import { baseOffset, batchHeaderBytes, batchSizeBytes, lastOffset } from './batch/record-batch.ts';
import { storedBatchFault } from './batch/stored-batch-fault.ts';
import { endOfReadableBatches } from './batch/walk-batches.ts';
import type { BlockCache, BlockRead } from './block-cache.ts';
import type { IndexEntry } from './format/partition-state.ts';
import { markBefore, offsetBeforeTimestamp } from './format/sparse-index.ts';
import { readRange, type RetryLimits } from './ranged-read.ts';
import type { SparseIndexes } from './sparse-indexes.ts';
import type { Around, StoredRead, StoredReader } from './stored-reader.ts';

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

  async read(entry: IndexEntry, offset: number, maxBytes: number, around: Around = {}): Promise<StoredRead> {
    let read: StoredRead = { kind: 'unavailable', cause: 'not tried' };
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      read = await this.#readOnce(entry, offset, Math.min(maxBytes, this.#options.maxReadBytes), around);
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

  async #readOnce(entry: IndexEntry, offset: number, maxBytes: number, around: Around): Promise<StoredRead> {
    const place = this.#places.get(placeKey(entry, offset));
    const from = place ? { position: place.position, offset } : await this.#searchFrom(entry, offset);
    let expected = from.offset;
    for (let { position } = from; ; ) {
      const found = await this.#wholeBatches(entry, position, place ? maxBytes : Math.max(maxBytes, minSearchReadBytes));
      if (found.kind !== 'found') return found;
      for (const [i, chunk] of found.chunks.entries()) {
        const searched = searchOffset(chunk, offset, expected);
        expected = searched.expected;
        position += searched.at;
        if (searched.kind === 'fault') return { kind: 'corrupt', reason: `base offset of the batch at ${entry.position + position} does not continue the log` };
        if (searched.kind === 'found')
          return this.#answer({ entry, position, expected, chunks: [chunk.subarray(searched.at), ...found.chunks.slice(i + 1)], maxBytes, place, around });
      }
      if (position >= entry.length) return { kind: 'corrupt', reason: `no batch with offset ${offset} at ${entry.position}` };
    }
  }

  /** A position and the offset of the batch that begins there. */
  async #searchFrom(entry: IndexEntry, offset: number): Promise<{ readonly position: number; readonly offset: number }> {
    const start = { position: 0, offset: entry.firstOffset };
    if (offset <= entry.firstOffset || entry.length <= this.#options.searchedBytes) return start;
    const mark = markBefore(await this.#options.sparse.marksOf(entry), offset);
    return mark && mark.position < entry.length ? mark : start;
  }

  /** As many of the batches as may be given, checked; remembers where this reader will go on. */
  #answer(found: {
    readonly entry: IndexEntry;
    readonly position: number;
    /** Base offset of the first batch. */
    readonly expected: number;
    readonly chunks: readonly Buffer[];
    readonly maxBytes: number;
    readonly place: Place | undefined;
    readonly around: Around;
  }): StoredRead {
    const { entry, maxBytes, place, around } = found;
    const chunks: Buffer[] = [];
    let { position, expected } = found;
    for (const chunk of found.chunks) {
      const leftBytes = maxBytes - (position - found.position);
      const end = endOfReadableBatches(chunk, 0, { maxBytes: leftBytes, offsetBound: Infinity });
      if (chunks.length > 0 && end > leftBytes) break;
      for (let at = 0; at < end; at += batchSizeBytes(chunk, at)) {
        const fault = storedBatchFault(chunk, at, expected, around.epochAt);
        if (fault) return { kind: 'corrupt', reason: `${fault} of the batch at ${entry.position + position + at} is wrong` };
        expected = lastOffset(chunk, at) + 1;
      }
      chunks.push(end === chunk.length ? chunk : chunk.subarray(0, end));
      position += end;
      if (end < chunk.length) break;
    }
    this.#goOn(entry, position, expected, place, around.following);
    return { kind: 'found', chunks };
  }

  #goOn(entry: IndexEntry, position: number, nextOffset: number, place: Place | undefined, following: Around['following']): void {
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

interface Searched {
  readonly kind: 'found' | 'fault' | 'further';
  readonly at: number;
  readonly expected: number;
}

/** Looks for the batch with `offset`; `expected` is the base offset that the first batch must have. */
function searchOffset(chunk: Buffer, offset: number, expected: number): Searched {
  let at = 0;
  let next = expected;
  while (at < chunk.length) {
    if (baseOffset(chunk, at) !== next) return { kind: 'fault', at, expected: next };
    const last = lastOffset(chunk, at);
    if (last >= offset) return { kind: 'found', at, expected: next };
    next = last + 1;
    at += batchSizeBytes(chunk, at);
  }
  return { kind: 'further', at, expected: next };
}

function placeKey(entry: IndexEntry, offset: number): string {
  return `${entry.object} ${entry.position} ${offset}`;
}
