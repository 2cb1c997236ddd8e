/** A scripted fault run: cluster and load up, the script, then the same end as every fault run; no violation may be left. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { controllerRecord, keys, nodeRecord, parsePartitionKey, parseRecord, partitionRecord } from '../../cluster/meta-records.ts';
import { historyLines } from '../checker/history.ts';
import { SimRandom } from '../simulation/sim-random.ts';
import { ChaosCluster } from './chaos-cluster.ts';
import { ChaosLoad } from './chaos-load.ts';
import { type Gap, gapsOf, lengthOf } from './gaps.ts';
import { concludeChaos, type RunningChaos } from './verdict.ts';
import { ChaosRecord } from './wall-recorder.ts';

/** The outages that are promised (a minute, and 20 s for a zombie), or shorter ones that show the same. */
export const isFull = (process.env['AUTOMQ_CHAOS_FULL'] ?? '') !== '';
export const scenarioTimeoutMs = 500_000;
const settleMs = 3_000;

export async function scenario(name: string, script: (running: RunningChaos) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'automq-chaos-'));
  const record = new ChaosRecord();
  const cluster = await ChaosCluster.start({ folder, brokers: 3, metadata: 'etcd', objects: 'versitygw', record });
  const load = new ChaosLoad({ cluster, record, random: new SimRandom(name), librdkafka: true });
  let passed = false;
  try {
    await load.start();
    await delay(settleMs);
    await script({ cluster, load, record });
    await concludeChaos({ cluster, load, record });
    assert.deepEqual(record.violations, [], `history and logs are in ${folder}`);
    passed = true;
  } finally {
    if (!passed) load.abandon();
    await cluster.close();
    if (passed) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    else writeFileSync(join(folder, 'history.jsonl'), historyLines(record.history));
  }
}

export async function controllerOf(cluster: ChaosCluster): Promise<number> {
  const entry = await cluster.metadata.client.get(keys.controller);
  return (entry && parseRecord(controllerRecord, entry.value))?.node ?? -1;
}

export async function epochOf(cluster: ChaosCluster, node: number): Promise<number> {
  const entry = await cluster.metadata.client.get(keys.node(node));
  return (entry && parseRecord(nodeRecord, entry.value))?.epoch ?? -1;
}

/** Owner by `topicId/partition`. */
export async function ownersOf(cluster: ChaosCluster): Promise<ReadonlyMap<string, number>> {
  const owners = new Map<string, number>();
  for (const { key, value } of (await cluster.metadata.client.list(keys.partitions)).entries) {
    const at = parsePartitionKey(key);
    const owner = parseRecord(partitionRecord, value)?.owner.node;
    if (at && owner !== undefined) owners.set(`${at.topicId}/${at.partition}`, owner);
  }
  return owners;
}

export async function until(what: string, isSo: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    await delay(100);
  }
}

/** For the reader of a passed test. */
export function describeGaps(record: ChaosRecord, window: { readonly fromMs: number; readonly toMs: number }): string {
  const gaps = gapsOf(record.history, 'send', window);
  const byKey = new Map<string, Gap>();
  for (const gap of gaps) if (lengthOf(gap) > lengthOf(byKey.get(gap.key) ?? { ...gap, toMs: gap.fromMs })) byKey.set(gap.key, gap);
  const longest = [...byKey.values()].map(lengthOf).sort((a, b) => a - b);
  return `longest time without an acknowledgement, of ${longest.length} partitions: median ${seconds(longest[longest.length >> 1])}, worst ${seconds(longest.at(-1))}`;
}

function seconds(ms = 0): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
