import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Clock } from '../../io/clock.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { noMetrics } from '../../io/metrics.ts';
import type { ByteRange, ObjectStore, ReadOutcome } from '../../io/object/object-store.ts';
import { BlockCache, type BlockCacheOptions, type BlockRead, type WantedRange } from './block-cache.ts';

const blockBytes = 16;

/** One object; every read waits until the test answers it. */
class Store {
  readonly object: Buffer;
  readonly calls: { readonly range: ByteRange; readonly answer: (outcome?: ReadOutcome) => void }[] = [];
  readonly ranges: string[] = [];

  constructor(sizeBytes: number) {
    this.object = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => (index * 7 + (index >> 8)) % 256));
  }

  readonly read = (_key: string, range: ByteRange): Promise<ReadOutcome> =>
    new Promise((resolve) => {
      this.ranges.push(`${range.start}-${range.end}`);
      this.calls.push({ range, answer: (outcome) => resolve(outcome ?? this.found(range)) });
    });

  found({ start, end }: ByteRange): ReadOutcome {
    return { kind: 'found', bytes: Buffer.from(this.object.subarray(start, end)), sizeBytes: this.object.length };
  }

  /** Answers everything that is asked until nothing is. */
  async run(): Promise<void> {
    for (;;) {
      await ticks();
      if (this.calls.length === 0) return;
      for (const { answer } of this.calls.splice(0)) answer();
    }
  }
}

/** Timers fire at once, in the order they were set. */
const hurriedClock: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  setTimer: (_delayMs, callback) => {
    let cancelled = false;
    queueMicrotask(() => cancelled || callback());
    return { cancel: () => (cancelled = true) };
  },
  defer: queueMicrotask,
};

async function ticks(): Promise<void> {
  for (let tick = 0; tick < 20; tick += 1) await Promise.resolve();
}

function cacheOf(store: Store, options: Partial<BlockCacheOptions> = {}): BlockCache {
  return new BlockCache({
    objects: store as unknown as ObjectStore,
    clock: hurriedClock,
    random: { float: () => 0.5, below: () => 0, bytes: (length) => Buffer.alloc(length) },
    metrics: noMetrics,
    blockBytes,
    budgetBytes: 64 * blockBytes,
    maxFetchBytes: 8 * blockBytes,
    maxConcurrentFetches: 4,
    maxWaitingFetches: 100,
    maxReaders: 10,
    retry: { attempts: 3, baseBackoffMs: 10, maxBackoffMs: 100 },
    ...options,
  });
}

function range(position: number, length: number, usefulEnd = position + length): WantedRange {
  return { key: 'o', position, length, usefulEnd };
}

async function settled<T>(store: Store, promise: Promise<T>): Promise<T> {
  await store.run();
  return promise;
}

function bytesOf(read: BlockRead | undefined): Buffer {
  assert.equal(read?.kind, 'found');
  return Buffer.concat(read?.kind === 'found' ? read.chunks : []);
}

test('any reads, in any order and at any time, give the bytes of the object and stay within the budget', async () => {
  const reads = fc.array(fc.record({ position: fc.nat(999), length: fc.integer({ min: 1, max: 200 }), ahead: fc.nat(300), answer: fc.boolean() }), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(reads, fc.integer({ min: 8, max: 40 }), async (wanted, budgetBlocks) => {
      const store = new Store(1_000);
      const cache = cacheOf(store, { budgetBytes: budgetBlocks * blockBytes, maxFetchBytes: 4 * blockBytes, maxConcurrentFetches: 2 });
      const running: Promise<void>[] = [];
      for (const { position, length: wish, ahead, answer } of wanted) {
        const length = Math.min(wish, 1_000 - position, budgetBlocks * blockBytes);
        const want = range(position, length, position + length + ahead);
        const check = (read: BlockRead) => assert.deepEqual(bytesOf(read), store.object.subarray(position, position + length));
        const now = cache.tryRead(want);
        if (now === undefined) running.push(cache.read(want).then(check));
        else check(now);
        assert.ok(cache.sizeBytes <= budgetBlocks * blockBytes);
        if (answer) {
          await ticks();
          store.calls.shift()?.answer();
          await ticks();
        }
      }
      await store.run();
      await Promise.all(running);
      assert.ok(cache.sizeBytes <= budgetBlocks * blockBytes);
      await cache.close();
    }),
  );
});

