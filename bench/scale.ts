/**
 * `make bench-scale`: what size costs. (1) A start after kill -9 with 1,000 partitions and gigabytes of log on an S3 server;
 * (2) memory and CPU of a broker that idles with 10,000 partitions.
 *
 *   QUICK=1     a look of a minute        GIGABYTES=10 PARTITIONS=1000 IDLE_PARTITIONS=10000 IDLE_SECONDS=60 TARGETS="folder versitygw"
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { projectFolder } from '../test/lab/cache.ts';
import { runLoad } from './load-client.ts';
import { describeMachine } from './machine.ts';
import { difference, peakMemoryMiB, usageOf } from './process-usage.ts';
import { type RunningTarget, targets } from './targets.ts';

const env = process.env;
const quick = env['QUICK'] === '1';
const gigabytes = Number(env['GIGABYTES'] ?? (quick ? 0.3 : 10));
const partitions = Number(env['PARTITIONS'] ?? (quick ? 200 : 1_000));
const idlePartitions = Number(env['IDLE_PARTITIONS'] ?? (quick ? 1_000 : 10_000));
const idleSeconds = Number(env['IDLE_SECONDS'] ?? (quick ? 5 : 60));
const chosen = (env['TARGETS'] ?? 'folder versitygw').split(/\s+/);

const workFolder = mkdtempSync(join(env['BENCH_FOLDER'] ?? tmpdir(), 'automq-scale-'));
process.once('exit', () => rmSync(workFolder, { recursive: true, force: true }));

const rows: Record<string, string | number>[] = [];
for (const target of targets.filter(({ name }) => chosen.includes(name))) {
  const row: Record<string, string | number> = { broker: target.label };
  rows.push(row);
  let running = await target.start(join(workFolder, `${target.name}-restart`));
  try {
    running = await measureRestart(running, row);
  } finally {
    await running.stop();
  }
  running = await target.start(join(workFolder, `${target.name}-idle`));
  try {
    await measureIdle(running, row);
  } finally {
    await running.stop();
  }
  console.error(`bench: ${JSON.stringify(row)}`);
}
const results = { date: new Date().toISOString(), quick, machine: describeMachine(), gigabytes, partitions, idlePartitions, idleSeconds, rows };
writeFileSync(join(projectFolder, 'bench', 'results', `${quick ? 'quick' : 'latest'}-scale.json`), `${JSON.stringify(results, null, 2)}\n`);
console.table(rows);

/** From the start of the new process until it takes connections, and until a consumer has its first megabytes. */
async function measureRestart(running: RunningTarget, row: Record<string, string | number>): Promise<RunningTarget> {
  await createTopic(running, 'many', partitions);
  await runLoad('produce', running.bootstrap, ['-t', 'many', '-m', String(gigabytes * 1_000)]);
  await running.broker.kill9();
  const start = performance.now();
  const again = await running.restart();
  row['restart ms'] = Math.round(performance.now() - start);
  await runLoad('consume', again.bootstrap, ['-t', 'many', '-m', '5']);
  row['first 5 MB ms'] = Math.round(performance.now() - start);
  row['log GB'] = gigabytes;
  row['partitions'] = partitions;
  return again;
}

async function measureIdle(running: RunningTarget, row: Record<string, string | number>): Promise<void> {
  const topics = Math.ceil(idlePartitions / 1_000);
  const start = performance.now();
  for (let topic = 0; topic < topics; topic++) await createTopic(running, `idle-${topic}`, Math.min(1_000, idlePartitions - topic * 1_000));
  row['idle partitions'] = idlePartitions;
  row['create ms'] = Math.round(performance.now() - start);
  await delay(idleSeconds * 500); // Buffers of the creation may be given back.
  const before = usageOf(running.broker.pid);
  await delay(idleSeconds * 1_000);
  row['idle CPU %'] = Number(((difference(usageOf(running.broker.pid), before).cpuSeconds / idleSeconds) * 100).toFixed(2));
  row['idle MiB'] = Math.round(residentMiB(running.broker.pid));
  row['peak MiB'] = Math.round(peakMemoryMiB(running.broker.pid));
}

async function createTopic(running: RunningTarget, topic: string, count: number): Promise<void> {
  await runLoad('create', running.bootstrap, ['-t', topic, '-p', String(count)]);
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
