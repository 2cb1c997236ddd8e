/** The wrappers keep the contract, and do what they are for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Clock } from '../clock.ts';
import { MemoryMetrics } from '../memory-metrics.ts';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { limitedObjectStore } from './limited-object-store.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { meteredObjectStore, noPrices } from './metered-object-store.ts';
import { objectStoreContract } from './object-store-contract.ts';
import { type CallOptions, type ObjectStore, objectBody, type ReadOutcome } from './object-store.ts';
import { openObjectStore } from './open-object-store.ts';
import { prefixedObjectStore } from './prefixed-object-store.ts';

const memory = () => new MemoryObjectStore({ pageSize: 100 });
objectStoreContract('a prefixed store', () => Promise.resolve({ store: prefixedObjectStore(memory(), 'team/cluster-1') }));
objectStoreContract('a limited store', () =>
  Promise.resolve({ store: limitedObjectStore(memory(), { clock: systemClock, maxInFlight: 4, maxWaiting: 2000, maxWaitMs: 60_000 }) }),
);
objectStoreContract('a metered store', () => Promise.resolve({ store: meteredObjectStore(memory(), { metrics: new MemoryMetrics(), clock: systemClock }) }));
objectStoreContract('the store that "memory:" opens', async () => ({ store: await openObjectStore('memory:', { clock: systemClock, random: systemRandom }) }));

test('prefixes keep clusters apart', async () => {
  const shared = memory();
  const [a, b] = [prefixedObjectStore(shared, 'a'), prefixedObjectStore(shared, 'b')];
  await a.create('k', objectBody([Buffer.from('of a')]));
  assert.deepEqual(await b.head('k'), { kind: 'missing' });
  assert.deepEqual(await b.list(''), { kind: 'page', objects: [], more: false });
  assert.deepEqual(await shared.head('a/k'), { kind: 'found', sizeBytes: 4 });
  const partial: ObjectStore = Object.assign(Object.create(shared) as ObjectStore, { delete: () => Promise.resolve({ kind: 'partial', left: ['a/k'] }) });
  assert.deepEqual(await prefixedObjectStore(partial, 'a').delete(['k', 'l']), { kind: 'partial', left: ['k'] });
  assert.equal(prefixedObjectStore(shared, ''), shared);
});

/** Reads hang until they are let go. */
function hangingReads() {
  const waiting: (() => void)[] = [];
  const seen: (CallOptions | undefined)[] = [];
  const right = memory();
  const store: ObjectStore = {
    create: (...call) => right.create(...call),
    read: (_key, _range, options) => {
      seen.push(options);
      return new Promise<ReadOutcome>((resolve) => waiting.push(() => resolve({ kind: 'missing' })));
    },
    readTail: (...call) => right.readTail(...call),
    head: (...call) => right.head(...call),
    delete: (...call) => right.delete(...call),
    list: (...call) => right.list(...call),
    close: () => right.close(),
  };
  return { store, seen, waiting };
}

test('a limited store has at most so many calls in flight, in order, and tells the rest', async () => {
  const { store, seen, waiting } = hangingReads();
  const limited = limitedObjectStore(store, { clock: systemClock, maxInFlight: 2, maxWaiting: 3, maxWaitMs: 60_000 });
  const reads = Array.from({ length: 6 }, (_, index) => limited.read(`k${index}`));
  assert.equal((await reads[5]!).kind, 'unknown');
  assert.equal(seen.length, 2);
  for (let done = 0; done < 5; done++) {
    waiting.shift()?.();
    await new Promise(setImmediate);
    assert.ok(waiting.length <= 2);
  }
  for (const read of reads.slice(0, 5)) assert.equal((await read).kind, 'missing');
});

test('waiting for a turn counts against the deadline', async () => {
  let nowMs = 0;
  const timers: { dueMs: number; callback: () => void }[] = [];
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer: (delayMs, callback) => {
      const timer = { dueMs: nowMs + delayMs, callback };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0) };
    },
    defer: (callback) => void setImmediate(callback),
  };
  const { store, seen, waiting } = hangingReads();
  const limited = limitedObjectStore(store, { clock, maxInFlight: 1, maxWaiting: 3, maxWaitMs: 60_000 });
  const first = limited.read('a');
  const second = limited.read('b', undefined, { deadlineMs: 1000 });
  const third = limited.read('c', undefined, { deadlineMs: 300 });
  await new Promise(setImmediate);
  nowMs = 400;
  for (const timer of timers.filter(({ dueMs }) => dueMs <= nowMs)) timer.callback();
  assert.equal((await third).kind, 'unknown');
  waiting.shift()?.();
  await first;
  await new Promise(setImmediate);
  assert.equal(seen[1]?.deadlineMs, 600);
  waiting.shift()?.();
  assert.equal((await second).kind, 'missing');
});

test('a metered store counts requests, bytes, money and what is in flight', async () => {
  const metrics = new MemoryMetrics();
  const { store, waiting } = hangingReads();
  const metered = meteredObjectStore(store, { metrics, clock: systemClock });
  await metered.create('k', objectBody([Buffer.alloc(1000)]));
  await metered.create('k', objectBody([Buffer.alloc(1000)]));
  const tail = await metered.readTail('k', 100);
  assert.equal(tail.kind, 'found');
  const hanging = metered.read('k');
  assert.equal(metrics.value('automq_object_store_requests_in_flight'), 1);
  waiting.shift()?.();
  await hanging;
  await metered.list('');
  await metered.delete(['k']);
  assert.equal(metrics.value('automq_object_store_requests_in_flight'), 0);
  assert.equal(metrics.value('automq_object_store_requests_total', 'create', 'created'), 1);
  assert.equal(metrics.value('automq_object_store_requests_total', 'create', 'exists'), 1);
  assert.equal(metrics.value('automq_object_store_requests_total', 'read', 'found'), 1);
  assert.equal(metrics.value('automq_object_store_requests_total', 'read', 'missing'), 1);
  assert.equal(metrics.value('automq_object_store_requests_total', 'delete', 'deleted'), 1);
  assert.equal(metrics.value('automq_object_store_bytes_total', 'written'), 1000);
  assert.equal(metrics.value('automq_object_store_bytes_total', 'read'), 100);
  assert.equal(metrics.observations('automq_object_store_request_seconds', 'read').length, 2);
  // Two PUTs and a LIST at 5 USD a million, two GETs at 0.4.
  assert.ok(Math.abs(metrics.total('automq_object_store_cost_usd_total') - (3 * 5e-6 + 2 * 0.4e-6)) < 1e-12);
});

test('a folder costs nothing per request', async () => {
  const metrics = new MemoryMetrics();
  await meteredObjectStore(memory(), { metrics, clock: systemClock, prices: noPrices }).create('k', objectBody([]));
  assert.equal(metrics.total('automq_object_store_cost_usd_total'), 0);
});
