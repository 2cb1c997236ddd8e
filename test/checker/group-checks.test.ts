/** What a coordinator may not answer is found; what it may, is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory } from './checker.ts';
import type { AssignedOperation, CommitOperation, CommittedOperation, Operation } from './history.ts';

const options = { mayExpire: () => false, damaged: false, staleBoundMs: 0 };
const base = { process: 'm', key: 'topic/0', group: 'g' } as const;

/** At `t0`, for 5 ms. */
function commit(t0: number, offset: number, more: Partial<CommitOperation> = {}): CommitOperation {
  return { ...base, f: 'commit', type: 'ok', t0, t1: more.type === 'info' ? null : t0 + 5, generation: 1, offset, text: `c${t0}`, ...more };
}

function fetched(t0: number, offset: number, text: string): CommittedOperation {
  return { ...base, f: 'committed', type: 'ok', t0, t1: t0 + 5, offset, text };
}

function assigned(t1: number, generation: number, member: string): AssignedOperation {
  return { ...base, f: 'assigned', type: 'ok', t0: t1, t1, generation, member };
}

function found(history: readonly Operation[], staleBoundMs = 0): readonly string[] {
  return checkHistory(history, { ...options, staleBoundMs }).map(({ name }) => name);
}

test('the latest commit, one that was under way at the time, and one of which nobody knows may be fetched', () => {
  assert.deepEqual(found([fetched(0, -1, ''), commit(10, 3), fetched(20, 3, 'c10'), commit(30, 5), fetched(32, 3, 'c10'), fetched(33, 5, 'c30')]), []);
  assert.deepEqual(found([commit(10, 3, { type: 'info' }), fetched(20, -1, ''), fetched(30, 3, 'c10')]), []);
  const late = [commit(10, 3, { type: 'info' }), commit(20, 5), fetched(30, 5, 'c20'), fetched(40, 3, 'c10')];
  assert.deepEqual(found(late), [], 'a commit without an answer may be applied late');
});

test('an acknowledged commit that is not there any more is found', () => {
  assert.deepEqual(found([commit(10, 3), fetched(20, -1, '')]), ['lost-commit']);
  assert.deepEqual(found([commit(10, 3), commit(20, 5), fetched(30, 3, 'c10')]), ['lost-commit']);
  assert.deepEqual(found([commit(10, 3), commit(20, 5), fetched(30, 3, 'c10')], 100), [], 'within the bound of a stale coordinator');
});

test('a commit that nobody made, that was refused, or that is of the future is found', () => {
  assert.deepEqual(found([fetched(20, 3, 'c10')]), ['phantom-commit']);
  assert.deepEqual(found([commit(10, 3, { type: 'fail' }), fetched(20, 3, 'c10')]), ['phantom-commit']);
  assert.deepEqual(found([fetched(0, 3, 'c10'), commit(10, 3)]), ['phantom-commit']);
  assert.deepEqual(found([commit(10, 3), fetched(20, 4, 'c10')]), ['phantom-commit']);
});

test('a commit of a generation that was over, and a partition of two members are found', () => {
  assert.deepEqual(found([assigned(10, 2, 'a'), commit(20, 3, { generation: 1 })]), ['old-generation']);
  assert.deepEqual(found([commit(8, 3, { generation: 1 }), assigned(10, 2, 'a')]), []);
  assert.deepEqual(found([assigned(10, 2, 'a'), assigned(11, 2, 'b')]), ['shared-partition']);
  assert.deepEqual(found([assigned(10, 2, 'a'), assigned(11, 3, 'b')]), []);
});
