/** Which stored objects partitions of other brokers hold (docs/design/0004-many-brokers.md): asked right before objects are deleted. */
import { type MetaStore, MetaUnavailable } from '../../io/meta/meta-store.ts';
import { holdRecord, keys, parseHoldKey, parseRecord } from '../../cluster/meta-records.ts';
import { ObjectRanges } from '../../cluster/object-ranges.ts';
import { type ObjectKey, parseKey } from '../log/format/object-keys.ts';

/**
 * Those of `objects` that are held, at a revision not older than `notOlderThan`; undefined when the metadata store does not say.
 * A hold that fits no schema holds everything of its node.
 */
export async function heldObjects(meta: MetaStore, objects: readonly ObjectKey[], notOlderThan: number): Promise<ReadonlySet<ObjectKey> | undefined> {
  const byNode = new Map<number, ObjectKey[]>();
  for (const object of objects) {
    const node = parseKey(object)?.incarnation.node ?? -1;
    const some = byNode.get(node);
    if (some) some.push(object);
    else byNode.set(node, [object]);
  }
  const held = new Set<ObjectKey>();
  for (const [node, some] of byNode) {
    const found = await holdsOn(meta, node, notOlderThan);
    if (!found) return undefined;
    for (const object of some) if (found === 'any object' || found.has(object)) held.add(object);
  }
  return held;
}

async function holdsOn(meta: MetaStore, node: number, notOlderThan: number): Promise<ObjectRanges | 'any object' | undefined> {
  try {
    const { entries, revision } = await meta.list(keys.holdsOn(node));
    if (revision < notOlderThan) return undefined;
    const held: string[] = [];
    for (const { key, value } of entries) {
      if (!parseHoldKey(key)) continue;
      const objects = parseRecord(holdRecord, value)?.objects;
      if (!objects) return 'any object';
      for (const object of objects) held.push(object);
    }
    return new ObjectRanges(held);
  } catch (error) {
    if (error instanceof MetaUnavailable) return undefined;
    throw error;
  }
}
