import assert from 'node:assert/strict';
import test from 'node:test';
import { type AvailabilityResults, gapChart, quantile, resultTable, type ScenarioResult } from './report.ts';
import type { Try } from './scenarios.ts';

const machine = { cpu: 'test CPU', cores: 2, memoryGiB: 24, kernel: '6.1', node: 'v20.0.0', commit: 'abc1234', loadAverage: 0.1 };
const attempt = (lastAgainMs: number, gapsMs: readonly number[]): Try => ({
  affected: gapsMs.length,
  firstAgainMs: 100,
  lastAgainMs,
  gapsMs,
  worstOtherGapMs: 60,
  worstAckMs: 70,
  kafkajsProducerGapMs: 80,
  kafkajsConsumerGapMs: 90,
  consumerGapMs: 91,
  commitGapMs: 92,
  eventMs: 1_234,
  at: '2026-01-02T03:04:05.000Z',
  victimWasController: false,
});
const scenario = (target: string, tries: readonly Try[], more: Partial<ScenarioResult> = {}): ScenarioResult => ({
  scenario: 'kill',
  title: 'kill -9',
  target,
  label: `<${target}>`,
  partitions: 3,
  tries,
  readBack: { records: 1_000, missing: 1, doubled: 2, misplaced: 3 },
  faults: [],
  ...more,
});
const results = (...scenarios: ScenarioResult[]): AvailabilityResults => ({ date: '2026-01-02T03:04:05.000Z', quick: false, machine, pauseMs: 50, scenarios });

test('quantiles are values that occurred', () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([3, 1, 2], 0.99), 3);
  assert.equal(quantile([3, 1, 2], 0), 1);
});

test('a row has quantiles over the tries, gaps over all partitions, and what was lost', () => {
  const table = resultTable(results(scenario('folder', [attempt(500, [110, 120]), attempt(700, [130])])));
  assert.match(table, /\| kill -9: <folder> \| 3 \| 2 \| 100 \/ 100 \| 500 \/ 700 \| 120 \/ 130 \| 60 \/ 60 \|/);
  assert.match(table, /\| 4, 2 of 1,000 \|/);
  assert.doesNotMatch(table, / 1234 /);
});

test('the time until the process is gone is shown for SIGTERM', () => {
  assert.match(resultTable(results(scenario('folder', [attempt(500, [110])], { scenario: 'stop' }))), /\| 1234 \/ 1234 \|/);
});

test('what failed is told', () => {
  const table = resultTable(results(scenario('folder', [], { failure: 'no answer', faults: ['a hole'] })));
  assert.match(table, /<folder>: no answer/);
  assert.match(table, /<folder>: a hole/);
});

test('the picture has a panel per scenario and a curve per cluster that was measured', () => {
  const chart = gapChart(
    results(scenario('folder', [attempt(1, [100])]), scenario('kafka', [attempt(1, [9_000])]), scenario('kafka', [], { scenario: 'stop' })),
  );
  assert.equal(chart.match(/<polyline/g)?.length, 2);
  assert.equal(chart.match(/kill -9, 3 partitions/g)?.length, 2);
  assert.match(chart, /&lt;kafka&gt;/);
  assert.doesNotMatch(chart, /<kafka>/);
});
