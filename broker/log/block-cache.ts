/**
 * The block cache: aligned blocks of stored objects for readers that are behind (design §7). Reads of one block share
 * one GET; a reader that goes from front to back gets ever longer pieces ahead of its reads. It has its own
 * budget and its own limit of GETs, so that catching up neither evicts nor delays what tail readers need.
 *
 * What one GET brought is an *extent* of consecutive blocks in one buffer. Extents are what is evicted: a buffer's memory
 * comes back only when all of it is let go.
 */
import type { Clock } from '../../io/clock.ts';
import type { Metrics } from '../../io/metrics.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { invariant } from '../../std/invariant.ts';
import { LruByBytes } from '../../std/lru-by-bytes.ts';
import { Semaphore } from '../../std/semaphore.ts';
import { blockCacheMetrics, type BlockCacheMetrics } from './block-cache-metrics.ts';
import { readRange, type RangedRead, type RetryLimits } from './ranged-read.ts';
import { ReadAhead } from './read-ahead.ts';

export interface BlockCacheOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly blockBytes: number;
  /** Of what is cached and what is being fetched. */
  readonly budgetBytes: number;
  /** One GET is not larger, which is also the largest read-ahead. */
  readonly maxFetchBytes: number;
  readonly maxConcurrentFetches: number;
  /** Reads past it are answered `unavailable`. */
  readonly maxWaitingFetches: number;
  /** Readers whose progress is followed. */
  readonly maxReaders: number;
  readonly retry: RetryLimits;
}

export type BlockRead =
  /** Views, in order; together exactly the bytes that were asked for. */
  | { readonly kind: 'found'; readonly chunks: readonly Buffer[] }
  | { readonly kind: 'missing' }
  /** The object ends before the range does: it is not what the index says. */
  | { readonly kind: 'short'; readonly sizeBytes: number }
  | { readonly kind: 'unavailable'; readonly cause: string };

export interface WantedRange {
  readonly key: string;
  readonly position: number;
  readonly length: number;
  /** Where what this reader will want ends, for example its slice: nothing is fetched ahead past it. */
  readonly usefulEnd: number;
}

interface Extent {
  readonly kind: 'extent';
  readonly key: string;
  readonly firstBlock: number;
  readonly bytes: Buffer;
  /** Of the whole object. */
  readonly objectBytes: number;
  /** Blocks that were fetched ahead and that nobody has read yet. */
  readonly unread: Set<number>;
}

interface Fetch {
  readonly kind: 'fetch';
  readonly key: string;
  readonly firstBlock: number;
  readonly endBlock: number;
  /** From here on the blocks are read-ahead. */
  readonly aheadBlock: number;
  readonly done: Promise<FetchResult>;
}

type FetchResult = Extent | Exclude<RangedRead, { kind: 'found' }>;

export class BlockCache {
  readonly #options: BlockCacheOptions;
  readonly #metrics: BlockCacheMetrics;
  readonly #readAhead: ReadAhead;
  readonly #fetches: Semaphore;
  readonly #abort = new AbortController();
  /** Object → block number → where the block is or will be. */
  readonly #places = new Map<string, Map<number, Extent | Fetch>>();
  readonly #extents: LruByBytes<Extent, Extent>;
  readonly #running = new Set<Promise<unknown>>();
  #reservedBytes = 0;

