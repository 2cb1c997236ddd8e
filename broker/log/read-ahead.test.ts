import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadAhead } from './read-ahead.ts';

const limits = { minWindowBytes: 10, maxWindowBytes: 70, maxReaders: 3 };

test('the window doubles with each read that goes on, up to the largest', () => {
  const readAhead = new ReadAhead(limits);
  const windows = [0, 5, 10, 15, 20, 25].map((start) => readAhead.advance('a', start, start + 5));
  assert.deepEqual(windows, [0, 10, 20, 40, 70, 70]);
});

test('a read goes on when it begins inside or right behind the last one, as whole batches make it', () => {
  const readAhead = new ReadAhead(limits);
  readAhead.advance('a', 0, 100);
  assert.equal(readAhead.advance('a', 90, 190), 10);
  assert.equal(readAhead.advance('a', 191, 200), 0);
});

test('the same place again, a place before, another object: no one goes on', () => {
  const readAhead = new ReadAhead(limits);
  readAhead.advance('a', 50, 100);
  for (const [key, start, end] of [
    ['a', 50, 100],
    ['a', 40, 100],
    ['b', 100, 120],
  ] as const)
    assert.equal(readAhead.advance(key, start, end), 0);
});

test('readers in one object are told apart', () => {
  const readAhead = new ReadAhead(limits);
  readAhead.advance('a', 0, 10);
  readAhead.advance('a', 500, 510);
  assert.deepEqual([readAhead.advance('a', 10, 20), readAhead.advance('a', 510, 520), readAhead.advance('a', 20, 30)], [10, 10, 20]);
});

test('the reader that was silent longest is forgotten', () => {
  const readAhead = new ReadAhead(limits);
  for (const key of ['a', 'b', 'c']) readAhead.advance(key, 0, 10);
  assert.equal(readAhead.advance('a', 10, 20), 10);
  readAhead.advance('d', 0, 10);
  assert.equal(readAhead.advance('b', 10, 20), 0);
  assert.equal(readAhead.advance('a', 20, 30), 20);
});
