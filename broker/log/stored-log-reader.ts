/** The reader of stored records as a broker runs it: block cache, sparse indexes and block reader, sized from one budget. */
import type { Clock } from '../../io/clock.ts';
import type { Metrics } from '../../io/metrics.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { BlockCache } from './block-cache.ts';
import { BlockReader } from './block-reader.ts';
import { SparseIndexes } from './sparse-indexes.ts';

export interface StoredLogReaderOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  /** Of cached blocks; sparse indexes come on top with a thirty-second part. */
  readonly budgetBytes: number;
}

const kib = 1024;
const mib = 1024 * kib;
const blockBytes = 256 * kib;
/** Below this nothing works well. */
const leastBudgetBytes = 4 * mib;
const largestFetchBytes = 4 * mib;
const mostFetches = 16;

export function openStoredLogReader(options: StoredLogReaderOptions): BlockReader {
  const { objects, clock, random, metrics } = options;
  const budgetBytes = Math.max(options.budgetBytes, leastBudgetBytes);
  const maxFetchBytes = Math.min(largestFetchBytes, Math.max(1, Math.floor(budgetBytes / 32 / blockBytes)) * blockBytes);
  const retry = { attempts: 5, baseBackoffMs: 50, maxBackoffMs: 2_000 };
  const cache = new BlockCache({
    objects,
    clock,
    random,
    metrics,
    blockBytes,
    budgetBytes,
    maxFetchBytes,
    maxConcurrentFetches: Math.max(1, Math.min(mostFetches, Math.floor(budgetBytes / 2 / maxFetchBytes))),
    maxWaitingFetches: 10_000,
    maxReaders: 10_000,
    retry,
  });
  return new BlockReader({
    cache,
    sparse: new SparseIndexes({ objects, budgetBytes: Math.max(mib, Math.floor(budgetBytes / 32)), maxFooterBytes: 4 * mib }),
    objects,
    clock,
    random,
    retry,
    maxReadBytes: Math.min(4 * mib, Math.floor(budgetBytes / 8)),
    maxCachedBatchBytes: Math.floor(budgetBytes / 4),
    searchedBytes: mib,
    minAheadBytes: 2 * blockBytes,
    maxAheadBytes: Math.min(16 * mib, Math.floor(budgetBytes / 8)),
    maxPlaces: 20_000,
  });
}
