/** What a run found, and its medians: the shape of results/latest.json. */
import type { Machine, PutLatency } from './machine.ts';

export interface BenchResults {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly diskFsyncedMBps: number;
  readonly putObject: readonly PutLatency[];
  readonly targets: readonly TargetResults[];
}

export interface TargetResults {
  readonly name: string;
  readonly label: string;
  /** Figure → one value per round. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
  /** Scenario → why it gave no figure. */
  readonly failures: Readonly<Record<string, string>>;
}

export interface FigureInfo {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly better: 'more' | 'less';
}

const figure = (name: string, title: string, unit: string, better: 'more' | 'less', digits = 1): FigureInfo => ({ name, title, unit, better, digits });

/** In the order of the table. */
export const figureInfos: readonly FigureInfo[] = [
  figure('produceMBps', 'produce, 1 KiB, 16 partitions', 'MB/s', 'more'),
  figure('produceCpuMsPerMB', '– broker CPU', 'ms/MB', 'less', 2),
  figure('produceStoreCpuMsPerMB', '– CPU of the S3 server', 'ms/MB', 'less', 2),
  figure('writeAmplification', '– bytes to the store per byte produced', '×', 'less', 2),
  figure('diskWriteAmplification', '– bytes to the disk per byte produced', '×', 'less', 2),
  figure('storeRequestsPerGB', '– store requests', 'per GB', 'less', 0),
  figure('smallRecordsPerS', 'produce, 100-byte records', 'records/s', 'more', 0),
  figure('wideMBps', 'produce, 256 partitions', 'MB/s', 'more'),
  figure('tailMBps', 'consume, just written', 'MB/s', 'more'),
  figure('tailCpuMsPerMB', '– broker CPU', 'ms/MB', 'less', 2),
  figure('coldMBps', 'consume, cold', 'MB/s', 'more'),
  figure('coldCpuMsPerMB', '– broker CPU', 'ms/MB', 'less', 2),
  figure('ackP50Ms', 'acknowledged at 1,000 records/s, p50', 'ms', 'less', 2),
  figure('ackP99Ms', '– p99', 'ms', 'less', 2),
  figure('e2eP50Ms', 'end to end at 1,000 records/s, p50', 'ms', 'less', 2),
  figure('e2eP99Ms', '– p99', 'ms', 'less', 2),
  figure('e2eP99DuringColdMs', '– p99 during a cold catch-up', 'ms', 'less', 2),
  figure('startSeconds', 'start', 's', 'less', 2),
  figure('peakMiB', 'peak memory of the broker', 'MiB', 'less', 0),
];

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : sorted.length === 0 ? undefined : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export function medianOf(target: TargetResults, name: string): number | undefined {
  return median(target.figures[name] ?? []);
}
