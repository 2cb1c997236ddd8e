/**
 * The metadata image: everything under the cluster's prefix of the metadata store, kept by list and watch (design §9).
 * A view, possibly stale; nothing here decides who owns what.
 */
import { type Clock, sleep, type Timer } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { MetaEntry, MetaEvent, MetaStore, MetaWatch } from '../../io/meta/meta-store.ts';
import type { BrokerImage, ClusterImage, TopicImage } from '../../cluster/cluster-image.ts';
import { type NodeId, partitionKey, type TopicId } from '../../cluster/identifiers.ts';
import {
  brokerConfigRecord,
  keys,
  type NodeRecord,
  nodeRecord,
  type PartitionRecord,
  parsePartitionKey,
  parseRecord,
  partitionRecord,
  type TombstoneRecord,
  tombstoneRecord,
  topicRecord,
} from '../../cluster/meta-records.ts';

export interface MetadataImageOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly clusterId: string;
  readonly isInternalTopic: (name: string) => boolean;
  /** A topic is there, or was changed. */
  readonly onTopicShown: (topic: TopicImage) => void;
  readonly onTopicRemoved: (topic: TopicImage) => void;
  readonly onBrokerConfigChanged: () => void;
}

const relistBackoffMs = 500;
/** Always the same one: who derives something from settings compares them by identity. */
const noSettings: Readonly<Record<string, string>> = {};

export class MetadataImage implements ClusterImage {
  readonly clusterId: string;
  readonly #options: MetadataImageOptions;
  /** Raw values with their revisions, so that old and repeated events change nothing (F54). */
  readonly #revisions = new Map<string, number>();
  readonly #nodes = new Map<number, NodeRecord>();
  readonly #topicsByName = new Map<string, TopicImage>();
  readonly #topicsById = new Map<TopicId, TopicImage>();
  readonly #partitions = new Map<string, PartitionRecord>();
  readonly #tombstones = new Map<TopicId, TombstoneRecord>();
  readonly #brokerConfigs = new Map<string, Readonly<Record<string, string>>>();
  readonly #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];
  #sortedTopics: readonly TopicImage[] | undefined;
  #brokers: readonly BrokerImage[] | undefined;
  #revision = 0;
  #watch: MetaWatch | undefined;
  #closed = false;

  constructor(options: MetadataImageOptions) {
    this.#options = options;
    this.clusterId = options.clusterId;
  }

  /** Lists once; rejects when the store cannot be reached. Watching starts with it. */
  async start(): Promise<void> {
    await this.#relist();
  }

  get controllerId(): number {
    return this.brokers()[0]?.node ?? -1;
  }

  brokers(): readonly BrokerImage[] {
    this.#brokers ??= [...this.#nodes].sort(([a], [b]) => a - b).map(([node, { host, port, rack }]) => ({ node: node as NodeId, host, port, rack }));
    return this.#brokers;
  }

  topicByName(name: string): TopicImage | undefined {
    return this.#topicsByName.get(name);
  }

  topicById(topicId: TopicId): TopicImage | undefined {
    return this.#topicsById.get(topicId);
  }

  topics(): readonly TopicImage[] {
    this.#sortedTopics ??= [...this.#topicsByName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#sortedTopics;
  }

  leaderOf(topicId: TopicId, partition: number): { readonly leader: number; readonly leaderEpoch: number } | undefined {
    const topic = this.#topicsById.get(topicId);
    if (!topic || partition < 0 || partition >= topic.partitionCount) return undefined;
    const record = this.#partitions.get(partitionKey(topicId, partition));
    if (!record) return { leader: -1, leaderEpoch: 0 };
    const alive = this.#nodes.get(record.owner.node)?.epoch === record.owner.epoch;
    return { leader: alive ? record.owner.node : -1, leaderEpoch: record.leaderEpoch };
  }

  brokerConfig(resource: string): Readonly<Record<string, string>> {
    return this.#brokerConfigs.get(resource) ?? noSettings;
  }

  tombstones(): ReadonlyMap<TopicId, TombstoneRecord> {
    return this.#tombstones;
  }

  /** Resolves when the image shows `revision`, or after `withinMs`: what was written is durable all the same. */
  waitFor(revision: number, withinMs: number): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = this.#options.clock.setTimer(withinMs, resolve);
      this.#waiting.push({
        revision,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watch?.close();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async #relist(): Promise<void> {
    const { entries, revision } = await this.#options.meta.list('');
    if (this.#closed) return;
    const present = new Set(entries.map(({ key }) => key));
    for (const key of [...this.#revisions.keys()]) if (!present.has(key)) this.#remove(key, revision);
    for (const entry of entries) this.#put(entry);
    this.#advance(revision);
    this.#watch = this.#options.meta.watch('', revision, {
      onEvents: (events, at) => {
        for (const event of events) this.#apply(event);
        this.#advance(at);
      },
      onGap: () => this.#reopen(),
    });
  }

