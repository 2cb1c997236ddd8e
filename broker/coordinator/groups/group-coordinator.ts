/**
 * The coordinator of classic groups (design §8): one `GroupPartition` for each partition of `__consumer_offsets` that this
 * broker owns, one timer for all of them, and the requests that wait. The requests themselves are in handlers/.
 */
import type { ClusterImage } from '../../../cluster/cluster-image.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { Clock } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { Counter, Metrics } from '../../../io/metrics.ts';
import type { Random } from '../../../io/random.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import type { AnyHandler } from '../../server/handler.ts';
import type { PartitionTable, TopicAdmin } from '../../server/services.ts';
import { Deadlines } from '../deadlines.ts';
import { CompactionQueue } from './compaction-queue.ts';
import type { Group, GroupEffect, JoinAnswer, SyncAnswer, Waiter } from './group.ts';
import { GroupPartition } from './group-partition.ts';
import { offsetsTopic, zeroTopicId } from './group-records.ts';
import type { GroupSettings } from './group-settings.ts';
import { groupHandlers } from './handlers/group-handlers.ts';
import { OffsetsTopic } from './offsets-topic.ts';
import { shortened } from './request-text.ts';

export interface GroupCoordinatorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly image: ClusterImage;
  readonly partitions: PartitionTable;
  readonly admin: TopicAdmin;
  readonly settings: GroupSettings;
}

export type GroupLookup = { readonly kind: 'here'; readonly partition: GroupPartition } | { readonly kind: 'unavailable'; readonly error: ErrorCode };

/** What a string of Kafka's records may have. */
const maxGroupIdBytes = 0x7fff;

export class GroupCoordinator {
  readonly settings: GroupSettings;
  readonly image: ClusterImage;
  readonly random: Random;
  readonly clock: Clock;
  readonly offsetsTopic: OffsetsTopic;
  readonly commits: Counter;
  readonly #options: GroupCoordinatorOptions;
  readonly #deadlines: Deadlines;
  readonly #partitions = new Map<number, GroupPartition>();
  readonly #compactions: CompactionQueue;
  readonly #closing = new Set<Promise<void>>();
  readonly #waiting = new Map<Waiter, (answer: never) => void>();
  readonly #rebalances: Counter;
  readonly #loads: Counter;
  #nextWaiter = 0;
  #closed: Promise<void> | undefined;

