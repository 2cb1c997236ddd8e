import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LruByBytes } from './lru-by-bytes.ts';

test('the least recently used go first, and the owner is told', () => {
  const evicted: string[] = [];
  const lru = new LruByBytes<string, string>({ budgetBytes: 10, onEvicted: (value) => evicted.push(value) });
  lru.set('a', 'A', 4);
  lru.set('b', 'B', 4);
  assert.equal(lru.get('a'), 'A');
  lru.set('c', 'C', 4);
  assert.deepEqual(evicted, ['B']);
  lru.set('d', 'D', 100);
  assert.deepEqual(evicted, ['B', 'A', 'C', 'D']);
  assert.equal(lru.sizeBytes, 0);
});

test('what is deleted or replaced was not evicted', () => {
  const evicted: string[] = [];
  const lru = new LruByBytes<string, string>({ budgetBytes: 10, onEvicted: (value) => evicted.push(value) });
  lru.set('a', 'A', 4);
  lru.set('a', 'other A', 6);
  assert.equal(lru.sizeBytes, 6);
  assert.equal(lru.delete('a'), true);
  assert.equal(lru.delete('a'), false);
  assert.deepEqual([lru.sizeBytes, lru.get('a'), evicted], [0, undefined, []]);
});

test('it holds what a list in order of use would hold', () => {
  const operation = fc.record({ key: fc.nat(6), sizeBytes: fc.integer({ min: 0, max: 6 }), kind: fc.constantFrom('set', 'set', 'get', 'delete', 'shrink') });
  fc.assert(
    fc.property(fc.array(operation), (operations) => {
      const lru = new LruByBytes<number, number>({ budgetBytes: 12 });
      let list: { key: number; sizeBytes: number }[] = [];
      const sum = () => list.reduce((total, entry) => total + entry.sizeBytes, 0);
      const shrink = (bytes: number) => {
        while (sum() > bytes) list.shift();
      };
      for (const { key, sizeBytes, kind } of operations) {
        const entry = list.find((candidate) => candidate.key === key);
        if (kind === 'get') assert.equal(lru.get(key), entry?.key);
        else if (kind === 'delete') assert.equal(lru.delete(key), entry !== undefined);
        else if (kind === 'set') lru.set(key, key, sizeBytes);
        else lru.shrinkTo(sizeBytes);
        if (kind !== 'shrink') list = list.filter((candidate) => candidate.key !== key);
        if (kind === 'set') list.push({ key, sizeBytes });
        if (kind === 'get' && entry) list.push(entry);
        shrink(kind === 'shrink' ? sizeBytes : 12);
        assert.equal(lru.sizeBytes, sum());
      }
      for (const { key } of list) assert.equal(lru.get(key), key);
    }),
  );
});
