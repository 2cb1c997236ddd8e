/**
 * What every simulated client stands on: where the brokers are, who leads what (metadata, refreshed on errors, corrected
 * by the leader that an error names), one connection per broker, and a version per API that the client keeps to.
 */
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import { type Clock, sleep } from '../../io/clock.ts';
import type { Transport } from '../../io/transport.ts';
import { Disconnected, KafkaConnection, NotSent } from './kafka-connection.ts';
import { KnownLeaders, type KnownTopic } from './known-leaders.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface KafkaSessionOptions {
  readonly process: Pick<SimProcess, 'name' | 'host'>;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly random: SimRandom;
  readonly bootstrap: readonly Address[];
  readonly requestTimeoutMs: number;
  readonly onViolation: (name: string, detail: string) => void;
  /** A broker said, or showed by what it did, that `leader` leads the partition in this leader epoch. */
  readonly onLeaderTold: (topicId: string, partition: number, leader: number, epoch: number) => void;
}

interface ErrorAboutLeader {
  readonly errorCode: number;
  readonly currentLeader: { readonly leaderId: number; readonly leaderEpoch: number };
}

interface Endpoint {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** The versions that our client code can speak. */
const spoken: Readonly<Partial<Record<ApiKey, readonly [number, number]>>> = {
  [ApiKeys.Produce]: [3, 13],
  [ApiKeys.Fetch]: [4, 17],
  [ApiKeys.ListOffsets]: [1, 9],
  [ApiKeys.Metadata]: [10, 13],
  [ApiKeys.FindCoordinator]: [4, 6],
  [ApiKeys.OffsetCommit]: [8, 10],
  [ApiKeys.OffsetFetch]: [8, 10],
  [ApiKeys.JoinGroup]: [4, 9],
};

/** Who did not take a connection is not the first choice for so long; doubles each time (reconnect.backoff.max.ms). */
const avoidMs = 250;
const mostAvoidMs = 30_000;

export class KafkaSession {
  readonly options: KafkaSessionOptions;
  readonly #leaders = new KnownLeaders();
  /** Addresses that did not take a connection. */
  readonly #avoided = new Map<string, { readonly untilMs: number; readonly forMs: number }>();
  readonly #brokers = new Map<number, Address>();
  readonly #connections = new Map<string, KafkaConnection>();
  readonly #opening = new Map<string, Promise<KafkaConnection>>();
  /** Where between lowest and highest common version this client stays, per API. */
  readonly #taste = new Map<ApiKey, number>();
  readonly #versions = new Map<ApiKey, number>();

  constructor(options: KafkaSessionOptions) {
    this.options = options;
  }

  sleep(delayMs: number): Promise<void> {
    return sleep(this.options.clock, delayMs);
  }

  get topics(): ReadonlyMap<string, KnownTopic> {
    return this.#leaders.topics;
  }

  /** Every topic that was ever seen, name by id. */
  get seen(): ReadonlyMap<string, string> {
    return this.#leaders.seen;
  }

