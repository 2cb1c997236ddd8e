/** What the benchmark asks a cluster for, over the Kafka protocol: topics, who leads what, who is the controller, moves. */
import { setTimeout as delay } from 'node:timers/promises';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import { type Address, Disconnected, KafkaSocket } from './kafka-socket.ts';

/** Leader by partition; −1 when there is none. */
export type Leaders = readonly number[];

const pollMs = 100;
const settleWithinMs = 120_000;
const partitionsPerRequest = 500;
const metadataVersion = 12;

export class KafkaAdmin {
  readonly #bootstrap: readonly Address[];
  #open: KafkaSocket | undefined;

  constructor(bootstrap: readonly Address[]) {
    this.#bootstrap = bootstrap;
  }

  async createTopic(name: string, partitions: number, replicas: number): Promise<void> {
    const topics = [{ name, numPartitions: partitions, replicationFactor: replicas, assignments: [], configs: [] }];
    const answer = await this.#ask(ApiKeys.CreateTopics, 7, { topics, timeoutMs: 60_000 });
    const { errorCode = ErrorCodes.UNKNOWN_SERVER_ERROR, errorMessage } = answer.topics[0] ?? {};
    if (errorCode !== ErrorCodes.NONE && errorCode !== ErrorCodes.TOPIC_ALREADY_EXISTS) throw new Error(`topic ${name}: ${errorMessage ?? errorCode}`);
  }

  async leaders(topic: string): Promise<Leaders> {
    const found: number[] = [];
    for (const { partitionIndex, leaderId } of await this.#partitions(topic)) found[partitionIndex] = leaderId;
    return found;
  }

  /** Until every partition is led, by one whom `isWanted` accepts, and `isrSize` replicas are in sync. */
  async untilLed(topic: string, partitions: number, isrSize: number, isWanted: (leader: number) => boolean = () => true): Promise<void> {
    const deadlineMs = performance.now() + settleWithinMs;
    for (;;) {
      const found = await this.#partitions(topic);
      if (found.length === partitions && found.every(({ leaderId, isrNodes }) => leaderId >= 0 && isrNodes.length >= isrSize && isWanted(leaderId))) return;
      if (performance.now() > deadlineMs) throw new Error(`${topic}: not every partition is led within ${settleWithinMs} ms`);
      await delay(pollMs);
    }
  }

  /** Our clusters say it in DescribeCluster; Apache Kafka's brokers say anybody there, and the truth in DescribeQuorum. */
  async controller(): Promise<number> {
    const quorum = await this.#ask(ApiKeys.DescribeQuorum, 2, { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] });
    const leader = quorum.topics[0]?.partitions[0]?.leaderId ?? -1;
    return leader >= 0 ? leader : (await this.#ask(ApiKeys.DescribeCluster, 1, { includeClusterAuthorizedOperations: false })).controllerId;
  }

  /** Asks for every partition to move to `targetOf` it; resolves when the requests are accepted. */
  async reassign(topic: string, partitions: readonly number[], targetOf: (partition: number) => number): Promise<void> {
    for (let i = 0; i < partitions.length; i += partitionsPerRequest) {
      const some = partitions.slice(i, i + partitionsPerRequest).map((partition) => ({ partitionIndex: partition, replicas: [targetOf(partition)] }));
      const answer = await this.#ask(ApiKeys.AlterPartitionReassignments, 0, { timeoutMs: 60_000, topics: [{ name: topic, partitions: some }] });
      const refused = answer.responses.flatMap((response) => response.partitions).find(({ errorCode }) => errorCode !== ErrorCodes.NONE);
      if (answer.errorCode !== ErrorCodes.NONE || refused) throw new Error(`reassignment of ${topic}: ${answer.errorMessage ?? refused?.errorMessage ?? ''}`);
    }
  }

  /** Spreads a topic over the nodes and waits until it is so. */
  async spread(topic: string, partitions: number, nodes: readonly number[]): Promise<void> {
    const targetOf = (partition: number) => nodes[partition % nodes.length] ?? -1;
    const deadlineMs = performance.now() + settleWithinMs;
    for (;;) {
      const leaders = await this.leaders(topic);
      const elsewhere = leaders.flatMap((leader, partition) => (leader === targetOf(partition) ? [] : [partition]));
      if (elsewhere.length === 0 && leaders.length === partitions) return;
      if (performance.now() > deadlineMs) throw new Error(`${topic}: ${elsewhere.length} partitions do not move to where they are wanted`);
      await this.reassign(topic, elsewhere, targetOf);
      await delay(pollMs * 5);
    }
  }

  /** Apache Kafka: the first replica leads again. */
  async electPreferred(): Promise<void> {
    await this.#ask(ApiKeys.ElectLeaders, 2, { electionType: 0, topicPartitions: null, timeoutMs: 60_000 });
  }

  close(): void {
    this.#open?.close();
  }

  async #partitions(topic: string) {
    const answer = await this.#ask(ApiKeys.Metadata, metadataVersion, { topics: [{ name: topic }], allowAutoTopicCreation: true });
    return answer.topics[0]?.partitions ?? [];
  }

  /** Any broker that answers. */
  async #ask<K extends ApiKey>(apiKey: K, newest: number, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    const deadlineMs = performance.now() + settleWithinMs;
    for (let attempt = 0; ; attempt++) {
      try {
        const address = this.#bootstrap[attempt % this.#bootstrap.length] as Address;
        if (this.#open === undefined || this.#open.closed) this.#open = await KafkaSocket.open(address);
        return await this.#open.request(apiKey, newest, body);
      } catch (error) {
        if (!(error instanceof Disconnected) || performance.now() > deadlineMs) throw error;
        await delay(pollMs);
      }
    }
  }
}
