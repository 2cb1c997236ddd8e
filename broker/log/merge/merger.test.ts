import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MemoryObjectStore } from '../../../io/object/memory-object-store.ts';
import type { CallOptions, CreateOutcome, ObjectBody } from '../../../io/object/object-store.ts';
import { ByteReader } from '../../../std/byte-reader.ts';
import { decodeSlices } from '../format/slices.ts';
import { parseWholeObject } from '../format/stored-object.ts';
import type { Partition } from '../partition.ts';
import { kib, LogOnMemory, type LogOnMemoryOptions } from '../testing/log-on-memory.ts';

describe('a merge', () => {
  test('puts small slices together; the log stays the same, the inputs go when a checkpoint without them is proven', async () => {
    const { on, partitions } = await withGroups(4, 20, 1 * kib);
    const before = await Promise.all(partitions.map((partition) => on.readAll(partition)));
    await on.merge();
    for (const [i, partition] of partitions.entries()) {
      assert.equal(partition.index.entries.length, 1);
      assert.deepEqual(await on.readAll(partition), before[i]);
    }
    assert.deepEqual(await on.keys('data/'), ['data/0/000000000001/000000000001']);
    await on.rest();
    assert.equal((await on.keys('wal/')).length, 20, 'inputs stay until a checkpoint is proven');
    await on.checkpoint();
    await on.rest();
    assert.deepEqual(await on.keys(), ['data/0/000000000001/000000000001', on.pointer]);
    assert.equal(on.metrics.value('automq_merge_input_bytes_total', 'store'), 0);
  });

  test('is what the next checkpoint says: opened from it, the log reads the same', async () => {
    const { on, partitions } = await withGroups(3, 10, 2 * kib);
    await on.merge();
    await on.checkpoint();
    await on.rest();
    const next = new LogOnMemory({ objects: on.objects, clock: on.clock, incarnation: { node: 0 as never, epoch: 2 } });
    for (const { partition } of partitions) assert.equal((await next.readAll(await next.reopen(partition, on.pointer!))).length, 10);
  });

  test('reads slices that left the cache from the store, neighbours in one GET', async () => {
    const { on, partitions } = await withGroups(4, 20, 1 * kib, { limits: { logCacheBytes: 0 } });
    await on.merge();
    assert.equal(on.metrics.value('automq_merge_input_bytes_total', 'cache'), 0);
    for (const partition of partitions) {
      assert.equal(partition.index.entries.length, 1);
      assert.equal((await on.readAll(partition)).length, 20);
    }
  });

  test('gives a partition with much in it a stream object of its own, and the same bytes from cache and store', async () => {
    const contents: Buffer[] = [];
    for (const logCacheBytes of [1 << 30, 0]) {
      const { on, partitions } = await withGroups(2, 30, 2 * kib, { limits: { logCacheBytes } });
      for (let i = 0; i < 8; i++) await on.append(partitions[0]!, 8 * kib);
      await on.merge();
      const [stream] = await on.keys('data/');
      const read = await on.objects.read(stream!);
      assert.ok(read.kind === 'found');
      const { trailer, content, footer } = parseWholeObject(read.bytes);
      assert.equal(trailer.kind, 'stream');
      const slices = decodeSlices(new ByteReader(footer));
      assert.deepEqual(
        slices.map(({ partition, firstOffset, lastOffset, length }) => ({ partition, firstOffset, lastOffset, length })),
        [{ partition: 0, firstOffset: 0, lastOffset: 37, length: content.length }],
      );
      contents.push(content);
    }
    assert.ok(contents[0]!.equals(contents[1]!));
  });

  test('sets marks in long slices, whether they come from the cache or from the store', async () => {
    const marks: unknown[] = [];
    for (const logCacheBytes of [1 << 30, 0]) {
      const on = new LogOnMemory({ limits: { logCacheBytes, merge: { largeEntryBytes: 1024 * kib, maxOutputBytes: 2048 * kib } } });
      const partition = on.create(0);
      for (let i = 0; i < 200; i++) await on.append(partition, 7 * kib, i * 10);
      await on.merge();
      assert.equal(partition.index.entries.length, 1);
      const read = await on.objects.read((await on.keys('data/'))[0]!);
      assert.ok(read.kind === 'found');
      const [slice] = decodeSlices(new ByteReader(parseWholeObject(read.bytes).footer));
      assert.equal(slice!.marks.length, 5);
      for (const { offset, maxTimestampMs } of slice!.marks) assert.equal(maxTimestampMs, (offset - 1) * 10);
      marks.push(slice!.marks);
    }
    assert.deepEqual(marks[0], marks[1]);
  });

  test('moves what is left of an object that has been mostly garbage for a while', async () => {
    const { on, partitions } = await withGroups(3, 1, 10 * kib, { limits: { merge: { largeEntryBytes: 4 * kib, smallObjectBytes: 4 * kib } } });
    for (const partition of partitions.slice(0, 2)) await on.until(partition.deleteRecordsBefore(1));
    await on.merge();
    assert.deepEqual(await on.keys('data/'), [], 'may be retention on its way');
    await on.rest(2_000);
    await on.merge();
    assert.deepEqual(await on.keys('data/'), ['data/0/000000000001/000000000001']);
    assert.equal(partitions[2]!.index.entries[0]?.object, 'data/0/000000000001/000000000001');
  });

  test('is due by bytes, by objects and by age', async () => {
    const byBytes = await withGroups(2, 10, 1 * kib, { limits: { merge: { thresholdBytes: 10 * kib } } });
    await byBytes.on.rest();
    assert.notDeepEqual(await byBytes.on.keys('data/'), []);
    const byObjects = await withGroups(2, 10, 1 * kib, { limits: { merge: { thresholdObjects: 10 } } });
    await byObjects.on.rest();
    assert.notDeepEqual(await byObjects.on.keys('data/'), []);
    const byAge = await withGroups(2, 20, 1 * kib, { limits: { merge: { intervalMs: 5_000 } } });
    await byAge.on.rest(4_000);
    assert.deepEqual(await byAge.on.keys('data/'), []);
    await byAge.on.rest(2_000);
    assert.notDeepEqual(await byAge.on.keys('data/'), []);
  });

  test('counts what it writes: write amplification can be read off', async () => {
    const { on } = await withGroups(4, 20, 1 * kib);
    await on.merge();
    await on.checkpoint();
    const [wal, merge, checkpoint] = ['wal', 'merge', 'checkpoint'].map((kind) => on.metrics.value('automq_stored_bytes_total', kind)) as [
      number,
      number,
      number,
    ];
    assert.ok(wal > 80 * kib && merge > 80 * kib && merge < wal && checkpoint > 0 && checkpoint < kib);
  });
});

