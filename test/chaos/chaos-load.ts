/**
 * The clients of a fault run, all of them writing one history: kafkajs and librdkafka producers, kafkajs and simulated consumers, a
 * group of each kind. When it ends everything is read once more from the beginning.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { keys, parseRecord, topicRecord } from '../../cluster/meta-records.ts';
import { SimConsumer } from '../simulation/sim-consumer.ts';
import { SimGroupMember } from '../simulation/sim-group-member.ts';
import { SimProducer } from '../simulation/sim-producer.ts';
import type { SimRandom } from '../simulation/sim-random.ts';
import type { ChaosCluster } from './chaos-cluster.ts';
import { KafkajsGroup } from './kafkajs-group.ts';
import { kafkajsClient, KafkajsProducer } from './kafkajs-producers.ts';
import { LibrdkafkaProducer } from './librdkafka-producer.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface ChaosLoadOptions {
  readonly cluster: ChaosCluster;
  readonly record: ChaosRecord;
  readonly random: SimRandom;
  readonly librdkafka: boolean;
}

export const topics = ['rides', 'meters'] as const;
export const partitionsOfTopic = 6;
const liveWithinMs = 90_000;

const producerShape = {
  idempotent: true,
  acks: -1,
  maxInFlight: 5,
  gapMs: 60,
  maxBatchRecords: 3,
  deliveryTimeoutMs: 30_000,
  produceTimeoutMs: 5_000,
  maxAttempts: 1,
  resendChance: 0.1,
  gzipChance: 0.2,
} as const;

const consumerShape = {
  isolation: 'committed',
  maxWaitMs: 200,
  minBytes: 1,
  maxBytes: 4 * 1024 * 1024,
  partitionMaxBytes: 256 * 1024,
  watchesForTruncation: true,
} as const;

export class ChaosLoad {
  readonly topicIds = new Map<string, string>();
  readonly #options: ChaosLoadOptions;
  readonly #kafkajs: KafkajsProducer[] = [];
  readonly #kafkajsRuns: Promise<void>[] = [];
  readonly #simProducers: SimProducer[] = [];
  readonly #simConsumers: SimConsumer[] = [];
  readonly #simMembers: SimGroupMember[] = [];
  #group: KafkajsGroup | undefined;
  #librdkafka: LibrdkafkaProducer | undefined;

  constructor(options: ChaosLoadOptions) {
    this.#options = options;
  }

  /** Creates the topics and sets all clients going. */
  async start(): Promise<void> {
    const { cluster, record, random, librdkafka } = this.#options;
    const brokers = cluster.bootstrapNames;
    const admin = kafkajsClient('admin', brokers, 10).admin();
    await admin.connect();
    await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitionsOfTopic })) });
    await admin.disconnect();
    for (const topic of topics) this.topicIds.set(topic, await topicIdOf(cluster, topic));
    const partitions = partitionsOfTopic;
    for (const [i, topic] of topics.entries()) {
      const topicId = this.topicIds.get(topic) ?? '';
      const producer = new KafkajsProducer({ name: `kafkajs-${i + 1}`, record, brokers, topic, topicId, partitions, gapMs: 100, recordsPerSend: 2 });
      this.#kafkajs.push(producer);
      this.#kafkajsRuns.push(producer.run());
    }
    const [rides] = topics;
    const ridesId = this.topicIds.get(rides) ?? '';
    if (librdkafka) this.#librdkafka = new LibrdkafkaProducer({ record, brokers, topic: rides, topicId: ridesId, partitions, gapMs: 20 });
    this.#group = new KafkajsGroup({ record, brokers, group: 'kafkajs', members: 2, topic: rides, topicId: ridesId });
    await this.#group.start();
    this.#startSimulated(random);
  }

  /** Ends all clients; producers have every answer then. */
  async stop(): Promise<void> {
    for (const producer of [...this.#kafkajs, ...this.#simProducers]) producer.stop();
    const ends = { kafkajs: Promise.all(this.#kafkajsRuns), librdkafka: this.#librdkafka?.stop(), simulated: this.#untilIdle() };
    await Promise.all(
      Object.entries(ends).map(async ([name, end]) => {
        let isDone = false;
        void Promise.resolve(end).then(() => (isDone = true));
        await this.#reach(`all ${name} producers have their answers`, () => isDone);
      }),
    );
    this.#librdkafka?.kill();
    for (const actor of [...this.#simConsumers, ...this.#simMembers]) actor.stop();
    await this.#group?.stop();
  }

  /** Lets go of everything, for a run that failed in the middle. */
  abandon(): void {
    for (const actor of [...this.#kafkajs, ...this.#simProducers, ...this.#simConsumers, ...this.#simMembers]) actor.stop();
    this.#librdkafka?.kill();
    void this.#group?.stop();
  }

  /** After healing: everybody gets on, a topic can be created. */
  async expectProgress(): Promise<void> {
    const { record, cluster } = this.#options;
    const since = record.nowMs;
    const rounds = this.#simMembers.map((member) => member.rounds);
    const commits = this.#group?.commits ?? 0;
    const partitions = [...this.topicIds.values()].flatMap((topicId) => Array.from({ length: partitionsOfTopic }, (_, partition) => `${topicId}/${partition}`));
    const waits: Readonly<Record<string, () => boolean>> = {
      'records are acknowledged in every partition': () => {
        const served = new Set(record.history.filter((op) => op.f === 'send' && op.type === 'ok' && op.t0 > since).map(({ key }) => key));
        return partitions.every((key) => served.has(key));
      },
      'simulated group members commit': () => this.#simMembers.every((member, i) => member.rounds > (rounds[i] ?? 0) + 1),
      'the kafkajs group commits': () => (this.#group?.commits ?? 0) > commits + 3,
    };
    await Promise.all(Object.entries(waits).map(([what, isSo]) => this.#reach(what, isSo)));
    const admin = kafkajsClient('admin', cluster.bootstrapNames, 60).admin();
    await admin.connect();
    try {
      await admin.createTopics({ topics: [{ topic: `after-${Math.round(since)}`, numPartitions: 3 }], waitForLeaders: true });
    } catch (error) {
      record.violation('not-live', `after healing no topic can be created: ${String(error)}`);
    } finally {
      await admin.disconnect();
    }
  }

  async readEverything(): Promise<void> {
    const { cluster, record, random } = this.#options;
    const reader = new SimConsumer({
      name: 'final',
      session: record.session('final', random.fork('final session'), cluster.bootstrap),
      recorder: record.recorder,
      random: random.fork('final'),
      topics: () => topics,
      final: true,
      shape: { ...consumerShape, start: 'earliest', maxWaitMs: 50, pauseMs: 1, restartChance: 0 },
    });
    const run = reader.run();
    await this.#reach(
      'everything can be read to its end',
      () => reader.complete,
      () => reader.missing(),
    );
    reader.stop();
    await run;
  }

  /** What clients complained of: allowed in a fault run, not in a planned restart. */
  get complaints(): readonly string[] {
    return [...this.#kafkajs.flatMap(({ refusals }) => refusals), ...(this.#group?.crashes ?? []), ...(this.#librdkafka?.refusals ?? [])];
  }

  #startSimulated(random: SimRandom): void {
    const { record, cluster } = this.#options;
    const { recorder } = record;
    const session = (name: string) => record.session(name, random.fork(`session ${name}`), cluster.bootstrap);
    const producer = { name: 'sim-producer', session: session('sim-producer'), recorder, random: random.fork('sim-producer') };
    this.#simProducers.push(new SimProducer({ ...producer, shape: producerShape, topics: () => topics, mayRefuseTimestamps: false }));
    for (const start of ['earliest', 'latest'] as const) {
      const name = `sim-consumer-${start}`;
      const shape = { ...consumerShape, start, pauseMs: 100, restartChance: 0.003 };
      this.#simConsumers.push(
        new SimConsumer({ name, session: session(name), recorder, random: random.fork(name), topics: () => topics, final: false, shape }),
      );
    }
    for (const name of ['sim-group-1', 'sim-group-2'])
      this.#simMembers.push(new SimGroupMember({ name, group: 'sim-group', session: session(name), recorder, random: random.fork(name), topics, gapMs: 200 }));
    for (const actor of [...this.#simProducers, ...this.#simConsumers, ...this.#simMembers])
      void actor.run().catch((error: unknown) => record.violation('client-failed', error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }

  async #untilIdle(): Promise<void> {
    while (!this.#simProducers.every(({ idle }) => idle)) await delay(50);
  }

  async #reach(what: string, isSo: () => boolean, detail = () => ''): Promise<void> {
    const deadline = performance.now() + liveWithinMs;
    while (!isSo()) {
      if (performance.now() > deadline)
        return this.#options.record.violation('not-live', `not within ${liveWithinMs / 1_000} s of healing: ${what}. ${detail()}`);
      await delay(100);
    }
  }
}

async function topicIdOf(cluster: ChaosCluster, topic: string): Promise<string> {
  const entry = await cluster.metadata.client.get(keys.topic(topic));
  const record = entry && parseRecord(topicRecord, entry.value);
  if (!record) throw new Error(`topic ${topic} was created and is not in the metadata store`);
  return record.topicId;
}
