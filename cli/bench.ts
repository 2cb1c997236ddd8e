/**
 * `automq bench`: a simple load with nothing but Node (kafkajs), to see that a broker works and roughly how fast. The client
 * shares the machine and needs more CPU than the broker: figures to compare brokers with come from `make bench`.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs';
import { type Command, UsageError } from './command.ts';

const help = `Usage: automq bench [options]

Creates a topic, produces for some seconds, reads everything back, checks the count, deletes the topic.

  --bootstrap HOST:PORT   where a broker listens                    (127.0.0.1:9092)
  --seconds N             how long to produce                       (10)
  --record-bytes N        size of a record                          (1024)
  --partitions N          partitions of the topic                   (16)
  --in-flight N           produce requests under way at once        (8)
  --keep                  leave the topic behind

Examples
  automq bench
  automq bench --bootstrap kafka.example:9092 --seconds 60 --record-bytes 200
`;

interface BenchOptions {
  readonly bootstrap: string;
  readonly seconds: number;
  readonly recordBytes: number;
  readonly partitions: number;
  readonly inFlight: number;
  readonly keep: boolean;
}

async function run(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  const kafka = new Kafka({ clientId: 'automq-bench', brokers: [options.bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 3 } });
  const topic = `automq-bench-${randomUUID().slice(0, 8)}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: options.partitions }], waitForLeaders: true });
  try {
    const produced = await produceFor(kafka.producer({ allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner }), topic, options);
    report('produce', produced.records * options.recordBytes, produced.records, produced.elapsedMs);
    console.log(`          acknowledged after p50 ${quantile(produced.latenciesMs, 0.5)} ms, p99 ${quantile(produced.latenciesMs, 0.99)} ms per request`);
    const consumed = await consumeAll(kafka, topic, produced.records);
    report('consume', consumed.bytes, consumed.records, consumed.elapsedMs);
    if (consumed.records === produced.records) return 0;
    console.error(`acknowledged ${produced.records} records, read ${consumed.records}`);
    return 1;
  } finally {
    if (!options.keep) await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  }
}

export const bench: Command = { help, run };

interface Produced {
  readonly records: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
}

async function produceFor(producer: Producer, topic: string, options: BenchOptions): Promise<Produced> {
  await producer.connect();
  const recordsPerRequest = Math.max(1, Math.floor(262_144 / options.recordBytes));
  const messages = Array.from({ length: recordsPerRequest }, () => ({ value: randomBytes(options.recordBytes) }));
  const latenciesMs: number[] = [];
  let records = 0;
  let next = 0;
  const start = performance.now();
  const lane = async () => {
    while (performance.now() - start < options.seconds * 1000) {
      const partition = next++ % options.partitions;
      const sent = performance.now();
      await producer.send({ topic, acks: -1, messages: messages.map((message) => ({ ...message, partition })) });
      latenciesMs.push(performance.now() - sent);
      records += recordsPerRequest;
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, lane));
  const elapsedMs = performance.now() - start;
  await producer.disconnect();
  return { records, elapsedMs, latenciesMs };
}

async function consumeAll(kafka: Kafka, topic: string, expected: number): Promise<{ records: number; bytes: number; elapsedMs: number }> {
  const consumer = kafka.consumer({ groupId: topic, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let records = 0;
  let bytes = 0;
  let first = 0;
  let last = 0;
  await new Promise<void>((resolve, reject) => {
    // A broker that answers less than it acknowledged must not hang the command.
    let idle = setTimeout(resolve, 30_000);
    const eachBatch = async ({ batch }: { batch: { messages: { value: Buffer | null }[] } }) => {
      first ||= performance.now();
      records += batch.messages.length;
      for (const message of batch.messages) bytes += message.value?.length ?? 0;
      last = performance.now();
      clearTimeout(idle);
      if (records >= expected) resolve();
      else idle = setTimeout(resolve, 30_000);
    };
    consumer.run({ eachBatch, autoCommit: false }).catch(reject);
  });
  await consumer.disconnect();
  return { records, bytes, elapsedMs: last - first };
}

function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bootstrap: { type: 'string', default: '127.0.0.1:9092' },
      seconds: { type: 'string', default: '10' },
      'record-bytes': { type: 'string', default: '1024' },
      partitions: { type: 'string', default: '16' },
      'in-flight': { type: 'string', default: '8' },
      keep: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'seconds' | 'record-bytes' | 'partitions' | 'in-flight') => {
    const value = Number(values[name]);
    if (!Number.isFinite(value) || value <= 0) throw new UsageError(`--${name} ${values[name]}: a number above 0`);
    return value;
  };
  return {
    bootstrap: values.bootstrap,
    seconds: number('seconds'),
    recordBytes: Math.ceil(number('record-bytes')),
    partitions: Math.ceil(number('partitions')),
    inFlight: Math.ceil(number('in-flight')),
    keep: values.keep,
  };
}

function report(what: string, bytes: number, records: number, elapsedMs: number): void {
  const seconds = elapsedMs / 1000;
  console.log(
    `${what}   ${(bytes / 1e6 / seconds).toFixed(1)} MB/s, ${Math.round(records / seconds)} records/s (${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s)`,
  );
}

function quantile(values: readonly number[], q: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0).toFixed(1);
}
