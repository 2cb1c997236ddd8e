/**
 * kafkajs beside the probe: one producer, and a consumer group of one member that commits what it reads. Neither is restarted, whatever happens.
 * When a broker dies, kafkajs's consumer gives up its membership and begins anew (its event `crash`), and then waits for its own old session.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Consumer, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs';
import type { Address } from './kafka-socket.ts';
import { Timeline } from './timeline.ts';

export interface KafkajsOptions {
  readonly bootstrap: readonly Address[];
  readonly topic: string;
  readonly partitions: number;
  /** Between two records of a partition. */
  readonly pauseMs: number;
}

interface Group {
  readonly consumer: Consumer;
  /** The last committed by partition; as text, which its event has although its types say numbers. */
  readonly committed: Map<string, number>;
  /** The next offset by partition. */
  readonly expected: Map<number, number>;
}

const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 1_000 };
const commitIntervalMs = 100;
const groupId = 'kafkajs';
const patienceMs = 30_000;

export class KafkajsClients {
  readonly produced = new Timeline();
  readonly progress = new Timeline();
  readonly commits = new Timeline();
  /** What must not happen. */
  readonly faults: string[] = [];
  /** How often the consumer began anew, and why. */
  readonly crashes: string[] = [];
  readonly #options: KafkajsOptions;
  readonly #kafka: Kafka;
  readonly #producer: Producer;
  #group: Group | undefined;
  readonly #loops: Promise<void>[] = [];
  #isEnding = false;

  static async start(options: KafkajsOptions): Promise<KafkajsClients> {
    const clients = new KafkajsClients(options);
    await clients.#start();
    return clients;
  }

  private constructor(options: KafkajsOptions) {
    this.#options = options;
    const brokers = options.bootstrap.map(({ host, port }) => `${host}:${port}`);
    this.#kafka = new Kafka({ clientId: 'availability', brokers, logLevel: logLevel.NOTHING, retry });
    this.#producer = this.#kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  }

  watch(): void {
    for (const timeline of [this.produced, this.progress, this.commits]) timeline.watch();
  }

  /** Ends them; committed offsets are compared with what the cluster has. */
  async close(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#loops);
    await this.#producer.disconnect();
    await this.#group?.consumer.disconnect();
    const admin = this.#kafka.admin();
    await admin.connect();
    const [stored] = await patiently(() => admin.fetchOffsets({ groupId, topics: [this.#options.topic] }));
    for (const [partition, offset] of this.#group?.committed ?? []) {
      const found = Number(stored?.partitions.find((each) => String(each.partition) === partition)?.offset ?? -1);
      if (found < offset) this.faults.push(`${groupId}: committed ${offset} of partition ${partition}, ${found} is left`);
    }
    await admin.disconnect();
  }

  async #start(): Promise<void> {
    const { partitions } = this.#options;
    await this.#producer.connect();
    for (let partition = 0; partition < partitions; partition++) this.#loops.push(this.#produce(partition));
    const group = await this.#join();
    this.#group = group;
    while (group.committed.size < partitions) await delay(commitIntervalMs);
  }

  async #produce(partition: number): Promise<void> {
    const { topic, pauseMs } = this.#options;
    while (!this.#isEnding) {
      try {
        await this.#producer.send({ topic, acks: -1, messages: [{ partition, value: `${performance.now()}` }] });
        this.produced.note(`producer of ${partition}`);
      } catch (error) {
        this.faults.push(`kafkajs producer: ${String(error)}`);
      }
      await delay(pauseMs);
    }
  }

  async #join(): Promise<Group> {
    const consumer = this.#kafka.consumer({ groupId, maxWaitTimeInMs: 500 });
    const group: Group = { consumer, committed: new Map(), expected: new Map() };
    consumer.on('consumer.crash', ({ payload }) => this.crashes.push(payload.error.message));
    consumer.on('consumer.commit_offsets', ({ payload }) => {
      this.commits.note(`commits of ${groupId}`);
      for (const { partitions } of payload.topics) for (const { partition, offset } of partitions) group.committed.set(String(partition), Number(offset));
    });
    await consumer.connect();
    await consumer.subscribe({ topic: this.#options.topic, fromBeginning: true });
    await consumer.run({
      autoCommitInterval: commitIntervalMs,
      eachBatch: ({ batch }) => {
        for (const { offset } of batch.messages) {
          const expected = group.expected.get(batch.partition) ?? 0;
          if (Number(offset) > expected) this.faults.push(`${groupId}: offset ${offset} of partition ${batch.partition} where ${expected} was due`);
          group.expected.set(batch.partition, Number(offset) + 1);
        }
        this.progress.note(`${groupId}, partition ${batch.partition}`);
        return Promise.resolve();
      },
    });
    return group;
  }
}

/** kafkajs's admin gives up at once when the group's coordinator has just moved. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await delay(commitIntervalMs);
    }
  }
}