  constructor(options: GroupCoordinatorOptions) {
    const { clock, image, admin, logger, metrics, settings } = options;
    this.#options = options;
    this.settings = settings;
    this.image = image;
    this.random = options.random;
    this.clock = clock;
    this.offsetsTopic = new OffsetsTopic({ image, admin, logger, partitionCount: settings.offsetsTopicPartitions });
    this.#deadlines = new Deadlines(clock);
    this.#compactions = new CompactionQueue({ logger, metrics });
    this.commits = metrics.counter('automq_group_offset_commits_total', 'Offsets that group members committed.');
    this.#rebalances = metrics.counter('automq_group_rebalances_total', 'Rebalances of groups that began.');
    this.#loads = metrics.counter('automq_group_loads_total', 'Loads of a partition of __consumer_offsets.', ['outcome']);
    metrics.observedGauge('automq_groups', 'Groups that this broker coordinates.', () => this.#sum((partition) => partition.groupCount));
    metrics.observedGauge('automq_group_offsets', 'Committed offsets that this broker keeps.', () => this.#sum((partition) => partition.offsets.size));
    metrics.observedGauge('automq_group_pending_bytes', 'Bytes of group records on their way into the log.', () =>
      this.#sum((partition) => partition.pendingBytes),
    );
    metrics.observedGauge('automq_group_live_bytes', 'Bytes that group records would take with each key once.', () =>
      this.#sum((partition) => partition.live.sizeBytes),
    );
    metrics.observedGauge('automq_group_history_bytes', 'Bytes of group records that loading them again would read.', () =>
      this.#sum((partition) => partition.live.historyBytes),
    );
    metrics.observedGauge('automq_group_waiting_requests', 'JoinGroup and SyncGroup requests that wait.', () => this.#waiting.size);
    metrics.observedGauge('automq_group_deadlines', 'Groups and appends for which a time is set.', () => this.#deadlines.size);
    this.#scheduleCleanUp();
  }

  /** This broker owns the partition from now on; its groups are loaded. Other topics are not looked at. */
  onPartitionOpened(log: PartitionLog): void {
    if (log.topic !== offsetsTopic || this.#closed) return;
    this.#close(log.partition);
    const { clock, logger } = this.#options;
    const partition = new GroupPartition({
      log,
      clock,
      logger,
      deadlines: this.#deadlines,
      limits: this.settings.limits,
      storage: this.settings.storage,
      answerJoin: (waiter, answer) => this.#answer(waiter, answer),
      answerSync: (waiter, answer) => this.#answer(waiter, answer),
      phaseChanged: (group, effect) => this.#phaseChanged(group, effect),
      loaded: (outcome) => this.#loads.add(1, outcome),
      compactable: (compacted) => this.#compactions.offer(compacted),
    });
    this.#partitions.set(log.partition, partition);
  }

  onPartitionClosed(topicId: TopicId, partition: number): void {
    if (this.#partitions.get(partition)?.log.topicId === topicId) this.#close(partition);
  }

  /** Its committed offsets go, so that a later topic of that name does not begin with them. */
  onTopicDeleted(topic: string, topicId: TopicId): void {
    for (const partition of this.#partitions.values()) partition.topicDeleted(topic, (id) => id === zeroTopicId || id === topicId);
  }

  /** Where the group is kept, when that is here and ready. */
  find(groupId: string): GroupLookup {
    if (this.#closed) return unavailable(ErrorCodes.COORDINATOR_NOT_AVAILABLE);
    if (Buffer.byteLength(groupId) > maxGroupIdBytes) return unavailable(ErrorCodes.INVALID_GROUP_ID);
    const place = this.offsetsTopic.partitionOf(groupId);
    if (!place) return unavailable(ErrorCodes.NOT_COORDINATOR);
    const partition = this.#partitions.get(place.partition);
    if (partition?.log.topicId === place.topicId)
      return partition.unavailable === ErrorCodes.NONE ? { kind: 'here', partition } : unavailable(partition.unavailable);
    const { kind } = this.#options.partitions.find(place.topicId, place.partition);
    return unavailable(kind === 'opening' || kind === 'owned' ? ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS : ErrorCodes.NOT_COORDINATOR);
  }

  /** All partitions that are or will be here. */
  partitions(): IterableIterator<GroupPartition> {
    return this.#partitions.values();
  }

  /** A request that waits: give the number to the group, answer the client with the promise. */
  wait<Answer extends JoinAnswer | SyncAnswer>(): { readonly waiter: Waiter; readonly answer: Promise<Answer> } {
    const waiter = this.#nextWaiter;
    this.#nextWaiter += 1;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(waiter, resolve));
    return { waiter, answer };
  }

  handlers(): readonly AnyHandler[] {
    return groupHandlers(this);
  }

  /** Answers everything that waits with NOT_COORDINATOR. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    for (const partition of this.#partitions.keys()) this.#close(partition);
    this.#deadlines.close();
    await Promise.all([...this.#closing, this.#compactions.idle(), this.offsetsTopic.close()]);
  }

  #close(partition: number): void {
    const found = this.#partitions.get(partition);
    if (!found) return;
    this.#partitions.delete(partition);
    this.#compactions.withdraw(found);
    const closing = found.close();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  #answer(waiter: Waiter, answer: JoinAnswer | SyncAnswer): void {
    const resolve = this.#waiting.get(waiter);
    this.#waiting.delete(waiter);
    resolve?.(answer as never);
  }

  #phaseChanged(group: Group, { from, to, generationId, members, reason }: Extract<GroupEffect, { kind: 'phase' }>): void {
    if (to === 'PreparingRebalance') this.#rebalances.add(1);
    const { logger } = this.#options;
    // A partition that moves takes thousands of groups with it: that is one line, of the partition.
    const fields = { group: shortened(group.groupId), from, to, generationId, members, reason };
    if (to === 'Dead') logger.debug('group changes its phase', fields);
    else logger.info('group changes its phase', fields);
  }

  #scheduleCleanUp(): void {
    const due = () => {
      for (const partition of this.#partitions.values()) partition.cleanUp(this.settings.offsetsRetentionMs);
      this.#scheduleCleanUp();
    };
    this.#deadlines.set({ due }, this.clock.monotonicMs() + this.settings.retentionCheckIntervalMs);
  }

  #sum(of: (partition: GroupPartition) => number): number {
    let sum = 0;
    for (const partition of this.#partitions.values()) sum += of(partition);
    return sum;
  }
}

function unavailable(error: ErrorCode): GroupLookup {
  return { kind: 'unavailable', error };
}
