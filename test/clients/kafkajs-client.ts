/** kafkajs. Of the compressions it brings only gzip. */
import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { headers, type ReceivedRecord, type Reader, type Writer } from './client.ts';

export function kafkajs(bootstrap: string): Kafka {
  return new Kafka({ clientId: 'automq-test', brokers: [bootstrap], logLevel: logLevel.NOTHING });
}

export const kafkajsWriter: Writer = {
  name: 'kafkajs',
  compressions: ['none', 'gzip'],
  setsTimestamps: true,
  write: async (bootstrap, topic, compression, records) => {
    const producer = kafkajs(bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const messages = records.map(({ key, value, timestampMs }) => ({ key, value, timestamp: String(timestampMs), headers: Object.fromEntries(headers) }));
    await producer.send({ topic, messages, compression: compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None });
    await producer.disconnect();
  },
};

export const kafkajsReader: Reader = {
  name: 'kafkajs',
  compressions: ['none', 'gzip'],
  read: async (bootstrap, topics, count) => {
    const consumer = kafkajs(bootstrap).consumer({ groupId: `kafkajs-${process.pid}`, maxWaitTimeInMs: 200 });
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    const records: ReceivedRecord[] = [];
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
      void consumer.run({
        eachMessage: ({ topic, partition, message }) => {
          const pairs = Object.entries(message.headers ?? {}).map(([key, value]) => [key, String(value)] as [string, string]);
          const { key, value, offset, timestamp } = message;
          records.push({ topic, partition, offset: Number(offset), timestampMs: Number(timestamp), headers: pairs, key: String(key), value: String(value) });
          if (records.length >= count) resolve();
          return Promise.resolve();
        },
      });
    });
    await consumer.disconnect();
    return records;
  },
};
