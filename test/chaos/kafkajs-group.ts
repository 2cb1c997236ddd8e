/**
 * A consumer group of kafkajs members under faults, each batch committed with a text of its own, and somebody who asks every now
 * and then what is committed. The library does not tell the generation: what the checker needs that for, the simulation's group shows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import { kafkajsClient } from './kafkajs-producers.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface KafkajsGroupOptions {
  readonly record: ChaosRecord;
  readonly brokers: readonly string[];
  readonly group: string;
  readonly members: number;
  readonly topic: string;
  readonly topicId: string;
}

interface Member {
  readonly name: string;
  readonly consumer: Consumer;
  /** Changes with each assignment: positions start anew. */
  generation: number;
  commits: number;
  /** When the last batch of each partition was done: the next fetch began after it. */
  readonly doneMs: Map<number, number>;
}

/** Few: the library asks for the coordinator anew only when it has given up. */
const retries = 6;

export class KafkajsGroup {
  /** Members that the library ended. */
  readonly crashes: string[] = [];
  readonly #options: KafkajsGroupOptions;
  readonly #members: Member[] = [];
  #isStopping = false;
  #auditing: Promise<void> | undefined;
  commits = 0;
  reads = 0;

  constructor(options: KafkajsGroupOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { members } = this.#options;
    for (let i = 1; i <= members; i++) void this.#live(`${this.#options.group}-${i}`, 1);
    this.#auditing = this.#audit();
    await delay(0);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#auditing;
    await Promise.all(this.#members.map(({ consumer }) => Promise.race([consumer.disconnect().catch(() => {}), delay(10_000, undefined, { ref: false })])));
  }

  async #live(name: string, life: number): Promise<void> {
    if (this.#isStopping) return;
    const { brokers, group, topic, record } = this.#options;
    const consumer = kafkajsClient(name, brokers, retries).consumer({
      groupId: group,
      sessionTimeout: 8_000,
      heartbeatInterval: 500,
      rebalanceTimeout: 8_000,
      maxWaitTimeInMs: 200,
      metadataMaxAge: 30_000,
      readUncommitted: true,
      retry: { retries, initialRetryTime: 50, maxRetryTime: 500 },
    });
    const member: Member = { name: `${name}.${life}`, consumer, generation: 0, commits: 0, doneMs: new Map() };
    this.#members.push(member);
    const startAnew = () => {
      member.generation++;
      member.doneMs.clear();
    };
    consumer.on('consumer.group_join', startAnew);
    consumer.on('consumer.crash', ({ payload }) => {
      startAnew();
      this.crashes.push(`${(record.nowMs / 1_000).toFixed(1)} s, ${member.name}: ${payload.error.message}${payload.restart ? ' (goes on)' : ''}`);
      if (!payload.restart) void this.#live(name, life + 1);
    });
    for (;;) {
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: [topic], fromBeginning: true });
        await consumer.run({ autoCommit: false, eachBatch: (payload) => this.#take(member, payload) });
        return;
      } catch (error) {
        if (this.#isStopping) return;
        this.crashes.push(`${(record.nowMs / 1_000).toFixed(1)} s, ${member.name} does not start: ${String(error)} (goes on)`);
        await delay(500);
      }
    }
  }

  async #take(member: Member, { batch }: EachBatchPayload): Promise<void> {
    const { record, topic, topicId } = this.#options;
    const { partition } = batch;
    const key = `${topicId}/${partition}`;
    const t1 = record.nowMs;
    const from = Number((batch as unknown as { readonly fetchedOffset: string }).fetchedOffset);
    const records = batch.messages.map((message) => [Number(message.offset), Number.parseInt(String(message.value), 10), leaderEpochOf(message)] as const);
    const highWatermark = Number(batch.highWatermark);
    const next = records.length === 0 ? from : (records.at(-1)?.[0] ?? 0) + 1;
    const process = `${member.name}.${member.generation}`;
    const t0 = member.doneMs.get(partition) ?? 0;
    const seen = { highWatermark, lastStableOffset: highWatermark, logStart: -1 };
    record.recorder.record({ f: 'poll', type: 'ok', process, key, t0, t1, from, next, isolation: 'uncommitted', records, ...seen });
    this.reads += records.length;
    if (records.length > 0) await this.#commit(member, { topic, partition, key, offset: next });
    member.doneMs.set(partition, record.nowMs);
  }

  async #commit(member: Member, at: { readonly topic: string; readonly partition: number; readonly key: string; readonly offset: number }): Promise<void> {
    const { record, group } = this.#options;
    const { recorder } = record;
    const text = `${member.name}#${++member.commits}`;
    const t0 = record.nowMs;
    const operation = { f: 'commit', process: member.name, key: at.key, t0, group, generation: 0, offset: at.offset, text } as const;
    const closed = recorder.opened(() => recorder.record({ ...operation, type: 'info', t1: null }));
    try {
      await member.consumer.commitOffsets([{ topic: at.topic, partition: at.partition, offset: String(at.offset), metadata: text }]);
      recorder.record({ ...operation, type: 'ok', t1: record.nowMs });
      this.commits++;
    } catch (error) {
      recorder.record({ ...operation, type: 'info', t1: record.nowMs, error: String(error) });
      // The library reads the batch once more, or goes back to what is committed.
      member.generation++;
      throw error;
    } finally {
      closed();
    }
  }

  async #audit(): Promise<void> {
    const { record, brokers, group, topic, topicId } = this.#options;
    const admin = kafkajsClient('auditor', brokers, 3).admin();
    while (!this.#isStopping) {
      const t0 = record.nowMs;
      try {
        await admin.connect();
        const [answer] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        const t1 = record.nowMs;
        for (const { partition, offset, metadata } of answer?.partitions ?? [])
          record.recorder.record({
            f: 'committed',
            type: 'ok',
            process: 'auditor',
            key: `${topicId}/${partition}`,
            t0,
            t1,
            group,
            offset: Number(offset),
            text: metadata ?? '',
          });
      } catch {
        // Nobody answered: nothing was learned.
      }
      await delay(700);
    }
    await admin.disconnect().catch(() => {});
  }
}

function leaderEpochOf(message: KafkaMessage): number {
  return (message as unknown as { readonly batchContext?: { readonly partitionLeaderEpoch: number } }).batchContext?.partitionLeaderEpoch ?? -1;
}
