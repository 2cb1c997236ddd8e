import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from './clock.ts';
import { systemClock } from './system-clock.ts';

test('a timer never fires before the monotonic clock has reached its due time', async () => {
  for (const delayMs of [0, 0.4, 1, 1.5, 2, 3, 5, 7]) {
    const startMs = systemClock.monotonicMs();
    await sleep(systemClock, delayMs);
    assert.ok(systemClock.monotonicMs() - startMs >= delayMs, `delay ${delayMs}`);
  }
});

test('a cancelled timer never fires, and cancelling twice is fine', async () => {
  let fired = 0;
  const timer = systemClock.setTimer(1, () => fired++);
  timer.cancel();
  timer.cancel();
  await sleep(systemClock, 5);
  assert.equal(fired, 0);
});

test('a delay beyond 2^31 ms does not fire at once', async () => {
  let fired = 0;
  const timer = systemClock.setTimer(2 ** 40, () => fired++);
  await sleep(systemClock, 5);
  timer.cancel();
  assert.equal(fired, 0);
});

test('deferred work runs before a timer that is due', async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.defer(() => {
      systemClock.setTimer(0, () => {
        order.push('timer');
        resolve();
      });
      systemClock.defer(() => order.push('deferred'));
    });
  });
  assert.deepEqual(order, ['deferred', 'timer']);
});

test('an aborted sleep ends early', async () => {
  const abort = new AbortController();
  const slept = sleep(systemClock, 2 ** 40, abort.signal);
  abort.abort();
  await slept;
});