test('reads of one block at one time share one GET, later ones are answered at once', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  assert.equal(cache.tryRead(range(2, 3)), undefined);
  const reads = [cache.read(range(2, 3)), cache.read(range(5, 11)), cache.read(range(0, 20))];
  await store.run();
  for (const read of await Promise.all(reads)) assert.equal(read.kind, 'found');
  assert.deepEqual(store.ranges, ['0-16', '16-32']);
  assert.deepEqual(bytesOf(cache.tryRead(range(10, 20))), store.object.subarray(10, 30));
});

test('missing blocks that follow one another come with one GET, cached ones between them are not fetched again', async () => {
  const store = new Store(200);
  const cache = cacheOf(store);
  await settled(store, cache.read(range(48, 1)));
  const read = await settled(store, cache.read(range(0, 120)));
  assert.deepEqual(bytesOf(read), store.object.subarray(0, 120));
  assert.deepEqual(store.ranges, ['48-64', '0-48', '64-128']);
});

test('who reads on gets more and more ahead, up to the end of what is useful', async () => {
  const store = new Store(2_000);
  const cache = cacheOf(store);
  for (let position = 0; position < 800; position += 16) {
    const want = range(position, 16, 800);
    bytesOf(cache.tryRead(want) ?? (await settled(store, cache.read(want))));
    await store.run();
  }
  const sizes = store.ranges.map((text) => text.split('-').map(Number)).map(([start = 0, end = 0]) => (end - start) / blockBytes);
  assert.deepEqual(sizes.slice(0, 4), [1, 2, 2, 4]);
  assert.deepEqual(sizes.slice(5, 8), [8, 8, 8], sizes.join());
  assert.equal(
    sizes.reduce((a, b) => a + b),
    50,
    'every block once, nothing past the end',
  );
});

test('who jumps about gets nothing ahead; two readers of one object are told apart', async () => {
  const jumping = new Store(2_000);
  const cache = cacheOf(jumping);
  for (const position of [900, 100, 500, 300]) await settled(jumping, cache.read(range(position, 4, 2_000)));
  assert.equal(cache.sizeBytes, 4 * blockBytes);
  const store = new Store(2_000);
  const shared = cacheOf(store);
  for (let step = 0; step < 8; step += 1) {
    await settled(store, shared.read(range(step * 16, 16, 2_000)));
    await settled(store, shared.read(range(1_008 + step * 16, 16, 2_000)));
  }
  assert.ok(store.ranges.length < 12, store.ranges.join());
});

test('what is said to be wanted soon is fetched once, and only while GETs are free', async () => {
  const store = new Store(2_000);
  const cache = cacheOf(store, { maxConcurrentFetches: 2 });
  await settled(store, cache.read(range(16, 16)));
  cache.prefetch({ key: 'o', position: 5, length: 70 });
  cache.prefetch({ key: 'o', position: 5, length: 70 });
  cache.prefetch({ key: 'o', position: 500, length: 10 });
  await store.run();
  assert.deepEqual(store.ranges, ['16-32', '0-16', '32-80']);
  assert.deepEqual(bytesOf(cache.tryRead(range(5, 70))), store.object.subarray(5, 75));
});

test('fetching ahead takes no place of a read that is wanted', async () => {
  const store = new Store(2_000);
  const cache = cacheOf(store, { maxConcurrentFetches: 1 });
  await settled(store, cache.read(range(0, 16, 2_000)));
  const first = cache.read(range(16, 16, 2_000));
  await ticks();
  const other = cache.read(range(1_600, 16));
  await ticks();
  // The one GET that may run is the wanted block with its read-ahead; nothing was queued for more.
  assert.deepEqual(store.ranges, ['0-16', '16-48']);
  await store.run();
  await Promise.all([first, other]);
  assert.deepEqual(store.ranges, ['0-16', '16-48', '1600-1616']);
});

test('too many waiting reads are turned away, those before them are served', async () => {
  const store = new Store(2_000);
  const cache = cacheOf(store, { maxConcurrentFetches: 1, maxWaitingFetches: 1 });
  const reads = [0, 100, 200].map((position) => cache.read(range(position, 1)));
  await store.run();
  assert.deepEqual(
    (await Promise.all(reads)).map(({ kind }) => kind),
    ['found', 'found', 'unavailable'],
  );
  // Nothing of the refusal stays behind.
  assert.equal((await settled(store, cache.read(range(200, 1)))).kind, 'found');
});

