/** A group coordinator over logs in memory, asked in the protocol's own bytes: every request and answer passes its codec. */
import assert from 'node:assert/strict';
import type { BrokerImage, ClusterImage, TopicImage } from '../../cluster/cluster-image.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import { brokerConfig } from '../../broker/config.ts';
import { GroupCoordinator } from '../../broker/coordinator/groups/group-coordinator.ts';
import { offsetsTopic } from '../../broker/coordinator/groups/group-records.ts';
import { type GroupSettings, groupSettings } from '../../broker/coordinator/groups/group-settings.ts';
import { partitionOfGroup } from '../../broker/coordinator/groups/coordinator-partition.ts';
import { decodeRequest, decodeRequestHeader, decodeResponse, encodeRequest, encodeResponse } from '../../broker/protocol/frames.ts';
import type { ApiKey, RequestInputOf, ResponseInputOf, ResponseOf } from '../../broker/protocol/messages.gen.ts';
import type { AnyHandler, Handler, RequestContext } from '../../broker/server/handler.ts';
import type { PartitionLookup, TopicAdmin } from '../../broker/server/services.ts';
import { ManualClock } from '../../broker/server/testing/manual-clock.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import { silentLogger } from '../../io/logger.ts';
import { FakePartitionLog } from './fake-partition-log.ts';

export const offsetsTopicId = 'b2Zmc2V0cy10b3BpYy1pZA' as TopicId;

export interface GroupBrokerOptions {
  readonly config?: Readonly<Record<string, string>>;
  readonly settings?: Partial<GroupSettings>;
  readonly partitions?: number;
  /** The topic of committed offsets exists and all its partitions are here. */
  readonly ready?: boolean;
}

export class GroupBroker {
  readonly clock = new ManualClock();
  readonly metrics = new MemoryMetrics();
  readonly topics = new Map<string, TopicImage>();
  readonly logs: FakePartitionLog[] = [];
  readonly created: string[] = [];
  readonly settings: GroupSettings;
  brokers: BrokerImage[] = [{ node: 1 as NodeId, host: 'here', port: 9092, rack: undefined, draining: false }];
  leader = 1;
  /** Partitions that are not in `logs`: what the partition table says of them. */
  elsewhere: PartitionLookup = { kind: 'elsewhere', leader: 2, leaderEpoch: 0 };
  admin: TopicAdmin['createTopic'] = (topic) => {
    this.created.push(`${topic.name} ${topic.partitionCount} ${JSON.stringify(topic.config)}`);
    const topicId = this.addTopic(topic.name, topic.partitionCount, offsetsTopicId);
    return Promise.resolve({ kind: 'done', topicId });
  };
  coordinator: GroupCoordinator;
  readonly #partitions: number;
  readonly #random = new SeededRandom('groups');

  constructor(options: GroupBrokerOptions = {}) {
    this.#partitions = options.partitions ?? 1;
    this.settings = {
      ...groupSettings(brokerConfig({ 'group.initial.rebalance.delay.ms': '0', ...options.config })),
      offsetsTopicPartitions: this.#partitions,
      ...options.settings,
    };
    this.coordinator = this.#coordinator();
    if (options.ready ?? true) this.openAll();
  }

  addTopic(name: string, partitionCount: number, topicId = Buffer.from(`topic-id-of-${name}`.padEnd(16).slice(-16)).toString('base64url') as TopicId): TopicId {
    this.topics.set(name, { name, topicId, partitionCount, internal: name.startsWith('__'), config: {} });
    return topicId;
  }

