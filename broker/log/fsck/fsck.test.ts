import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { readStoredMetadata } from '../../ownership/stored-metadata.ts';
import { LivesOnMemory } from '../../testing/lives-on-memory.ts';
import { type FsckReport, fsck } from './fsck.ts';

describe('fsck', () => {
  test('tells every object of a resting broker, and finds no garbage', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 3);
    for (let i = 0; i < 60; i++) await on.append(on.log(topicId, i % 3), 500);
    on.kill();
    await on.begin();
    for (let i = 0; i < 60; i++) await on.append(on.log(topicId, i % 3), 500);
    await on.rest(60_000);
    const report = await check(on, { verify: true });
    assert.deepEqual(report.problems, []);
    assert.equal(report.clean, true);
    assert.deepEqual([report.totals.start.count, report.totals.seal.count, report.totals.garbage.count], [2, 1, 0]);
    assert.ok(report.totals.live.count > 0);
    assert.equal(report.objects.length, (await on.keys()).length);
  });

  test('says garbage of what waits for collection, and why', async () => {
    const on = await LivesOnMemory.start({ 'gc.delay.ms': '1000000000' });
    const topicId = await on.createTopic('rides', 1);
    for (let i = 0; i < 20; i++) await on.append(on.log(topicId, 0), 500);
    await on.rest(10_000);
    const report = await check(on);
    assert.equal(report.clean, true);
    assert.ok(report.totals.garbage.count >= 20);
    assert.match(report.objects.find(({ is }) => is === 'garbage')!.reason, /waits for collection/);
  });

  test('misses what is gone, and names who needs it', async () => {
    const on = await withRecords();
    await on.objects.delete(['wal/0/000000000001/000000000003']);
    const report = await check(on);
    assert.equal(report.clean, false);
    assert.deepEqual(
      report.objects.filter(({ is }) => is === 'missing').map(({ key }) => key),
      ['wal/0/000000000001/000000000003'],
    );
    assert.match(report.objects.find(({ is }) => is === 'missing')!.reason, /records/);
  });

  test('damage is found by reading everything; what was cut off, without', async () => {
    const on = await withRecords();
    const key = 'wal/0/000000000001/000000000003';
    const read = await on.objects.read(key);
    assert.ok(read.kind === 'found');
    const damaged = Buffer.from(read.bytes);
    damaged[100]! ^= 1;
    await on.objects.delete([key]);
    await on.objects.create(key, { chunks: [damaged], sizeBytes: damaged.length });
    assert.equal((await check(on)).clean, true);
    assert.match(JSON.stringify((await check(on, { verify: true })).objects.find(({ is }) => is === 'damaged')), /CRC.*needed as records/);
    await on.objects.delete([key]);
    await on.objects.create(key, { chunks: [damaged.subarray(0, 100)], sizeBytes: 100 });
    assert.equal((await check(on)).objects.find(({ is }) => is === 'damaged')?.key, key);
  });

  test('does not know what no broker of the cluster can have written', async () => {
    const on = await withRecords();
    for (const key of ['holiday.jpg', 'wal/7/000000000001/000000000001', 'data/0/000000000099/000000000001'])
      await on.objects.create(key, { chunks: [], sizeBytes: 0 });
    for (const key of ['cluster', 'probe/1234/a']) await on.objects.create(key, { chunks: [], sizeBytes: 0 });
    const report = await check(on);
    assert.deepEqual(
      report.objects.filter(({ is }) => is === 'unknown').map(({ key }) => key),
      ['data/0/000000000099/000000000001', 'holiday.jpg', 'wal/7/000000000001/000000000001'],
    );
    assert.equal(report.totals.root.count, 1);
  });

  test('objects past a seal are garbage', async () => {
    const on = await withRecords();
    on.kill();
    await on.objects.create('wal/0/000000000001/000000000050', { chunks: [Buffer.alloc(1000)], sizeBytes: 1000 });
    await on.begin();
    const report = await check(on);
    assert.equal(report.clean, true, JSON.stringify(report.problems));
    assert.equal(report.objects.find(({ key }) => key === 'wal/0/000000000001/000000000050')?.is, 'garbage');
  });

  test('a hole in a WAL with much behind it is no upload on its way', async () => {
    const on = await LivesOnMemory.start({ 'merge.interval.ms': '100000000', 'merge.threshold.objects': '1000000', 'checkpoint.interval.ms': '1000000000' });
    const topicId = await on.createTopic('rides', 1);
    for (let i = 0; i < 110; i++) await on.append(on.log(topicId, 0), 100);
    assert.equal((await check(on)).clean, true);
    await on.objects.delete(['wal/0/000000000001/000000000003']);
    assert.match((await check(on)).problems.join(), /number 3 .*107 objects/);
  });

  test('records in the metadata store that do not parse are told', async () => {
    const on = await withRecords();
    await on.until(on.meta.txn({ compare: [], then: [{ kind: 'put', key: 'nodes/5', value: 'nonsense' }] }));
    assert.match((await check(on)).problems.join(), /nodes\/5/);
  });

  test('after any life of appends, crashes, restarts, merges, deletions: nothing unknown, missing or wrong; at rest no garbage', async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          kind: fc.constant('append' as const),
          topic: fc.nat(9),
          partition: fc.nat(2),
          size: fc.integer({ min: 1, max: 3000 }),
          count: fc.integer({ min: 1, max: 10 }),
        }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('rest' as const), ms: fc.constantFrom(50, 700, 5_000, 20_000) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'crash in flight' as const, 'restart' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('create' as const, 'fsck' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), topic: fc.nat(9) }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('trim' as const), topic: fc.nat(9), partition: fc.nat(2), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const on = await LivesOnMemory.start();
        const topics: TopicId[] = [await on.createTopic('kept', 3), await on.createTopic('trimmed', 3, { 'retention.bytes': '20000' })];
        let created = 0;
        for (const done of steps) {
          const topic = 'topic' in done ? topics[done.topic % topics.length] : undefined;
          if (done.kind === 'rest') await on.rest(done.ms);
          else if (done.kind === 'fsck') assertSound(await check(on));
          else if (done.kind === 'create') topics.push(await on.createTopic(`t${created++}`, 3, { 'retention.bytes': '20000' }));
          else if (done.kind === 'restart') await on.end().then(() => on.begin());
          else if (done.kind === 'crash' || done.kind === 'crash in flight') {
            if (done.kind === 'crash in flight') for (const of of topics) void on.log(of, 0).append(on.batch(on.log(of, 0)), { origin: 'client' });
            on.kill();
            await on.begin();
          } else if (!topic) continue;
          else if (done.kind === 'append') for (let i = 0; i < done.count; i++) await on.append(on.log(topic, done.partition), done.size);
          else if (done.kind === 'trim')
            await on.until(on.log(topic, done.partition).deleteRecordsBefore(Math.floor(on.log(topic, done.partition).highWatermark * done.share)));
          else {
            await on.until(on.life.services.admin.deleteTopic(topic));
            topics.splice(topics.indexOf(topic), 1);
          }
        }
        assertSound(await check(on, { verify: true }));
        for (const topic of topics) for (const partition of [0, 1, 2]) await on.readAll(on.log(topic, partition));
        await on.rest(60_000);
        const report = await check(on, { verify: true });
        assertSound(report);
        assert.equal(report.totals.garbage.count, 0, textOf(report));
      }),
      { numRuns: 12 },
    );
  });
});

async function withRecords(): Promise<LivesOnMemory> {
  const on = await LivesOnMemory.start({ 'merge.interval.ms': '100000000', 'merge.threshold.objects': '1000000' });
  const topicId = await on.createTopic('rides', 1);
  for (let i = 0; i < 5; i++) await on.append(on.log(topicId, 0), 500);
  await on.rest(1_000);
  return on;
}

function check(on: LivesOnMemory, { verify = false } = {}): Promise<FsckReport> {
  const { objects, clock, random, meta } = on;
  return on.until(fsck({ objects, clock, random, signal: new AbortController().signal, parallel: 4, verify, metadata: () => readStoredMetadata(meta) }));
}

function assertSound(report: FsckReport): void {
  assert.ok(report.clean, textOf(report));
}

function textOf({ objects, problems }: FsckReport): string {
  return [...objects.map(({ is, key, sizeBytes, reason }) => `${is} ${key} ${sizeBytes} ${reason}`), ...problems].join('\n');
}
