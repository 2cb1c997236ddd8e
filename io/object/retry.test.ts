import assert from 'node:assert/strict';
import test from 'node:test';
import type { Clock } from '../clock.ts';
import { SeededRandom } from '../seeded-random.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { type CreateOutcome, type DeleteOutcome, type ObjectStore, objectBody, type ReadOutcome, type Unknown } from './object-store.ts';
import { retryCreate, retryDelete, retryHead, retryList, type RetryOptions, retryRead, retryReadTail } from './retry.ts';

const lost: Unknown = { kind: 'unknown', cause: 'lost' };
const body = objectBody([Buffer.from('0123456789')]);
const own = { tailBytes: 4, isOwn: (tail: Buffer) => tail.toString() === '6789' };

/** A store that begins with these outcomes and is right from then on; `apply` also does what the call asked for. */
function beginning(outcomes: {
  readonly create?: (CreateOutcome & { readonly apply?: true })[];
  readonly read?: ReadOutcome[];
  readonly delete?: DeleteOutcome[];
}) {
  const right = new MemoryObjectStore();
  const calls = { create: 0, read: 0, delete: [] as (readonly string[])[] };
  const store: ObjectStore = {
    create: async (...call) => {
      calls.create++;
      const scripted = outcomes.create?.shift();
      if (scripted && !scripted.apply) return scripted;
      const outcome = await right.create(...call);
      return scripted ?? outcome;
    },
    read: (...call) => {
      calls.read++;
      const scripted = outcomes.read?.shift();
      return scripted ? Promise.resolve(scripted) : right.read(...call);
    },
    readTail: (...call) => {
      const scripted = outcomes.read?.shift();
      return scripted ? Promise.resolve(scripted) : right.readTail(...call);
    },
    head: (...call) => right.head(...call),
    delete: (keys) => {
      calls.delete.push(keys);
      const scripted = outcomes.delete?.shift();
      return scripted ? Promise.resolve(scripted) : right.delete(keys);
    },
    list: (...call) => right.list(...call),
    close: () => right.close(),
  };
  return { store, right, calls };
}

function options(more: Partial<RetryOptions> = {}) {
  const pauses: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer: (delayMs, callback) => {
      pauses.push(delayMs);
      const timer = setImmediate(() => {
        nowMs += delayMs;
        callback();
      });
      return { cancel: () => clearImmediate(timer) };
    },
    defer: (callback) => void setImmediate(callback),
  };
  return { pauses, retry: { clock, random: new SeededRandom(1), attempts: 5, ...more } };
}

test('unknown is repeated until the attempts are used up', async () => {
  const { store, right, calls } = beginning({ read: [lost, lost] });
  await right.create('k', body);
  assert.equal((await retryRead(store, 'k', undefined, options().retry)).kind, 'found');
  assert.equal(calls.read, 3);
  const never = beginning({ read: [lost, lost, lost, lost, lost, lost] });
  assert.deepEqual(await retryRead(never.store, 'k', undefined, options().retry), lost);
  assert.equal(never.calls.read, 5);
});

test('refused and missing are final', async () => {
  const { store, calls } = beginning({ read: [{ kind: 'refused', cause: 'no' }] });
  assert.equal((await retryRead(store, 'k', undefined, options().retry)).kind, 'refused');
  assert.equal((await retryRead(store, 'k', undefined, options().retry)).kind, 'missing');
  assert.equal(calls.read, 2);
});

test('a read that is shorter than its range is repeated, and never answered', async () => {
  const short: ReadOutcome = { kind: 'found', bytes: Buffer.from('01'), sizeBytes: 10 };
  const { store, right } = beginning({ read: [short] });
  await right.create('k', body);
  const read = await retryRead(store, 'k', { start: 0, end: 5 }, options().retry);
  assert.equal(read.kind === 'found' && read.bytes.toString(), '01234');
  assert.equal((await retryRead(store, 'k', { start: 5, end: 15 }, options().retry)).kind, 'unknown');
  const tail = await retryReadTail(beginning({ read: [short, short, short, short, short] }).store, 'k', 5, options().retry);
  assert.equal(tail.kind, 'unknown');
});

