/** The metadata records that say what is needed in the object store, for `automq storage fsck`. */
import type { MetaStore } from '../../io/meta/meta-store.ts';
import {
  holdRecord,
  keys,
  nodeRecord,
  parseHoldKey,
  parsePartitionKey,
  parseRecord,
  parseRecoveryKey,
  partitionRecord,
  recoveryRecord,
  tombstoneRecord,
} from '../../cluster/meta-records.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import { ObjectRanges } from '../../cluster/object-ranges.ts';
import { holdKey, type StoredMetadata } from '../log/fsck/reachable.ts';

/** Partitions first: an owner that changes meanwhile is then found among recoveries or nodes, which are read after it. */
export async function readStoredMetadata(meta: MetaStore): Promise<StoredMetadata> {
  const bad: string[] = [];
  const known = <T>(key: string, value: T | undefined): T[] => {
    if (value === undefined) bad.push(key);
    return value === undefined ? [] : [value];
  };
  const partitions = (await meta.list(keys.partitions)).entries.flatMap(({ key, value }) => {
    const id = parsePartitionKey(key);
    const record = parseRecord(partitionRecord, value);
    return known(key, id && record && { ...id, ...record });
  });
  const deleted = new Set(
    (await meta.list(keys.tombstones)).entries.flatMap(({ key, value }) =>
      known(key, parseRecord(tombstoneRecord, value)).flatMap(({ state }) => (state === 'deleted' ? [key.slice(keys.tombstones.length)] : [])),
    ),
  );
  const holds = new Map<string, ObjectRanges | undefined>();
  for (const { key, value } of (await meta.list(keys.holds)).entries) {
    const id = parseHoldKey(key);
    const record = parseRecord(holdRecord, value);
    for (const hold of known(key, id && record && { ...id, ...record }))
      holds.set(holdKey(hold.node, hold.topicId, hold.partition), hold.objects && new ObjectRanges(hold.objects));
  }
  const recoveries = (await meta.list(keys.recoveries)).entries.flatMap(({ key, value }) => {
    const incarnation = parseRecoveryKey(key);
    const record = parseRecord(recoveryRecord, value);
    return known(key, incarnation && record && { incarnation, checkpoint: record.checkpoint, ended: record.ended });
  });
  const nodes = (await meta.list(keys.nodes)).entries.flatMap(({ key, value }) => {
    const node = /^nodes\/(\d{1,10})$/.exec(key)?.[1];
    const record = parseRecord(nodeRecord, value);
    return known(key, node !== undefined && record ? { node: Number(node) as NodeId, epoch: record.epoch, checkpoint: record.checkpoint } : undefined);
  });
  // Of a deleted topic nothing is needed, although records of it may still be there.
  return { partitions: partitions.filter(({ topicId }) => !deleted.has(topicId)), recoveries, nodes, holds, bad };
}
