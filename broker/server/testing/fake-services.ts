/** `Services` in memory for handler tests: one broker with topics that the test names, everything else by hand. */
import type { BrokerImage, ClusterImage, MoveImage, TopicImage } from '../../../cluster/cluster-image.ts';
import type { NodeId, TopicId } from '../../../cluster/identifiers.ts';
import { supportedStorage } from '../../../cluster/storage-versions.ts';
import type { Io } from '../../../io/io.ts';
import { silentLogger } from '../../../io/logger.ts';
import { MemoryMetrics } from '../../../io/memory-metrics.ts';
import { SeededRandom } from '../../../io/seeded-random.ts';
import { brokerConfig } from '../../config.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import type {
  AdminOutcome,
  MoveRequests,
  NewTopic,
  PartitionLookup,
  PartitionTable,
  ProducerIds,
  Services,
  StorageFeature,
  TopicAdmin,
  WantedMove,
} from '../services.ts';
import { FakePartitionLog, FakeUpload } from './fake-partition-log.ts';
import { ManualClock } from './manual-clock.ts';

const SELF = 1 as NodeId;

export class FakeServices implements Services {
  readonly clock = new ManualClock();
  readonly metrics = new MemoryMetrics();
  readonly io: Io;
  readonly config;
  readonly node = SELF;
  readonly image: FakeImage;
  readonly partitions: PartitionTable;
  readonly admin: FakeAdmin;
  producerIds: ProducerIds;
  moves: MoveRequests;
  readonly requestedMoves: WantedMove[] = [];
  storage: StorageFeature = { supported: supportedStorage, finalized: 1, epoch: 0, finalize: () => Promise.resolve({ kind: 'done' }) };
  readonly logs = new Map<string, FakePartitionLog>();
  /** What `find` says instead of the log that is there. */
  readonly lookups = new Map<string, PartitionLookup>();
  private upload: FakeUpload | undefined;
  private nextProducerId = 1000;

  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.config = brokerConfig(settings);
    this.image = new FakeImage();
    this.partitions = { find: (topicId, partition) => this.find(topicId, partition) };
    this.admin = new FakeAdmin(this);
    this.moves = {
      request: (wanted) => {
        this.requestedMoves.push(...wanted);
        return Promise.resolve(wanted.map(() => ({ kind: 'done' })));
      },
    };
    this.producerIds = { next: () => Promise.resolve(this.nextProducerId++) };
    const { clock, metrics } = this;
    this.io = { clock, metrics, logger: silentLogger, random: new SeededRandom(1) } as unknown as Io;
  }

  addTopic(name: string, partitionCount = 1, config: Readonly<Record<string, string>> = {}): readonly FakePartitionLog[] {
    const topicId = Buffer.alloc(16, name).toString('base64url') as TopicId;
    this.image.put({ name, topicId, partitionCount, config, internal: name.startsWith('__') });
    const openUpload = () => (this.upload ??= new FakeUpload());
    const logs = Array.from({ length: partitionCount }, (_, partition) => new FakePartitionLog({ topicId, topic: name, partition }, openUpload));
    for (const log of logs) this.logs.set(`${topicId}/${log.partition}`, log);
    return logs;
  }

  topicId(name: string): TopicId {
    return this.image.topicByName(name)!.topicId;
  }

  /** The lookup for one partition, until undefined is set. */
  setLookup(topic: string, partition: number, lookup: PartitionLookup | undefined): void {
    const key = `${this.topicId(topic)}/${partition}`;
    if (lookup === undefined) this.lookups.delete(key);
    else this.lookups.set(key, lookup);
  }

  /** Ends the upload of everything that was appended since the last one. */
  endUpload(durability: 'durable' | 'not-appended' | 'unknown' = 'durable'): void {
    this.upload?.end(durability);
    this.upload = undefined;
  }

  private find(topicId: TopicId, partition: number): PartitionLookup {
    const key = `${topicId}/${partition}`;
    const log = this.logs.get(key);
    return this.lookups.get(key) ?? (log === undefined ? { kind: 'unknown' } : { kind: 'owned', log });
  }
}

