/** What a local cluster reads and writes of its brokers in the metadata store: the drain mark, and who owns how much. */
import { keys, nodeRecord, parsePartitionKey, parseRecord, partitionRecord } from '../../cluster/meta-records.ts';
import { type MetaStore, MetaUnknown } from '../../io/meta/meta-store.ts';
import { StartRefused } from '../start-refusal.ts';

export interface NodeSummary {
  readonly state: string;
  /** Owned now. */
  readonly partitions: number;
}

const attempts = 10;

/** By compare-and-set; what else the record says stays as it is, also what only a newer version knows. */
export async function setNodeState(meta: MetaStore, node: number, state: 'draining' | 'active'): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const key = keys.node(node);
    const entry = await meta.get(key);
    const record = entry && parseRecord(nodeRecord, entry.value);
    if (!entry || !record) throw new StartRefused(`broker ${node} has not registered itself yet`);
    if (record.state === state) return;
    const value = JSON.stringify({ ...(JSON.parse(entry.value) as object), state });
    try {
      const { committed } = await meta.txn({ compare: [{ key, modRevision: entry.modRevision }], then: [{ kind: 'put', key, value }] });
      if (committed) return;
    } catch (error) {
      // Applied or not: the next look tells, and writing it once more does no harm.
      if (!(error instanceof MetaUnknown)) throw error;
    }
  }
  throw new StartRefused(`the record of broker ${node} keeps changing: try again`);
}

export async function readNodes(meta: MetaStore): Promise<ReadonlyMap<number, NodeSummary>> {
  const [nodes, partitions] = [await meta.list(keys.nodes), await meta.list(keys.partitions)];
  const owned = new Map<number, number>();
  for (const { key, value } of partitions.entries) {
    const owner = parsePartitionKey(key) && parseRecord(partitionRecord, value)?.owner.node;
    if (owner !== undefined) owned.set(owner, (owned.get(owner) ?? 0) + 1);
  }
  const summaries = new Map<number, NodeSummary>();
  for (const { key, value } of nodes.entries) {
    const node = Number(key.slice(keys.nodes.length));
    const state = parseRecord(nodeRecord, value)?.state;
    if (state) summaries.set(node, { state, partitions: owned.get(node) ?? 0 });
  }
  return summaries;
}
