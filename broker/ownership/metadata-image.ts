/**
 * The metadata image: everything under the cluster's prefix of the metadata store, kept by list and watch (design §9).
 * A view, possibly stale; nothing here decides who owns what.
 */
import { type Clock, sleep, type Timer } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { MetaEntry, MetaEvent, MetaList, MetaStore, MetaWatch } from '../../io/meta/meta-store.ts';
import type { BrokerImage, ClusterImage, MoveImage, TopicImage } from '../../cluster/cluster-image.ts';
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import {
  brokerConfigRecord,
  type ControllerRecord,
  controllerRecord,
  featuresRecord,
  holdRecord,
  keys,
  moveRecord,
  type NodeRecord,
  nodeRecord,
  type PartitionRecord,
  parseHoldKey,
  parseMoveKey,
  parsePartitionKey,
  parseRecord,
  parseRecoveryKey,
  partitionRecord,
  recoveryRecord,
  type TombstoneRecord,
  tombstoneRecord,
  topicRecord,
} from '../../cluster/meta-records.ts';
import type { ShownController, ShownFeatures, ShownHold, ShownPartition, ShownRecovery } from './shown-records.ts';

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
  readonly onPartitionShown: (shown: ShownPartition) => void;
  readonly onPartitionRemoved: (topicId: TopicId, partition: number) => void;
  /** A topic was deleted, or is being created. */
  readonly onTombstoneShown: () => void;
  /** An incarnation was claimed, fenced, or has ended. */
  readonly onRecoveryShown: (shown: ShownRecovery) => void;
  /** Which brokers there are, what is asked of them or who is controller changed. */
  readonly onClusterChanged: () => void;
}

const nobody: ControllerRecord = { node: -1 as NodeId, epoch: 0, term: 0 };
const relistBackoffMs = 500;
/** A watch that lost an event is put right by a full list (design §9, F54). */
const compareIntervalMs = 60_000;
/** A large list is compared more rarely, so that it costs the metadata store the same: ten minutes for 100,000 keys. */
const compareMsPerKey = 6;
/** Always the same one: who derives something from settings compares them by identity. */
const noSettings: Readonly<Record<string, string>> = {};

export class MetadataImage implements ClusterImage {
  readonly clusterId: string;
  readonly #options: MetadataImageOptions;
  /** Keys with their revisions, so that old and repeated events change nothing (F54). */
  readonly #revisions = new Map<string, number>();
  readonly #nodes = new Map<number, NodeRecord>();
  readonly #topicsByName = new Map<string, TopicImage>();
  readonly #topicsById = new Map<TopicId, TopicImage>();
  readonly #partitions = new Map<TopicId, Map<number, ShownPartition>>();
  /** The same object for all records that name it: there are few of them and many records. */
  readonly #owners = new Map<number, Incarnation>();
  #lastState = '';
  readonly #recoveries = new Map<string, ShownRecovery>();
  readonly #moves = new Map<string, MoveImage>();
  /** By key. */
  readonly #holds = new Map<string, ShownHold>();
  /** Epochs of incarnations that nobody has claimed. */
  readonly #liveEpochs = new Map<number, number>();
  #controller: ShownController | undefined;
  #sortedMoves: readonly MoveImage[] | undefined;
  #features: ShownFeatures | undefined;
  readonly #tombstones = new Map<TopicId, TombstoneRecord>();
  readonly #brokerConfigs = new Map<string, Readonly<Record<string, string>>>();
  readonly #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];
  #sortedTopics: readonly TopicImage[] | undefined;
  #brokers: readonly BrokerImage[] | undefined;
  #revision = 0;
  #watch: MetaWatch | undefined;
  #compareTimer: Timer | undefined;
  #notComparedMs = 0;
  #closed = false;

  constructor(options: MetadataImageOptions) {
    this.#options = options;
    this.clusterId = options.clusterId;
  }

  /** Lists once; rejects when the store cannot be reached. Watching starts with it. */
  async start(): Promise<void> {
    await this.#relist();
    this.#scheduleCompare();
  }