describe('while a merge is under way', () => {
  test('retention takes an input: the partition keeps its index, the output is garbage and goes', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(1, 20, 1 * kib, { objects: store });
    const merging = on.log.merge();
    await on.until(store.arrived);
    await on.until(partitions[0]!.deleteRecordsBefore(3));
    store.letGo();
    await on.until(merging);
    assert.equal(partitions[0]!.index.entries.length, 17);
    assert.equal((await on.readAll(partitions[0]!)).length, 17);
    assert.equal((await on.keys('data/')).length, 1);
    await on.checkpoint();
    await on.rest();
    assert.deepEqual(await on.keys('data/'), []);
  });

  test('the topic is deleted: nothing of it is left', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(2, 20, 1 * kib, { objects: store });
    const merging = on.log.merge();
    await on.until(store.arrived);
    for (const { topicId, partition } of partitions) on.log.close(topicId, partition, 'deleted');
    store.letGo();
    await on.until(merging);
    await on.checkpoint();
    await on.rest();
    assert.deepEqual(await on.keys(), [on.pointer]);
  });

  test('the log ends: the index is not touched any more', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(1, 20, 1 * kib, { objects: store });
    const merging = on.log.merge();
    await on.until(store.arrived);
    await on.until(on.log.shutDown({ graceful: false, withinMs: 0 }));
    store.letGo();
    await on.until(merging);
    assert.equal(partitions[0]!.index.entries.length, 20);
  });

  test('records are appended: they stay outside, and are there', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(1, 20, 1 * kib, { objects: store });
    const merging = on.log.merge();
    await on.until(store.arrived);
    await on.append(partitions[0]!, 100);
    store.letGo();
    await on.until(merging);
    assert.equal(partitions[0]!.index.entries.length, 2);
    assert.equal((await on.readAll(partitions[0]!)).length, 21);
  });

  test('an answer is lost: the output that stands there is our own', async () => {
    const store = new HeldStore();
    store.loseAnswer = true;
    const { on, partitions } = await withGroups(1, 20, 1 * kib, { objects: store });
    const merging = on.log.merge();
    await on.until(store.arrived);
    store.letGo();
    await on.until(merging);
    assert.equal(partitions[0]!.index.entries.length, 1);
    assert.equal((await on.keys('data/')).length, 1);
  });
});

