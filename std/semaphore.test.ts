import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore } from './semaphore.ts';

test('so many as there are permits pass, the next ones wait and go in the order they came', async () => {
  const semaphore = new Semaphore({ permits: 2, maxWaiting: 10 });
  const passed: string[] = [];
  const ask = (name: string) => semaphore.acquire().then((granted) => passed.push(`${name} ${granted}`));
  const asked = ['a', 'b', 'c', 'd'].map(ask);
  await Promise.all(asked.slice(0, 2));
  assert.deepEqual(passed, ['a true', 'b true']);
  assert.equal(semaphore.waiting, 2);
  assert.equal(semaphore.tryAcquire(), false);
  semaphore.release();
  await asked[2];
  assert.deepEqual(passed, ['a true', 'b true', 'c true']);
  assert.equal(semaphore.taken, 2);
  for (let held = 0; held < 3; held += 1) semaphore.release();
  await asked[3];
  assert.equal(semaphore.taken, 0);
  assert.equal(semaphore.tryAcquire(), true);
});

test('a permit that was handed on cannot be taken by one who comes in between', async () => {
  const semaphore = new Semaphore({ permits: 1, maxWaiting: 10 });
  semaphore.tryAcquire();
  const waiting = semaphore.acquire();
  semaphore.release();
  assert.equal(semaphore.tryAcquire(), false);
  assert.equal(await waiting, true);
});

test('when too many wait the next one is turned away', async () => {
  const semaphore = new Semaphore({ permits: 1, maxWaiting: 1 });
  semaphore.tryAcquire();
  const waiting = semaphore.acquire();
  assert.equal(await semaphore.acquire(), false);
  semaphore.release();
  assert.equal(await waiting, true);
});

test('closing turns away who waits and who comes; who is inside leaves as usual', async () => {
  const semaphore = new Semaphore({ permits: 1, maxWaiting: 10 });
  semaphore.tryAcquire();
  const waiting = semaphore.acquire();
  semaphore.close();
  assert.equal(await waiting, false);
  semaphore.release();
  assert.equal(await semaphore.acquire(), false);
  assert.throws(() => semaphore.release(), /more than was acquired/);
});
