/** A client follows leader epochs: news go in, what a broker that lags behind says does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownLeaders } from './known-leaders.ts';

function knownLeaders(): KnownLeaders {
  const known = new KnownLeaders();
  known.learn('t', 'id-1', [
    { partition: 0, leader: 1, epoch: 5 },
    { partition: 1, leader: 2, epoch: 0 },
  ]);
  return known;
}

test('metadata of an older leader epoch, or of fewer partitions, changes nothing', () => {
  const known = knownLeaders();
  known.learn('t', 'id-1', [{ partition: 0, leader: 0, epoch: 4 }]);
  assert.deepEqual(known.topics.get('t'), { name: 't', topicId: 'id-1', leaders: [1, 2], epochs: [5, 0] });
  known.learn('t', 'id-1', [{ partition: 0, leader: -1, epoch: 5 }]);
  assert.deepEqual(known.topics.get('t')?.leaders, [-1, 2], 'the same epoch without a leader is news');
});

test('another topic of the same name begins anew', () => {
  const known = knownLeaders();
  known.learn('t', 'id-2', [{ partition: 0, leader: 0, epoch: 0 }]);
  assert.deepEqual(known.topics.get('t'), { name: 't', topicId: 'id-2', leaders: [0], epochs: [0] });
  assert.equal(known.seen.get('id-1'), 't');
});

test('the leader that an error names counts when its epoch is newer', () => {
  const known = knownLeaders();
  assert.equal(known.correct('id-1', { partition: 0, leader: 2, epoch: 5 }), false);
  assert.equal(known.correct('id-1', { partition: 0, leader: -1, epoch: 9 }), false);
  assert.equal(known.correct('id-9', { partition: 0, leader: 2, epoch: 9 }), false);
  assert.equal(known.correct('id-1', { partition: 0, leader: 2, epoch: 6 }), true);
  assert.deepEqual(known.topics.get('t')?.leaders, [2, 2]);
  assert.deepEqual(known.topics.get('t')?.epochs, [6, 0]);
});
