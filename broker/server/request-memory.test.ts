import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestMemory, type PausedReader } from './request-memory.ts';
import { ManualClock } from './testing/manual-clock.ts';

function newMemory(limitBytes = 1_000_000) {
  const clock = new ManualClock();
  return { clock, memory: new RequestMemory({ limitBytes, reliefMs: 1000, clock }) };
}

function newReader(missingBytes: number) {
  const events: string[] = [];
  const reader: PausedReader = { missingBytes, resume: () => void events.push('resume'), abandon: () => void events.push('abandon') };
  return { reader, events };
}

test('paused readers go on in turn as requests end, only as many as there is room for', () => {
  const { memory } = newMemory();
  memory.take(1_200_000);
  memory.start(1_200_000);
  const readers = [newReader(0), newReader(0), newReader(0)];
  for (const { reader } of readers) {
    assert.ok(memory.isFullFor(reader));
    memory.wait(reader);
  }
  memory.end(300_000);
  memory.release(300_000);
  assert.deepEqual(
    readers.map(({ events }) => events.length),
    [1, 0, 0],
  );
  memory.end(900_000);
  memory.release(900_000);
  assert.deepEqual(
    readers.map(({ events }) => events.length),
    [1, 1, 1],
  );
  assert.equal(memory.waitingCount, 0);
});

test('when incomplete frames alone fill the memory, the one that lacks least goes on alone', () => {
  const { memory } = newMemory();
  memory.take(1_100_000);
  const far = newReader(500_000);
  const near = newReader(1000);
  memory.wait(far.reader);
  assert.deepEqual(far.events, ['resume']);
  memory.wait(near.reader);
  memory.frameCompleted(far.reader);
  assert.deepEqual(near.events, ['resume']);
  assert.equal(memory.isFullFor(near.reader), false);
  assert.equal(memory.isFullFor(far.reader), true);
});

test('a frame that was let on alone and does not come is abandoned, and the next one is let on', async () => {
  const { memory, clock } = newMemory();
  memory.take(1_100_000);
  const stuck = newReader(10);
  const next = newReader(20);
  memory.wait(stuck.reader);
  memory.wait(next.reader);
  await clock.advance(999);
  assert.deepEqual([stuck.events, next.events], [['resume'], []]);
  await clock.advance(1);
  assert.deepEqual([stuck.events, next.events], [['resume', 'abandon'], ['resume']]);
});

test('while started requests hold most of the memory nobody is let on: they will end', () => {
  const { memory } = newMemory();
  memory.take(1_100_000);
  memory.start(900_000);
  const { reader, events } = newReader(10);
  memory.wait(reader);
  assert.deepEqual(events, []);
});

test('a reader that is gone is not resumed', () => {
  const { memory } = newMemory();
  memory.take(1_100_000);
  memory.start(1_100_000);
  const { reader, events } = newReader(0);
  memory.wait(reader);
  memory.forget(reader);
  memory.end(1_100_000);
  memory.release(1_100_000);
  assert.deepEqual(events, []);
});
