import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import type { ByteRange, CallOptions, CreateOutcome, ObjectBody } from '../../io/object/object-store.ts';
import { ReadFailed } from './partition-log.ts';
import { batchOf, kib, LogOnMemory, testTopic } from './testing/log-on-memory.ts';

describe('a checkpoint', () => {
  test('that is placed while a raised log start is on its way carries it: a takeover does not take it back', async () => {
    const store = new HeldStore();
    const on = new LogOnMemory({ objects: store });
    const partition = on.create(0);
    for (let i = 0; i < 10; i++) await on.append(partition, 100);
    store.hold();
    const raised = partition.deleteRecordsBefore(7);
    const checkpoint = on.log.checkpoint();
    store.letGo();
    assert.equal(await on.until(raised), 0);
    assert.equal(await on.until(checkpoint), true);
    const next = new LogOnMemory({ objects: store, clock: on.clock, incarnation: { node: 0 as never, epoch: 2 } });
    const reopened = await next.reopen(0, on.pointer!);
    assert.equal(reopened.logStartOffset, 7);
    assert.deepEqual(await next.readAll(reopened), [7, 8, 9]);
  });

  test('is not kept for a few pages that never change', async () => {
    const on = new LogOnMemory();
    const partitions = Array.from({ length: 400 }, (_, i) => on.create(i));
    for (const partition of partitions) await on.append(partition, 1);
    await on.checkpoint();
    const first = on.pointer!;
    // All pages but the first change, until a quarter of the first checkpoint is not alive any more.
    for (let round = 0; round < 3; round++) {
      for (const partition of partitions.slice(32)) await on.append(partition, 1);
      await on.checkpoint();
    }
    await on.rest();
    assert.equal((await on.keys()).includes(first), false);
    const next = new LogOnMemory({ objects: on.objects, clock: on.clock, incarnation: { node: 0 as never, epoch: 2 } });
    assert.deepEqual(await next.readAll(await next.reopen(5, on.pointer!)), [0]);
  });
});

test('the end of the current leader epoch is the high watermark: what is on its way may never exist', async () => {
  const store = new HeldStore();
  const on = new LogOnMemory({ objects: store });
  const partition = on.create(0);
  await on.append(partition, 100);
  store.hold();
  const outcome = partition.append(batchOf(1, 100, 1), { origin: 'client' });
  await on.rest(10);
  assert.equal(partition.logEndOffset, 2);
  assert.deepEqual(partition.endOffsetForEpoch(0), { leaderEpoch: 0, endOffset: 1 });
  assert.deepEqual(partition.endOffsetForEpoch(1), { leaderEpoch: -1, endOffset: -1 });
  store.letGo();
  assert.ok(outcome.kind === 'appended' && (await on.until(outcome.durable)) === 'durable');
  assert.deepEqual(partition.endOffsetForEpoch(0), { leaderEpoch: 0, endOffset: 2 });
});

describe('a checkpoint whose pointer is not proven', () => {
  test('loses nothing of what waits for collection: the next proven one lets it go', async () => {
    const on = new LogOnMemory();
    const partition = on.create(0);
    for (let i = 0; i < 3; i++) await on.append(partition, 100);
    await on.checkpoint();
    await on.until(partition.deleteRecordsBefore(3));
    const { prove } = on;
    on.prove = () => Promise.reject(new Error('no space'));
    await assert.rejects(on.checkpoint(), /no space/);
    on.prove = prove;
    on.proof = 'given up';
    assert.equal(await on.checkpoint(), false);
    await on.rest();
    assert.ok((await on.keys()).includes('wal/0/000000000001/000000000001'));
    on.proof = 'proven';
    await on.append(partition, 100);
    assert.equal(await on.checkpoint(), true);
    await on.rest();
    for (const number of [1, 2, 3]) assert.ok(!(await on.keys()).includes(`wal/0/000000000001/00000000000${number}`));
  });

  test('because somebody claimed this incarnation ends it: it must not go on telling an old end of the log', async () => {
    const on = new LogOnMemory();
    const partition = on.create(0);
    await on.append(partition, 100);
    on.proof = 'refused';
    assert.equal(await on.checkpoint(), false);
    await on.rest();
    assert.ok(on.ended);
    assert.equal(partition.append(batchOf(1, 100, 1), { origin: 'client' }).kind, 'rejected');
    assert.equal((await partition.read(0, { maxBytes: 100, isolation: 'uncommitted' })).kind, 'failed');
  });

  test('does not keep a log from shutting down', async () => {
    const on = new LogOnMemory();
    const partition = on.create(0);
    await on.append(partition, 100);
    on.prove = () => Promise.reject(new Error('no space'));
    await on.until(on.log.shutDown({ graceful: true, withinMs: 1_000 }));
    assert.ok(partition.closed);
    assert.equal(on.log.wal.refusal, 'ended');
  });
});

