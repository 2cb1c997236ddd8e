/**
 * Creating, growing, configuring and deleting topics in the metadata store (design §5). A topic is created partition
 * records first, name last: the name is the commit. A deleted one leaves a tombstone until nothing of it is left.
 */
import type { Clock } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaEntry, type MetaStore, type MetaTxn, type MetaTxnResult, MetaRefused, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Random } from '../../io/random.ts';
import type { ClusterImage } from '../../cluster/cluster-image.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import {
  brokerConfigRecord,
  keys,
  type PartitionRecord,
  parseRecord,
  type TombstoneRecord,
  type TopicRecord,
  topicRecord,
} from '../../cluster/meta-records.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import type { AdminOutcome, NewTopic, TopicAdmin } from '../server/services.ts';
import type { AcquiredPartition } from './takeover.ts';

export interface MetaTopicAdminOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly image: ClusterImage & { waitFor(revision: number, withinMs: number): Promise<void> };
  readonly self: Incarnation;
  readonly open: (acquired: readonly AcquiredPartition[]) => Promise<void>;
  readonly closeTopic: (topicId: TopicId, partitionCount: number) => void;
  /** A tombstone is there to be worked off. */
  readonly onTopicDeleted: (topicId: TopicId) => void;
}

const recordsPerTxn = 40;
const imageWaitMs = 5_000;
const maxAttempts = 5;

type Failure = Extract<AdminOutcome<object>, { kind: 'error' }>;

export class MetaTopicAdmin implements TopicAdmin {
  readonly #options: MetaTopicAdminOptions;

  constructor(options: MetaTopicAdminOptions) {
    this.#options = options;
  }

