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
import type { ClusterImage } from '../../cluster/cluster-image.ts';
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import {
  brokerConfigRecord,
  keys,
  type PartitionRecord,
  parsePartitionKey,
  parseRecord,
  type TombstoneRecord,
  tombstoneRecord,
  type TopicRecord,
  topicRecord,
} from '../../cluster/meta-records.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import type { AdminOutcome, NewTopic, TopicAdmin } from '../server/services.ts';
import { livingGuard } from './incarnation.ts';

export interface MetaTopicAdminOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly image: ClusterImage & { waitFor(revision: number, withinMs: number): Promise<void> };
  readonly self: Incarnation;
  /** Owners of new partitions, in their order. */
  readonly place: (topicId: TopicId, count: number, wanted: readonly NodeId[] | undefined) => readonly Incarnation[];
  /** Resolves when the topic's partitions that are ours are open: the image, which shows the topic, has begun that. */
  readonly opened: (topicId: TopicId) => Promise<void>;
  /** A tombstone is there to be worked off. */
  readonly onTopicDeleted: (topicId: TopicId) => void;
}

const recordsPerTxn = 40;
const parallelTxns = 4;
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
      if (this.#options.image.topicByName(topic.name)) return alreadyExists(topic.name);
      const topicId = this.#newTopicId();
      const key = keys.topic(topic.name);
      const intent = { key: keys.tombstone(topicId), value: JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'creating')) };
      // An intent that is applied late must not come back when the name stands: the topic would be taken for a dead creation.
      const begun = await this.#settle({ compare: [{ key, modRevision: 0 }], then: [{ kind: 'put', ...intent }] });
      if (!begun.committed) return alreadyExists(topic.name);
      const firstRevision = await this.#writePartitions(topicId, { from: 0, to: topic.partitionCount, wanted: topic.assignment }, [intent]);
      if (firstRevision === undefined) throw new MetaUnavailable('partition records could not be written');
      const record: TopicRecord = { topicId, partitions: topic.partitionCount, config: { ...topic.config } };
      // Whoever cleans up after a dead creator changes the intent first, so a name never commits over removed records; nor does
      // it when an intent and a name of a dead creator are applied late, one after the other: its records do not come back.
      const named = await this.#settle({
        compare: [{ key, modRevision: 0 }, intent, { key: keys.partition(topicId, 0), modRevision: firstRevision }],
        then: [
          { kind: 'put', key, value: JSON.stringify(record) },
          { kind: 'delete', key: intent.key },
        ],
      });
      if (!named.committed) {
        const deleted = JSON.stringify(this.#tombstone(topic.name, topic.partitionCount, 'deleted'));
        const given = await this.#settle({
          compare: [intent],
          then: [
            { kind: 'put', key: intent.key, value: deleted },
            { kind: 'get', key },
          ],
          otherwise: [{ kind: 'get', key }],
        });
        // Only the name's own transaction removes the intent: the topic may be there after all, and only its answer was lost.
        if (given.committed || !isTopic(given.reads[0], topicId)) {
          this.#options.onTopicDeleted(topicId);
          if (given.reads[0]) return alreadyExists(topic.name);
          return failure(ErrorCodes.REQUEST_TIMED_OUT, 'The owner of a new partition changed meanwhile; try again.');
        }
      }
      await this.#shown(topicId, named.revision);
      return { kind: 'done', topicId };
    });
  }

  async createPartitions(topicId: TopicId, partitionCount: number, assignment?: readonly NodeId[]): Promise<AdminOutcome<object>> {
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
        const written = await this.#writePartitions(topicId, { from: partitions, to: partitionCount, wanted: assignment }, [unchanged]);
        if (written === undefined) continue;
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

  /** Writes the records of new partitions while all of `unchanged` holds; undefined when it does not. Answers the revision of the first one. */
  async #writePartitions(
    topicId: TopicId,
    { from, to, wanted }: { readonly from: number; readonly to: number; readonly wanted: readonly NodeId[] | undefined },
    unchanged: readonly MetaCompare[],
  ): Promise<number | undefined> {
    let firstRevision = 0;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const owners = this.#options.place(topicId, to - from, wanted);
      const chunks: { readonly partition: number; readonly owner: Incarnation }[][] = [];
      for (let start = from; start < to; start += recordsPerTxn)
        chunks.push(
          Array.from({ length: Math.min(to - start, recordsPerTxn) }, (_, i) => ({ partition: start + i, owner: owners[start + i - from] as Incarnation })),
        );
      let done = 0;
      while (done < chunks.length) {
        const some = chunks.slice(done, done + parallelTxns);
        const revisions = await Promise.all(some.map((chunk) => this.#createOrSettle(topicId, chunk, unchanged)));
        if (revisions.includes(undefined)) break;
        if (done === 0) firstRevision = revisions[0] ?? 0;
        done += some.length;
      }
      if (done >= chunks.length) return firstRevision;
    }
    return undefined;
  }

  /**
   * Records that an attempt of ours whose answer was lost, or a growth that failed half-way, left behind stay as they are: what stands in those
   * partitions is reached by them. Undefined when something that is compared changed, for example an owner that died.
   */
  async #createOrSettle(
    topicId: TopicId,
    wanted: readonly { readonly partition: number; readonly owner: Incarnation }[],
    unchanged: readonly MetaCompare[],
  ): Promise<number | undefined> {
    const { meta } = this.#options;
    const owners = new Map(wanted.map(({ owner }) => [`${owner.node}/${owner.epoch}`, owner]));
    const guards = [...owners.values()].flatMap(livingGuard);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const present = attempt === 0 ? new Map<number, MetaEntry>() : await this.#presentRecords(topicId);
      try {
        const result = await meta.txn({
          compare: [
            ...guards,
            ...unchanged,
            ...wanted.map(({ partition }) => ({ key: keys.partition(topicId, partition), modRevision: present.get(partition)?.modRevision ?? 0 })),
          ],
          then: wanted
            .filter(({ partition }) => !present.has(partition))
            .map(({ partition, owner }) => ({
              kind: 'put',
              key: keys.partition(topicId, partition),
              value: JSON.stringify({ owner, leaderEpoch: 0, state: '' } satisfies PartitionRecord),
            })),
        });
        if (result.committed) return present.get(wanted[0]?.partition ?? -1)?.modRevision ?? result.revision;
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

  /** Waits until the image shows the change, and with it our partitions are open. It is durable, and they open by themselves, all the same. */
  async #shown(topicId: TopicId, revision: number): Promise<void> {
    await this.#options.image.waitFor(revision, imageWaitMs);
    await this.#options.opened(topicId);
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