  openAll(): void {
    this.addTopic(offsetsTopic, this.#partitions, offsetsTopicId);
    for (let partition = 0; partition < this.#partitions; partition += 1) {
      const log = this.logs[partition] ?? new FakePartitionLog({ topic: offsetsTopic, topicId: offsetsTopicId, partition });
      this.logs[partition] = log;
      this.coordinator.onPartitionOpened(log);
    }
  }

  /** Another broker takes over with the same logs: what its memory knew is gone. */
  async takeOver(): Promise<void> {
    await this.coordinator.close();
    this.coordinator = this.#coordinator();
    this.openAll();
    await this.clock.settle();
  }

  logOf(groupId: string): FakePartitionLog {
    return this.logs[partitionOfGroup(groupId, this.#partitions)] as FakePartitionLog;
  }

  /** Sends a request and lets everything run that can; the answer may still be missing. */
  async send<K extends ApiKey>(apiKey: K, version: number, request: RequestInputOf<K>, clientId: string | null = 'test'): Promise<{ answer?: ResponseOf<K> }> {
    await this.clock.settle();
    const outcome: { answer?: ResponseOf<K> } = {};
    void this.#handle(apiKey, version, request, clientId).then((answer) => {
      outcome.answer = answer;
    });
    await this.clock.settle();
    return outcome;
  }

  /** Sends a request that must be answered at once. */
  async ask<K extends ApiKey>(apiKey: K, version: number, request: RequestInputOf<K>, clientId: string | null = 'test'): Promise<ResponseOf<K>> {
    const { answer } = await this.send(apiKey, version, request, clientId);
    assert.ok(answer, 'the request waits');
    return answer;
  }

  async #handle<K extends ApiKey>(apiKey: K, version: number, request: RequestInputOf<K>, clientId: string | null): Promise<ResponseOf<K>> {
    const frame = Buffer.concat(encodeRequest(apiKey, version, 1, clientId, request)).subarray(4);
    const header = decodeRequestHeader(frame);
    const { body } = decodeRequest(apiKey, version, frame, header.bodyOffset);
    const handler = this.coordinator.handlers().find((candidate: AnyHandler) => candidate.apiKey === apiKey) as
      | Handler<unknown, ResponseInputOf<K>>
      | undefined;
    assert.ok(handler, 'there is a handler');
    assert.ok(version >= handler.minVersion && version <= handler.maxVersion, 'the version is served');
    const context: RequestContext = {
      apiKey,
      apiVersion: version,
      correlationId: 1,
      clientId,
      receivedAtMs: 0,
      sizeBytes: frame.length,
      connection: {
        id: 1,
        listener: 'PLAINTEXT',
        host: '10.0.0.9',
        principal: 'User:ANONYMOUS',
        clientSoftwareName: '',
        clientSoftwareVersion: '',
        closed: false,
        onClose: () => () => {},
      },
    };
    const outcome = await handler.handle(body, context);
    assert.ok(typeof outcome === 'object');
    // The frame is gone by then: what was kept of it must be a copy.
    frame.fill(0xee);
    return decodeResponse(apiKey, version, Buffer.concat(encodeResponse(apiKey, version, 1, outcome)).subarray(4)).body;
  }

  #coordinator(): GroupCoordinator {
    const { clock, metrics, settings } = this;
    return new GroupCoordinator({
      clock,
      metrics,
      settings,
      random: this.#random,
      logger: silentLogger,
      image: this.#image(),
      partitions: {
        find: (topicId, partition) => {
          const log = this.logs[partition];
          return log?.topicId === topicId ? { kind: 'owned', log } : this.elsewhere;
        },
      },
      admin: { createTopic: (topic) => this.admin(topic) } as TopicAdmin,
    });
  }

  #image(): ClusterImage {
    return {
      clusterId: 'test',
      controllerId: 1,
      brokers: () => this.brokers,
      topicByName: (name) => this.topics.get(name),
      topicById: (topicId) => [...this.topics.values()].find((topic) => topic.topicId === topicId),
      topics: () => [...this.topics.values()],
      leaderOf: () => ({ leader: this.leader, leaderEpoch: 0 }),
      moves: () => [],
      brokerConfig: () => ({}),
    };
  }
}
