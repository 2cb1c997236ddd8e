/** One partition after the other: compactions of the partitions that a broker coordinates share its uploads with everything else. */
import type { Logger } from '../../../io/logger.ts';
import type { Counter, Metrics } from '../../../io/metrics.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import type { CompactionOutcome } from './compaction.ts';

export interface CompactedPartition {
  readonly log: PartitionLog;
  compact(): Promise<CompactionOutcome>;
}

export class CompactionQueue {
  readonly #logger: Logger;
  readonly #runs: Counter;
  readonly #rewrittenBytes: Counter;
  /** At most all partitions that are here. */
  readonly #waiting = new Set<CompactedPartition>();
  #running: Promise<void> | undefined;

  constructor(options: { readonly logger: Logger; readonly metrics: Metrics }) {
    const { logger, metrics } = options;
    this.#logger = logger;
    this.#runs = metrics.counter('automq_group_compactions_total', 'Compactions of a partition of __consumer_offsets by its coordinator.', ['outcome']);
    this.#rewrittenBytes = metrics.counter('automq_group_compaction_rewritten_bytes_total', 'Bytes of live group records that compaction wrote again.');
  }

  offer(partition: CompactedPartition): void {
    this.#waiting.add(partition);
    this.#running ??= this.#run();
  }

  /** It is no longer here. */
  withdraw(partition: CompactedPartition): void {
    this.#waiting.delete(partition);
  }

  /** Ends when no compaction runs. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const [partition] = this.#waiting;
      if (!partition) break;
      this.#waiting.delete(partition);
      await this.#compact(partition);
    }
    this.#running = undefined;
  }

  async #compact(partition: CompactedPartition): Promise<void> {
    const { topic, partition: number, leaderEpoch } = partition.log;
    const fields = { topic, partition: number, leaderEpoch };
    try {
      const outcome = await partition.compact();
      this.#runs.add(1, outcome.kind);
      this.#rewrittenBytes.add(outcome.rewrittenBytes);
      if (outcome.kind === 'compacted') this.#logger.info('group records are compacted', { ...fields, ...outcome });
      if (outcome.kind === 'failed') this.#logger.info('group records could not be compacted, later again', { ...fields, ...outcome });
    } catch (cause) {
      this.#runs.add(1, 'failed');
      this.#logger.error('compacting group records failed', { ...fields, cause });
    }
  }
}