test('an answer that was lost, or is too short, is asked for again, a bounded number of times', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  const read = cache.read(range(0, 16));
  for (const outcome of [{ kind: 'unknown', cause: 'reset' }, { kind: 'found', bytes: Buffer.alloc(3), sizeBytes: 100 }, undefined] as const) {
    await ticks();
    assert.equal(store.calls.length, 1);
    store.calls.shift()!.answer(outcome);
  }
  assert.deepEqual(bytesOf(await read), store.object.subarray(0, 16));
  const failing = cache.read(range(32, 16));
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await ticks();
    store.calls.shift()!.answer({ kind: 'unknown', cause: 'timeout' });
  }
  assert.deepEqual(await failing, { kind: 'unavailable', cause: 'timeout' });
  assert.equal(store.calls.length, 0);
});

test('a missing object is missing for all who wait, and is asked for again by the next', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  const reads = [cache.read(range(0, 16)), cache.read(range(0, 40))];
  await ticks();
  for (const { answer } of store.calls.splice(0)) answer({ kind: 'missing' });
  assert.deepEqual(await Promise.all(reads), [{ kind: 'missing' }, { kind: 'missing' }]);
  await ticks();
  assert.equal(cache.sizeBytes, 0);
  assert.equal((await settled(store, cache.read(range(0, 16)))).kind, 'found');
});

test('a store that refuses is not asked again; a bug of the store is an outcome, too', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  const read = cache.read(range(0, 16));
  await ticks();
  store.calls.shift()!.answer({ kind: 'refused', cause: 'AccessDenied' });
  assert.deepEqual(await read, { kind: 'unavailable', cause: 'AccessDenied' });
  const broken = cacheOf({ read: () => Promise.reject(new Error('bug')) } as unknown as Store);
  assert.deepEqual(await broken.read(range(0, 16)), { kind: 'unavailable', cause: 'Error: bug' });
  assert.equal(broken.sizeBytes, 0);
});

test('an object that ends before the range does is short', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  assert.deepEqual(await settled(store, cache.read(range(90, 20))), { kind: 'short', sizeBytes: 100 });
  assert.deepEqual(await settled(store, cache.read(range(160, 20))), { kind: 'short', sizeBytes: 100 });
  assert.deepEqual(bytesOf(await settled(store, cache.read(range(90, 10)))), store.object.subarray(90, 100));
});

test('what was forgotten is fetched again', async () => {
  const store = new Store(100);
  const cache = cacheOf(store);
  await settled(store, cache.read(range(0, 50)));
  cache.forget('o');
  assert.equal(cache.sizeBytes, 0);
  assert.equal(cache.tryRead(range(0, 50)), undefined);
  await settled(store, cache.read(range(0, 50)));
  assert.deepEqual(store.ranges, ['0-64', '0-64']);
});

test('read-ahead is counted as useful when it was read, as wasted when it had to go unread', async () => {
  const metrics = new MemoryMetrics();
  const store = new Store(4_000);
  const cache = cacheOf(store, { metrics, budgetBytes: 32 * blockBytes });
  for (const position of [0, 16, 32, 48]) await settled(store, cache.read(range(position, 16, 4_000)));
  for (let position = 2_000; position < 3_900; position += 100) await settled(store, cache.read(range(position, 1)));
  for (let position = 1_001; position < 1_900; position += 16) await settled(store, cache.read(range(position, 1)));
  const ahead = 'automq_block_cache_read_ahead_bytes_total';
  assert.equal(metrics.value(ahead, 'useful'), 2 * blockBytes);
  assert.ok(metrics.value(ahead, 'wasted') > 0);
});

test('closing ends what runs and what waits, and may be done twice', async () => {
  const aborts: AbortSignal[] = [];
  const read = (_key: string, _range: ByteRange, { signal }: { readonly signal: AbortSignal }) =>
    new Promise((resolve) => {
      aborts.push(signal);
      signal.addEventListener('abort', () => resolve({ kind: 'unknown', cause: 'aborted' }));
    });
  const cache = cacheOf({ read } as unknown as Store, { maxConcurrentFetches: 1 });
  const reads = [cache.read(range(0, 1)), cache.read(range(50, 1))];
  await ticks();
  await Promise.all([cache.close(), cache.close()]);
  assert.deepEqual(
    (await Promise.all(reads)).map(({ kind }) => kind),
    ['unavailable', 'unavailable'],
  );
  assert.equal((await cache.read(range(0, 1))).kind, 'unavailable');
  assert.equal(aborts.length, 1);
});

test('limits that cannot work are refused at once', () => {
  const store = new Store(0);
  assert.throws(() => cacheOf(store, { maxFetchBytes: blockBytes + 1 }));
  assert.throws(() => cacheOf(store, { budgetBytes: 31 * blockBytes }));
  assert.throws(() => cacheOf(store, { maxConcurrentFetches: 0 }));
});
