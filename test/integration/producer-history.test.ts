import assert from 'node:assert/strict';
import test from 'node:test';
import { checkHistory, type ProducerHistory } from './producer-history.ts';
import type { TopicRecord } from './read-topic.ts';

const count = 200;
const values = Array.from({ length: count }, (_, i) => `a/${i}`);
const history: ProducerHistory = { name: 'a', sent: values, acknowledged: new Set(values.slice(0, 150)) };
const record = (value: string, offset: number): TopicRecord => ({ partition: 0, offset, key: '', value, headers: {}, timestampMs: 0 });
const topicOf = (...order: readonly string[]) => order.map((value, offset) => record(value, offset));

test('all acknowledged records once, in order and without gaps are right, with any of the unknown ones', () => {
  checkHistory([history], topicOf(...values.slice(0, 150)), 1);
  checkHistory([history], topicOf(...values), 1);
});

test('a missing acknowledged record is found', () => {
  assert.throws(() => checkHistory([history], topicOf(...values.slice(0, 149)), 1), /acknowledged and missing/);
});

test('a record that is there twice is found', () => {
  assert.throws(() => checkHistory([history], topicOf(...values, 'a/3'), 1), /a\/3 is at 0@3 and 0@200/);
});

test('a record that nobody sent is found', () => {
  assert.throws(() => checkHistory([history], topicOf(...values, 'b/1'), 1), /never sent/);
});

test('a broken order is found', () => {
  const [first = '', second = '', ...rest] = values;
  assert.throws(() => checkHistory([history], topicOf(second, first, ...rest), 1), /a\/0 comes after a\/1/);
});

test('a gap of offsets is found', () => {
  const shifted = topicOf(...values).map((each) => (each.offset < 10 ? each : { ...each, offset: each.offset + 1 }));
  assert.throws(() => checkHistory([history], shifted, 1), /offset 11 after 10 records/);
});

test('a history of nearly nothing proves nothing', () => {
  assert.throws(() => checkHistory([{ ...history, acknowledged: new Set(['a/0']) }], topicOf(...values), 1), /saw too little/);
});
