/**
 * What every simulated client stands on: where the brokers are, who leads what (metadata, refreshed on errors),
 * one connection per broker, and a version per API that the client keeps to.
 */
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import { type Clock, sleep } from '../../io/clock.ts';
import type { Transport } from '../../io/transport.ts';
import { Disconnected, KafkaConnection, NotSent } from './kafka-connection.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface KafkaSessionOptions {
  readonly process: SimProcess;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly random: SimRandom;
  readonly bootstrap: readonly Address[];
  readonly requestTimeoutMs: number;
  readonly onViolation: (name: string, detail: string) => void;
}

export interface KnownTopic {
  readonly name: string;
  readonly topicId: string;
  /** Leader by partition; −1 when there is none. */
  readonly leaders: readonly number[];
}

/** The versions that our client code can speak. */
const spoken: Readonly<Partial<Record<ApiKey, readonly [number, number]>>> = {
  [ApiKeys.Produce]: [3, 13],
  [ApiKeys.Fetch]: [4, 17],
  [ApiKeys.ListOffsets]: [1, 9],
  [ApiKeys.Metadata]: [10, 13],
};

export class KafkaSession {
  readonly options: KafkaSessionOptions;
  readonly topics = new Map<string, KnownTopic>();
  /** Every topic that was ever seen, name by id. */
  readonly seen = new Map<string, string>();
  readonly #brokers = new Map<number, Address>();
  readonly #connections = new Map<string, KafkaConnection>();
  readonly #opening = new Map<string, Promise<KafkaConnection>>();
  /** Where between lowest and highest common version this client stays, per API. */
  readonly #taste = new Map<ApiKey, number>();

  constructor(options: KafkaSessionOptions) {
    this.options = options;
  }

  sleep(delayMs: number): Promise<void> {
    return sleep(this.options.clock, delayMs);
  }

  /** Asks the leader of a partition. Throws `NotSent` when there is none to ask. */
  toLeader<K extends ApiKey>(topic: string, partition: number, apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    const leader = this.topics.get(topic)?.leaders[partition];
    const address = leader === undefined ? undefined : this.#brokers.get(leader);
    if (address === undefined) throw new NotSent(`no leader of ${topic}-${partition}`);
    return this.#ask(address, apiKey, body);
  }

  /** Asks any broker. */
  async toAny<K extends ApiKey>(apiKey: K, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    return this.#ask(this.options.random.pick(this.options.bootstrap), apiKey, body);
  }

  async supports(apiKey: ApiKey): Promise<boolean> {
    const connection = await this.#connectionTo(this.options.random.pick(this.options.bootstrap));
    return connection.versionsOf(apiKey) !== undefined;
  }

  /** The connection to a partition's leader with the version to use on it; for those who pipeline. */
  async leaderConnection(topic: string, partition: number, apiKey: ApiKey): Promise<{ readonly connection: KafkaConnection; readonly version: number }> {
    const leader = this.topics.get(topic)?.leaders[partition];
    const address = leader === undefined ? undefined : this.#brokers.get(leader);
    if (address === undefined) throw new NotSent(`no leader of ${topic}-${partition}`);
    const connection = await this.#connectionTo(address);
    return { connection, version: this.#versionOf(connection, apiKey) };
  }

  /** Learns who leads what. Unknown topics are forgotten. False when nobody answered. */
  async refresh(names: readonly string[]): Promise<boolean> {
    try {
      const answer = await this.toAny(ApiKeys.Metadata, { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false });
      for (const broker of answer.brokers) this.#brokers.set(broker.nodeId, { host: broker.host, port: broker.port });
      for (const topic of answer.topics) {
        if (topic.name === null) continue;
        if (topic.errorCode !== ErrorCodes.NONE) {
          if (topic.errorCode === ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION) this.topics.delete(topic.name);
          continue;
        }
        this.seen.set(topic.topicId, topic.name);
        const leaders: number[] = [];
        for (const partition of topic.partitions) leaders[partition.partitionIndex] = partition.leaderId;
        this.topics.set(topic.name, { name: topic.name, topicId: topic.topicId, leaders });
      }
      return true;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      return false;
    }
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Drops all connections; the next request opens new ones. */
  reconnect(): void {
    this.close();
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
    return Math.min(max, min + Math.floor(taste * (max - min + 1)));
  }

  async #connectionTo(address: Address): Promise<KafkaConnection> {
    const name = `${address.host}:${address.port}`;
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
          throw new NotSent(String(error));
        },
      );
      this.#connections.set(name, connection);
      return connection;
    } finally {
      this.#opening.delete(name);
    }
  }
}
