import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryMetrics } from '../../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../../io/object/memory-object-store.ts';
import type { CreateOutcome, ObjectBody, ObjectStore } from '../../../io/object/object-store.ts';
import { ReusedMemory } from '../../../std/reused-memory.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { LogCache } from '../log-cache.ts';
import { batchOf, LogOnMemory, testLogLimits } from '../testing/log-on-memory.ts';
import { OpenGroup, type SliceOwner } from './open-group.ts';

const batchBytes = 20_000;

function newMemory(): ReusedMemory {
  return new ReusedMemory({ maxFreeBytes: 1e7, smallestBytes: 1000, largestBytes: 1e6, poison: true });
}

function groupOf(memory: ReusedMemory, fill: number): OpenGroup {
  const group = new OpenGroup();
  const slice = group.addSlice(owner, 0, undefined);
  const block = memory.take(batchBytes)!;
  const bytes = block.bytes.fill(fill).subarray(0, batchBytes);
  slice.append({ bytes, firstOffset: 0, lastOffset: 0, maxTimestampMs: 1, producer: undefined });
  // The request was answered.
  block.release();
  return group;
}

test('what leaves the log cache is used again', () => {
  const memory = newMemory();
  const cache = new LogCache({ budgetBytes: 3 * batchBytes, metrics: new MemoryMetrics() });
  const seen = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100; i++) {
    const group = groupOf(memory, i);
    seen.add(group.slices[0]!.chunksWhileHeld()[0]!.buffer);
    cache.add(group);
  }
  assert.ok(seen.size <= 4, `${seen.size}`);
});

test('what an upload still sends, or a reader has seen, is not', () => {
  const memory = newMemory();
  const cache = new LogCache({ budgetBytes: 0, metrics: new MemoryMetrics() });
  const sending = groupOf(memory, 1);
  sending.hold();
  const sent = sending.slices[0]!.chunksWhileHeld()[0]!;
  const lent = groupOf(memory, 2);
  const { chunks } = lent.slices[0]!;
  cache.add(sending);
  cache.add(lent);
  assert.equal(memory.freeBytes, 0);
  assert.ok(sent.every((byte) => byte === 1));
  sending.release();
  assert.ok(memory.freeBytes > 0);
  assert.ok(sent.every((byte) => byte === 0xdb));
  assert.ok(chunks[0]?.every((byte) => byte === 2));
});

/** Sends what it is given late, and some of it twice: the bytes must stand until the call has settled. */
class LateStore {
  readonly inner = new MemoryObjectStore();
  readonly wrong: string[] = [];
  readonly #waiting: (() => void)[] = [];

  store(): ObjectStore {
    const create = async (key: string, body: ObjectBody): Promise<CreateOutcome> => {
      const before = Buffer.concat(body.chunks);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (!Buffer.concat(body.chunks).equals(before)) this.wrong.push(key);
      return this.inner.create(key, body);
    };
    return new Proxy(this.inner, { get: (target, name) => (name === 'create' ? create : bound(target, name)) });
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  letGo(index: number): void {
    this.#waiting.splice(index % this.#waiting.length, 1)[0]?.();
  }
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}

test('records read back as they were produced while requests, uploads, cache and readers share poisoned memory', async () => {
  let reused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ step: fc.constantFrom('append', 'append', 'append', 'settle', 'settle', 'settle', 'read', 'wait'), pick: fc.nat(20) }), {
        minLength: 20,
        maxLength: 100,
        size: 'max',
      }),
      async (steps) => {
        const memory = newMemory();
        const late = new LateStore();
        // A second attempt begins soon, and outlasts the first: at whatever time, each must send the bytes that it was given.
        const limits = { wal: { ...testLogLimits.wal, hedgeMinMs: 20 }, logCacheBytes: 100_000 };
        const log = new LogOnMemory({ objects: late.store(), limits });
        const partition = log.create(0);
        // What is unusually slow is known after some uploads.
        for (let i = 0; i < 16; i++) {
          partition.append(batchOf(partition.logEndOffset, 100, 1), { origin: 'client' });
          await log.clock.advance(1);
          late.letGo(0);
          await log.clock.advance(1);
        }
        const views: { readonly bytes: Uint8Array; readonly copy: Buffer }[] = [];
        for (const { step, pick } of steps) {
          if (step === 'append') {
            const batch = batchOf(partition.logEndOffset, batchBytes + pick * 500, 1);
            const block = memory.take(batch.length)!;
            const request = block.bytes.subarray(0, batch.length);
            batch.copy(request);
            assert.equal(partition.append(request, { origin: 'client' }).kind, 'appended');
            block.release();
          } else if (step === 'settle') late.letGo(pick);
          else if (step === 'read') {
            const outcome = partition.read(Math.min(16 + pick, partition.highWatermark), { maxBytes: 1e6, isolation: 'uncommitted' });
            if ('kind' in outcome && outcome.kind === 'records') for (const bytes of outcome.chunks) views.push({ bytes, copy: Buffer.from(bytes) });
          }
          await log.clock.advance(step === 'wait' ? 40 + pick : 1);
        }
        while (late.waiting > 0) {
          late.letGo(0);
          await log.clock.advance(1);
        }
        assert.deepEqual(late.wrong, []);
        for (const { bytes, copy } of views) assert.ok(copy.equals(bytes));
        assert.equal((await log.readAll(partition)).length, partition.logEndOffset);
        reused += memory.freeBytes > 0 ? 1 : 0;
      },
    ),
    { numRuns: 60, endOnFailure: true },
  );
  assert.ok(reused > 10);
});

const owner: SliceOwner = {
  topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId,
  partition: 0,
  leaderEpoch: 0,
  nextLogStartOffset: 0,
  takeBase: () => undefined,
  slicePlaced: () => {},
  sliceCounted: () => {},
  sliceEvicted: () => {},
};