  get controllerId(): number {
    const record = this.#controller?.record;
    if (record && this.#liveEpochs.get(record.node) === record.epoch) return record.node;
    // Any broker executes what clients ask of a controller.
    return this.brokers()[0]?.node ?? -1;
  }

  brokers(): readonly BrokerImage[] {
    this.#brokers ??= [...this.#nodes]
      .filter(([node]) => this.#liveEpochs.has(node))
      .sort(([a], [b]) => a - b)
      .map(([node, { host, port, rack, state }]) => ({ node: node as NodeId, host, port, rack, draining: state !== 'active' }));
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
    const shown = this.partition(topicId, partition);
    if (!shown) return { leader: -1, leaderEpoch: 0 };
    const { owner, leaderEpoch } = shown.record;
    return { leader: this.isLive(owner) ? owner.node : -1, leaderEpoch };
  }

  /** Registered, nobody has claimed it, and no later life of its node is registered. */
  isLive({ node, epoch }: Incarnation): boolean {
    return this.#liveEpochs.get(node) === epoch;
  }

  /** Certain, however old the image is: somebody has claimed it, or a later life of its node is registered. */
  isOver({ node, epoch }: Incarnation): boolean {
    return (this.#nodes.get(node)?.epoch ?? 0) > epoch || this.#recoveries.has(keys.recovery(node, epoch));
  }

  /** Everything up to this revision of the metadata store is shown. */
  get revision(): number {
    return this.#revision;
  }

  node(id: number): NodeRecord | undefined {
    return this.#nodes.get(id);
  }

  /** Every node that ever registered, by id. */
  nodes(): ReadonlyMap<number, NodeRecord> {
    return this.#nodes;
  }

  partition(topicId: TopicId, partition: number): ShownPartition | undefined {
    return this.#partitions.get(topicId)?.get(partition);
  }

  recoveries(): Iterable<ShownRecovery> {
    return this.#recoveries.values();
  }

  holds(): Iterable<ShownHold> {
    return this.#holds.values();
  }

  /** Undefined: nobody ever finalized a version. */
  get features(): ShownFeatures | undefined {
    return this.#features;
  }

  get controller(): ShownController | undefined {
    return this.#controller;
  }

  moves(): readonly MoveImage[] {
    this.#sortedMoves ??= [...this.#moves].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, move]) => move);
    return this.#sortedMoves;
  }

  moveOf(topicId: TopicId, partition: number): MoveImage | undefined {
    return this.#moves.get(keys.move(topicId, partition));
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
    this.#compareTimer?.cancel();
    await this.#watch?.close();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #scheduleCompare(): void {
    this.#compareTimer = this.#options.clock.setTimer(compareIntervalMs, () => {
      this.#notComparedMs += compareIntervalMs;
      // What there was when the timer was set says nothing: a broker often begins before its topics are there.
      if (this.#notComparedMs >= this.#revisions.size * compareMsPerKey) void this.#compare();
      else this.#scheduleCompare();
    });
  }

  async #compare(): Promise<void> {
    this.#notComparedMs = 0;
    try {
      const list = await this.#options.meta.list('');
      // An older one says nothing; what a newer one shows the watch may show in a moment, too.
      if (!this.#closed && list.revision >= this.#revision) this.#show(list);
    } catch (error) {
      this.#options.logger.debug('metadata could not be compared with a full list', { error: String(error) });
    }
    if (!this.#closed) this.#scheduleCompare();
  }

  #show({ entries, revision }: MetaList): void {
    const known = entries.reduce((count, { key }) => count + (this.#revisions.has(key) ? 1 : 0), 0);
    if (known < this.#revisions.size) {
      const present = new Set(entries.map(({ key }) => key));
      for (const key of [...this.#revisions.keys()]) if (!present.has(key)) this.#remove(key, revision);
    }
    for (const entry of entries) this.#put(entry, 'list');
    this.#advance(revision);
  }

  async #relist(): Promise<void> {
    const { clock, logger, meta } = this.#options;
    const startedMs = clock.monotonicMs();
    const list = await meta.list('');
    if (this.#closed) return;
    this.#show(list);
    logger.info('metadata listed', { keys: list.entries.length, tookMs: Math.round(clock.monotonicMs() - startedMs) });
    const { revision } = list;
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
    if (event.kind === 'put') this.#put(event, 'event');
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

  #put({ key, value, modRevision }: MetaEntry, source: ShownPartition['source']): void {
    if ((this.#revisions.get(key) ?? 0) >= modRevision) return;
    this.#revisions.set(key, modRevision);
    if (key.startsWith(keys.partitions)) this.#putPartition(key, value, modRevision, source);
    else if (key.startsWith(keys.topics)) this.#putTopic(key, value);
    else if (key.startsWith(keys.nodes)) this.#putNode(key, value);
    else if (key.startsWith(keys.moves)) this.#putMove(key, value, modRevision);
    else if (key.startsWith(keys.holds)) this.#putHold(key, value, modRevision);
    else if (key.startsWith(keys.recoveries)) this.#putRecovery(key, value, modRevision);
    else if (key === keys.controller) this.#putController(key, value, modRevision);
    else if (key === keys.features) this.#putFeatures(key, value, modRevision);
    else if (key.startsWith(keys.tombstones)) this.#putTombstone(key, value);
    else if (key.startsWith(keys.brokerConfigs)) this.#putBrokerConfig(key, value);
  }

  #remove(key: string, modRevision: number): void {
    if ((this.#revisions.get(key) ?? modRevision) > modRevision) return;
    this.#revisions.delete(key);
    if (key.startsWith(keys.partitions)) {
      const parsed = parsePartitionKey(key);
      if (parsed) {
        const ofTopic = this.#partitions.get(parsed.topicId);
        ofTopic?.delete(parsed.partition);
        if (ofTopic?.size === 0) this.#partitions.delete(parsed.topicId);
        this.#options.onPartitionRemoved(parsed.topicId, parsed.partition);
      }
    } else if (key.startsWith(keys.topics)) this.#removeTopic(key.slice(keys.topics.length));
    else if (key.startsWith(keys.nodes)) {
      const node = Number(key.slice(keys.nodes.length));
      this.#nodes.delete(node);
      this.#nodeChanged(node);
    } else if (key.startsWith(keys.moves)) {
      this.#moves.delete(key);
      this.#sortedMoves = undefined;
    } else if (key.startsWith(keys.holds)) this.#holds.delete(key);
    else if (key.startsWith(keys.recoveries)) {
      const incarnation = parseRecoveryKey(key);
      this.#recoveries.delete(key);
      if (incarnation) this.#nodeChanged(incarnation.node);
    } else if (key === keys.controller) {
      this.#controller = undefined;
      this.#options.onClusterChanged();
    } else if (key.startsWith(keys.tombstones)) this.#tombstones.delete(key.slice(keys.tombstones.length) as TopicId);
    else if (key.startsWith(keys.brokerConfigs)) {
      this.#brokerConfigs.delete(resourceOf(key));
      this.#options.onBrokerConfigChanged();
    }
  }

  #putPartition(key: string, value: string, modRevision: number, source: ShownPartition['source']): void {
    const parsed = parsePartitionKey(key);
    const record = parseRecord(partitionRecord, value);
    if (!parsed || !record) return this.#bad(key);
    const { topicId, partition } = parsed;
    let ofTopic = this.#partitions.get(topicId);
    if (!ofTopic) this.#partitions.set(topicId, (ofTopic = new Map()));
    const shown = { topicId, partition, record: this.#shared(record), modRevision, source };
    ofTopic.set(partition, shown);
    this.#options.onPartitionShown(shown);
  }

  /** The record with what it has in common with others held once: partitions that move together name the same state object. */
  #shared({ owner, leaderEpoch, state }: PartitionRecord): PartitionRecord {
    let known = this.#owners.get(owner.node);
    if (known?.epoch !== owner.epoch) this.#owners.set(owner.node, (known = owner));
    if (state !== this.#lastState) this.#lastState = state;
    return { owner: known, leaderEpoch, state: this.#lastState };
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
    const node = Number(key.slice(keys.nodes.length));
    this.#nodes.set(node, record);
    this.#nodeChanged(node);
  }

  #putRecovery(key: string, value: string, modRevision: number): void {
    const incarnation = parseRecoveryKey(key);
    const record = parseRecord(recoveryRecord, value);
    if (!incarnation || !record) return this.#bad(key);
    const shown = { incarnation, record, modRevision };
    this.#recoveries.set(key, shown);
    this.#nodeChanged(incarnation.node);
    this.#options.onRecoveryShown(shown);
  }

  #nodeChanged(node: number): void {
    const record = this.#nodes.get(node);
    if (record && !this.#recoveries.has(keys.recovery(node, record.epoch))) this.#liveEpochs.set(node, record.epoch);
    else this.#liveEpochs.delete(node);
    this.#brokers = undefined;
    this.#options.onClusterChanged();
  }

  #putMove(key: string, value: string, modRevision: number): void {
    const parsed = parseMoveKey(key);
    const record = parseRecord(moveRecord, value);
    if (!parsed || !record) return this.#bad(key);
    this.#moves.set(key, { ...parsed, ...record, modRevision });
    this.#sortedMoves = undefined;
    this.#options.onClusterChanged();
  }

  #putHold(key: string, value: string, modRevision: number): void {
    const parsed = parseHoldKey(key);
    const record = parseRecord(holdRecord, value);
    if (!parsed || !record) return this.#bad(key);
    this.#holds.set(key, { ...parsed, record, modRevision });
  }

  #putController(key: string, value: string, modRevision: number): void {
    const record = parseRecord(controllerRecord, value) ?? nobody;
    // Shown all the same, with its revision: who is elected next compares that.
    if (record === nobody) this.#bad(key);
    this.#controller = { record, modRevision };
    this.#options.onClusterChanged();
  }

  /** Writers never go back: nobody removes the key, and a bad value changes nothing. */
  #putFeatures(key: string, value: string, modRevision: number): void {
    const record = parseRecord(featuresRecord, value);
    if (!record) return this.#bad(key);
    this.#features = { record, modRevision };
  }

  #putTombstone(key: string, value: string): void {
    const record = parseRecord(tombstoneRecord, value);
    if (!record) return this.#bad(key);
    const topicId = key.slice(keys.tombstones.length) as TopicId;
    const before = this.#tombstones.get(topicId);
    this.#tombstones.set(topicId, record);
    // Written again by whoever works it off: that is nothing new.
    if (before?.state !== record.state) this.#options.onTombstoneShown();
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
