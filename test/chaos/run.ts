/**
 * `make chaos SECONDS=300 SEED=1`: a cluster of real processes under faults, real clients, one checker. Prints what was done, what
 * clients saw of it, and the verdict; the exit status says whether everything held. What a failed run leaves is kept, and named.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { historyLines } from '../checker/history.ts';
import { SimRandom } from '../simulation/sim-random.ts';
import { ChaosCluster } from './chaos-cluster.ts';
import { ChaosLoad } from './chaos-load.ts';
import { type MetadataKind, metadataKinds, type ObjectKind, objectKinds } from './chaos-stores.ts';
import { availability, type Gap, gapsOf, lengthOf } from './gaps.ts';
import { Nemesis } from './nemesis.ts';
import { concludeChaos } from './verdict.ts';
import { ChaosRecord } from './wall-recorder.ts';

const usage = `usage: run.js [--seconds 300] [--seed 1] [--metadata ${metadataKinds.join('|')}] [--objects ${objectKinds.join('|')}] [--outage SECONDS] [--no-librdkafka] [--calm] [--keep]
  --outage  the longest time for which a store is away (20; 60 in runs of ten minutes and more)
  --calm    no faults at all
  --keep    keep the folder of a clean run, too`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    metadata: { type: 'string' },
    objects: { type: 'string' },
    outage: { type: 'string' },
    'no-librdkafka': { type: 'boolean', default: false },
    calm: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const seconds = Number(values.seconds);
const random = new SimRandom(`chaos ${values.seed}`);
const stores = random.fork('stores');
const metadata = (values.metadata ?? stores.pick(metadataKinds)) as MetadataKind;
const objects = (values.objects ?? stores.pick(['versitygw', 'versitygw', 'minio', 'folder'])) as ObjectKind;
if (!(seconds > 0) || !metadataKinds.includes(metadata) || !objectKinds.includes(objects)) {
  console.error(usage);
  process.exit(2);
}
const longestOutageMs = 1_000 * Number(values.outage ?? (seconds >= 600 ? 60 : 20));
const folder = mkdtempSync(join(tmpdir(), 'automq-chaos-'));
const record = new ChaosRecord();
console.log(`chaos: seed ${values.seed}, ${seconds} s, metadata in ${metadata}, objects in ${objects}; ${folder}`);
// Clients that lost their cluster may go on trying.
process.exit((await run()) ? 0 : 1);

async function run(): Promise<boolean> {
  const cluster = await ChaosCluster.start({ folder, brokers: 3, metadata, objects, record });
  const load = new ChaosLoad({ cluster, record, random: random.fork('load'), librdkafka: !values['no-librdkafka'] });
  const nemesis = new Nemesis({ cluster, record, random: random.fork('nemesis'), longestOutageMs });
  try {
    await load.start();
    const fromMs = record.nowMs + 3_000;
    await delay(3_000);
    if (!values.calm) nemesis.start();
    await delay(seconds * 1_000);
    await nemesis.stop();
    const toMs = record.nowMs;
    await concludeChaos({ cluster, load, record });
    report(cluster, load, nemesis, { fromMs, toMs });
  } catch (error) {
    record.violation('run-failed', error instanceof Error ? (error.stack ?? error.message) : String(error));
    load.abandon();
  } finally {
    await cluster.close();
  }
  const clean = record.violations.length === 0;
  if (clean && !values.keep) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  else writeFileSync(join(folder, 'history.jsonl'), historyLines(record.history));
  console.log(clean ? 'verdict: everything held' : `verdict: ${record.violations.length} violations (seed ${values.seed}); history and logs are in ${folder}`);
  for (const { name, detail } of record.violations) console.log(`  ${name}: ${detail}`);
  return clean;
}

function report(cluster: ChaosCluster, load: ChaosLoad, nemesis: Nemesis, window: { readonly fromMs: number; readonly toMs: number }): void {
  console.log(`done: ${[...nemesis.counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'nothing'}`);
  const ended = countedBy(record.history, ({ f, type }) => `${f} ${type}`);
  console.log(`history: ${[...ended].map(([name, count]) => `${name} ${count}`).join(', ')}`);
  for (const f of ['send', 'poll'] as const) {
    const gaps = gapsOf(record.history, f, window);
    const longest = gaps.toSorted((a, b) => lengthOf(b) - lengthOf(a)).slice(0, 5);
    console.log(
      `${f === 'send' ? 'acknowledged' : 'read'}: available ${(100 * availability(gaps, 1_000)).toFixed(2)} %; longest gaps ${longest.map(describeGap).join(', ')}`,
    );
  }
  console.log(`clients: ${load.complaints.length} complaints, "(goes on)" where the library mends it itself`);
  for (const [complaint, count] of countedBy(load.complaints, (text) => text.replace(/^[\d.]+ s, /, '').replace(/\d+\.\d+\.\d+\.\d+:\d+/, 'broker')))
    console.log(`  ${count} × ${complaint}`);
  for (const { node, lives, peakRssMiB, ...broker } of cluster.brokers.map(summaryOf))
    console.log(`broker ${node}: ${lives} starts, at most ${peakRssMiB.toFixed(0)} MiB; ${broker.errors}`);
}

function summaryOf(broker: ChaosCluster['brokers'][number]) {
  const messages = countedBy(broker.logged('error'), (line) => String(line['message']));
  const errors = messages.size === 0 ? 'no errors logged' : `errors logged: ${[...messages].map(([message, count]) => `"${message}" ${count}`).join(', ')}`;
  return { node: broker.node, lives: broker.lives, peakRssMiB: broker.peakRssMiB, errors };
}

function countedBy<T>(items: readonly T[], nameOf: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return counts;
}

function describeGap(gap: Gap): string {
  return `${(lengthOf(gap) / 1_000).toFixed(1)} s at ${(gap.fromMs / 1_000).toFixed(1)} s`;
}
