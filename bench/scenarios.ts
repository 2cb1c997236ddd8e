/**
 * The loads of the comparison. Each answers figures by name; the client and its settings are the same for every broker.
 * CPU is the broker's alone, per MB (10^6 bytes) of records; what its store needs is a figure of its own.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { readCounters } from './broker-metrics.ts';
import { type LoadResult, runLoad } from './load-client.ts';
import { difference, type Usage, usageOf } from './process-usage.ts';
import type { RunningTarget } from './targets.ts';

export type Figures = Readonly<Record<string, number>>;

export interface Durations {
  readonly produceSeconds: number;
  readonly warmupSeconds: number;
  readonly otherSeconds: number;
  readonly tailMegabytes: number;
  readonly coldMegabytes: number;
}

export interface Scenario {
  readonly name: string;
  /** What it does, for the table. */
  readonly title: string;
  run(target: RunningTarget, durations: Durations): Promise<Figures>;
}

export const scenarios: readonly Scenario[] = [
  { name: 'produce', title: 'produce, 1 KiB records, 16 partitions, acks=all', run: produceSteadily },
  { name: 'tail', title: 'consume what was just written', run: consumeTail },
  {
    name: 'small',
    title: 'produce, 100-byte records, 16 partitions',
    run: (target, durations) => produceShape(target, durations, { topic: 'small', partitions: 16, recordBytes: 100 }),
  },
  {
    name: 'wide',
    title: 'produce, 1 KiB records, 256 partitions',
    run: (target, durations) => produceShape(target, durations, { topic: 'wide', partitions: 256, recordBytes: 1024 }),
  },
  { name: 'latency', title: '1,000 records/s, one partition, 200 bytes', run: measureLatency },
];

async function produceSteadily(target: RunningTarget, durations: Durations): Promise<Figures> {
  await create(target, 'produce', 16);
  const counters = async () => (target.metricsUrl ? readCounters(target.metricsUrl) : undefined);
  const before = await counters();
  const { result, broker, stores } = await measured(target, [
    'produce',
    '-t',
    'produce',
    '-s',
    '1024',
    '-S',
    String(durations.produceSeconds + durations.warmupSeconds),
    '-w',
    String(durations.warmupSeconds),
  ]);
  const after = await counters();
  const producedBytes = result.acked * 1024;
  const megabytes = producedBytes / 1e6;
  const delta = (key: 'storeRequests' | 'storeWrittenBytes') => {
    const [end, start] = [after?.[key], before?.[key]];
    return end === undefined ? undefined : end - (start ?? 0);
  };
  return defined({
    produceMBps: result.mbPerSecond,
    produceAckP99Ms: result.ack?.p99,
    produceCpuMsPerMB: (broker.cpuSeconds * 1000) / megabytes,
    produceStoreCpuMsPerMB: stores.length > 0 ? (sumCpu(stores) * 1000) / megabytes : undefined,
    writeAmplification: delta('storeWrittenBytes') === undefined ? undefined : (delta('storeWrittenBytes') ?? 0) / producedBytes,
    diskWriteAmplification: (broker.writtenBytes + stores.reduce((sum, store) => sum + store.writtenBytes, 0)) / producedBytes,
    storeRequestsPerGB: delta('storeRequests') === undefined ? undefined : (delta('storeRequests') ?? 0) / (producedBytes / 1e9),
  });
}

async function consumeTail(target: RunningTarget, durations: Durations): Promise<Figures> {
  await create(target, 'tail', 16);
  await runLoad('produce', target.bootstrap, ['-t', 'tail', '-m', String(durations.tailMegabytes)]);
  const { result, broker } = await measured(target, ['consume', '-t', 'tail']);
  return { tailMBps: result.mbPerSecond, tailCpuMsPerMB: (broker.cpuSeconds * 1000) / (result.bytes / 1e6) };
}

async function produceShape(
  target: RunningTarget,
  durations: Durations,
  shape: { readonly topic: string; readonly partitions: number; readonly recordBytes: number },
): Promise<Figures> {
  await create(target, shape.topic, shape.partitions);
  const seconds = durations.otherSeconds + durations.warmupSeconds;
  const { result, broker } = await measured(target, [
    'produce',
    '-t',
    shape.topic,
    '-s',
    String(shape.recordBytes),
    '-S',
    String(seconds),
    '-w',
    String(durations.warmupSeconds),
  ]);
  const cpu = (broker.cpuSeconds * 1000) / ((result.acked * shape.recordBytes) / 1e6);
  return shape.topic === 'small' ? { smallRecordsPerS: result.recordsPerSecond, smallCpuMsPerMB: cpu } : { wideMBps: result.mbPerSecond, wideCpuMsPerMB: cpu };
}

async function measureLatency(target: RunningTarget, durations: Durations): Promise<Figures> {
  await create(target, 'latency', 1);
  const result = await runLoad('e2e', target.bootstrap, latencyArguments('latency', durations));
  return defined({ ackP50Ms: result.ack?.p50, ackP99Ms: result.ack?.p99, e2eP50Ms: result.e2e?.p50, e2eP99Ms: result.e2e?.p99 });
}

/**
 * Catch-up from storage: the broker is new and has nothing in memory, the page cache is dropped where we may, and meanwhile a
 * tail reader of another topic must not suffer. Reads what `produce` wrote.
 */
export async function consumeCold(target: RunningTarget, durations: Durations): Promise<Figures> {
  dropPageCache();
  await create(target, 'beside', 1);
  const beside = runLoad('e2e', target.bootstrap, latencyArguments('beside', durations));
  await delay((durations.warmupSeconds + 1) * 1000);
  const { result, broker } = await measured(target, ['consume', '-t', 'produce', '-m', String(durations.coldMegabytes)]);
  const during = await beside;
  return defined({ coldMBps: result.mbPerSecond, coldCpuMsPerMB: (broker.cpuSeconds * 1000) / (result.bytes / 1e6), e2eP99DuringColdMs: during.e2e?.p99 });
}

function latencyArguments(topic: string, durations: Durations): string[] {
  return ['-t', topic, '-r', '1000', '-s', '200', '-S', String(durations.otherSeconds + durations.warmupSeconds), '-w', String(durations.warmupSeconds)];
}

/** A broker that has just created many partitions gets a moment, so that the load measures the load. */
async function create(target: RunningTarget, topic: string, partitions: number): Promise<void> {
  await runLoad('create', target.bootstrap, ['-t', topic, '-p', String(partitions)]);
  await delay(1_000);
}

interface Measured {
  readonly result: LoadResult;
  readonly broker: Usage;
  readonly stores: readonly Usage[];
}

async function measured(target: RunningTarget, [mode, ...args]: readonly ['produce' | 'consume', ...string[]]): Promise<Measured> {
  const programs = [target.broker, ...target.stores];
  const before = programs.map((program) => usageOf(program.pid));
  const result = await runLoad(mode, target.bootstrap, args);
  const [broker, ...stores] = programs.map((program, index) => difference(usageOf(program.pid), before[index]!));
  return { result, broker: broker!, stores };
}

function sumCpu(usages: readonly Usage[]): number {
  return usages.reduce((sum, usage) => sum + usage.cpuSeconds, 0);
}

function defined(figures: Readonly<Record<string, number | undefined>>): Figures {
  return Object.fromEntries(Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== undefined));
}

/** Only root may; elsewhere cold means: not in the broker's memory. */
function dropPageCache(): void {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
  } catch {
    console.error('bench: the page cache could not be dropped (not root): cold reads may come from the kernel');
  }
}