test('pauses are drawn between zero and a limit that doubles up to the longest', async () => {
  const { pauses, retry } = options({ attempts: 40, firstPauseMs: 10, longestPauseMs: 100 });
  await retryRead(beginning({ read: Array.from({ length: 40 }, () => lost) }).store, 'k', undefined, retry);
  assert.equal(pauses.length, 39);
  pauses.forEach((pauseMs, index) => assert.ok(pauseMs <= Math.min(100, 10 * 2 ** index)));
  assert.ok(Math.max(...pauses) > 50 && Math.min(...pauses) < 20);
});

test('no attempt begins after the time is over, or after the caller gave up', async () => {
  const late = options({ attempts: 1000, withinMs: 500, firstPauseMs: 100, longestPauseMs: 100 });
  await retryRead(beginning({ read: Array.from({ length: 1000 }, () => lost) }).store, 'k', undefined, late.retry);
  assert.ok(late.pauses.reduce((sum, pauseMs) => sum + pauseMs, 0) <= 500);
  const gaveUp = beginning({ read: [lost, lost, lost] });
  await retryRead(gaveUp.store, 'k', undefined, options({ signal: AbortSignal.abort() }).retry);
  assert.equal(gaveUp.calls.read, 1);
});

test('head and list are repeated, too', async () => {
  const right = new MemoryObjectStore();
  await right.create('k', body);
  let calls = 0;
  const store: ObjectStore = Object.assign(Object.create(right) as ObjectStore, {
    head: () => Promise.resolve(++calls % 2 ? lost : { kind: 'found', sizeBytes: 10 }),
    list: () => Promise.resolve(++calls % 2 ? lost : { kind: 'page', objects: [], more: false }),
  });
  assert.equal((await retryHead(store, 'k', options().retry)).kind, 'found');
  assert.equal((await retryList(store, '', undefined, options().retry)).kind, 'page');
});

test('what a delete left is deleted again; what is left in the end is told', async () => {
  const { store, calls } = beginning({ delete: [lost, { kind: 'partial', left: ['b'] }] });
  assert.deepEqual(await retryDelete(store, ['a', 'b'], options().retry), { kind: 'deleted' });
  assert.deepEqual(calls.delete, [['a', 'b'], ['a', 'b'], ['b']]);
  const stuck = beginning({ delete: Array.from({ length: 9 }, () => ({ kind: 'partial', left: ['b'] }) as const) });
  assert.deepEqual(await retryDelete(stuck.store, ['a', 'b'], options().retry), { kind: 'partial', left: ['b'] });
});

test('a create whose answer was lost, applied or not, is created once', async () => {
  const notApplied = beginning({ create: [lost, lost] });
  assert.deepEqual(await retryCreate(notApplied.store, 'k', body, own, options().retry), { kind: 'created' });
  const applied = beginning({ create: [{ ...lost, apply: true }] });
  assert.deepEqual(await retryCreate(applied.store, 'k', body, own, options().retry), { kind: 'created' });
  assert.equal(applied.calls.create, 2);
});

test('exists at the first attempt is looked at, too: ours is created, another’s exists', async () => {
  const { store, right } = beginning({});
  await right.create('ours', body);
  assert.deepEqual(await retryCreate(store, 'ours', body, own, options().retry), { kind: 'created' });
  await right.create('longer', objectBody([Buffer.from('xx0123456789')]));
  assert.deepEqual(await retryCreate(store, 'longer', body, own, options().retry), { kind: 'exists' });
  await right.create('other', objectBody([Buffer.from('012345678x')]));
  assert.deepEqual(await retryCreate(store, 'other', body, own, options().retry), { kind: 'exists' });
});

test('what exists but cannot be read is unknown, never ours', async () => {
  const gone = beginning({ create: [{ kind: 'exists' }] });
  assert.equal((await retryCreate(gone.store, 'k', body, own, options().retry)).kind, 'unknown');
  const unreadable = beginning({ create: [{ kind: 'exists' }], read: [{ kind: 'refused', cause: 'no' }] });
  assert.equal((await retryCreate(unreadable.store, 'k', body, own, options().retry)).kind, 'unknown');
});
