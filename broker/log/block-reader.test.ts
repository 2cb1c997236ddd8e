import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { Clock } from '../../io/clock.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import type { ByteRange, ObjectStore, ReadOutcome } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import { buildBatch } from './batch/build-batch.ts';
import { walkBatches } from './batch/walk-batches.ts';
import { BlockCache } from './block-cache.ts';
import { BlockReader, type BlockReaderOptions } from './block-reader.ts';
import type { ObjectKey } from './format/object-keys.ts';
import type { IndexEntry } from './format/partition-state.ts';
import { encodeSlices } from './format/slices.ts';
import { SparseIndexBuilder } from './format/sparse-index.ts';
import { assembleObject } from './format/stored-object.ts';
import { SparseIndexes } from './sparse-indexes.ts';
import type { StoredRead } from './stored-reader.ts';

/** An object with other bytes around one entry of batches of these sizes. */
class Stored {
  readonly object: Buffer;
  readonly entry: IndexEntry;
  readonly batches: Buffer[];
  /** What the next reads answer instead. */
  readonly answers: ((found: Buffer) => ReadOutcome)[] = [];
  reads = 0;

  constructor(valueSizes: readonly number[], firstOffset = 100) {
    let offset = firstOffset;
    this.batches = valueSizes.map((size, index) => {
      const records = Array.from({ length: 1 + (index % 3) }, () => ({ key: null, value: Buffer.alloc(size, index), timestampMs: 5 }));
      const batch = buildBatch({ baseOffset: offset, leaderEpoch: 3, records });
      offset += records.length;
      return batch;
    });
    const around = Buffer.alloc(777, 0xee);
    const bytes = Buffer.concat(this.batches);
    this.object = Buffer.concat([around, bytes, around]);
    this.entry = { firstOffset, lastOffset: offset - 1, object: 'o' as ObjectKey, position: 777, length: bytes.length, maxTimestampMs: 5 };
  }

  readonly read = (_key: string, { start, end }: ByteRange): Promise<ReadOutcome> => {
    this.reads += 1;
    const bytes = Buffer.from(this.object.subarray(start, end));
    return Promise.resolve(this.answers.shift()?.(bytes) ?? { kind: 'found', bytes, sizeBytes: this.object.length });
  };
}

const clock: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  setTimer: (_ms, callback) => (queueMicrotask(callback), { cancel: () => {} }),
  defer: queueMicrotask,
};
const random: Random = { float: () => 0.5, below: () => 0, bytes: (length) => Buffer.alloc(length) };
const retry = { attempts: 3, baseBackoffMs: 1, maxBackoffMs: 1 };

function readerOf(stored: Pick<ObjectStore, 'read'>, blockBytes = 64, options: Partial<BlockReaderOptions> = {}): BlockReader {
  const cache = new BlockCache({
    objects: stored as unknown as ObjectStore,
    clock,
    random,
    metrics: new MemoryMetrics(),
    blockBytes,
    budgetBytes: 1 << 22,
    maxFetchBytes: 8 * blockBytes,
    maxConcurrentFetches: 4,
    maxWaitingFetches: 100,
    maxReaders: 10,
    retry,
  });
  return new BlockReader({
    cache,
    sparse: new SparseIndexes({ objects: stored as unknown as ObjectStore, budgetBytes: 10_000, maxFooterBytes: 10_000 }),
    objects: stored as unknown as ObjectStore,
    clock,
    random,
    retry,
    maxReadBytes: 2_000,
    maxCachedBatchBytes: 10_000,
    searchedBytes: 1 << 20,
    minAheadBytes: 500,
    maxAheadBytes: 2_000,
    maxPlaces: 5,
    ...options,
  });
}

function bytesOf(read: StoredRead): Buffer {
  assert.ok(read.kind === 'found');
  return Buffer.concat(read.chunks);
}

test('any offset and size: whole batches from the one with the offset on, at least one, no more than fit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(300), { minLength: 1, maxLength: 30 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 3_000 })), { maxLength: 15 }),
      async (sizes, reads) => {
        const stored = new Stored(sizes);
        const reader = readerOf(stored);
        const { firstOffset, lastOffset } = stored.entry;
        for (const [pick, maxBytes] of reads) {
          const offset = firstOffset + (pick % (lastOffset - firstOffset + 1));
          const read = await reader.read(stored.entry, offset, maxBytes);
          const bytes = bytesOf(read);
          const batches = [...walkBatches(bytes)];
          const first = stored.batches.findIndex((batch) => [...walkBatches(batch)][0]!.lastOffset >= offset);
          assert.ok(bytes.equals(Buffer.concat(stored.batches.slice(first, first + batches.length))));
          assert.ok(batches.length === 1 || bytes.length <= Math.min(maxBytes, 2_000));
        }
      },
    ),
  );
});

