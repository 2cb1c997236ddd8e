/** The observations as a table and as a picture: for each scenario and cluster, how many partitions had been without acknowledgement for how long. */
import type { Machine } from '../machine.ts';
import type { ReadBack } from './read-back.ts';
import type { Try } from './scenarios.ts';

export interface ScenarioResult {
  readonly scenario: string;
  readonly title: string;
  readonly target: string;
  readonly label: string;
  readonly partitions: number;
  readonly tries: readonly Try[];
  readonly readBack?: ReadBack;
  /** Of the kafkajs clients: what must not happen. */
  readonly faults: readonly string[];
  readonly kafkajsCrashes?: readonly string[];
  /** Why it did not come to its end. */
  readonly failure?: string;
}

export interface AvailabilityResults {
  readonly date: string;
  /** A look of a minute: few partitions, few tries. */
  readonly quick: boolean;
  readonly machine: Machine;
  readonly pauseMs: number;
  readonly scenarios: readonly ScenarioResult[];
}

/** Nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function resultTable({ date, quick, machine, pauseMs, scenarios }: AvailabilityResults): string {
  const rows = scenarios.map(rowOf);
  const columns = [
    '',
    'partitions',
    'tries',
    'first again',
    'last again',
    'gap of a partition',
    'worst gap of the others',
    'worst ack',
    'consumer gap',
    'commit gap',
    'kafkajs producer, consumer gap',
    'process gone',
    'missing, doubled',
  ];
  return [
    `${date.slice(0, 10)}, commit ${machine.commit}, ${machine.cores} cores shared by clients, brokers and stores, load average before ${machine.loadAverage.toFixed(2)}; milliseconds, p50 / p99 (of the tries; of all partitions of all tries for gaps); a record ${pauseMs} ms after the acknowledgement of the last in each partition${quick ? '; QUICK: few partitions and tries' : ''}.`,
    '',
    `| ${columns.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(columns.length - 1)}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    ...scenarios.flatMap(({ title, label, failure, faults }) =>
      [...(failure ? [failure] : []), ...faults.slice(0, 5)].map((text) => `\n**${title}, ${label}: ${text}**`),
    ),
  ].join('\n');
}

function rowOf({ title, label, scenario, partitions, tries, readBack }: ScenarioResult): string[] {
  const both = (of: (one: Try) => number) => pair(tries.map(of));
  const gone = scenario === 'stop' ? both(({ eventMs }) => eventMs) : '';
  const found = readBack ? `${readBack.missing + readBack.misplaced}, ${readBack.doubled} of ${readBack.records.toLocaleString('en-US')}` : '?';
  return [
    `${title}: ${label}`,
    String(partitions),
    String(tries.length),
    both(({ firstAgainMs }) => firstAgainMs),
    both(({ lastAgainMs }) => lastAgainMs),
    pair(tries.flatMap(({ gapsMs }) => gapsMs)),
    both(({ worstOtherGapMs }) => worstOtherGapMs),
    both(({ worstAckMs }) => worstAckMs),
    both(({ consumerGapMs }) => consumerGapMs),
    both(({ commitGapMs }) => commitGapMs),
    `${both(({ kafkajsProducerGapMs }) => kafkajsProducerGapMs)}, ${both(({ kafkajsConsumerGapMs }) => kafkajsConsumerGapMs)}`,
    gone,
    found,
  ];
}

function pair(values: readonly number[]): string {
  return values.length === 0 ? '' : `${Math.round(quantile(values, 0.5))} / ${Math.round(quantile(values, 0.99))}`;
}

const colours: Readonly<Record<string, string>> = { kafka: '#8a8f98', folder: '#2563eb', versitygw: '#0d9488', 'etcd-s3': '#b45309' };
const [left, plotWidth, plotHeight, panelHeight] = [60, 620, 130, 190];
const ticksMs = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000];
const [leastMs, mostMs] = [10, 60_000];

/** Per scenario one panel with a curve per cluster: the share of partitions whose gap was at most so long, over a logarithmic scale. */
export function gapChart({ date, machine, scenarios }: AvailabilityResults): string {
  const names = [...new Set(scenarios.map(({ scenario }) => scenario))];
  const height = 40 + names.length * panelHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="720" height="${height}" viewBox="0 0 720 ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    '<style>text { fill: #555 } .grid { stroke: #8884; fill: none } @media (prefers-color-scheme: dark) { text { fill: #ccc } }</style>',
    `<text x="20" y="20" font-size="14">${escape(`Longest time without acknowledgement, share of partitions; ${date.slice(0, 10)}, ${machine.cores} cores, commit ${machine.commit}`)}</text>`,
    ...names.flatMap((name, index) =>
      panel(
        scenarios.filter(({ scenario }) => scenario === name),
        40 + index * panelHeight,
      ),
    ),
    '</svg>',
    '',
  ].join('\n');
}

function panel(results: readonly ScenarioResult[], top: number): string[] {
  const bottom = top + 20 + plotHeight;
  const { title = '', partitions = 0 } = results[0] ?? {};
  const parts = [`<text x="20" y="${top + 12}">${escape(`${title}, ${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`)}</text>`];
  for (const tick of ticksMs) {
    parts.push(`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${top + 20}" y2="${bottom}"/>`);
    parts.push(`<text x="${x(tick)}" y="${bottom + 14}" text-anchor="middle" font-size="10">${tick < 1_000 ? `${tick} ms` : `${tick / 1_000} s`}</text>`);
  }
  for (const share of [0, 0.5, 1]) {
    const y = bottom - share * plotHeight;
    parts.push(
      `<line class="grid" x1="${left}" x2="${left + plotWidth}" y1="${y}" y2="${y}"/><text x="${left - 6}" y="${y + 4}" text-anchor="end" font-size="10">${share * 100} %</text>`,
    );
  }
  results.forEach((result, index) => {
    const colour = colours[result.target] ?? '#000';
    parts.push(`<text x="${left + 360}" y="${top + 34 + 14 * index}" style="fill: ${colour}">${escape(result.label)}</text>`);
    const gaps = result.tries.flatMap(({ gapsMs }) => gapsMs);
    if (gaps.length === 0) return;
    const shares = Array.from({ length: 101 }, (_, percent) => percent / 100);
    const points = shares.map((share) => `${x(quantile(gaps, share)).toFixed(1)},${(bottom - share * plotHeight).toFixed(1)}`);
    parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`);
  });
  return parts;
}

function x(ms: number): number {
  const place = Math.log(Math.min(mostMs, Math.max(leastMs, ms)) / leastMs) / Math.log(mostMs / leastMs);
  return Math.round((left + place * plotWidth) * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
