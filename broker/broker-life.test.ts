import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Io } from '../io/io.ts';
import { silentLogger } from '../io/logger.ts';
import { openEmbeddedMetaStore } from '../io/meta/embedded-meta-store.ts';
import type { WatchHandler } from '../io/meta/meta-store.ts';
import { noMetrics } from '../io/metrics.ts';
import { MemoryObjectStore } from '../io/object/memory-object-store.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import type { NodeId, TopicId } from '../cluster/identifiers.ts';
import { beginLife, type BrokerLife } from './broker-life.ts';
import { brokerConfig } from './config.ts';
import { buildBatch } from './log/batch/build-batch.ts';
import { decodeRecords } from './log/batch/records.ts';
import { walkBatches } from './log/batch/walk-batches.ts';
import type { PartitionLog } from './log/partition-log.ts';

describe('a broker life', () => {
  afterEach(async () => {
    for (const life of begun.splice(0)) await life.close({ graceful: false });
  });

  test('what was acknowledged is there in the next life, without a graceful end', async () => {
    const io = await testIo();
    const first = await life(io);
    const topicId = await createTopic(first, 'rides', 3);
    for (let i = 0; i < 30; i++) assert.equal(await append(first, topicId, i % 3, `v${i}`), Math.floor(i / 3));
    const second = await life(io);
    for (let partition = 0; partition < 3; partition++) assert.deepEqual(await readAll(logOf(second, topicId, partition)), expected(partition, 30));
    assert.equal(logOf(second, topicId, 0).leaderEpoch, 1);
    for (let i = 30; i < 60; i++) assert.equal(await append(second, topicId, i % 3, `v${i}`), Math.floor(i / 3));
    const third = await life(io);
    for (let partition = 0; partition < 3; partition++) assert.deepEqual(await readAll(logOf(third, topicId, partition)), expected(partition, 60));
    assert.equal(logOf(third, topicId, 1).leaderEpoch, 2);
    await third.close({ graceful: true });
    const fourth = await life(io);
    assert.deepEqual(await readAll(logOf(fourth, topicId, 2)), expected(2, 60));
    await fourth.close({ graceful: true });
  });

  test('a life that was taken over can acknowledge nothing and ends', async () => {
    const io = await testIo();
    let deaf = false;
    const watch = (prefix: string, after: number, handler: WatchHandler) =>
      io.meta.watch(prefix, after, { onEvents: (events, revision) => void (deaf || handler.onEvents(events, revision)), onGap: () => {} });
    const meta = new Proxy(io.meta, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        return name === 'watch' ? watch : typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    const zombie = await life({ ...io, meta });
    const topicId = await createTopic(zombie, 'rides', 1);
    await append(zombie, topicId, 0, 'a');
    deaf = true;
    const successor = await life(io);
    const late = logOf(zombie, topicId, 0).append(batch('never'), { origin: 'client' });
    assert.equal(late.kind, 'appended');
    assert.equal(late.kind === 'appended' && (await late.durable), 'not-appended');
    assert.equal((await zombie.ended).kind, 'fenced');
    assert.deepEqual(await readAll(logOf(successor, topicId, 0)), ['a']);
    await successor.close({ graceful: true });
  });

  test('a life that hears of a claim on itself takes nothing more and ends', async () => {
    const io = await testIo();
    const zombie = await life(io);
    const topicId = await createTopic(zombie, 'rides', 1);
    const log = logOf(zombie, topicId, 0);
    const successor = await life(io);
    assert.equal(log.append(batch('never'), { origin: 'client' }).kind, 'rejected');
    await zombie.ended;
    await successor.close({ graceful: true });
  });

  test('a retry of a batch is answered with its first offset, across lives', async () => {
    const io = await testIo();
    const first = await life(io);
    const topicId = await createTopic(first, 'rides', 1);
    const send = (to: BrokerLife, sequence: number) =>
      logOf(to, topicId, 0).append(
        buildBatch({ records: [{ key: null, value: Buffer.from(`s${sequence}`), timestampMs: 1 }], producerId: 7, producerEpoch: 0, baseSequence: sequence }),
        { origin: 'client' },
      );
    for (let sequence = 0; sequence < 3; sequence++) {
      const sent = send(first, sequence);
      assert.equal(sent.kind === 'appended' && (await sent.durable), 'durable');
    }
    const second = await life(io);
    const retry = send(second, 2);
    assert.equal(retry.kind, 'duplicate');
    assert.equal(retry.kind === 'duplicate' && retry.baseOffset, 2);
    assert.equal(send(second, 4).kind, 'rejected');
    assert.equal(send(second, 3).kind, 'appended');
    await second.close({ graceful: true });
  });
});

async function testIo(): Promise<Io> {
  return {
    clock: systemClock,
    random: systemRandom,
    objects: new MemoryObjectStore(),
    meta: await openEmbeddedMetaStore({ clock: systemClock, random: systemRandom }),
    transport: undefined as never,
    logger: silentLogger,
    metrics: noMetrics,
  };
}

const begun: BrokerLife[] = [];

async function life(io: Io): Promise<BrokerLife> {
  const life = await beginLife({
    config: brokerConfig({ 'node.id': '0' }),
    io,
    clusterId: 'test',
    identity: { node: 0 as NodeId, host: '127.0.0.1', port: 9092, rack: undefined, internal: undefined },
    signal: new AbortController().signal,
    onMayAnswer: () => {},
    onLiving: () => {},
  });
  begun.push(life);
  return life;
}

async function createTopic({ services }: BrokerLife, name: string, partitionCount: number): Promise<TopicId> {
  const created = await services.admin.createTopic({ name, partitionCount, config: {} });
  assert.equal(created.kind, 'done');
  return (created as { topicId: TopicId }).topicId;
}

function logOf({ services }: BrokerLife, topicId: TopicId, partition: number): PartitionLog {
  const found = services.partitions.find(topicId, partition);
  assert.equal(found.kind, 'owned');
  return (found as { log: PartitionLog }).log;
}

function batch(value: string): Buffer {
  return buildBatch({ records: [{ key: null, value: Buffer.from(value), timestampMs: 1_000 }] });
}

async function append(to: BrokerLife, topicId: TopicId, partition: number, value: string): Promise<number> {
  const outcome = logOf(to, topicId, partition).append(batch(value), { origin: 'client' });
  assert.equal(outcome.kind, 'appended');
  if (outcome.kind !== 'appended') return -1;
  assert.equal(await outcome.durable, 'durable');
  return outcome.baseOffset;
}

async function readAll(log: PartitionLog): Promise<string[]> {
  const values: string[] = [];
  let offset = log.logStartOffset;
  while (offset < log.highWatermark) {
    const outcome = await log.read(offset, { maxBytes: 200, isolation: 'uncommitted' });
    assert.equal(outcome.kind, 'records');
    if (outcome.kind !== 'records') break;
    for (const chunk of outcome.chunks) {
      for (const found of walkBatches(chunk as Buffer)) {
        assert.equal(found.baseOffset, offset);
        offset = found.lastOffset + 1;
        const decoded = decodeRecords((chunk as Buffer).subarray(found.position), { maxOutputBytes: 1000 });
        if (decoded.kind === 'ok') for (const record of decoded.records) values.push(String(record.value));
      }
    }
  }
  return values;
}

function expected(partition: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => i)
    .filter((i) => i % 3 === partition)
    .map((i) => `v${i}`);
}
