import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ObjectRanges, objectRanges } from './object-ranges.ts';

const key = (prefix: string, number: number) => `${prefix}${String(number).padStart(12, '0')}`;
const wal = 'wal/0/000000000001/';
const data = 'data/0/000000000001/';

test('neighbours become one range', () => {
  assert.deepEqual(objectRanges([key(wal, 3), key(wal, 1), key(wal, 2), key(wal, 9), key(data, 1)], 10), [
    key(data, 1),
    `${key(wal, 1)}-000000000003`,
    key(wal, 9),
  ]);
});

test('gaps are bridged only when there are too many ranges', () => {
  const keys = [1, 3, 5, 100].map((number) => key(wal, number));
  assert.equal(objectRanges(keys, 4).length, 4);
  assert.deepEqual(objectRanges(keys, 3), [`${key(wal, 1)}-000000000005`, key(wal, 100)]);
  assert.equal(objectRanges(keys, 1).length, 1);
});

test('whatever was put in is in it, in as few ranges as asked for, and nothing else when they need not be few', () => {
  const numbers = fc.array(fc.tuple(fc.constantFrom(wal, data), fc.integer({ min: 0, max: 300 })), { maxLength: 80 });
  fc.assert(
    fc.property(numbers, fc.integer({ min: 2, max: 200 }), (wanted, most) => {
      const keys = new Set(wanted.map(([prefix, number]) => key(prefix, number)));
      const items = objectRanges(keys, most);
      const ranges = new ObjectRanges(items);
      assert.ok(items.length <= most);
      for (const each of keys) assert.ok(ranges.has(each));
      const exact = new ObjectRanges(objectRanges(keys, 1000));
      assert.equal(exact.count, keys.size);
      for (let number = 0; number <= 301; number++) assert.equal(exact.has(key(wal, number)), keys.has(key(wal, number)));
    }),
  );
});
