import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { compareKeys } from './key-order.ts';
import { SortedKeys } from './sorted-keys.ts';

const key = fc.oneof(fc.nat({ max: 3_000 }).map(String), fc.string({ unit: 'binary', maxLength: 3 }));

test('keys that come and go stand in their order, whatever prefix is asked for', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(key, { maxLength: 2_000, size: 'max' }),
      fc.array(fc.tuple(fc.boolean(), key), { maxLength: 2_000, size: 'max' }),
      key,
      (first, changes, prefix) => {
        const expected = new Set(first);
        const sorted = new SortedKeys(first);
        for (const [isAdded, changed] of changes) {
          if (!isAdded) sorted.delete(changed);
          else if (!expected.has(changed)) sorted.add(changed);
          if (isAdded) expected.add(changed);
          else expected.delete(changed);
        }
        const inOrder = [...expected].sort(compareKeys);
        assert.deepEqual([...sorted.withPrefix('')], inOrder);
        assert.deepEqual(
          [...sorted.withPrefix(prefix)],
          inOrder.filter((each) => each.startsWith(prefix)),
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('many more than a block holds: in ascending, descending and mixed order', () => {
  const numbers = Array.from({ length: 5_000 }, (_, i) => String(i).padStart(5, '0'));
  for (const order of [numbers, numbers.toReversed(), numbers.map((_, i) => numbers[(i * 1_237) % numbers.length] as string)]) {
    const sorted = new SortedKeys();
    for (const each of order) sorted.add(each);
    assert.deepEqual([...sorted.withPrefix('')], numbers);
    assert.equal([...sorted.withPrefix('042')].length, 100);
    for (const each of order.slice(0, 4_000)) sorted.delete(each);
    assert.deepEqual([...sorted.withPrefix('')], order.slice(4_000).sort());
  }
});