describe('collection', () => {
  test('a slice that got its place after its topic was deleted holds nothing', async () => {
    const store = new HeldStore();
    const on = new LogOnMemory({ objects: store });
    const [kept, deleted] = [on.create(0), on.create(1)];
    await on.append(kept, 100);
    void deleted.append(batchOf(0, 100, 1), { origin: 'client' });
    on.log.close(testTopic, 1, 'deleted');
    await on.rest();
    await on.checkpoint();
    await on.checkpoint();
    await on.rest();
    const keys = await on.keys();
    assert.ok(keys.includes('wal/0/000000000001/000000000001') && !keys.includes('wal/0/000000000001/000000000002'), keys.join());
  });

  test('begins when a takeover has opened everything, with what a checkpoint after that no longer needs', async () => {
    const on = new LogOnMemory({ collectable: 'nothing' });
    const partition = on.create(0);
    for (let i = 0; i < 3; i++) await on.append(partition, 100);
    await on.until(partition.deleteRecordsBefore(3));
    await on.checkpoint();
    on.log.allowCollection(() => 'everything');
    await on.rest(10_000);
    assert.equal((await on.keys()).length, 5, 'the checkpoint is older than the permission');
    const groups = (await on.keys()).filter((key) => key < on.pointer!);
    await on.checkpoint();
    await on.rest();
    const left = await on.keys();
    assert.deepEqual(
      left.filter((key) => groups.includes(key)),
      [],
    );
  });

  test('spares what partitions that could not be opened may need: state objects and what is not our own', async () => {
    const before = new LogOnMemory();
    const inherited = before.create(0);
    await before.append(inherited, 100);
    await before.checkpoint();
    const on = new LogOnMemory({ objects: before.objects, clock: before.clock, incarnation: { node: 0 as never, epoch: 2 }, collectable: 'own' });
    const state = on.log.wal.put(() => ({ kind: 'state', content: [], contentBytes: 0, footer: Buffer.alloc(0) }));
    await on.until(state.counted);
    const partition = await on.reopen(0, before.pointer!);
    await on.append(partition, 100);
    await on.until(partition.deleteRecordsBefore(2));
    await on.checkpoint();
    await on.checkpoint();
    await on.rest();
    const keys = await on.keys();
    for (const spared of [before.pointer!, 'wal/0/000000000001/000000000001', state.key]) assert.ok(keys.includes(spared), spared);
    for (const own of [2, 3]) assert.ok(!keys.includes(`wal/0/000000000002/00000000000${own}`), keys.join());
  });
});

describe('offsets by time', () => {
  test('in a large stored slice about one block is read, and deleted records are no answer', async () => {
    const store = new HeldStore();
    const on = new LogOnMemory({ objects: store, limits: { logCacheBytes: 0, merge: { largeEntryBytes: 4096 * kib, maxOutputBytes: 8192 * kib } } });
    const partition = on.create(0);
    for (let i = 0; i < 400; i++) await on.append(partition, 8_000, 1_000 + i);
    await on.merge();
    assert.equal(partition.index.entries.length, 1);
    store.readBytes = 0;
    const find = async (timestampMs: number) => (await on.until(partition.offsetForTimestamp(timestampMs)))?.offset;
    assert.equal(await find(1_300), 300);
    assert.ok(store.readBytes < 1536 * kib, `${store.readBytes}`);
    assert.equal(await find(0), 0);
    assert.equal(await find(1_399), 399);
    assert.equal(await find(1_400), undefined);
    assert.equal((await on.until(partition.offsetOfMaxTimestamp()))?.offset, 399);
    await on.until(partition.deleteRecordsBefore(350));
    assert.equal(await find(1_300), 350);
    await on.append(partition, 100, 1_100);
    assert.equal(await find(1_400), undefined);
  });

  test('records that cannot be read are not passed over: a later one would be taken for the first', async () => {
    const store = new HeldStore();
    const on = new LogOnMemory({ objects: store, limits: { logCacheBytes: 0 } });
    const partition = on.create(0);
    for (const timestampMs of [1_000, 2_000, 3_000]) await on.append(partition, 100, timestampMs);
    store.unreadable = partition.index.entries[1]?.object;
    await assert.rejects(on.until(partition.offsetForTimestamp(2_000)), ReadFailed);
    assert.equal((await on.until(partition.offsetForTimestamp(3_000)))?.offset, 2);
    store.unreadable = undefined;
    assert.equal((await on.until(partition.offsetForTimestamp(2_000)))?.offset, 1);
  });

  test('an entry of which only deleted records are new enough is passed over', async () => {
    const on = new LogOnMemory();
    const partition = on.create(0);
    for (const timestampMs of [500, 10, 20, 30]) await on.append(partition, 4 * kib, timestampMs);
    await on.merge();
    assert.equal(partition.index.entries.length, 1);
    await on.append(partition, 100, 600);
    await on.until(partition.deleteRecordsBefore(1));
    assert.equal((await on.until(partition.offsetForTimestamp(400)))?.offset, 4);
  });
});

/** Holds PUTs while it is told to; counts what is read. */
class HeldStore extends MemoryObjectStore {
  readBytes = 0;
  unreadable: string | undefined;
  #held: Promise<void> | undefined;
  letGo: () => void = () => {};

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.letGo = resolve;
    });
  }

  override async create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    await this.#held;
    return super.create(key, body, options);
  }

  override async read(key: string, range?: ByteRange, options?: CallOptions) {
    if (key === this.unreadable) return { kind: 'unknown', cause: 'away' } as const;
    const outcome = await super.read(key, range, options);
    if (outcome.kind === 'found') this.readBytes += outcome.bytes.length;
    return outcome;
  }
}