  constructor(options: BlockCacheOptions) {
    const { blockBytes, budgetBytes, maxFetchBytes, maxConcurrentFetches } = options;
    invariant(maxFetchBytes % blockBytes === 0 && blockBytes > 0, 'a fetch has whole blocks', { blockBytes, maxFetchBytes });
    invariant(budgetBytes >= maxFetchBytes * maxConcurrentFetches, 'the budget holds all fetches that may run', {
      budgetBytes,
      maxFetchBytes,
      maxConcurrentFetches,
    });
    this.#options = options;
    this.#readAhead = new ReadAhead({ minWindowBytes: blockBytes, maxWindowBytes: maxFetchBytes, maxReaders: options.maxReaders });
    this.#fetches = new Semaphore({ permits: maxConcurrentFetches, maxWaiting: options.maxWaitingFetches });
    this.#extents = new LruByBytes({ budgetBytes, onEvicted: (extent) => this.#evicted(extent) });
    this.#metrics = blockCacheMetrics(options.metrics, {
      sizeBytes: () => this.sizeBytes,
      fetches: () => this.#fetches.taken,
      waiting: () => this.#fetches.waiting,
    });
  }

  /** Cached and being fetched; never more than the budget. */
  get sizeBytes(): number {
    return this.#extents.sizeBytes + this.#reservedBytes;
  }

  /** The bytes when all of them are in memory. Fetches ahead as `read` does. */
  tryRead(wanted: WantedRange): BlockRead | undefined {
    if (!this.#isCached(wanted)) return undefined;
    const { places, aheadBytes } = this.#look(wanted);
    this.#fetchAhead(wanted, aheadBytes);
    return this.#gather(wanted, places as Extent[]);
  }

  async read(wanted: WantedRange): Promise<BlockRead> {
    const { places, aheadBytes } = this.#look(wanted);
    this.#fetchMissing(wanted, places, aheadBytes);
    this.#fetchAhead(wanted, aheadBytes);
    const extents: Extent[] = [];
    for (const place of places as (Extent | Fetch)[]) {
      const result = place.kind === 'extent' ? place : await place.done;
      if (result.kind !== 'extent') return result;
      extents.push(result);
    }
    return this.#gather(wanted, extents);
  }

  /** Fetches what is missing of a range that will be wanted soon, as far as GETs are free. */
  prefetch({ key, position, length }: Omit<WantedRange, 'usefulEnd'>): void {
    if (this.#abort.signal.aborted) return;
    const limit = this.#blockBehind(position + length);
    for (let block = this.#blockOf(position); block < limit; ) {
      if (this.#places.get(key)?.has(block)) block += 1;
      else if (this.#fetches.tryAcquire()) block = this.#startFetch({ key, firstBlock: block, limit, aheadBlock: block, isDemand: false }).endBlock;
      else return;
    }
  }

  /** Forgets what is cached of an object, for example because its bytes turned out to be damaged. */
  forget(key: string): void {
    for (const place of new Set(this.#places.get(key)?.values())) {
      if (place.kind !== 'extent') continue;
      this.#extents.delete(place);
      this.#evicted(place);
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#fetches.close();
    await Promise.all(this.#running);
  }

  #isCached({ key, position, length }: WantedRange): boolean {
    const blocks = this.#places.get(key);
    if (blocks === undefined) return false;
    const end = this.#blockBehind(position + length);
    for (let block = this.#blockOf(position); block < end; block += 1) if (blocks.get(block)?.kind !== 'extent') return false;
    return true;
  }

  /** Where each block of the range is; counts hits and misses, and the progress of the reader. */
  #look({ key, position, length }: WantedRange): { readonly places: (Extent | Fetch | undefined)[]; readonly aheadBytes: number } {
    invariant(position >= 0 && length > 0 && length <= this.#options.budgetBytes, 'a range that cannot be read', { key, position, length });
    const blocks = this.#places.get(key);
    const places: (Extent | Fetch | undefined)[] = [];
    const end = this.#blockBehind(position + length);
    for (let block = this.#blockOf(position); block < end; block += 1) {
      const place = blocks?.get(block);
      places.push(place);
      if (place === undefined) this.#metrics.misses.add(1);
      else this.#metrics.hits.add(1);
    }
    return { places, aheadBytes: this.#readAhead.advance(key, position, position + length) };
  }

  /** Starts a fetch for each run of missing blocks; the last one goes on with what is worth having behind the range. */
  #fetchMissing({ key, position, length, usefulEnd }: WantedRange, places: (Extent | Fetch | undefined)[], aheadBytes: number): void {
    const firstBlock = this.#blockOf(position);
    const endBlock = firstBlock + places.length;
    const aheadEnd = this.#blockBehind(Math.min(usefulEnd, position + length + aheadBytes));
    for (let block = firstBlock; block < endBlock; ) {
      if (places[block - firstBlock] !== undefined) {
        block += 1;
        continue;
      }
      const fetch = this.#startFetch({ key, firstBlock: block, limit: Math.max(endBlock, aheadEnd), aheadBlock: endBlock, isDemand: true });
      for (; block < Math.min(fetch.endBlock, endBlock); block += 1) places[block - firstBlock] = fetch;
    }
  }

  /** When less than half a window lies ahead of the reader, the next whole window is fetched, if a GET is free. */
  #fetchAhead({ key, position, length, usefulEnd }: WantedRange, aheadBytes: number): void {
    if (aheadBytes === 0 || this.#abort.signal.aborted) return;
    const blocks = this.#places.get(key);
    const end = position + length;
    const usefulBlocks = this.#blockBehind(usefulEnd);
    let block = this.#blockBehind(end);
    while (block < usefulBlocks && blocks?.has(block)) block += 1;
    const lyingAheadBytes = block * this.#options.blockBytes - end;
    if (block >= usefulBlocks || lyingAheadBytes * 2 > aheadBytes || this.#endsBefore(key, block)) return;
    if (!this.#fetches.tryAcquire()) return;
    const limit = Math.min(usefulBlocks, block + this.#blockBehind(aheadBytes));
    this.#startFetch({ key, firstBlock: block, limit, aheadBlock: block, isDemand: false });
  }

  /** Whether the object is known to have no such block. */
  #endsBefore(key: string, block: number): boolean {
    const before = this.#places.get(key)?.get(block - 1);
    return before?.kind === 'extent' && before.objectBytes <= block * this.#options.blockBytes;
  }

  #startFetch(run: {
    readonly key: string;
    readonly firstBlock: number;
    readonly limit: number;
    readonly aheadBlock: number;
    readonly isDemand: boolean;
  }): Fetch {
    const { key, firstBlock, aheadBlock } = run;
    let blocks = this.#places.get(key);
    if (blocks === undefined) this.#places.set(key, (blocks = new Map()));
    const limit = Math.min(run.limit, firstBlock + this.#options.maxFetchBytes / this.#options.blockBytes);
    let endBlock = firstBlock;
    while (endBlock < limit && !blocks.has(endBlock)) endBlock += 1;
    const permit = run.isDemand ? this.#fetches.acquire() : Promise.resolve(true);
    const done = permit.then((granted) =>
      granted ? this.#fetch(fetch) : this.#settle(fetch, { kind: 'unavailable', cause: 'too many reads wait for the object store' }),
    );
    const fetch: Fetch = { kind: 'fetch', key, firstBlock, endBlock, aheadBlock, done };
    for (let block = firstBlock; block < endBlock; block += 1) blocks.set(block, fetch);
    this.#running.add(done);
    return fetch;
  }

  async #fetch(fetch: Fetch): Promise<FetchResult> {
    const { blockBytes } = this.#options;
    const range = { start: fetch.firstBlock * blockBytes, end: fetch.endBlock * blockBytes };
    const reservedBytes = range.end - range.start;
    this.#reservedBytes += reservedBytes;
    this.#extents.shrinkTo(this.#options.budgetBytes - this.#reservedBytes);
    let read: RangedRead;
    try {
      read = await readRange(fetch.key, range, { ...this.#options, signal: this.#abort.signal });
    } catch (cause) {
      read = { kind: 'unavailable', cause: String(cause) };
    }
    this.#reservedBytes -= reservedBytes;
    this.#fetches.release();
    this.#metrics.fetches.add(1, read.kind);
    return this.#settle(fetch, read);
  }

  #settle(fetch: Fetch, read: RangedRead): FetchResult {
    this.#running.delete(fetch.done);
    const result = read.kind === 'found' ? this.#extentOf(fetch, read) : read;
    const kept = result.kind === 'extent' && result.bytes.length > 0 ? result : undefined;
    const blocks = this.#places.get(fetch.key)!;
    for (let block = fetch.firstBlock; block < fetch.endBlock; block += 1) {
      if (kept !== undefined) blocks.set(block, kept);
      else blocks.delete(block);
    }
    if (blocks.size === 0) this.#places.delete(fetch.key);
    if (kept !== undefined) this.#extents.set(kept, kept, kept.bytes.length);
    return result;
  }

  #extentOf(fetch: Fetch, { bytes, sizeBytes }: { readonly bytes: Buffer; readonly sizeBytes: number }): Extent {
    this.#metrics.fetchedBytes.add(bytes.length);
    const unread = new Set<number>();
    const endBlock = fetch.firstBlock + Math.ceil(bytes.length / this.#options.blockBytes);
    for (let block = Math.max(fetch.firstBlock, fetch.aheadBlock); block < endBlock; block += 1) unread.add(block);
    return { kind: 'extent', key: fetch.key, firstBlock: fetch.firstBlock, bytes, objectBytes: sizeBytes, unread };
  }

  #gather({ key, position, length }: WantedRange, extents: readonly Extent[]): BlockRead {
    const { blockBytes } = this.#options;
    const end = position + length;
    const chunks: Buffer[] = [];
    let previous: Extent | undefined;
    for (const [index, extent] of extents.entries()) {
      if (extent.objectBytes < end) return { kind: 'short', sizeBytes: extent.objectBytes };
      this.#markRead(extent, this.#blockOf(position) + index);
      if (extent === previous) continue;
      previous = extent;
      // A place names the extent once for each block: what of it lies in the range is one view.
      const start = extent.firstBlock * blockBytes;
      chunks.push(extent.bytes.subarray(Math.max(0, position - start), Math.min(extent.bytes.length, end - start)));
      this.#extents.get(extent);
    }
    invariant(chunks.reduce((sum, chunk) => sum + chunk.length, 0) === length, 'gathered other bytes than were wanted', { key, position, length });
    return { kind: 'found', chunks };
  }

  #markRead(extent: Extent, block: number): void {
    if (extent.unread.delete(block)) this.#metrics.readAheadBytes.add(this.#blockLength(extent, block), 'useful');
  }

  #evicted(extent: Extent): void {
    const blocks = this.#places.get(extent.key);
    if (blocks !== undefined) {
      for (const [block, place] of blocks) if (place === extent) blocks.delete(block);
      if (blocks.size === 0) this.#places.delete(extent.key);
    }
    for (const block of extent.unread) this.#metrics.readAheadBytes.add(this.#blockLength(extent, block), 'wasted');
    extent.unread.clear();
  }

  #blockLength(extent: Extent, block: number): number {
    const { blockBytes } = this.#options;
    return Math.min(blockBytes, extent.bytes.length - (block - extent.firstBlock) * blockBytes);
  }

  #blockOf(position: number): number {
    return Math.floor(position / this.#options.blockBytes);
  }

  #blockBehind(position: number): number {
    return Math.ceil(position / this.#options.blockBytes);
  }
}
