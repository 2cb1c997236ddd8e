/** Reads a topic whole with kafkajs, up to the ends that the broker tells first. */
import { type Kafka, Kafka as KafkaClient, logLevel } from 'kafkajs';

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

export function kafkajs(bootstrap: string, retries = 5): Kafka {
  return new KafkaClient({
    clientId: 'automq-test',
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries },
  });
}

let readers = 0;

/** Partition by partition in the order of offsets. */
export async function readTopic(bootstrap: string, topic: string): Promise<TopicRecord[]> {
  const kafka = kafkajs(bootstrap);
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const open = new Set(ends.filter(({ low, high }) => Number(high) > Number(low)).map(({ partition }) => partition));
  const lastOffset = new Map(ends.map(({ partition, high }) => [partition, Number(high) - 1]));
  const records: TopicRecord[] = [];
  if (open.size > 0) {
    const consumer = kafka.consumer({ groupId: `reader-${process.pid}-${readers++}`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
      void consumer.run({
        eachBatch: ({ batch }) => {
          for (const { offset, key, value, headers, timestamp } of batch.messages) {
            const text = Object.fromEntries(Object.entries(headers ?? {}).map(([name, header]) => [name, String(header)]));
            records.push({
              partition: batch.partition,
              offset: Number(offset),
              key: String(key),
              value: String(value),
              headers: text,
              timestampMs: Number(timestamp),
            });
          }
          if (Number(batch.lastOffset()) >= (lastOffset.get(batch.partition) ?? 0)) open.delete(batch.partition);
          if (open.size === 0) resolve();
          return Promise.resolve();
        },
      });
    });
    await consumer.disconnect();
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}
