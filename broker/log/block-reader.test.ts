import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import type { ByteRange, ObjectStore, ReadOutcome } from '../../io/object/object-store.ts';
import { buildBatch } from './batch/build-batch.ts';
import { walkBatches } from './batch/walk-batches.ts';
import { BlockCache } from './block-cache.ts';
import { BlockReader } from './block-reader.ts';
import type { ObjectKey } from './format/object-keys.ts';
import type { IndexEntry } from './format/partition-state.ts';

/** An object with other bytes around one entry of batches of these sizes. */
class Stored {
  readonly object: Buffer;
  readonly entry: IndexEntry;
  readonly batches: Buffer[];
  /** What the next reads answer instead. */
  readonly answers: ((found: Buffer) => ReadOutcome)[] = [];
  reads = 0;

  constructor(valueSizes: readonly number[]) {
    let offset = 100;
    this.batches = valueSizes.map((size, index) => {
      const records = Array.from({ length: 1 + (index % 3) }, () => ({ key: null, value: Buffer.alloc(size, index), timestampMs: 5 }));
      const batch = buildBatch({ baseOffset: offset, records });
      offset += records.length;
      return batch;
    });
    const around = Buffer.alloc(777, 0xee);
    const bytes = Buffer.concat(this.batches);
    this.object = Buffer.concat([around, bytes, around]);
    this.entry = { firstOffset: 100, lastOffset: offset - 1, object: 'o' as ObjectKey, position: 777, length: bytes.length, maxTimestampMs: 5 };
  }

  readonly read = (_key: string, { start, end }: ByteRange): Promise<ReadOutcome> => {
    this.reads += 1;
    const bytes = Buffer.from(this.object.subarray(start, end));
    return Promise.resolve(this.answers.shift()?.(bytes) ?? { kind: 'found', bytes, sizeBytes: this.object.length });
  };
}

function readerOf(stored: Stored, blockBytes = 64): BlockReader {
  const cache = new BlockCache({
    objects: stored as unknown as ObjectStore,
    clock: { wallMs: () => 0, monotonicMs: () => 0, setTimer: (_ms, callback) => (queueMicrotask(callback), { cancel: () => {} }), defer: queueMicrotask },
    random: { float: () => 0.5, below: () => 0, bytes: (length) => Buffer.alloc(length) },
    metrics: new MemoryMetrics(),
    blockBytes,
    budgetBytes: 1 << 20,
    maxFetchBytes: 8 * blockBytes,
    maxConcurrentFetches: 4,
    maxWaitingFetches: 100,
    maxReaders: 10,
    retry: { attempts: 3, baseBackoffMs: 1, maxBackoffMs: 1 },
  });
  return new BlockReader({ cache, maxReadBytes: 2_000, maxPlaces: 5 });
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
          assert.equal(read.kind, 'found');
          const batches = read.kind === 'found' ? [...walkBatches(read.bytes)] : [];
          const first = stored.batches.findIndex((batch) => [...walkBatches(batch)][0]!.lastOffset >= offset);
          assert.ok(read.kind === 'found' && read.bytes.equals(Buffer.concat(stored.batches.slice(first, first + batches.length))));
          assert.ok(batches.length === 1 || (read.kind === 'found' && read.bytes.length <= Math.min(maxBytes, 2_000)));
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
    assert.ok(read.kind === 'found');
    parts.push(read.bytes);
    offset = [...walkBatches(read.bytes)].at(-1)!.lastOffset + 1;
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

test('an entry that was announced is read without another GET', async () => {
  const stored = new Stored([10, 10]);
  const reader = readerOf(stored, 1_024);
  reader.prefetch(stored.entry);
  assert.equal((await reader.read(stored.entry, 100, 1_000)).kind, 'found');
  assert.equal(stored.reads, 1);
});
