/**
 * `make bench`: this broker and Apache Kafka side by side, with the same client and the same loads, in alternating runs.
 * Nothing else should run meanwhile. bench/README.md explains the figures.
 *
 *   QUICK=1            seconds instead of minutes, one round: to see that everything works
 *   ROUNDS=3 SECONDS_PRODUCE=60 SECONDS_OTHER=20 TARGETS="kafka folder versitygw" SCENARIOS="produce tail small wide latency cold"
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectFolder } from '../test/lab/cache.ts';
import { startS3Server } from '../test/lab/s3-server.ts';
import { loadClient } from './load-client.ts';
import { describeMachine, diskRate, type PutLatency, putLatencies } from './machine.ts';
import { peakMemoryMiB } from './process-usage.ts';
import { markdownTable, svgChart } from './report.ts';
import type { BenchResults, TargetResults } from './results.ts';
import { consumeCold, type Durations, type Figures, scenarios } from './scenarios.ts';
import { type RunningTarget, type Target, targets } from './targets.ts';

const env = process.env;
const quick = env['QUICK'] === '1';
const durations: Durations = {
  produceSeconds: Number(env['SECONDS_PRODUCE'] ?? (quick ? 4 : 60)),
  warmupSeconds: quick ? 1 : 5,
  otherSeconds: Number(env['SECONDS_OTHER'] ?? (quick ? 3 : 20)),
  tailMegabytes: quick ? 100 : 200,
  coldMegabytes: quick ? 200 : 3_000,
};
const rounds = Number(env['ROUNDS'] ?? (quick ? 1 : 3));
const chosen = (env['TARGETS'] ?? targets.map((target) => target.name).join(' ')).split(/\s+/);
const wanted = (env['SCENARIOS'] ?? [...scenarios.map((scenario) => scenario.name), 'cold'].join(' ')).split(/\s+/);
const selected = chosen.map((name) => targets.find((target) => target.name === name) ?? unknown('target', name));
const workFolder = mkdtempSync(join(env['BENCH_FOLDER'] ?? tmpdir(), 'automq-bench-'));
process.once('exit', () => rmSync(workFolder, { recursive: true, force: true }));

loadClient();
const machine = describeMachine();
console.error(`bench: ${rounds} round(s) of ${chosen.join(', ')} in ${workFolder}; load average ${machine.loadAverage.toFixed(2)}`);
const diskFsyncedMBps = diskRate(workFolder, quick ? 1 : 5);
const putObject = chosen.includes('versitygw') ? await measurePuts() : [];
const collected = new Map<string, { figures: Record<string, number[]>; failures: Record<string, string> }>();
for (let round = 1; round <= rounds; round++) for (const target of selected) await runRound(target, round);

const results: BenchResults = {
  date: new Date().toISOString(),
  quick,
  machine,
  diskFsyncedMBps,
  putObject,
  targets: selected.map((target): TargetResults => ({ name: target.name, label: target.label, figures: {}, failures: {}, ...collected.get(target.name) })),
};
write(results);
console.log(markdownTable(results));
process.exit(results.targets.some((target) => Object.keys(target.failures).length > 0) ? 1 : 0);

/** One target from a fresh start to its end. A load that fails is told and costs its own figures only. */
async function runRound(target: Target, round: number): Promise<void> {
  const folder = join(workFolder, `${target.name}-${round}`);
  const entry = collected.get(target.name) ?? { figures: {}, failures: {} };
  collected.set(target.name, entry);
  const add = (figures: Figures) => {
    for (const [name, value] of Object.entries(figures)) (entry.figures[name] ??= []).push(value);
  };
  const attempt = async (name: string, load: () => Promise<Figures>) => {
    if (!wanted.includes(name)) return;
    try {
      const figures = await load();
      add(figures);
      console.error(
        `bench: round ${round} ${target.name} ${name}: ${JSON.stringify(figures, (_, value: unknown) => (typeof value === 'number' ? Number(value.toFixed(2)) : value))}`,
      );
    } catch (error) {
      entry.failures[name] = String(error instanceof Error ? error.message : error).slice(0, 500);
      console.error(`bench: round ${round} ${target.name} ${name} FAILED: ${String(error)}`);
    }
  };
  const begin = performance.now();
  let running: RunningTarget = await target.start(folder);
  add({ startSeconds: (performance.now() - begin) / 1000 });
  try {
    for (const scenario of scenarios) await attempt(scenario.name, () => scenario.run(running, durations));
    add({ peakMiB: peakMemoryMiB(running.broker.pid) });
    if (wanted.includes('cold')) running = await running.restart();
    await attempt('cold', () => consumeCold(running, durations));
  } finally {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measurePuts(): Promise<PutLatency[]> {
  const server = await startS3Server('versitygw', join(workFolder, 'put-latency'));
  try {
    return await putLatencies(server, quick ? 200 : 1_000);
  } finally {
    await server.program.stop();
  }
}

/** A quick run never replaces the figures that the README shows. */
function write(latest: BenchResults): void {
  const folder = join(projectFolder, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const name = latest.quick ? 'quick' : 'latest';
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(latest, null, 2)}\n`);
  writeFileSync(join(folder, `${name}.md`), `${markdownTable(latest)}\n`);
  writeFileSync(join(folder, `${name}.svg`), svgChart(latest));
  console.error(`bench: written to bench/results/${name}.{json,md,svg}`);
}

function unknown(kind: string, name: string): never {
  throw new Error(`no ${kind} called ${name}; there are ${targets.map((target) => target.name).join(', ')}`);
}
