/**
 * The `StoredReader` of readers that are behind: whole batches out of the block cache, each with its CRC checked. Where
 * a reader goes on is remembered, so that a large entry is not searched from its beginning for every fetch.
 */
import { invariant } from '../../std/invariant.ts';
import { LruByBytes } from '../../std/lru-by-bytes.ts';
import { batchHeaderBytes, batchSizeBytes, crcFits, lastOffset } from './batch/record-batch.ts';
import { positionOfOffset, wholeBatchBytes } from './batch/walk-batches.ts';
import type { BlockCache, BlockRead } from './block-cache.ts';
import type { IndexEntry } from './format/partition-state.ts';
import type { StoredRead, StoredReader } from './stored-reader.ts';

export interface BlockReaderOptions {
  readonly cache: BlockCache;
  /** One read gives at most about so much; the caller asks again. */
  readonly maxReadBytes: number;
  /** Places that are remembered. */
  readonly maxPlaces: number;
}

/** Bytes were damaged on their way, perhaps: they are fetched anew once. */
const attempts = 2;

export class BlockReader implements StoredReader {
  readonly #options: BlockReaderOptions;
  /** Entry and offset → where the batch of that offset begins. */
  readonly #places: LruByBytes<string, number>;

  constructor(options: BlockReaderOptions) {
    invariant(options.maxReadBytes >= batchHeaderBytes, 'a read holds a header', { maxReadBytes: options.maxReadBytes });
    this.#options = options;
    this.#places = new LruByBytes({ budgetBytes: options.maxPlaces });
  }

  async read(entry: IndexEntry, offset: number, maxBytes: number): Promise<StoredRead> {
    let read: StoredRead = { kind: 'unavailable', cause: 'not tried' };
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      read = await this.#readOnce(entry, offset, Math.min(maxBytes, this.#options.maxReadBytes));
      if (read.kind !== 'corrupt') return read;
      this.#options.cache.forget(entry.object);
    }
    return read;
  }

  /** The entry will be wanted next. */
  prefetch(entry: IndexEntry): void {
    this.#options.cache.prefetch({ key: entry.object, position: entry.position, length: Math.min(entry.length, this.#options.maxReadBytes) });
  }

  async #readOnce(entry: IndexEntry, offset: number, maxBytes: number): Promise<StoredRead> {
    const place = this.#places.get(placeKey(entry, offset)) ?? entry.position;
    for (let position = place; ; ) {
      const found = await this.#wholeBatches(entry, position, maxBytes);
      if (found.kind !== 'found') return found;
      const start = positionOfOffset(found.bytes, 0, offset);
      if (start >= 0) return this.#answer(entry, position + start, found.bytes.subarray(start));
      position += found.bytes.length;
      if (position >= entry.position + entry.length) return { kind: 'corrupt', reason: `no batch with offset ${offset} at ${entry.position}` };
    }
  }

  #answer(entry: IndexEntry, position: number, bytes: Buffer): StoredRead {
    let last = 0;
    for (let next = 0; next < bytes.length; next += batchSizeBytes(bytes, next)) {
      if (!crcFits(bytes, next)) return { kind: 'corrupt', reason: `CRC of the batch at ${position + next} does not match` };
      last = next;
    }
    if (position + bytes.length < entry.position + entry.length) this.#places.set(placeKey(entry, lastOffset(bytes, last) + 1), position + bytes.length, 1);
    return { kind: 'found', bytes };
  }

  /** The whole batches among the next `maxBytes`, at least one. */
  async #wholeBatches(entry: IndexEntry, position: number, maxBytes: number): Promise<StoredRead> {
    const remaining = entry.position + entry.length - position;
    let wantedBytes = Math.min(remaining, Math.max(maxBytes, batchHeaderBytes));
    for (;;) {
      const found = contiguous(await this.#readCache(entry, position, wantedBytes));
      if (found.kind !== 'found') return found;
      const wholeBytes = endOfWholeBatches(found.bytes);
      if (wholeBytes > 0) return { kind: 'found', bytes: found.bytes.subarray(0, wholeBytes) };
      const needed = found.bytes.length < batchHeaderBytes ? Infinity : batchSizeBytes(found.bytes, 0);
      if (needed <= wantedBytes || needed > remaining) return { kind: 'corrupt', reason: `no whole batch at ${position}` };
      wantedBytes = needed;
    }
  }

  #readCache(entry: IndexEntry, position: number, length: number): BlockRead | Promise<BlockRead> {
    const wanted = { key: entry.object, position, length, usefulEnd: entry.position + entry.length };
    return this.#options.cache.tryRead(wanted) ?? this.#options.cache.read(wanted);
  }
}

/** Batches must not be split, so that where two extents meet the bytes are copied together. */
function contiguous(read: BlockRead): StoredRead {
  if (read.kind === 'short') return { kind: 'corrupt', reason: `the object ends at ${read.sizeBytes}` };
  if (read.kind !== 'found') return read;
  return { kind: 'found', bytes: read.chunks.length === 1 ? read.chunks[0]! : Buffer.concat(read.chunks) };
}

function endOfWholeBatches(bytes: Buffer): number {
  let end = 0;
  for (let sizeBytes = wholeBatchBytes(bytes, 0); sizeBytes > 0; sizeBytes = wholeBatchBytes(bytes, end)) end += sizeBytes;
  return end;
}

function placeKey(entry: IndexEntry, offset: number): string {
  return `${entry.object} ${entry.position} ${offset}`;
}
