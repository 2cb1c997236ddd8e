import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type MemoryPart, planMemory } from './memory-plan.ts';

const mib = 1_048_576;
const part = (key: string, sizeMib: number, more: Partial<MemoryPart> = {}): MemoryPart => ({
  key,
  bytes: sizeMib * mib,
  explicit: false,
  leastBytes: 8 * mib,
  ...more,
});

test('on a large machine every part keeps its size', () => {
  const plan = planMemory({ limitBytes: 16_384 * mib, heapBytes: 4_144 * mib, parts: [part('log.cache.bytes', 256), part('block.cache.bytes', 256)] });
  assert.equal(plan.kind, 'fits');
  assert.deepEqual(plan.kind === 'fits' && [...plan.bytesByKey.values()], [256 * mib, 256 * mib]);
});

test('in a small container caches shrink by the same factor', () => {
  const plan = planMemory({ limitBytes: 1_000 * mib, heapBytes: 418 * mib, parts: [part('log.cache.bytes', 600), part('upload.max.bytes', 200)] });
  assert.equal(plan.kind, 'fits');
  assert.deepEqual(plan.kind === 'fits' && [...plan.bytesByKey.values()], [300 * mib, 100 * mib]);
});

test('what somebody chose is never changed', () => {
  const plan = planMemory({
    limitBytes: 1_000 * mib,
    heapBytes: 418 * mib,
    parts: [part('log.cache.bytes', 300, { explicit: true }), part('upload.max.bytes', 600)],
  });
  assert.deepEqual(plan.kind === 'fits' && [...plan.bytesByKey.values()], [300 * mib, 100 * mib]);
});

test('what merging holds and the sparse indexes beside the block cache are counted', () => {
  const plan = planMemory({ limitBytes: 1_000 * mib, heapBytes: 554 * mib, parts: [part('log.cache.bytes', 165), part('block.cache.bytes', 320)] });
  assert.equal(plan.kind === 'fits' && Math.ceil(plan.sumBytes / mib), 850);
  const shrunk = plan.kind === 'fits' ? plan.bytesByKey : new Map<string, number>();
  assert.ok((shrunk.get('block.cache.bytes') ?? 0) * (33 / 32) + (shrunk.get('log.cache.bytes') ?? 0) <= 264 * mib);
});

test('a refusal names every part, the sum and the limit', () => {
  const plan = planMemory({ limitBytes: 512 * mib, heapBytes: 368 * mib, parts: [part('log.cache.bytes', 100, { explicit: true })] });
  assert.equal(plan.kind, 'refused');
  const text = plan.kind === 'refused' ? plan.text : '';
  for (const expected of ['436 MiB of 512 MiB', 'add up to 500 MiB', '368 MiB  heap', '100 MiB  log.cache.bytes', '32 MiB  merging'])
    assert.ok(text.includes(expected), `${expected} in ${text}`);
});

test('a plan that fits stays within 85 % and below no least; a refusal means that not even the leasts fit', () => {
  const sizes = fc.integer({ min: 0, max: 4_096 });
  const parts = fc.uniqueArray(
    fc.record({ key: fc.string({ minLength: 1 }), bytes: sizes, explicit: fc.boolean(), leastBytes: fc.integer({ min: 0, max: 64 }) }),
    { selector: (each) => each.key, maxLength: 6 },
  );
  fc.assert(
    fc.property(sizes, sizes, parts, (beyondMergingBytes, heapBytes, request) => {
      const limitBytes = beyondMergingBytes + Math.ceil((32 * mib) / 0.85);
      const plan = planMemory({ limitBytes, heapBytes, parts: request });
      const least = (each: MemoryPart) => (each.explicit ? each.bytes : Math.min(each.bytes, each.leastBytes));
      const leastSum = heapBytes + 32 * mib + request.reduce((sum, each) => sum + least(each), 0);
      if (plan.kind === 'refused') return assert.ok(leastSum > Math.floor(limitBytes * 0.85));
      assert.ok(plan.sumBytes <= plan.budgetBytes);
      for (const each of request)
        assert.ok((plan.bytesByKey.get(each.key) ?? -1) >= Math.floor(least(each)) && (plan.bytesByKey.get(each.key) ?? Infinity) <= each.bytes);
    }),
  );
});
