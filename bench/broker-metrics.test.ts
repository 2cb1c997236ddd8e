import assert from 'node:assert/strict';
import test from 'node:test';
import { sumOf } from './broker-metrics.ts';

const text = '# HELP puts_total x\n# TYPE puts_total counter\nputs_total{kind="wal"} 3\nputs_total{kind="a b"} 4.5\nputs_total_more 100\nplain 7\n';

test('a figure is the sum over all labels of exactly one name', () => {
  assert.equal(sumOf(text, 'puts_total'), 7.5);
  assert.equal(sumOf(text, 'plain'), 7);
  assert.equal(sumOf(text, 'puts_total', 'kind="wal"'), 3);
});

test('a name that is not there is no figure', () => {
  assert.equal(sumOf(text, 'puts'), undefined);
});