  async createTopic(topic: NewTopic): Promise<AdminOutcome<{ readonly topicId: TopicId }>> {
    return this.#guard(async () => {
      if (this.#options.image.topicByName(topic.name)) return failure(ErrorCodes.TOPIC_ALREADY_EXISTS, `Topic '${topic.name}' already exists.`);
      const topicId = this.#newTopicId();
      const intent: MetaEntry = {
        key: keys.tombstone(topicId),
        value: JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'creating')),
        modRevision: 0,
      };
      await this.#settle({ compare: [], then: [{ kind: 'put', key: intent.key, value: intent.value }] });
      const acquired = await this.#createPartitionRecords(topicId, 0, topic.partitionCount);
      const record: TopicRecord = { topicId, partitions: topic.partitionCount, config: { ...topic.config } };
      const key = keys.topic(topic.name);
      // Whoever cleans up after a dead creator changes the intent first, so a name never commits over removed records.
      const naming: MetaTxn = {
        compare: [
          { key, modRevision: 0 },
          { key: intent.key, value: intent.value },
        ],
        then: [
          { kind: 'put', key, value: JSON.stringify(record) },
          { kind: 'delete', key: intent.key },
        ],
      };
      const named = await this.#settle(naming, async () => {
        const entry = await this.#options.meta.get(key);
        return entry !== undefined && parseRecord(topicRecord, entry.value)?.topicId === topicId;
      });
      if (!named.committed) {
        await this.#settle({
          compare: [{ key: intent.key, value: intent.value }],
          then: [{ kind: 'put', key: intent.key, value: JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'deleted')) }],
        });
        this.#options.onTopicDeleted(topicId);
        return failure(ErrorCodes.TOPIC_ALREADY_EXISTS, `Topic '${topic.name}' already exists.`);
      }
      await this.#options.image.waitFor(named.revision, imageWaitMs);
      await this.#options.open(acquired);
      // Deleted while it was opened: nobody else closes it.
      if (!this.#options.image.topicById(topicId)) this.#options.closeTopic(topicId, topic.partitionCount);
      return { kind: 'done', topicId };
    });
  }

  async createPartitions(topicId: TopicId, partitionCount: number): Promise<AdminOutcome<object>> {
    return this.#guard(async () => {
      const topic = this.#options.image.topicById(topicId);
      if (!topic) return failure(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'The topic does not exist.');
      if (partitionCount <= topic.partitionCount) {
        return failure(
          ErrorCodes.INVALID_PARTITIONS,
          `The topic ${topic.name} currently has ${topic.partitionCount} partition(s); ${partitionCount} would not be an increase.`,
        );
      }
      const acquired = await this.#createPartitionRecords(topicId, topic.partitionCount, partitionCount);
      const grown = await this.#changeTopic(topic.name, topicId, (record) => ({ ...record, partitions: Math.max(record.partitions, partitionCount) }));
      if (grown.kind === 'error') return grown;
      await this.#options.open(acquired);
      return grown;
    });
  }

  async alterTopicConfig(topicId: TopicId, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>> {
    return this.#guard(async () => {
      const topic = this.#options.image.topicById(topicId);
      if (!topic) return failure(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'The topic does not exist.');
      return this.#changeTopic(topic.name, topicId, (record) => ({ ...record, config: withChanges(record.config, changes) }));
    });
  }

  async alterBrokerConfig(resource: string, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>> {
    return this.#guard(async () => {
      const { meta, image } = this.#options;
      const key = keys.brokerConfig(resource);
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const entry = await meta.get(key);
        const before = (entry && parseRecord(brokerConfigRecord, entry.value)) ?? {};
        const result = await this.#settle({
          compare: [{ key, modRevision: entry?.modRevision ?? 0 }],
          then: [{ kind: 'put', key, value: JSON.stringify(withChanges(before, changes)) }],
        });
        if (!result.committed) continue;
        await image.waitFor(result.revision, imageWaitMs);
        return { kind: 'done' };
      }
      return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The configuration kept changing meanwhile; try again.');
    });
  }

  async deleteTopic(topicId: TopicId): Promise<AdminOutcome<object>> {
    return this.#guard(async () => {
      const { meta, image } = this.#options;
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const topic = image.topicById(topicId);
        const entry = topic && (await meta.get(keys.topic(topic.name)));
        const record = entry && parseRecord(topicRecord, entry.value);
        if (!topic || !entry || record?.topicId !== topicId) return failure(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'The topic does not exist.');
        const result = await this.#settle({
          compare: [{ key: entry.key, modRevision: entry.modRevision }],
          then: [
            { kind: 'delete', key: entry.key },
            { kind: 'put', key: keys.tombstone(topicId), value: JSON.stringify(this.#tombstone(topic.name, record.partitions, 'deleted')) },
          ],
        });
        if (!result.committed) continue;
        await image.waitFor(result.revision, imageWaitMs);
        this.#options.onTopicDeleted(topicId);
        return { kind: 'done' };
      }
      return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The topic kept changing meanwhile; try again.');
    });
  }

  #tombstone(name: string, partitions: number, state: TombstoneRecord['state']): TombstoneRecord {
    return { name, partitions, state, by: this.#options.self };
  }

  #newTopicId(): TopicId {
    for (;;) {
      const id = this.#options.random.bytes(16).toString('base64url') as TopicId;
      // Kafka avoids ids that look like an option on a command line.
      if (!id.startsWith('-')) return id;
    }
  }

  async #createPartitionRecords(topicId: TopicId, from: number, to: number): Promise<AcquiredPartition[]> {
    const acquired: AcquiredPartition[] = [];
    for (let start = from; start < to; start += recordsPerTxn) {
      const some: AcquiredPartition[] = [];
      for (let partition = start; partition < Math.min(to, start + recordsPerTxn); partition++) {
        some.push({ topicId, partition, record: { owner: this.#options.self, leaderEpoch: 0, state: '' } satisfies PartitionRecord });
      }
      await this.#createOrSettle(some);
      acquired.push(...some);
    }
    return acquired;
  }

  /** Records of partitions that a growth which failed half-way left behind are taken over by a write on what is there. */
  async #createOrSettle(some: readonly AcquiredPartition[]): Promise<void> {
    const { meta, self } = this.#options;
    const guard = { key: keys.recovery(self.node, self.epoch), modRevision: 0 };
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const present = new Map<string, number>();
      if (attempt > 0)
        for (const entry of (await meta.list(keys.partitionsOf((some[0] as AcquiredPartition).topicId))).entries) present.set(entry.key, entry.modRevision);
      try {
        const result = await meta.txn({
          compare: [
            guard,
            ...some.map(({ topicId, partition }) => ({
              key: keys.partition(topicId, partition),
              modRevision: present.get(keys.partition(topicId, partition)) ?? 0,
            })),
          ],
          then: some.map(({ topicId, partition, record }) => ({ kind: 'put', key: keys.partition(topicId, partition), value: JSON.stringify(record) })),
        });
        if (result.committed) return;
      } catch (error) {
        if (!(error instanceof MetaUnknown) || attempt === maxAttempts - 1) throw error;
      }
    }
    throw new MetaUnavailable('partition records could not be written');
  }

  async #changeTopic(name: string, topicId: TopicId, change: (record: TopicRecord) => TopicRecord): Promise<AdminOutcome<object>> {
    const { meta, image } = this.#options;
    const key = keys.topic(name);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const entry = await meta.get(key);
      const record = entry && parseRecord(topicRecord, entry.value);
      if (!entry || record?.topicId !== topicId) return failure(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'The topic does not exist.');
      const value = JSON.stringify(change(record));
      const result = await this.#settle({ compare: [{ key, modRevision: entry.modRevision }], then: [{ kind: 'put', key, value }] });
      if (!result.committed) continue;
      await image.waitFor(result.revision, imageWaitMs);
      return { kind: 'done' };
    }
    return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The topic kept changing meanwhile; try again.');
  }

  /**
   * Runs a transaction. When its answer is lost it is sent once more: either it commits now, or its compare fails,
   * and then `applied` tells (where the caller can tell) whether it was ours that changed the key.
   */
  async #settle(txn: MetaTxn, applied?: () => Promise<boolean>): Promise<MetaTxnResult> {
    try {
      return await this.#options.meta.txn(txn);
    } catch (error) {
      if (!(error instanceof MetaUnknown)) throw error;
      const again = await this.#options.meta.txn(txn);
      return !again.committed && (await applied?.()) ? { ...again, committed: true } : again;
    }
  }

  async #guard<T>(work: () => Promise<AdminOutcome<T>>): Promise<AdminOutcome<T>> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof MetaUnavailable || error instanceof MetaUnknown) {
        return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The metadata store did not answer; the change may or may not have been made.');
      }
      if (error instanceof MetaRefused) return failure(ErrorCodes.POLICY_VIOLATION, `The metadata store refuses the change: ${error.message}`);
      throw error;
    }
  }
}

function failure(error: Failure['error'], message: string): Failure {
  return { kind: 'error', error, message };
}

function withChanges(before: Readonly<Record<string, string>>, changes: Readonly<Record<string, string | null>>): Record<string, string> {
  const after: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete after[key];
    else after[key] = value;
  }
  return after;
}