test('who reads on gets everything once, with few GETs and without searching again', async () => {
  const stored = new Stored(Array.from({ length: 400 }, () => 50));
  const reader = readerOf(stored, 1_024);
  const parts: Buffer[] = [];
  for (let offset = stored.entry.firstOffset; offset <= stored.entry.lastOffset; ) {
    const read = await reader.read(stored.entry, offset, 1_500);
    parts.push(bytesOf(read));
    offset = [...walkBatches(bytesOf(read))].at(-1)!.lastOffset + 1;
  }
  assert.deepEqual(Buffer.concat(parts), Buffer.concat(stored.batches));
  assert.ok(stored.reads <= 14, `${stored.reads} GETs for ${stored.object.length} bytes`);
});

test('bytes damaged on the way are fetched again; damaged in the store they are corrupt, never served', async () => {
  const damage = (found: Buffer): ReadOutcome => {
    found[found.length - 20]! ^= 1;
    return { kind: 'found', bytes: found, sizeBytes: 10_000 };
  };
  const stored = new Stored([10, 10]);
  stored.answers.push(damage);
  const read = await readerOf(stored, 4_096).read(stored.entry, 100, 1_000);
  assert.equal(read.kind, 'found');
  for (const [position, reason] of [
    [stored.entry.position + 70, /CRC/],
    [stored.entry.position + 8, /no whole batch/],
    [stored.entry.position + 16, /magic/],
  ] as const) {
    const damaged = new Stored([10, 10]);
    damaged.object[position]! ^= 0x40;
    const refused = await readerOf(damaged).read(damaged.entry, 100, 1_000);
    assert.match(refused.kind === 'corrupt' ? refused.reason : refused.kind, reason);
  }
});

test('an entry without the offset, past the end of its object, or of an object that is gone', async () => {
  const stored = new Stored([10, 10]);
  const reader = readerOf(stored);
  assert.equal((await reader.read(stored.entry, 500, 1_000)).kind, 'corrupt');
  assert.equal((await reader.read({ ...stored.entry, position: 100_000 }, 100, 1_000)).kind, 'corrupt');
  stored.answers.push(() => ({ kind: 'missing' }));
  assert.deepEqual(await readerOf(stored).read(stored.entry, 100, 1_000), { kind: 'missing' });
  stored.answers.push(() => ({ kind: 'refused', cause: 'AccessDenied' }));
  assert.deepEqual(await readerOf(stored).read(stored.entry, 100, 1_000), { kind: 'unavailable', cause: 'AccessDenied' });
});

test('who goes on has the following entries fetched ahead, who jumps about has not', async () => {
  const objects = Array.from({ length: 20 }, (_, i) => new Stored([200, 200], 100 + i * 3));
  const entries = objects.map(({ entry }, i) => ({ ...entry, object: `o${i}` as ObjectKey }));
  let gets = 0;
  const store = { read: (key: string, range: ByteRange) => (gets++, objects[Number(key.slice(1))]!.read(key, range)) } as unknown as ObjectStore;
  const reader = readerOf(store, 1_024);
  const around = (at: number) => ({ following: (steps: number) => entries[at + steps] });
  await reader.read(entries[0]!, entries[0]!.firstOffset, 2_000, around(0));
  await new Promise(setImmediate);
  assert.equal(gets, 1);
  await reader.read(entries[1]!, entries[1]!.firstOffset, 2_000, around(1));
  await new Promise(setImmediate);
  assert.equal(gets, 3);
  await reader.read(entries[2]!, entries[2]!.firstOffset, 2_000, around(2));
  await new Promise(setImmediate);
  assert.equal(gets, 5);
  await reader.read(entries[12]!, entries[12]!.firstOffset, 2_000, around(12));
  await new Promise(setImmediate);
  assert.equal(gets, 6);
});

test('a bit that flipped in what the CRC does not cover is found: base offset, leader epoch', async () => {
  const stored = new Stored([500, 500, 500]);
  const second = stored.batches[0]!.length;
  assert.equal((await readerOf(stored as unknown as ObjectStore).read(stored.entry, stored.entry.firstOffset, 10_000, { epochAt: () => 3 })).kind, 'found');
  for (const at of [stored.entry.position + 7, stored.entry.position + 15, stored.entry.position + second + 6, stored.entry.position + second + 13]) {
    const damaged = Buffer.from(stored.object);
    damaged[at]! ^= 0x40;
    const store = {
      read: (_: string, range: ByteRange) => Promise.resolve({ kind: 'found', bytes: damaged.subarray(range.start, range.end), sizeBytes: damaged.length }),
    };
    const read = await readerOf(store as unknown as ObjectStore).read(stored.entry, stored.entry.firstOffset, 10_000, { epochAt: () => 3 });
    assert.equal(read.kind, 'corrupt', `bit flipped at ${at}`);
  }
});

