import assert from 'node:assert/strict';
import test from 'node:test';
import { markdownTable, svgChart } from './report.ts';
import type { BenchResults, TargetResults } from './results.ts';

const machine = { cpu: 'test CPU', cores: 2, memoryGiB: 24, kernel: '6.1', node: 'v20.0.0', commit: 'abc1234', loadAverage: 0.1 };
const target = (name: string, figures: Record<string, number[]>): TargetResults => ({ name, label: `<${name}>`, figures, failures: {} });
const results = (...targets: TargetResults[]): BenchResults => ({
  date: '2026-01-02T03:04:05.000Z',
  quick: false,
  machine,
  diskFsyncedMBps: 300,
  putObject: [{ sizeBytes: 65_536, p50: 0.9, p99: 2 }],
  targets,
});

test('the table shows medians and ratios to Apache Kafka', () => {
  const table = markdownTable(results(target('kafka', { produceMBps: [100, 300, 200] }), target('folder', { produceMBps: [250, 350, 300] })));
  assert.match(table, /\| produce, 1 KiB, 16 partitions, MB\/s \| 200\.0 \| 300\.0 \(1\.50 ×\) \|/);
  assert.match(table, /medians of 3 alternating runs/);
  assert.match(table, /One PutObject of 64 KiB .* p50 0\.90 ms/);
});

test('a figure that a broker does not have is an empty cell, and one that nobody has is no row', () => {
  const table = markdownTable(results(target('kafka', { produceMBps: [1] }), target('folder', { peakMiB: [7] })));
  assert.match(table, /\| produce, .* \| 1\.0 \| {2}\|/);
  assert.doesNotMatch(table, /cold/);
});

test('a failed load is told', () => {
  const failed: TargetResults = { ...target('kafka', {}), failures: { tail: 'no answer' } };
  assert.match(markdownTable(results(failed)), /<kafka>, tail: no answer/);
});

test('the picture has one bar per figure and target, and its texts are escaped', () => {
  const chart = svgChart(results(target('kafka', { produceMBps: [100] }), target('folder', { produceMBps: [50] })));
  assert.equal(chart.match(/<rect [^>]*height="14"/g)?.length, 2);
  assert.match(chart, /width="360\.0"/);
  assert.match(chart, /width="180\.0"/);
  assert.match(chart, /&lt;kafka&gt;/);
  assert.doesNotMatch(chart, /<kafka>/);
});
