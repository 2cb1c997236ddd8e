/** What one client wrote every other reads: keys, values, headers, timestamps, in every compression, with offsets without gaps. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { type Compression, headers, type ReceivedRecord, type Reader, type SentRecord, type Writer } from './client.ts';
import { javaReader, javaWriter, tool } from './java-client.ts';
import { kafkajsReader, kafkajsWriter } from './kafkajs-client.ts';
import { kcatReader, kcatWriter } from './kcat-client.ts';
import { pythonReader, pythonWriter } from './python-client.ts';
import { type ClientTarget, startTarget } from './target.ts';

const writers: readonly Writer[] = [kcatWriter, javaWriter, kafkajsWriter, pythonWriter('kafka-python'), pythonWriter('confluent-kafka')];
const readers: readonly Reader[] = [kcatReader, javaReader, kafkajsReader, pythonReader('kafka-python'), pythonReader('confluent-kafka')];
const partitions = 3;
const recordCount = 60;
/** An hour ago: old enough to be ours, young enough for retention. */
const firstTimestampMs = Date.now() - 3_600_000;

interface WrittenTopic {
  readonly topic: string;
  readonly writer: Writer;
  readonly compression: Compression;
  readonly records: readonly SentRecord[];
}

const written: readonly WrittenTopic[] = writers.flatMap((writer) =>
  writer.compressions.map((compression) => {
    const topic = `cross-${writer.name}-${compression}`;
    return { topic, writer, compression, records: Array.from({ length: recordCount }, (_, i) => sampleRecord(topic, i)) };
  }),
);

/** One value is larger than the blocks of snappy and lz4. */
function sampleRecord(topic: string, i: number): SentRecord {
  const words = `Straße ${i} `.repeat(i === 7 ? 20_000 : 1 + (i % 30));
  return { key: `${topic}/${i}`, value: `${i} ${words}`.trim(), timestampMs: firstTimestampMs + i * 1_000 };
}

let target: ClientTarget;
let startedMs: number;

before(async () => {
  target = await startTarget();
  startedMs = Date.now();
});
after(() => target.close());

for (const { topic, writer, compression, records } of written) {
  test(`${writer.name} writes with compression ${compression}`, async () => {
    await tool('kafka-topics', [
      '--bootstrap-server',
      target.bootstrap,
      '--create',
      '--topic',
      topic,
      '--partitions',
      String(partitions),
      '--replication-factor',
      '1',
    ]);
    await writer.write(target.bootstrap, topic, compression, records);
  });
}

for (const reader of readers) {
  test(`${reader.name} reads what all wrote`, async (t) => {
    const readable = written.filter(({ compression }) => reader.compressions.includes(compression));
    const topics = readable.map(({ topic }) => topic);
    const received = await reader.read(target.bootstrap, topics, readable.length * recordCount);
    for (const expected of readable) {
      await t.test(`of ${expected.writer.name} with compression ${expected.compression}`, () => sameRecords(received, expected));
    }
  });
}

function sameRecords(all: readonly ReceivedRecord[], { topic, writer, records }: WrittenTopic): void {
  const received = all.filter((record) => record.topic === topic);
  const byKey = new Map(received.map((record) => [record.key, record]));
  assert.equal(received.length, records.length);
  for (const sent of records) {
    const got = byKey.get(sent.key);
    assert.ok(got, `no record with key ${sent.key}`);
    assert.equal(got.value, sent.value);
    assert.deepEqual(got.headers, headers);
    if (writer.setsTimestamps) assert.equal(got.timestampMs, sent.timestampMs);
    else assert.ok(got.timestampMs >= startedMs && got.timestampMs <= Date.now(), `timestamp ${got.timestampMs}`);
  }
  for (let partition = 0; partition < partitions; partition++) {
    const offsets = received.filter((record) => record.partition === partition).map((record) => record.offset);
    assert.deepEqual(offsets, [...offsets.keys()], `offsets of partition ${partition} in the order of reading`);
  }
}