  /** Brokers that Metadata named, in no order that means anything. */
  get nodes(): readonly number[] {
    return [...this.#brokers.keys()];
  }

  /** Asks the leader of a partition. Throws `NotSent` when there is none to ask. */
  toLeader<K extends ApiKey>(topic: string, partition: number, apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    return this.#ask(this.#leaderOf(topic, partition), apiKey, body);
  }

  toNode<K extends ApiKey>(node: number, apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    const address = this.#brokers.get(node);
    if (address === undefined) throw new NotSent(`broker ${node} is not known`);
    return this.#ask(address, apiKey, body);
  }

  /** Asks any broker. */
  async toAny<K extends ApiKey>(apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    return this.#ask(this.#anyAddress(), apiKey, body);
  }

  async supports(apiKey: ApiKey): Promise<boolean> {
    const connection = await this.#connectionTo(this.#anyAddress());
    return connection.versionsOf(apiKey) !== undefined;
  }

  /** The connection to a partition's leader with the version to use on it; for those who pipeline. */
  async leaderConnection(topic: string, partition: number, apiKey: ApiKey): Promise<{ readonly connection: KafkaConnection; readonly version: number }> {
    const connection = await this.#connectionTo(this.#leaderOf(topic, partition));
    return { connection, version: this.#versionOf(connection, apiKey) };
  }

  /** Learns who leads what. Unknown topics are forgotten. False when nobody answered. */
  async refresh(names: readonly string[]): Promise<boolean> {
    try {
      const answer = await this.toAny(ApiKeys.Metadata, { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false });
      // Java keeps the brokers that it knew when an answer names none.
      if (answer.brokers.length > 0) this.#brokers.clear();
      this.meet(answer.brokers);
      for (const topic of answer.topics) {
        if (topic.name === null) continue;
        if (topic.errorCode !== ErrorCodes.NONE) {
          if (topic.errorCode === ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION) this.#leaders.forget(topic.name);
          continue;
        }
        const told = topic.partitions.map(({ partitionIndex, leaderId, leaderEpoch }) => ({ partition: partitionIndex, leader: leaderId, epoch: leaderEpoch }));
        for (const { partition, leader, epoch } of told) this.options.onLeaderTold(topic.topicId, partition, leader, epoch);
        this.#leaders.learn(topic.name, topic.topicId, told);
      }
      return true;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      return false;
    }
  }

  /** The version that was used last; −1 when the API never was. */
  versionOf(apiKey: ApiKey): number {
    return this.#versions.get(apiKey) ?? -1;
  }

  /** Addresses that came with an answer. */
  meet(endpoints: readonly Endpoint[]): void {
    for (const { nodeId, host, port } of endpoints) this.#brokers.set(nodeId, { host, port });
  }

  /** Takes the leader that an error names (KIP-951). True when the client need not ask for metadata. */
  corrected(topicId: string, partition: number, { errorCode, currentLeader }: ErrorAboutLeader): boolean {
    if (errorCode !== ErrorCodes.NOT_LEADER_OR_FOLLOWER && errorCode !== ErrorCodes.FENCED_LEADER_EPOCH) return false;
    const { leaderId: leader, leaderEpoch: epoch } = currentLeader;
    this.options.onLeaderTold(topicId, partition, leader, epoch);
    return this.#brokers.has(leader) && this.#leaders.correct(topicId, { partition, leader, epoch });
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Drops all connections; the next request opens new ones. */
  reconnect(): void {
    this.close();
  }

  #leaderOf(topic: string, partition: number): Address {
    const leader = this.topics.get(topic)?.leaders[partition];
    const address = leader === undefined ? undefined : this.#brokers.get(leader);
    if (address === undefined) throw new NotSent(`no leader of ${topic}-${partition}`);
    return address;
  }

  #anyAddress(): Address {
    const { bootstrap, random, clock } = this.options;
    if (bootstrap.length === 1) return random.pick(bootstrap);
    const now = clock.monotonicMs();
    const willing = bootstrap.filter((address) => now >= (this.#avoided.get(nameOf(address))?.untilMs ?? 0));
    return random.pick(willing.length > 0 ? willing : bootstrap);
  }

  async #ask<K extends ApiKey>(address: Address, apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    const connection = await this.#connectionTo(address);
    return connection.request(apiKey, this.#versionOf(connection, apiKey), body);
  }

  #versionOf(connection: KafkaConnection, apiKey: ApiKey): number {
    const served = connection.versionsOf(apiKey);
    if (served === undefined) throw new Error(`the broker does not serve API ${apiKey}`);
    const [lowest, highest] = spoken[apiKey] ?? [served.min, served.max];
    const min = Math.max(lowest, served.min);
    const max = Math.min(highest, served.max);
    let taste = this.#taste.get(apiKey);
    if (taste === undefined) {
      taste = this.options.random.chance(0.5) ? 1 : this.options.random.float();
      this.#taste.set(apiKey, taste);
    }
    const version = Math.min(max, min + Math.floor(taste * (max - min + 1)));
    this.#versions.set(apiKey, version);
    return version;
  }

  async #connectionTo(address: Address): Promise<KafkaConnection> {
    const name = nameOf(address);
    const open = this.#connections.get(name);
    if (open !== undefined && !open.closed) return open;
    const opening = this.#opening.get(name) ?? this.#open(name, address);
    this.#opening.set(name, opening);
    return opening;
  }

  async #open(name: string, address: Address): Promise<KafkaConnection> {
    const { clock, transport, process, requestTimeoutMs, onViolation } = this.options;
    try {
      const connection = await KafkaConnection.open({ clock, transport, clientId: process.name, requestTimeoutMs, onViolation }, address).catch(
        (error: unknown) => {
          const forMs = Math.min(mostAvoidMs, 2 * (this.#avoided.get(name)?.forMs ?? avoidMs));
          this.#avoided.set(name, { untilMs: clock.monotonicMs() + forMs, forMs });
          throw new NotSent(String(error));
        },
      );
      this.#connections.set(name, connection);
      this.#avoided.delete(name);
      return connection;
    } finally {
      this.#opening.delete(name);
    }
  }
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
