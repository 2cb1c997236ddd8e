/**
 * Creating, growing, configuring and deleting topics in the metadata store (design §5). A topic is created partition
 * records first, name last: the name is the commit. A deleted one leaves a tombstone until nothing of it is left.
 */
import type { Clock } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import {
  type MetaCompare,
  type MetaEntry,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  MetaRefused,
  MetaUnavailable,
  MetaUnknown,
} from '../../io/meta/meta-store.ts';
import type { Random } from '../../io/random.ts';
import type { ClusterImage, TopicImage } from '../../cluster/cluster-image.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import {
  brokerConfigRecord,
  keys,
  type PartitionRecord,
  parsePartitionKey,
  parseRecord,
  partitionRecord,
  type TombstoneRecord,
  tombstoneRecord,
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
  /** Ours by a compare-and-set of our own, opened when the image shows them: whether a name that we wrote is there the answer may not tell. */
  readonly #unopened = new Map<TopicId, Map<number, AcquiredPartition>>();

  constructor(options: MetaTopicAdminOptions) {
    this.#options = options;
  }

  /** The image shows the topic, as new or changed. */
  topicShown(topic: TopicImage): void {
    void this.#openShown(topic).catch((error: unknown) =>
      this.#options.logger.error('partitions of a new topic could not be opened', { topic: topic.name, error: String(error) }),
    );
  }

  topicRemoved(topicId: TopicId): void {
    this.#unopened.delete(topicId);
  }

  async createTopic(topic: NewTopic): Promise<AdminOutcome<{ readonly topicId: TopicId }>> {
    return this.#guard(async () => {
      if (this.#options.image.topicByName(topic.name)) return alreadyExists(topic.name);
      const topicId = this.#newTopicId();
      const key = keys.topic(topic.name);
      const intent = { key: keys.tombstone(topicId), value: JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'creating')) };
      // An intent that is applied late must not come back when the name stands: the topic would be taken for a dead creation.
      const begun = await this.#settle({ compare: [{ key, modRevision: 0 }], then: [{ kind: 'put', ...intent }] });
      if (!begun.committed) return alreadyExists(topic.name);
      const acquired = await this.#acquirePartitions(topicId, 0, topic.partitionCount, [intent]);
      if (!acquired) throw new MetaUnavailable('partition records could not be written');
      this.#openWhenShown(topicId, acquired.partitions);
      const record: TopicRecord = { topicId, partitions: topic.partitionCount, config: { ...topic.config } };
      // Whoever cleans up after a dead creator changes the intent first, so a name never commits over removed records; nor does
      // it when an intent and a name of a dead creator are applied late, one after the other: its records do not come back.
      const named = await this.#settle({
        compare: [{ key, modRevision: 0 }, intent, { key: keys.partition(topicId, 0), modRevision: acquired.firstRevision }],
        then: [
          { kind: 'put', key, value: JSON.stringify(record) },
          { kind: 'delete', key: intent.key },
        ],
      });
      if (!named.committed) {
        const deleted = JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'deleted'));
        const given = await this.#settle({ compare: [intent], then: [{ kind: 'put', key: intent.key, value: deleted }], otherwise: [{ kind: 'get', key }] });
        // Only the name's own transaction removes the intent: the topic may be there after all, and only its answer was lost.
        if (given.committed || !isTopic(given.reads[0], topicId)) {
          this.#unopened.delete(topicId);
          this.#options.onTopicDeleted(topicId);
          return alreadyExists(topic.name);
        }
      }
      await this.#shown(topicId, named.revision);
      return { kind: 'done', topicId };
    });
  }

  async createPartitions(topicId: TopicId, partitionCount: number): Promise<AdminOutcome<object>> {
    return this.#guard(async () => {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const name = this.#options.image.topicById(topicId)?.name;
        const entry = name === undefined ? undefined : await this.#options.meta.get(keys.topic(name));
        const record = entry && parseRecord(topicRecord, entry.value);
        if (!entry || record?.topicId !== topicId) return failure(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'The topic does not exist.');
        const { partitions } = record;
        if (partitionCount <= partitions) {
          return failure(
            ErrorCodes.INVALID_PARTITIONS,
            `The topic ${name} currently has ${partitions} partition(s); ${partitionCount} would not be an increase.`,
          );
        }
        const unchanged = { key: entry.key, modRevision: entry.modRevision };
        const acquired = await this.#acquirePartitions(topicId, partitions, partitionCount, [unchanged]);
        if (!acquired) continue;
        this.#openWhenShown(topicId, acquired.partitions);
        const value = JSON.stringify({ ...record, partitions: partitionCount } satisfies TopicRecord);
        const grown = await this.#settle({ compare: [unchanged], then: [{ kind: 'put', key: entry.key, value }] }, async () => {
          const now = await this.#options.meta.get(entry.key);
          return now?.value === value;
        });
        if (!grown.committed) continue;
        await this.#shown(topicId, grown.revision);
        return { kind: 'done' };
      }
      return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The topic kept changing meanwhile; try again.');
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
        const deletion: MetaTxn = {
          compare: [{ key: entry.key, modRevision: entry.modRevision }],
          then: [
            { kind: 'delete', key: entry.key },
            { kind: 'put', key: keys.tombstone(topicId), value: JSON.stringify(this.#tombstone(topic.name, record.partitions, 'deleted')) },
          ],
        };
        const result = await this.#settle(deletion, async () => {
          const tombstone = await meta.get(keys.tombstone(topicId));
          return tombstone !== undefined && parseRecord(tombstoneRecord, tombstone.value)?.state === 'deleted';
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

  /** Writes the records of new partitions while all of `unchanged` holds; undefined when it does not. `firstRevision` is the first one's. */
  async #acquirePartitions(topicId: TopicId, from: number, to: number, unchanged: readonly MetaCompare[]) {
    const acquired: AcquiredPartition[] = [];
    let firstRevision = 0;
    for (let start = from; start < to; start += recordsPerTxn) {
      const some = Array.from({ length: Math.min(to - start, recordsPerTxn) }, (_, i) => start + i);
      const written = await this.#createOrSettle(topicId, some, unchanged);
      if (!written) return undefined;
      if (start === from) firstRevision = written.revision;
      for (const each of written.partitions) acquired.push(each);
    }
    return { partitions: acquired, firstRevision };
  }

  /** Records that a growth which failed half-way left behind stay as they are: what stands in those partitions is reached by them. */
  async #createOrSettle(
    topicId: TopicId,
    partitions: readonly number[],
    unchanged: readonly MetaCompare[],
  ): Promise<{ readonly partitions: readonly AcquiredPartition[]; readonly revision: number } | undefined> {
    const { meta, self } = this.#options;
    const guard = { key: keys.recovery(self.node, self.epoch), modRevision: 0 };
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const present = attempt === 0 ? new Map<number, MetaEntry>() : await this.#presentRecords(topicId);
      const wanted = partitions.map((partition) => ({ topicId, partition, record: this.#recordOver(present.get(partition)) }));
      try {
        const result = await meta.txn({
          compare: [
            guard,
            ...unchanged,
            ...partitions.map((partition) => ({ key: keys.partition(topicId, partition), modRevision: present.get(partition)?.modRevision ?? 0 })),
          ],
          then: wanted.map(({ partition, record }) => ({ kind: 'put', key: keys.partition(topicId, partition), value: JSON.stringify(record) })),
        });
        if (result.committed) return { partitions: wanted, revision: result.revision };
      } catch (error) {
        if (!(error instanceof MetaUnknown) || attempt === maxAttempts - 1) throw error;
      }
    }
    return undefined;
  }

  async #presentRecords(topicId: TopicId): Promise<Map<number, MetaEntry>> {
    const present = new Map<number, MetaEntry>();
    for (const entry of (await this.#options.meta.list(keys.partitionsOf(topicId))).entries) {
      const parsed = parsePartitionKey(entry.key);
      if (parsed) present.set(parsed.partition, entry);
    }
    return present;
  }

  #recordOver(entry: MetaEntry | undefined): PartitionRecord {
    const { self } = this.#options;
    if (!entry) return { owner: self, leaderEpoch: 0, state: '' };
    const record = parseRecord(partitionRecord, entry.value);
    if (!record) throw new MetaRefused(`${entry.key} does not fit its schema; mend or remove it`);
    const isOurs = record.owner.node === self.node && record.owner.epoch === self.epoch;
    return isOurs ? record : { ...record, owner: self, leaderEpoch: record.leaderEpoch + 1 };
  }

  #openWhenShown(topicId: TopicId, acquired: readonly AcquiredPartition[]): void {
    let unopened = this.#unopened.get(topicId);
    if (!unopened) this.#unopened.set(topicId, (unopened = new Map()));
    for (const each of acquired) unopened.set(each.partition, each);
  }

  /** Waits until the image shows the change, and with it the partitions are open. It is durable, and opens by itself, all the same. */
  async #shown(topicId: TopicId, revision: number): Promise<void> {
    await this.#options.image.waitFor(revision, imageWaitMs);
    const topic = this.#options.image.topicById(topicId);
    if (topic) await this.#openShown(topic);
  }

  async #openShown({ topicId, partitionCount }: TopicImage): Promise<void> {
    const unopened = this.#unopened.get(topicId);
    if (!unopened) return;
    const shown = [...unopened.values()].filter(({ partition }) => partition < partitionCount);
    await this.#options.open(shown);
    for (const { partition } of shown) unopened.delete(partition);
    if (unopened.size === 0 && this.#unopened.get(topicId) === unopened) this.#unopened.delete(topicId);
    // Deleted while it was opened: nobody else closes it.
    if (!this.#options.image.topicById(topicId)) this.#options.closeTopic(topicId, partitionCount);
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

function isTopic(entry: MetaEntry | undefined, topicId: TopicId): boolean {
  return entry !== undefined && parseRecord(topicRecord, entry.value)?.topicId === topicId;
}

function alreadyExists(name: string): Failure {
  return failure(ErrorCodes.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`);
}

function withChanges(before: Readonly<Record<string, string>>, changes: Readonly<Record<string, string | null>>): Record<string, string> {
  const after: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete after[key];
    else after[key] = value;
  }
  return after;
}