describe('a merge does no harm', () => {
  test('damaged bytes are not copied: their object is left alone, the rest goes on', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(2, 20, 1 * kib, { objects: store, limits: { logCacheBytes: 0 } });
    store.letGo();
    store.damage('wal/0/000000000001/000000000005', 200);
    await on.merge();
    await on.merge();
    const entries = partitions.flatMap((partition) => partition.index.entries);
    assert.equal(entries.filter(({ object }) => object === 'wal/0/000000000001/000000000005').length, 2);
    assert.ok(entries.length < 20, `${entries.length}`);
  });

  test('a leader epoch that a flipped bit changed on the way, where no CRC covers it, is not copied either', async () => {
    const store = new HeldStore();
    const { on, partitions } = await withGroups(2, 20, 1 * kib, { objects: store, limits: { logCacheBytes: 0 } });
    store.letGo();
    store.damage('wal/0/000000000001/000000000005', 13);
    await on.merge();
    await on.merge();
    assert.equal(partitions[0]!.index.entries.filter(({ object }) => object === 'wal/0/000000000001/000000000005').length, 1);
    assert.ok(partitions[0]!.index.entries.length < 10);
  });

  test('an object that is missing is an alarm, not the end', async () => {
    const { on, partitions } = await withGroups(2, 20, 1 * kib, { limits: { logCacheBytes: 0 } });
    await on.objects.delete(['wal/0/000000000001/000000000005']);
    await on.merge();
    await on.merge();
    assert.ok(partitions[0]!.index.entries.length < 10);
    await on.append(partitions[0]!, 100);
  });

  test('inputs of a merge stay while no checkpoint is proven', async () => {
    const { on } = await withGroups(2, 20, 1 * kib);
    on.proof = 'given up';
    await on.merge();
    await on.checkpoint();
    await on.rest(100_000);
    assert.equal((await on.keys('wal/')).length, 21);
  });

  test('any order of appends, merges, retention and checkpoints leaves the log as it was written', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('append' as const),
          partition: fc.nat(3),
          size: fc.integer({ min: 1, max: 6 * kib }),
          count: fc.integer({ min: 1, max: 12 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('merge' as const, 'checkpoint' as const, 'rest' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), partition: fc.nat(3), share: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom(0, 20 * kib, 1 << 30), async (steps, logCacheBytes) => {
        const on = new LogOnMemory({ limits: { logCacheBytes } });
        const partitions = [0, 1, 2, 3].map((number) => on.create(number));
        for (const done of steps) {
          if (done.kind === 'append') for (let i = 0; i < done.count; i++) await on.append(partitions[done.partition]!, done.size);
          else if (done.kind === 'trim')
            await on.until(partitions[done.partition]!.deleteRecordsBefore(Math.floor(partitions[done.partition]!.highWatermark * done.share)));
          else if (done.kind === 'merge') await on.merge();
          else if (done.kind === 'checkpoint') await on.checkpoint();
          else await on.rest();
        }
        await on.checkpoint();
        await on.checkpoint();
        await on.rest();
        for (const partition of partitions) assert.deepEqual(await on.readAll(partition), range(partition.logStartOffset, partition.highWatermark));
        const reachable = new Set<string>([on.pointer!, ...partitions.flatMap((partition) => partition.index.entries.map(({ object }) => object))]);
        for (const key of await on.keys()) assert.ok(reachable.has(key) || (await isOlderPage(on, key)), `${key} is garbage`);
      }),
      { numRuns: 25 },
    );
  });
});

async function withGroups(
  partitionCount: number,
  groups: number,
  sizeBytes: number,
  options: LogOnMemoryOptions = {},
): Promise<{ on: LogOnMemory; partitions: Partition[] }> {
  const on = new LogOnMemory(options);
  const partitions = Array.from({ length: partitionCount }, (_, partition) => on.create(partition));
  for (let i = 0; i < groups; i++) await on.appendGroup(partitions, sizeBytes);
  return { on, partitions };
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** An older checkpoint may still carry pages of the newest. */
async function isOlderPage(on: LogOnMemory, key: string): Promise<boolean> {
  const read = await on.objects.read(key);
  return read.kind === 'found' && parseWholeObject(read.bytes).trailer.kind === 'checkpoint' && on.log.catalog.has(key as never);
}

/** Holds the first PUT of a data object until `letGo`. */
class HeldStore extends MemoryObjectStore {
  loseAnswer = false;
  letGo: () => void = () => {};
  #arrive: () => void = () => {};
  readonly arrived = new Promise<void>((resolve) => {
    this.#arrive = resolve;
  });
  readonly #go = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });
  readonly #damaged = new Map<string, number>();

  override async create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    if (!key.startsWith('data/')) return super.create(key, body, options);
    this.#arrive();
    await this.#go;
    const outcome = await super.create(key, body, options);
    if (!this.loseAnswer) return outcome;
    this.loseAnswer = false;
    return { kind: 'unknown', cause: 'lost' };
  }

  override async read(...call: Parameters<MemoryObjectStore['read']>) {
    const outcome = await super.read(...call);
    const at = this.#damaged.get(call[0]);
    const start = call[1]?.start ?? 0;
    if (outcome.kind === 'found' && at !== undefined && at >= start && at < start + outcome.bytes.length) outcome.bytes[at - start]! ^= 1;
    return outcome;
  }

  damage(key: string, at: number): void {
    this.#damaged.set(key, at);
  }
}
