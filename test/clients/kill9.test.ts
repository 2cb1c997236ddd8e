/**
 * kill -9 again and again while librdkafka produces idempotently with five requests in flight per connection: its retries come
 * in sequence or not at all, and nothing acknowledged is lost or doubled. Our broker only; Apache Kafka does not fsync.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkHistory, type ProducerHistory } from '../integration/producer-history.ts';
import { kafkajs, readTopic } from '../integration/read-topic.ts';
import { startBroker } from '../lab/broker.ts';
import { freePort } from '../lab/program.ts';
import { pythonCommand } from './python-client.ts';

const kills = 8;
const partitions = 6;
const topic = 'killed';

test(`${kills} × kill -9 under librdkafka's idempotent producer`, { timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'automq-kill9-rd-'));
  const port = await freePort();
  const start = () => startBroker({ folder, port, settings: ['--checkpoint.interval.ms=500', '--gc.delay.ms=1000'] });
  let broker = await start();
  try {
    const admin = kafkajs(broker.bootstrap).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] });
    await admin.disconnect();
    const producer = sustainedProducer(broker.bootstrap);
    for (let kill = 0; kill < kills; kill++) {
      await delay(300 + 170 * (kill % 4));
      await broker.program.kill9();
      broker = await start();
    }
    await delay(500);
    checkHistory([await producer.stop()], await readTopic(broker.bootstrap, topic), partitions);
  } finally {
    await broker.program.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Produces until its standard input ends, then waits for all acknowledgements. */
function sustainedProducer(bootstrap: string): { stop(): Promise<ProducerHistory> } {
  const { command, args, env } = pythonCommand();
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close') as Promise<[number | null]>;
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.write(`${JSON.stringify({ library: 'confluent-kafka', do: 'sustain', bootstrap, topic, partitions, name: 'rd' })}\n`);
  return {
    stop: async () => {
      child.stdin.end();
      const [code] = await ended;
      if (code !== 0) throw new Error(`the producer ended with ${code}: ${output.slice(-500)}`);
      const { sent, acknowledged } = JSON.parse(output) as { sent: number; acknowledged: readonly number[] };
      const value = (number: number) => `rd/${number}`;
      return { name: 'rd', sent: Array.from({ length: sent }, (_, i) => value(i)), acknowledged: new Set(acknowledged.map(value)) };
    },
  };
}