test('a batch that is too large for the cache is read past it', async () => {
  const stored = new Stored([30_000, 10]);
  assert.ok(bytesOf(await readerOf(stored).read(stored.entry, 100, 1_000)).equals(stored.batches[0]!));
});

describe('into a large entry', () => {
  const batches = Array.from({ length: 400 }, (_, i) =>
    buildBatch({ baseOffset: 100 + i, records: [{ key: null, value: Buffer.alloc(8_000, i), timestampMs: 1_000 + i }] }),
  );
  const sparse = new SparseIndexBuilder();
  for (const [i, batch] of batches.entries()) sparse.add(100 + i, batch.length, 1_000 + i);
  const content = Buffer.concat([Buffer.alloc(5_000), ...batches]);
  const slice = {
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId,
    partition: 0,
    leaderEpoch: 0,
    firstOffset: 100,
    lastOffset: 499,
    logStartOffset: 0,
    position: 5_000,
    length: content.length - 5_000,
    maxTimestampMs: 1_399,
    crc: 0,
    base: undefined,
    producers: [],
    marks: sparse.marks,
  };
  const entry: IndexEntry = { ...slice, object: 'o' as ObjectKey };
  const footer = new ByteWriter();
  encodeSlices(footer, [slice]);
  const object = assembleObject({
    kind: 'stream',
    incarnation: { node: 0 as NodeId, epoch: 1 },
    number: 1,
    putId: Buffer.alloc(16),
    content: [content],
    contentBytes: content.length,
    footer: footer.finish(),
  });

  test('the sparse index leads: about one block is read, its footer once', async () => {
    const { store, read } = await counted();
    const reader = readerOf(store, 64 * 1024, { sparse: new SparseIndexes({ objects: store, budgetBytes: 10_000, maxFooterBytes: 10_000 }) });
    for (const offset of [499, 300, 101]) {
      read.bytes = 0;
      const [first] = [...walkBatches(bytesOf(await reader.read(entry, offset, 10_000)))];
      assert.equal(first?.baseOffset, offset);
      assert.ok(read.bytes <= 420_000, `${read.bytes}`);
    }
    assert.equal(read.tails, 1);
  });

  test('a search by time begins in its block', async () => {
    const { store, read } = await counted();
    const reader = readerOf(store, 64 * 1024, { sparse: new SparseIndexes({ objects: store, budgetBytes: 10_000, maxFooterBytes: 10_000 }) });
    for (const timestampMs of [0, 1_000, 1_123, 1_399]) {
      const from = await reader.seekTimestamp(entry, timestampMs);
      assert.ok(from <= Math.max(100, timestampMs - 900) && from >= timestampMs - 900 - 40, `${timestampMs}: ${from}`);
    }
    assert.equal(read.bytes < 20_000, true);
  });

  test('without a readable footer the search begins at its first batch', async () => {
    const { store } = await counted();
    const broken = {
      read: store.read.bind(store),
      readTail: () => Promise.resolve({ kind: 'found', bytes: Buffer.alloc(100), sizeBytes: 100 }),
    } as unknown as ObjectStore;
    const reader = readerOf(broken, 64 * 1024, {
      sparse: new SparseIndexes({ objects: broken, budgetBytes: 10_000, maxFooterBytes: 10_000 }),
      maxReadBytes: 100_000,
    });
    assert.equal([...walkBatches(bytesOf(await reader.read(entry, 499, 10_000)))][0]?.baseOffset, 499);
    assert.equal(await reader.seekTimestamp(entry, 1_399), 100);
  });

  async function counted() {
    const store = new MemoryObjectStore();
    await store.create('o', object.body);
    const read = { bytes: 0, tails: 0 };
    const counting = {
      read: async (key: string, range: ByteRange) => {
        const outcome = await store.read(key, range);
        if (outcome.kind === 'found') read.bytes += outcome.bytes.length;
        return outcome;
      },
      readTail: (key: string, length: number) => (read.tails++, store.readTail(key, length)),
    } as unknown as ObjectStore;
    return { store: counting, read };
  }
});
