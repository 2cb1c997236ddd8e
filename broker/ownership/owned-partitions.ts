/**
 * The partitions that this incarnation owns: opening them from their stored states, closing them, and what the server
 * is told about those that are not open.
 */
import type { Logger } from '../../io/logger.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { ClusterImage, TopicImage } from '../../cluster/cluster-image.ts';
import { partitionKey, type TopicId } from '../../cluster/identifiers.ts';
import type { ObjectKey } from '../log/format/object-keys.ts';
import type { Log } from '../log/log.ts';
import type { Partition } from '../log/partition.ts';
import type { StoredStates } from '../log/stored-states.ts';
import type { TopicLogConfig } from '../log/topic-log-config.ts';
import type { PartitionLookup, PartitionTable } from '../server/services.ts';
import type { AcquiredPartition } from './takeover.ts';

export interface OwnedPartitionsOptions {
  readonly log: Log;
  readonly image: ClusterImage;
  readonly states: StoredStates;
  readonly logger: Logger;
  readonly topicLogConfig: (topic: TopicImage | undefined) => TopicLogConfig;
  readonly onOpened: (partition: Partition) => void;
  readonly onClosed: (topicId: TopicId, partition: number) => void;
}

export class OwnedPartitions implements PartitionTable {
  readonly #options: OwnedPartitionsOptions;
  readonly #opening = new Map<string, Promise<void>>();
  /** Open refused: the stored state is damaged or missing. */
  readonly #failed = new Set<string>();

  constructor(options: OwnedPartitionsOptions) {
    this.#options = options;
  }

  find(topicId: TopicId, partition: number): PartitionLookup {
    const log = this.#options.log.find(topicId, partition);
    if (log) return { kind: 'owned', log };
    const key = partitionKey(topicId, partition);
    const ready = this.#opening.get(key);
    if (ready) return { kind: 'opening', ready };
    if (this.#failed.has(key)) return { kind: 'failed' };
    const leader = this.#options.image.leaderOf(topicId, partition);
    return leader ? { kind: 'elsewhere', ...leader } : { kind: 'unknown' };
  }

  /** Open, or given up as damaged. */
  isSettled(topicId: TopicId, partition: number): boolean {
    return this.#options.log.find(topicId, partition) !== undefined || this.#failed.has(partitionKey(topicId, partition));
  }

  /** Partitions whose stored state is damaged or missing. */
  get failedCount(): number {
    return this.#failed.size;
  }

  /** Opens partitions that a compare-and-set of ours acquired. A damaged one is refused with an alarm; the others open. */
  async open(acquired: readonly AcquiredPartition[]): Promise<void> {
    await Promise.all(acquired.map((partition) => this.#openOne(partition)));
  }

  async #openOne(acquired: AcquiredPartition): Promise<void> {
    const key = partitionKey(acquired.topicId, acquired.partition);
    if (this.isSettled(acquired.topicId, acquired.partition)) return;
    const already = this.#opening.get(key);
    if (already) return already;
    const opening = this.#read(acquired).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    await opening;
  }

  async #read({ topicId, partition, record }: AcquiredPartition): Promise<void> {
    const { log, states, image, logger, topicLogConfig } = this.#options;
    try {
      const base = record.state as ObjectKey | '';
      const state = await states.resolve(base, { topicId, partition });
      if (!state) throw new FormatError(`${base} does not know the partition`);
      const topic = () => image.topicById(topicId)?.name ?? topicId;
      const config = () => topicLogConfig(image.topicById(topicId));
      this.#options.onOpened(log.open({ topicId, topic, partition, leaderEpoch: record.leaderEpoch, state, base, config }));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#failed.add(partitionKey(topicId, partition));
      logger.error('a partition cannot be opened: its stored state is damaged or missing; nothing of it is deleted', {
        topicId,
        partition,
        state: record.state,
        reason: error.message,
      });
    }
  }

  /** The topic is gone: closes its partitions here. */
  closeTopic(topicId: TopicId, partitionCount: number): void {
    for (let partition = 0; partition < partitionCount; partition++) {
      const open = this.#options.log.find(topicId, partition);
      this.#failed.delete(partitionKey(topicId, partition));
      if (!open) continue;
      this.#options.log.close(topicId, partition, 'deleted');
      this.#options.onClosed(topicId, partition);
    }
  }
}
