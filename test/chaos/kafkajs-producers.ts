/**
 * kafkajs as a producer under faults. It retries by broker: a send() that spans several of them loses messages when leaders change
 * meanwhile, so each is for one partition. Whoever was refused goes on as a new producer, since the library would give another batch
 * the sequence of one that may have been appended.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs';
import { fillingOf } from '../simulation/record-batches.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface KafkajsProducerOptions {
  readonly name: string;
  readonly record: ChaosRecord;
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: number;
  /** Between two sends to a partition. */
  readonly gapMs: number;
  readonly recordsPerSend: number;
}

export function kafkajsClient(name: string, brokers: readonly string[], retries: number): Kafka {
  const retry = { retries, initialRetryTime: 50, maxRetryTime: 500 };
  return new Kafka({ clientId: name, brokers: [...brokers], logLevel: logLevel.NOTHING, connectionTimeout: 2_000, requestTimeout: 8_000, retry });
}

interface Life {
  readonly process: string;
  readonly producer: Producer;
  readonly connected: Promise<void>;
  isOver: boolean;
}

/** About a minute. */
const retries = 120;

export class KafkajsProducer {
  /** Sends that the library gave up, with its words. */
  readonly refusals: string[] = [];
  readonly #options: KafkajsProducerOptions;
  readonly #lives: Life[] = [];
  #isStopping = false;

  constructor(options: KafkajsProducerOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopping = true;
  }

  /** Ends when it was stopped and everything has its answer. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.partitions }, (_, partition) => this.#write(partition)));
    for (const { producer } of this.#lives) await producer.disconnect().catch(() => {});
  }

  async #write(partition: number): Promise<void> {
    const { gapMs, partitions } = this.#options;
    await delay((gapMs / partitions) * partition);
    let life = await this.#life();
    for (let order = 1; !this.#isStopping; order++) {
      const began = performance.now();
      if (life.isOver) life = await this.#life();
      await this.#send(life, partition, order);
      await delay(Math.max(0, gapMs - (performance.now() - began)));
    }
  }

  async #life(): Promise<Life> {
    const current = this.#lives.at(-1);
    if (current && !current.isOver) {
      await current.connected;
      return current;
    }
    const { name, brokers } = this.#options;
    const producer = kafkajsClient(name, brokers, retries).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
      metadataMaxAge: 30_000,
      retry: { retries, initialRetryTime: 50, maxRetryTime: 500 },
    });
    // A failure is met again by the first send.
    const life: Life = { process: `${name}.${this.#lives.length + 1}`, producer, connected: producer.connect().catch(() => {}), isOver: false };
    this.#lives.push(life);
    await life.connected;
    return life;
  }

  async #send(life: Life, partition: number, order: number): Promise<void> {
    const { record, topic, topicId, recordsPerSend, gapMs } = this.#options;
    const { recorder } = record;
    const values = recorder.values(recordsPerSend);
    const t0 = record.nowMs;
    const operation = { f: 'send', process: life.process, key: `${topicId}/${partition}`, t0, values, idempotent: true, order, attempts: 1 } as const;
    const closed = recorder.opened(() => recorder.record({ ...operation, type: 'info', t1: null, baseOffset: null }));
    const timestamp = String(Date.now());
    try {
      const messages = values.map((value) => ({ key: null, value: fillingOf(value), partition, timestamp }));
      const [answer] = await life.producer.send({ topic, messages, acks: -1, timeout: 5_000 });
      // When its seed broker is replaced while it asks for metadata, the library gives that one's node id to another, and from then on sends
      // nothing to what that other leads, which it calls a success (2.2.4, BrokerPool.refreshMetadata).
      if (!answer) throw new Error('acknowledged without an answer');
      const offset = Number(answer.baseOffset);
      recorder.record({ ...operation, type: 'ok', t1: record.nowMs, baseOffset: offset < 0 ? null : offset });
    } catch (error) {
      life.isOver = true;
      const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      this.refusals.push(`${(t0 / 1_000).toFixed(1)} s, ${topic}-${partition}: ${said}`);
      recorder.record({ ...operation, type: 'info', t1: record.nowMs, baseOffset: null, error: said });
      await delay(gapMs);
    } finally {
      closed();
    }
  }
}