  #reopen(): void {
    if (this.#closed) return;
    const { logger, clock } = this.#options;
    logger.warn('the metadata watch has a gap, listing again');
    void (async () => {
      await this.#watch?.close();
      for (;;) {
        if (this.#closed) return;
        try {
          await this.#relist();
          return;
        } catch (error) {
          logger.warn('metadata cannot be listed, trying again', { error: String(error) });
          await sleep(clock, relistBackoffMs);
        }
      }
    })();
  }

  #apply(event: MetaEvent): void {
    if (event.kind === 'put') this.#put(event);
    else this.#remove(event.key, event.modRevision);
  }

  #advance(revision: number): void {
    if (revision <= this.#revision) return;
    this.#revision = revision;
    const ready = this.#waiting.filter((waiting) => waiting.revision <= revision);
    if (ready.length === 0) return;
    this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((waiting) => waiting.revision > revision));
    for (const { resolve } of ready) resolve();
  }

  #put({ key, value, modRevision }: MetaEntry): void {
    if ((this.#revisions.get(key) ?? 0) >= modRevision) return;
    this.#revisions.set(key, modRevision);
    if (key.startsWith(keys.partitions)) this.#putPartition(key, value);
    else if (key.startsWith(keys.topics)) this.#putTopic(key, value);
    else if (key.startsWith(keys.nodes)) this.#putNode(key, value);
    else if (key.startsWith(keys.tombstones)) this.#putTombstone(key, value);
    else if (key.startsWith(keys.brokerConfigs)) this.#putBrokerConfig(key, value);
  }

  #remove(key: string, modRevision: number): void {
    if ((this.#revisions.get(key) ?? modRevision) > modRevision) return;
    this.#revisions.delete(key);
    if (key.startsWith(keys.partitions)) {
      const parsed = parsePartitionKey(key);
      if (parsed) this.#partitions.delete(partitionKey(parsed.topicId, parsed.partition));
    } else if (key.startsWith(keys.topics)) this.#removeTopic(key.slice(keys.topics.length));
    else if (key.startsWith(keys.nodes)) {
      this.#nodes.delete(Number(key.slice(keys.nodes.length)));
      this.#brokers = undefined;
    } else if (key.startsWith(keys.tombstones)) this.#tombstones.delete(key.slice(keys.tombstones.length) as TopicId);
    else if (key.startsWith(keys.brokerConfigs)) {
      this.#brokerConfigs.delete(resourceOf(key));
      this.#options.onBrokerConfigChanged();
    }
  }

  #putPartition(key: string, value: string): void {
    const parsed = parsePartitionKey(key);
    const record = parseRecord(partitionRecord, value);
    if (parsed && record) this.#partitions.set(partitionKey(parsed.topicId, parsed.partition), record);
    else this.#bad(key);
  }

  #putTopic(key: string, value: string): void {
    const record = parseRecord(topicRecord, value);
    if (!record) return this.#bad(key);
    const name = key.slice(keys.topics.length);
    const before = this.#topicsByName.get(name);
    if (before && before.topicId !== record.topicId) this.#removeTopic(name);
    const topic: TopicImage = {
      name,
      topicId: record.topicId,
      partitionCount: record.partitions,
      config: record.config,
      internal: this.#options.isInternalTopic(name),
    };
    this.#topicsByName.set(name, topic);
    this.#topicsById.set(topic.topicId, topic);
    this.#sortedTopics = undefined;
    this.#options.onTopicShown(topic);
  }

  #removeTopic(name: string): void {
    const topic = this.#topicsByName.get(name);
    if (!topic) return;
    this.#topicsByName.delete(name);
    this.#topicsById.delete(topic.topicId);
    this.#sortedTopics = undefined;
    this.#options.onTopicRemoved(topic);
  }

  #putNode(key: string, value: string): void {
    const record = parseRecord(nodeRecord, value);
    if (!record) return this.#bad(key);
    this.#nodes.set(Number(key.slice(keys.nodes.length)), record);
    this.#brokers = undefined;
  }

  #putTombstone(key: string, value: string): void {
    const record = parseRecord(tombstoneRecord, value);
    if (record) this.#tombstones.set(key.slice(keys.tombstones.length) as TopicId, record);
    else this.#bad(key);
  }

  #putBrokerConfig(key: string, value: string): void {
    const record = parseRecord(brokerConfigRecord, value);
    if (!record) return this.#bad(key);
    this.#brokerConfigs.set(resourceOf(key), record);
    this.#options.onBrokerConfigChanged();
  }

  #bad(key: string): void {
    this.#options.logger.error('a value in the metadata store does not fit its schema and is ignored', { key });
  }
}

function resourceOf(key: string): string {
  const resource = key.slice(keys.brokerConfigs.length);
  return resource === 'default' ? '' : resource;
}