export class FakeImage implements ClusterImage {
  readonly clusterId = 'fake-cluster';
  controllerId = SELF as number;
  readonly brokerList: BrokerImage[] = [
    { node: SELF, host: 'one.example', port: 9001, rack: 'a', draining: false },
    { node: 2 as NodeId, host: 'two.example', port: 9002, rack: undefined, draining: false },
  ];
  readonly brokerConfigs = new Map<string, Readonly<Record<string, string>>>();
  leader = 1;
  leaderEpoch = 3;
  private readonly byName = new Map<string, TopicImage>();

  put(topic: TopicImage): void {
    this.byName.set(topic.name, topic);
  }

  remove(name: string): void {
    this.byName.delete(name);
  }

  brokers(): readonly BrokerImage[] {
    return this.brokerList;
  }

  topicByName(name: string): TopicImage | undefined {
    return this.byName.get(name);
  }

  topicById(topicId: TopicId): TopicImage | undefined {
    return [...this.byName.values()].find((topic) => topic.topicId === topicId);
  }

  topics(): readonly TopicImage[] {
    return [...this.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  leaderOf(topicId: TopicId, partition: number): { readonly leader: number; readonly leaderEpoch: number } | undefined {
    const topic = this.topicById(topicId);
    return topic === undefined || partition < 0 || partition >= topic.partitionCount ? undefined : { leader: this.leader, leaderEpoch: this.leaderEpoch };
  }

  readonly moveList: MoveImage[] = [];

  moves(): readonly MoveImage[] {
    return this.moveList;
  }

  private readonly noSettings = {};

  brokerConfig(resource: string): Readonly<Record<string, string>> {
    return this.brokerConfigs.get(resource) ?? this.noSettings;
  }
}

export class FakeAdmin implements TopicAdmin {
  readonly created: NewTopic[] = [];
  readonly deleted: TopicId[] = [];
  readonly grown: [TopicId, number][] = [];
  /** Owners that each growth named. */
  readonly grownOnto: (readonly NodeId[] | undefined)[] = [];
  readonly altered: Readonly<Record<string, string | null>>[] = [];
  readonly alteredBrokers: [string, Readonly<Record<string, string | null>>][] = [];
  /** When set, topics are created only once it settled. */
  hold: Promise<void> | undefined;
  private readonly services: FakeServices;

  constructor(services: FakeServices) {
    this.services = services;
  }

  async createTopic(topic: NewTopic): Promise<AdminOutcome<{ readonly topicId: TopicId }>> {
    this.created.push(topic);
    await this.hold;
    if (this.services.image.topicByName(topic.name) !== undefined) return { kind: 'error', error: ErrorCodes.TOPIC_ALREADY_EXISTS, message: 'exists' };
    this.services.addTopic(topic.name, topic.partitionCount, topic.config);
    return { kind: 'done', topicId: this.services.topicId(topic.name) };
  }

  deleteTopic(topicId: TopicId): Promise<AdminOutcome<object>> {
    this.deleted.push(topicId);
    const topic = this.services.image.topicById(topicId);
    if (topic !== undefined) this.services.image.remove(topic.name);
    return Promise.resolve({ kind: 'done' });
  }

  createPartitions(topicId: TopicId, partitionCount: number, assignment?: readonly NodeId[]): Promise<AdminOutcome<object>> {
    this.grown.push([topicId, partitionCount]);
    this.grownOnto.push(assignment);
    return Promise.resolve({ kind: 'done' });
  }

  alterTopicConfig(topicId: TopicId, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>> {
    this.altered.push(changes);
    const topic = this.services.image.topicById(topicId)!;
    const config = Object.fromEntries(Object.entries({ ...topic.config, ...changes }).filter((entry): entry is [string, string] => entry[1] !== null));
    this.services.image.put({ ...topic, config });
    return Promise.resolve({ kind: 'done' });
  }

  alterBrokerConfig(resource: string, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>> {
    this.alteredBrokers.push([resource, changes]);
    return Promise.resolve({ kind: 'done' });
  }
}
