/**
 * The partitions that this incarnation owns: opening them from their stored states, closing them, and what the server
 * is told about those that are not open. A partition is opened on the result of a compare-and-set of one's own or on an event that
 * names this incarnation (design §4), and once the cluster image shows its topic.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { ClusterImage, TopicImage } from '../../cluster/cluster-image.ts';
import { type Incarnation, partitionKey, type TopicId } from '../../cluster/identifiers.ts';
import { Interrupted } from '../log/certain-reads.ts';
import type { ObjectKey } from '../log/format/object-keys.ts';
import type { Log } from '../log/log.ts';
import type { Mutants } from '../log/mutants.ts';
import type { Partition } from '../log/partition.ts';
import type { StoredStates } from '../log/stored-states.ts';
import type { TopicLogConfig } from '../log/topic-log-config.ts';
import type { PartitionLookup, PartitionTable } from '../server/services.ts';
import type { ShownPartition } from './shown-records.ts';
import type { AcquiredPartition } from './takeover.ts';

export interface OwnedPartitionsOptions {
  readonly self: Incarnation;
  readonly clock: Clock;
  readonly log: Log;
  readonly image: ClusterImage;
  readonly states: StoredStates;
  readonly logger: Logger;
  readonly topicLogConfig: (topic: TopicImage | undefined) => TopicLogConfig;
  readonly onOpened: (partition: Partition) => void;
  readonly onClosed: (topicId: TopicId, partition: number) => void;
  /** A list, which may be stale, says that a partition is ours: to be settled by a write. */
  readonly onUnsettled: (shown: ShownPartition) => void;
  readonly mutants?: Mutants;
}

const statesKeptMs = 3_000;
const failedRetryMs = 30_000;

export class OwnedPartitions implements PartitionTable {
  readonly #options: OwnedPartitionsOptions;
  readonly #opening = new Map<string, Promise<void>>();
  /** Being handed to another broker: settles when it is known whose it is. */
  readonly #moving = new Map<string, Promise<void>>();
  /** Ours, but of topics that the image does not show yet, by topic. */
  readonly #waiting = new Map<TopicId, Map<number, AcquiredPartition>>();
  /** Open refused: the stored state is damaged or missing. */
  readonly #failed = new Map<string, AcquiredPartition | 'in doubt'>();
  #retrying: Timer | undefined;
  /** The leader epoch at which each partition went away or was opened last: what is older opens nothing. */
  readonly #epochs = new Map<string, number>();
  #forgetting: Timer | undefined;

  constructor(options: OwnedPartitionsOptions) {
    this.#options = options;
  }

