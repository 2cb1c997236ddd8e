import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockOf, ReusedMemory } from './reused-memory.ts';

const options = { maxFreeBytes: 1_000_000, smallestBytes: 1000, largestBytes: 500_000 };

test('a released block is used again, and only when all have released it', () => {
  const memory = new ReusedMemory(options);
  const first = memory.take(5000)!;
  first.hold();
  first.release();
  assert.notEqual(memory.take(5000), first);
  first.release();
  assert.equal(memory.take(5000), first);
});

test('a block is found by any view on it, and ordinary memory has none', () => {
  const block = new ReusedMemory(options).take(5000)!;
  assert.equal(blockOf(block.bytes.subarray(10, 20)), block);
  assert.equal(blockOf(Buffer.alloc(10)), undefined);
});

test('what was lent is never used again', () => {
  const memory = new ReusedMemory({ ...options, poison: true });
  const block = memory.take(5000)!;
  block.bytes.fill(1);
  block.neverReuse();
  block.release();
  assert.notEqual(memory.take(5000), block);
  assert.equal(block.bytes[4999], 1);
  assert.equal(memory.freeBytes, 0);
});

test('released bytes are overwritten where a test asks for it, and a batch header at their beginning always', () => {
  for (const [poison, last] of [
    [true, 0xdb],
    [false, 1],
  ] as const) {
    const block = new ReusedMemory({ ...options, poison }).take(5000)!;
    block.bytes.fill(1);
    block.release();
    assert.equal(block.bytes[16], 0xdb);
    assert.equal(block.bytes.at(-1), last);
  }
});

test('a second release by the same holder is a bug', () => {
  const block = new ReusedMemory(options).take(5000)!;
  block.release();
  assert.throws(() => block.release(), /released once/);
});

test('sizes outside the bounds get no block', () => {
  const memory = new ReusedMemory(options);
  assert.equal(memory.take(999), undefined);
  assert.equal(memory.take(500_001), undefined);
});

test('blocks are large enough, waste an eighth at most, never overlap in time, and the free ones stay within their limit', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ size: fc.integer({ min: 1000, max: 500_000 }), keep: fc.integer({ min: 0, max: 10 }) }), { maxLength: 60 }), (steps) => {
      const memory = new ReusedMemory({ ...options, maxFreeBytes: 700_000 });
      const taken = new Set<ReturnType<typeof memory.take>>();
      for (const { size, keep } of steps) {
        const block = memory.take(size)!;
        assert.ok(!taken.has(block));
        assert.ok(block.bytes.length >= size && block.bytes.length <= size * 1.3 + 128);
        taken.add(block);
        for (const old of [...taken].slice(0, -keep || undefined)) {
          taken.delete(old);
          old?.release();
        }
        assert.ok(memory.freeBytes <= 700_000);
      }
    }),
  );
});
