/**
 * The bytes of stored slices that shall be written anew: out of the log cache where they still are, else by ranged GETs,
 * few at a time, neighbours in one. What comes from the store is checked: damage must not be copied under a new name.
 */
import type { ByteRange } from '../../../io/object/object-store.ts';
import { crc32c } from '../../../std/crc32c.ts';
import { lastOffset, maxTimestamp } from '../batch/record-batch.ts';
import { type LeaderEpochAt, storedBatchFault } from '../batch/stored-batch-fault.ts';
import { wholeBatchBytes } from '../batch/walk-batches.ts';
import { indexedTimestamp } from '../indexed-timestamp.ts';
import type { ObjectKey } from '../format/object-keys.ts';
import type { IndexEntry } from '../format/partition-state.ts';
import { SparseIndexBuilder } from '../format/sparse-index.ts';
import { type RangedReadOptions, readRange } from '../ranged-read.ts';
import type { SliceBuilder } from '../wal/open-group.ts';

export interface SliceContent {
  readonly chunks: readonly Buffer[];
  readonly crc: number;
  readonly sparse: SparseIndexBuilder;
}

export type FetchedSlices =
  | { readonly kind: 'found'; readonly contents: ReadonlyMap<IndexEntry, SliceContent> }
  /** The object is missing, or holds other bytes than the index says. */
  | { readonly kind: 'damaged'; readonly object: ObjectKey; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly cause: string };

export interface SliceFetchOptions extends RangedReadOptions {
  readonly concurrentReads: number;
  /** Lets other work go on between pieces of this. */
  readonly pause: () => Promise<void>;
}

/** Bytes between two slices that are read rather than asked around. */
const maxGapBytes = 32 * 1024;
const maxReadBytes = 8 * 1024 * 1024;
const attempts = 2;
const bytesPerPause = 512 * 1024;

export function cachedContent({ chunks, crc, sparse }: SliceBuilder): SliceContent {
  return { chunks, crc, sparse };
}

export interface WantedSlice {
  readonly entry: IndexEntry;
  readonly epochAt: LeaderEpochAt;
}

interface Extent extends ByteRange {
  readonly object: ObjectKey;
  readonly slices: readonly WantedSlice[];
}

export async function fetchSlices(slices: readonly WantedSlice[], options: SliceFetchOptions): Promise<FetchedSlices> {
  const contents = new Map<IndexEntry, SliceContent>();
  const extents = extentsOf(slices);
  let failure: Exclude<FetchedSlices, { kind: 'found' }> | undefined;
  const worker = async () => {
    for (let extent = extents.pop(); extent && !failure; extent = extents.pop()) {
      const problem = await fetchExtent(extent, contents, options);
      failure ??= problem;
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.concurrentReads, extents.length) }, worker));
  return failure ?? { kind: 'found', contents };
}

function extentsOf(slices: readonly WantedSlice[]): Extent[] {
  const sorted = [...slices].sort(({ entry: a }, { entry: b }) => (a.object === b.object ? a.position - b.position : a.object < b.object ? -1 : 1));
  const extents: { object: ObjectKey; start: number; end: number; slices: WantedSlice[] }[] = [];
  for (const slice of sorted) {
    const { object, position, length } = slice.entry;
    const last = extents.at(-1);
    const end = position + length;
    if (last?.object === object && position - last.end <= maxGapBytes && end - last.start <= maxReadBytes) {
      last.end = Math.max(last.end, end);
      last.slices.push(slice);
    } else extents.push({ object, start: position, end, slices: [slice] });
  }
  return extents.reverse();
}

async function fetchExtent(
  extent: Extent,
  into: Map<IndexEntry, SliceContent>,
  options: SliceFetchOptions,
): Promise<Exclude<FetchedSlices, { kind: 'found' }> | undefined> {
  let reason = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    const read = await readRange(extent.object, extent, options);
    if (read.kind === 'unavailable') return read;
    if (read.kind === 'missing') return { kind: 'damaged', object: extent.object, reason: 'missing' };
    reason = '';
    for (const slice of extent.slices) {
      const { entry } = slice;
      const bytes = read.bytes.subarray(entry.position - extent.start, entry.position - extent.start + entry.length);
      const checked = await checkSlice(bytes, slice, options.pause);
      if (typeof checked === 'string') {
        reason = checked;
        break;
      }
      into.set(entry, checked);
    }
    if (!reason) return undefined;
  }
  return { kind: 'damaged', object: extent.object, reason };
}

/** The slice as it can be written anew, or what is wrong with it. */
async function checkSlice(bytes: Buffer, { entry, epochAt }: WantedSlice, pause: () => Promise<void>): Promise<SliceContent | string> {
  if (bytes.length !== entry.length) return `the object ends inside the slice at ${entry.position}`;
  const sparse = new SparseIndexBuilder();
  let next = entry.firstOffset;
  let pauseAt = bytesPerPause;
  for (let position = 0; position < bytes.length; ) {
    const sizeBytes = wholeBatchBytes(bytes, position);
    if (sizeBytes === 0) return `no whole batch at ${entry.position + position}`;
    const fault = storedBatchFault(bytes, position, next, epochAt);
    if (fault) return `${fault} of the batch at ${entry.position + position} is wrong`;
    sparse.add(next, sizeBytes, indexedTimestamp(maxTimestamp(bytes, position)));
    next = lastOffset(bytes, position) + 1;
    position += sizeBytes;
    if (position < pauseAt) continue;
    pauseAt = position + bytesPerPause;
    await pause();
  }
  if (next !== entry.lastOffset + 1) return `the slice at ${entry.position} ends with offset ${next - 1} instead of ${entry.lastOffset}`;
  return { chunks: [bytes], crc: crc32c(bytes), sparse };
}