  find(topicId: TopicId, partition: number): PartitionLookup {
    const key = partitionKey(topicId, partition);
    const moving = this.#moving.get(key);
    if (moving) return { kind: 'opening', ready: moving };
    const log = this.#options.log.find(topicId, partition);
    if (log) return { kind: 'owned', log };
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

  /** Open, opening, waiting or being moved: none of them may be forgotten at the end. */
  get count(): number {
    let waiting = 0;
    for (const partitions of this.#waiting.values()) waiting += partitions.size;
    return this.#options.log.partitionCount + this.#opening.size + waiting + this.#failed.size;
  }

  /** Opens a partition that is ours; one of a topic (or past its count) that the image does not show is opened when it does. */
  async #acquire(acquired: AcquiredPartition): Promise<void> {
    const { topicId, partition } = acquired;
    if (partition < (this.#options.image.topicById(topicId)?.partitionCount ?? 0)) return this.#openOne(acquired);
    let waiting = this.#waiting.get(topicId);
    if (!waiting) this.#waiting.set(topicId, (waiting = new Map()));
    waiting.set(partition, acquired);
  }

  /** Its record is gone: a creation that was given up. What is open is closed when the tombstone says so. */
  partitionRemoved(topicId: TopicId, partition: number): void {
    const waiting = this.#waiting.get(topicId);
    waiting?.delete(partition);
    if (waiting?.size === 0) this.#waiting.delete(topicId);
  }

  /** Resolves when none of the topic's partitions is being opened any more. */
  async opened(topicId: TopicId): Promise<void> {
    const prefix = topicPrefix(topicId);
    await Promise.all([...this.#opening].filter(([key]) => key.startsWith(prefix)).map(([, opening]) => opening));
  }

  /** The image shows the topic, as new or as changed. */
  async topicShown({ topicId, partitionCount }: TopicImage): Promise<void> {
    const waiting = this.#waiting.get(topicId);
    if (!waiting) return;
    const shown = [...waiting.values()].filter(({ partition }) => partition < partitionCount);
    for (const { partition } of shown) waiting.delete(partition);
    if (waiting.size === 0) this.#waiting.delete(topicId);
    await this.open(shown);
    // Deleted while it was opened: nobody else closes it.
    if (!this.#options.image.topicById(topicId)) this.closeTopic(topicId);
  }

  /** The image shows a record, by an event or in a list. */
  partitionShown(shown: ShownPartition): void {
    const { self, log, logger } = this.#options;
    const { topicId, partition, record } = shown;
    const open = log.find(topicId, partition);
    const anyLife = this.#options.mutants?.has('own-by-node') === true;
    const isOurs = record.owner.node === self.node && (anyLife || record.owner.epoch === self.epoch);
    if (!isOurs) {
      this.#waiting.get(topicId)?.delete(partition);
      const failed = this.#failed.get(partitionKey(topicId, partition));
      if (failed && failed !== 'in doubt' && failed.record.leaderEpoch < record.leaderEpoch) this.#failed.delete(partitionKey(topicId, partition));
      // Somebody took over: we are sealed, or our own move was faster to be seen than to be answered.
      if (open && open.leaderEpoch < record.leaderEpoch) this.closeMoved(topicId, partition, record.leaderEpoch);
      return;
    }
    // A record with the epoch that we hold is older than our memory (design §4).
    if ((this.#epochs.get(partitionKey(topicId, partition)) ?? -1) >= record.leaderEpoch) return;
    if (shown.source === 'list' && !anyLife) this.#options.onUnsettled(shown);
    else
      void this.#acquire({ topicId, partition, record }).catch((error: unknown) => {
        if (!(error instanceof Interrupted)) logger.error('a partition could not be opened', { topicId, partition, error: String(error) });
      });
  }

  /** Opens partitions that are ours. A damaged one is refused with an alarm; the others open. */
  async open(acquired: readonly AcquiredPartition[]): Promise<void> {
    await Promise.all(acquired.map((partition) => this.#openOne(partition)));
  }

  async #openOne(acquired: AcquiredPartition): Promise<void> {
    const key = partitionKey(acquired.topicId, acquired.partition);
    // It was refused under an older leader epoch: somebody mended what could not be read.
    if ((this.#epochs.get(key) ?? -1) < acquired.record.leaderEpoch) this.#failed.delete(key);
    if (this.isSettled(acquired.topicId, acquired.partition)) return;
    const already = this.#opening.get(key);
    if (already) return already;
    if ((this.#epochs.get(key) ?? -1) >= acquired.record.leaderEpoch) return;
    this.#epochs.set(key, acquired.record.leaderEpoch);
    const opening = this.#read(acquired).finally(() => {
      this.#opening.delete(key);
      if (this.#opening.size === 0) this.#forgetStates();
    });
    this.#opening.set(key, opening);
    await opening;
  }

  /** What the next openings may need again is kept for a moment. */
  #forgetStates(): void {
    this.#forgetting?.cancel();
    this.#forgetting = this.#options.clock.setTimer(statesKeptMs, () => {
      if (this.#opening.size === 0) this.#options.states.forget();
    });
  }

  async #read({ topicId, partition, record }: AcquiredPartition): Promise<void> {
    const { log, states, image, logger, topicLogConfig } = this.#options;
    const key = partitionKey(topicId, partition);
    try {
      const base = record.state as ObjectKey | '';
      const state = await states.resolve(base, { topicId, partition });
      if (!state) throw new FormatError(`${base} does not know the partition`);
      // Somebody took it over, or the topic was deleted, while it was read.
      if (this.#epochs.get(key) !== record.leaderEpoch || log.wal.refusal === 'ended') return;
      const topic = () => image.topicById(topicId)?.name ?? topicId;
      const config = () => topicLogConfig(image.topicById(topicId));
      this.#options.onOpened(log.open({ topicId, topic, partition, leaderEpoch: record.leaderEpoch, state, base, config }));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      // An answer that was damaged on its way looks the same; and somebody may put back what is missing.
      this.#failed.set(key, { topicId, partition, record });
      this.#retryLater();
      logger.error('a partition cannot be opened: its stored state is damaged or missing; nothing of it is deleted', {
        topicId,
        partition,
        state: record.state,
        reason: error.message,
      });
    }
  }

  #retryLater(): void {
    this.#retrying ??= this.#options.clock.setTimer(failedRetryMs, () => {
      this.#retrying = undefined;
      for (const [key, failed] of [...this.#failed]) {
        if (failed === 'in doubt' || this.#epochs.get(key) !== failed.record.leaderEpoch) continue;
        this.#failed.delete(key);
        this.#epochs.delete(key);
        this.#openOne(failed).catch((error: unknown) => {
          if (!(error instanceof Interrupted)) this.#options.logger.error('a partition could not be opened', { key, error: String(error) });
        });
      }
    });
  }

  close(): void {
    this.#forgetting?.cancel();
    this.#retrying?.cancel();
  }

  /** Stays closed: what it has may lie in something that cannot be read (docs/design/0005-damage.md). */
  refuse({ topicId, partition }: Pick<AcquiredPartition, 'topicId' | 'partition'>): void {
    this.#failed.set(partitionKey(topicId, partition), 'in doubt');
  }

  /** Requests for it wait until `settled`. */
  setMoving(topicId: TopicId, partition: number, settled: Promise<void>): void {
    const key = partitionKey(topicId, partition);
    this.#moving.set(key, settled);
    void settled.finally(() => {
      if (this.#moving.get(key) === settled) this.#moving.delete(key);
    });
  }

  /** Another broker owns it since `leaderEpoch`. */
  closeMoved(topicId: TopicId, partition: number, leaderEpoch: number): void {
    const key = partitionKey(topicId, partition);
    this.#epochs.set(key, Math.max(leaderEpoch, this.#epochs.get(key) ?? 0));
    const open = this.#options.log.find(topicId, partition);
    // It came back before its going was settled: what is open now is a later opening.
    if (!open || open.leaderEpoch >= leaderEpoch) return;
    this.#options.log.close(topicId, partition, 'moved');
    this.#options.onClosed(topicId, partition);
  }

  /** The topic is gone: closes its partitions here. */
  closeTopic(topicId: TopicId): void {
    this.#waiting.delete(topicId);
    for (const open of [...this.#options.log.partitions].filter((partition) => partition.topicId === topicId)) {
      this.#options.log.close(topicId, open.partition, 'deleted');
      this.#options.onClosed(topicId, open.partition);
    }
    const prefix = topicPrefix(topicId);
    for (const key of this.#failed.keys()) if (key.startsWith(prefix)) this.#failed.delete(key);
    for (const key of this.#epochs.keys()) {
      if (!key.startsWith(prefix)) continue;
      // What is being opened of it finds that it is not wanted any more.
      if (this.#opening.has(key)) this.#epochs.set(key, Number.MAX_SAFE_INTEGER);
      else this.#epochs.delete(key);
    }
  }
}

function topicPrefix(topicId: TopicId): string {
  return partitionKey(topicId, 0).slice(0, -1);
}
