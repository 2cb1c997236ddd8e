/** A large real text through real programs: in as lines, out as the same lines. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import test, { after, before } from 'node:test';
import { tool } from './java-client.ts';
import { kafkajs } from './kafkajs-client.ts';
import { kcat } from './kcat-client.ts';
import { writeLines } from './python-client.ts';
import { type RealText, linesDigest, realText } from './real-text.ts';
import { type ClientTarget, startTarget } from './target.ts';

let target: ClientTarget;
let text: RealText;

before(async () => {
  text = await realText();
  target = await startTarget();
});
after(async () => {
  text.remove();
  await target.close();
});

const createTopic = (topic: string) =>
  tool('kafka-topics', ['--bootstrap-server', target.bootstrap, '--create', '--topic', topic, '--partitions', '16', '--replication-factor', '1']);

test('from kcat to kcat, in each compression', { timeout: 240_000 }, async (t) => {
  const expected = linesDigest(text.file, { withEmptyLines: false });
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await t.test(compression, async () => {
      const topic = `kcat-${compression}`;
      const out = join(text.folder, topic);
      await createTopic(topic);
      await kcat(['-P', '-b', target.bootstrap, '-t', topic, '-z', compression], { stdinFile: text.file });
      await kcat(['-C', '-b', target.bootstrap, '-t', topic, '-o', 'beginning', '-e', '-q'], { stdoutFile: out });
      assert.equal(linesDigest(out, { withEmptyLines: false }), expected);
    });
  }
});

test("from Java's console producer to kafkajs", { timeout: 240_000 }, async () => {
  await createTopic('java-kafkajs');
  await tool('kafka-console-producer', ['--bootstrap-server', target.bootstrap, '--topic', 'java-kafkajs'], { stdinFile: text.file });
  const file = join(text.folder, 'java-kafkajs');
  await consumeWithKafkajs('java-kafkajs', file, text.lineCount);
  assert.equal(linesDigest(file, { withEmptyLines: true }), linesDigest(text.file, { withEmptyLines: true }));
});

test("from confluent-kafka to Java's console consumer", { timeout: 240_000 }, async () => {
  await createTopic('python-java');
  await writeLines('confluent-kafka', target.bootstrap, 'python-java', text.file);
  const file = join(text.folder, 'python-java');
  const options = ['--from-beginning', '--max-messages', String(text.lineCount), '--timeout-ms', '30000'];
  await tool('kafka-console-consumer', ['--bootstrap-server', target.bootstrap, '--topic', 'python-java', ...options], { stdoutFile: file });
  assert.equal(linesDigest(file, { withEmptyLines: true }), linesDigest(text.file, { withEmptyLines: true }));
});

/** Writes the values of `count` records as lines. */
async function consumeWithKafkajs(topic: string, file: string, count: number): Promise<void> {
  const consumer = kafkajs(target.bootstrap).consumer({ groupId: 'text', maxBytesPerPartition: 4_194_304, maxWaitTimeInMs: 200 });
  const output = createWriteStream(file);
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let left = count;
  await new Promise<void>((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
    void consumer.run({
      eachBatch: async ({ batch }) => {
        const lines = batch.messages.map((message) => `${String(message.value)}\n`).join('');
        if (!output.write(lines)) await once(output, 'drain');
        left -= batch.messages.length;
        if (left <= 0) resolve();
      },
    });
  });
  await consumer.disconnect();
  output.end();
  await once(output, 'finish');
}
