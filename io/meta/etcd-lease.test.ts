import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../clock.ts';
import { SeededRandom } from '../seeded-random.ts';
import { EtcdLease } from './etcd-lease.ts';

/** A clock that stands until it is told to run. */
class StandingClock implements Clock {
  #nowMs = 1_000;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  wallMs = (): number => 0;
  monotonicMs = (): number => this.#nowMs;
  defer = (callback: () => void): void => callback();

  setTimer(delayMs: number, callback: () => void) {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  pendingTimers(): number {
    return this.#timers.length;
  }

  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      await settled();
    }
    this.#nowMs = endMs;
  }

  /** Time passes and nothing runs, as while a process is stopped. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

function leaseOn(keepAlive: () => Promise<boolean>, revoke: () => Promise<void> = async () => {}) {
  const clock = new StandingClock();
  let isLost = false;
  const lease = new EtcdLease('7', { clock, random: new SeededRandom('lease'), ttlMs: 9_000, sentMs: clock.monotonicMs(), keepAlive, revoke, onEnd: () => {} });
  void lease.lost.then(() => {
    isLost = true;
  });
  return { clock, lease, isLost: () => isLost };
}

test('a lease that is kept alive lives on', async () => {
  let count = 0;
  const { clock, isLost } = leaseOn(async () => ++count > 0);
  await clock.run(100_000);
  assert.equal(isLost(), false);
  assert.equal(count, 33);
});

test('without an answer it is lost when its time to live has passed since the last success was sent, not earlier', async () => {
  let answers = true;
  const { clock, isLost } = leaseOn(async () => {
    if (!answers) throw new Error('no answer');
    return true;
  });
  await clock.run(3_000);
  answers = false;
  await clock.run(8_999);
  assert.equal(isLost(), false);
  await clock.run(1);
  assert.equal(isLost(), true);
  assert.equal(clock.pendingTimers(), 0);
});

test('an answer that was sent for early and came late counts from the sending', async () => {
  let answer: (alive: boolean) => void = () => {};
  const { clock, isLost } = leaseOn(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await clock.run(8_000);
  answer(true);
  await settled();
  await clock.run(3_999);
  assert.equal(isLost(), false);
  await clock.run(1);
  assert.equal(isLost(), true);
});

test('an answer that comes after the deadline, when the process was stopped, does not revive it', async () => {
  let answer: (alive: boolean) => void = () => {};
  const { clock, isLost } = leaseOn(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await clock.run(3_000);
  clock.jump(60_000);
  answer(true);
  await settled();
  assert.equal(isLost(), true);
});

test("the store's word that it is gone is believed at once", async () => {
  const { clock, isLost } = leaseOn(async () => false);
  await clock.run(3_000);
  assert.equal(isLost(), true);
});

test('closing revokes; when that fails, the lease is lost at its deadline, and nothing keeps it alive', async () => {
  let keptAlive = 0;
  const keepAlive = async () => ++keptAlive > 0;
  const closed = leaseOn(keepAlive);
  await closed.lease.close();
  await settled();
  assert.equal(closed.isLost(), true);
  assert.equal(closed.clock.pendingTimers(), 0);

  const failing = leaseOn(keepAlive, async () => {
    throw new Error('no answer');
  });
  await failing.lease.close();
  await failing.clock.run(8_999);
  assert.equal(failing.isLost(), false);
  await failing.clock.run(1);
  assert.equal(failing.isLost(), true);
  assert.equal(keptAlive, 0);
});
