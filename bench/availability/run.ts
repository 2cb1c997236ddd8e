/**
 * What clients see when a broker is killed or stopped, and when partitions move; side by side with Apache Kafka.
 *
 *   TARGETS="folder versitygw etcd-s3 kafka"   SCENARIOS="kill stop move-one move-all"
 *   PARTITIONS=1000  PAUSE_MS=200  TRIES=20  KAFKA_TRIES=5  MOVES=100     LOGS=FOLDER keeps the brokers' logs
 *   LOAD_MS=60000 under load before a broker is lost, at most
 *   QUICK=1 for a look of some minutes: 50 partitions, 4 tries
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { projectFolder } from '../../test/lab/cache.ts';
import { describeMachine } from '../machine.ts';
import { type ClusterKind, clusterKinds } from './clusters.ts';
import { type AvailabilityResults, gapChart, resultTable, type ScenarioResult } from './report.ts';
import { type Scenario, restore, scenarios, type Try } from './scenarios.ts';
import { Stage } from './stage.ts';

const env = process.env;
const quick = env['QUICK'] === '1';
const partitions = Number(env['PARTITIONS'] ?? (quick ? 50 : 1_000));
const pauseMs = Number(env['PAUSE_MS'] ?? (quick ? 50 : 200));
const tries = Number(env['TRIES'] ?? (quick ? 4 : 20));
const kafkaTries = Number(env['KAFKA_TRIES'] ?? Math.min(tries, quick ? 2 : 5));
/** As long as brokers may go without a checkpoint. */
const mostLoadMs = Number(env['LOAD_MS'] ?? (quick ? 2_000 : 60_000));
const moves = Number(env['MOVES'] ?? (quick ? 10 : 100));
const chosen = pick(clusterKinds, env['TARGETS'] ?? 'folder kafka');
const wanted = pick(scenarios, env['SCENARIOS'] ?? scenarios.map(({ name }) => name).join(' '));

const workFolder = mkdtempSync(join(env['BENCH_FOLDER'] ?? tmpdir(), 'automq-availability-'));
process.once('exit', () => rmSync(workFolder, { recursive: true, force: true, maxRetries: 5 }));
const machine = describeMachine();
const found: ScenarioResult[] = [];
for (const scenario of wanted) for (const kind of chosen) if (kind.name !== 'kafka' || !scenario.needsMoves) found.push(await measure(kind, scenario));

const results: AvailabilityResults = { date: new Date().toISOString(), quick, machine, pauseMs, scenarios: found };
const folder = join(projectFolder, 'bench', 'results');
mkdirSync(folder, { recursive: true });
// As in the other benchmark, a quick run never replaces figures that are shown.
const name = quick ? 'quick-availability' : 'availability';
const withShortLists = JSON.stringify(results, undefined, 1).replace(/\[[\d\s,]*\]/g, (list) => list.replace(/\s+/g, ''));
writeFileSync(join(folder, `${name}.json`), `${withShortLists}\n`);
writeFileSync(join(folder, `${name}.md`), `${resultTable(results)}\n`);
writeFileSync(join(folder, `${name}.svg`), gapChart(results));
console.log(resultTable(results));
process.exit(
  found.some(({ failure, readBack, faults }) => failure || faults.length > 0 || (readBack && readBack.missing + readBack.doubled + readBack.misplaced > 0))
    ? 1
    : 0,
);

async function measure(kind: ClusterKind, scenario: Scenario): Promise<ScenarioResult> {
  const home = join(workFolder, `${kind.name}-${scenario.name}`);
  mkdirSync(home, { recursive: true });
  const load = { partitions: scenario.partitions ?? partitions, pauseMs: scenario.pauseMs ?? pauseMs };
  const count = scenario.name === 'move-one' ? moves : kind.name === 'kafka' ? kafkaTries : tries;
  const observed: Try[] = [];
  const cluster = await kind.start(home);
  const about = { scenario: scenario.name, title: scenario.title, target: kind.name, label: kind.label, partitions: load.partitions, tries: observed };
  try {
    const stage = await Stage.open(cluster, load);
    for (let index = 0; index < count; index++) {
      const one = await scenario.attempt(stage, { index, mostLoadMs });
      observed.push(one);
      console.error(`availability: ${kind.name} ${scenario.name} ${index + 1}/${count}: ${JSON.stringify({ ...one, gapsMs: undefined }, rounded)}`);
      if (index + 1 < count) await restore(stage, one);
    }
    return { ...about, ...(await stage.close()) };
  } catch (error) {
    console.error(`availability: ${kind.name} ${scenario.name} FAILED: ${error instanceof Error ? error.stack : String(error)}`);
    return { ...about, faults: [], failure: String(error).slice(0, 500) };
  } finally {
    await cluster.close();
    keepLogs(`${kind.name}-${scenario.name}`, cluster.logFiles);
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

function keepLogs(name: string, files: readonly string[]): void {
  const to = env['LOGS'];
  if (to === undefined) return;
  mkdirSync(join(to, name), { recursive: true });
  for (const [index, file] of files.entries()) cpSync(file, join(to, name, `${index}-${basename(file)}`));
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value;
}

function pick<T extends { readonly name: string }>(all: readonly T[], names: string): T[] {
  return names.split(/\s+/).map((name) => {
    const one = all.find((each) => each.name === name);
    if (!one) throw new Error(`nothing is called ${name}; there are ${all.map((each) => each.name).join(', ')}`);
    return one;
  });
}
