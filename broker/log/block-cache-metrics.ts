/** What the block cache counts. */
import type { Counter, Metrics } from '../../io/metrics.ts';

export interface BlockCacheMetrics {
  readonly hits: Counter;
  readonly misses: Counter;
  readonly fetchedBytes: Counter;
  /** By outcome. */
  readonly fetches: Counter;
  /** `useful`: read before it was evicted; `wasted`: not. */
  readonly readAheadBytes: Counter;
}

export interface BlockCacheLevels {
  readonly sizeBytes: () => number;
  readonly fetches: () => number;
  readonly waiting: () => number;
}

export function blockCacheMetrics(metrics: Metrics, levels: BlockCacheLevels): BlockCacheMetrics {
  metrics.observedGauge('automq_block_cache_bytes', 'Bytes cached or being fetched for readers that are behind', levels.sizeBytes);
  metrics.observedGauge('automq_block_cache_fetches_running', 'GETs of the block cache in flight', levels.fetches);
  metrics.observedGauge('automq_block_cache_fetches_waiting', 'GETs of the block cache that wait for their turn', levels.waiting);
  return {
    hits: metrics.counter('automq_block_cache_hits_total', 'Blocks that were cached or on their way'),
    misses: metrics.counter('automq_block_cache_misses_total', 'Blocks that had to be fetched'),
    fetchedBytes: metrics.counter('automq_block_cache_fetched_bytes_total', 'Bytes that GETs of the block cache brought'),
    fetches: metrics.counter('automq_block_cache_fetches_total', 'GETs of the block cache, retries not counted', ['outcome']),
    readAheadBytes: metrics.counter('automq_block_cache_read_ahead_bytes_total', 'Bytes fetched ahead, by what became of them', ['use']),
  };
}
