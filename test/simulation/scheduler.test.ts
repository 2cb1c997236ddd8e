/** The scheduler orders by virtual time, lets microtasks finish, and notices what would never end; the trap catches real time. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setRuntimeTrap } from './runtime-trap.ts';
import { RunawayError, Scheduler } from './scheduler.ts';
import { SimProcess } from './sim-process.ts';
import { SimRandom } from './sim-random.ts';
import { Trace } from './trace.ts';

function makeScheduler(seed: number, limits?: { maxEvents: number; maxEventsWithoutTime: number; maxCallsPerEvent: number }): Scheduler {
  return new Scheduler({ random: new SimRandom(seed), trace: new Trace({ keepLines: 10 }), ...(limits ? { limits } : {}) });
}
const toTheEnd = { done: () => false, untilMs: Number.MAX_SAFE_INTEGER };

test('events run in the order of virtual time, and promises of one finish before the next', async () => {
  const scheduler = makeScheduler(1);
  const seen: string[] = [];
  for (const delay of [30, 10, 20]) {
    scheduler.schedule(delay, `after ${delay}`, () => {
      seen.push(`${delay}`);
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(() => seen.push(`${delay}'`));
    });
  }
  assert.equal(await scheduler.run(toTheEnd), 'idle');
  assert.deepEqual(seen, ['10', "10'", '20', "20'", '30', "30'"]);
  assert.equal(scheduler.nowMs, 30);
});

test('what is due at one instant runs in an order that the seed decides; immediate events in theirs, first', async () => {
  const orderOf = async (seed: number) => {
    const scheduler = makeScheduler(seed);
    const seen: string[] = [];
    for (const name of 'abcdefgh') scheduler.schedule(5, name, () => seen.push(name));
    for (const name of '123') scheduler.schedule(5, name, () => seen.push(name), 'immediate');
    await scheduler.run(toTheEnd);
    return seen.join('');
  };
  assert.equal(await orderOf(1), await orderOf(1));
  assert.notEqual(await orderOf(1), await orderOf(2));
  assert.match(await orderOf(1), /^123/);
});

test('loops that never end are stopped', async () => {
  const limits = { maxEvents: 1_000, maxEventsWithoutTime: 100, maxCallsPerEvent: 1_000 };
  const still = makeScheduler(1, limits);
  const again = () => void still.schedule(0, 'again', again);
  again();
  await assert.rejects(still.run(toTheEnd), RunawayError);

  const endless = makeScheduler(1, limits);
  const later = () => void endless.schedule(1, 'later', later);
  later();
  await assert.rejects(endless.run(toTheEnd), RunawayError);

  const busy = makeScheduler(1, limits);
  busy.schedule(0, 'busy', () => {
    for (;;) busy.countCall();
  });
  await assert.rejects(busy.run(toTheEnd), RunawayError);
});

test('a paused process wakes up with everything held; a killed one never again', async () => {
  const scheduler = makeScheduler(1);
  const process = new SimProcess({ scheduler, name: 'p', host: 'p' });
  const seen: number[] = [];
  for (let at = 1; at <= 9; at++) process.schedule(at, `at ${at}`, () => seen.push(at));
  scheduler.schedule(2.5, 'pause', () => process.pause());
  scheduler.schedule(5.5, 'look', () => assert.deepEqual(seen, [1, 2]));
  scheduler.schedule(6.5, 'resume', () => process.resume());
  scheduler.schedule(8.5, 'kill', () => process.kill());
  await scheduler.run(toTheEnd);
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test('the trap refuses real time and chance, remembers it, and gives everything back', () => {
  const trap = setRuntimeTrap();
  try {
    const forbidden: readonly (() => unknown)[] = [
      () => Date.now(),
      () => new Date(),
      () => Date(),
      () => performance.now(),
      () => process.hrtime(),
      () => process.hrtime.bigint(),
      () => Math.random(),
      () => randomUUID(),
      () => setTimeout(() => {}, 1),
      () => setImmediate(() => {}),
      () => process.nextTick(() => {}),
      () => AbortSignal.timeout(1),
      () => new WeakRef({}),
    ];
    for (const call of forbidden) assert.throws(call, { name: 'RuntimeTrapError' }, call.toString());
    assert.equal(trap.caught.length, forbidden.length);
    assert.equal(new Date(0).getUTCFullYear(), 1970);
  } finally {
    trap.release();
  }
  assert.ok(Date.now() > 0 && Math.random() < 1 && randomUUID().length === 36);
});
