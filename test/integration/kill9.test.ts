/**
 * kill -9 again and again during sustained idempotent producing: nothing acknowledged is missing, nothing is there twice, the
 * order of each producer holds, offsets have no gaps, and fsck knows every stored object. On the folder store, and on each S3 server of AUTOMQ_TEST_S3.
 * AUTOMQ_TEST_KILLS: how often (5; the full run takes 20).
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Producer, Partitioners } from 'kafkajs';
import { type BucketAddress, fsck, type OwnBroker, startBroker } from '../lab/broker.ts';
import { freePort } from '../lab/program.ts';
import { checkHistory, type ProducerHistory } from './producer-history.ts';
import { kafkajs, readTopic } from './read-topic.ts';

const kills = Number(process.env['AUTOMQ_TEST_KILLS'] ?? 5);
const lanes = 4;
const partitions = 6;
const topic = 'killed';

const buckets = (process.env['AUTOMQ_TEST_S3'] ?? '').split(' ').filter((text) => text !== '');
const stores: readonly { readonly name: string; readonly s3: BucketAddress | undefined }[] = [
  { name: 'the folder store', s3: undefined },
  ...buckets.map((text) => ({ name: new URL(text).host, s3: bucketAddress(text) })),
];

for (const { name, s3 } of stores) {
  test(`${kills} × kill -9 during idempotent producing loses and doubles nothing on ${name}`, { timeout: 60_000 + kills * 20_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'automq-kill9-'));
    const port = await freePort();
    const options = { folder, port, settings: ['--checkpoint.interval.ms=500', '--gc.delay.ms=1000'], ...(s3 ? { s3 } : {}) };
    const start = () => startBroker(options);
    let broker = await start();
    try {
      await createTopic(broker);
      const sending = new AbortController();
      const running = Array.from({ length: lanes }, (_, lane) => produceUntil(broker.bootstrap, lane, sending.signal));
      for (let kill = 0; kill < kills; kill++) {
        await delay(200 + 150 * (kill % 4)); // Different moments of a checkpoint's cycle.
        await broker.program.kill9();
        broker = await start();
      }
      await delay(300);
      sending.abort();
      const sent = await Promise.all(running);
      checkHistory(sent, await readTopic(broker.bootstrap, topic), partitions);
      const exit = await broker.program.stop();
      assert.equal(exit.code, 0, broker.program.logTail());
      broker = await start();
      checkHistory(sent, await readTopic(broker.bootstrap, topic), partitions);
      await broker.program.stop();
      const { code, stdout, stderr } = await fsck(options);
      assert.equal(code, 0, stdout + stderr);
    } finally {
      await broker.program.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** One idempotent producer after the other; a new one when kafkajs gave up, which leaves what was under way unknown. */
async function produceUntil(bootstrap: string, lane: number, signal: AbortSignal): Promise<ProducerHistory> {
  const sent: string[] = [];
  const acknowledged = new Set<string>();
  while (!signal.aborted) {
    const producer: Producer = kafkajs(bootstrap, 60).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    try {
      await producer.connect();
      while (!signal.aborted) {
        const batch = Array.from({ length: 20 }, (_, i) => `${lane}/${sent.length + i}`);
        sent.push(...batch);
        await producer.send({ topic, acks: -1, messages: batch.map((value, i) => ({ value, key: String(i), partition: (lane + i) % partitions })) });
        for (const value of batch) acknowledged.add(value);
      }
    } catch {
      // What was under way is unknown: it may be there, once.
    } finally {
      await producer.disconnect();
    }
  }
  return { name: String(lane), sent, acknowledged };
}

async function createTopic(broker: OwnBroker): Promise<void> {
  const admin = kafkajs(broker.bootstrap).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  await admin.disconnect();
}

/** A prefix of its own, so that runs do not meet. */
function bucketAddress(text: string): BucketAddress {
  const url = new URL(text);
  return {
    endpoint: url.origin,
    bucket: url.pathname.slice(1),
    prefix: `kill9-${randomUUID()}`,
    accessKeyId: url.username,
    secretAccessKey: url.password,
  };
}
