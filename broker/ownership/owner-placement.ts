/** Placement (cluster/placement.ts) over what the metadata image shows: live brokers, and how many partitions each owns. */
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import { type Orphan, type PlacementBroker, placeOrphans, placePartitions } from '../../cluster/placement.ts';
import type { MetadataImage } from './metadata-image.ts';

/** New owners for partitions, in their order; undefined when nobody outside `exclude` lives. */
export function ownersForOrphans(image: MetadataImage, orphans: readonly Orphan[], exclude: ReadonlySet<NodeId>): readonly Incarnation[] | undefined {
  const nodes = placeOrphans(orphans, brokersOf(image), { start: 0, exclude, ownedOf: ownedCounter(image) });
  return nodes?.map((node) => incarnationOf(image, node));
}

/** Owners for `count` new partitions of a topic; undefined when there is no broker. */
export function ownersForNew(image: MetadataImage, topicId: TopicId, count: number, start: number): readonly Incarnation[] | undefined {
  const nodes = placePartitions(topicId, count, brokersOf(image), { start, ownedOf: ownedCounter(image) });
  return nodes?.map((node) => incarnationOf(image, node));
}

/** The node's newest incarnation as far as the image knows; whether it lives is compared by the transaction that names it. */
export function incarnationOf(image: MetadataImage, node: NodeId): Incarnation {
  return { node, epoch: image.node(node)?.epoch ?? 0 };
}

function brokersOf(image: MetadataImage): PlacementBroker[] {
  const owned = new Map<number, number>();
  for (const { record } of image.partitions()) owned.set(record.owner.node, (owned.get(record.owner.node) ?? 0) + 1);
  return image.brokers().map(({ node, rack, draining }) => ({ node, rack, draining, partitions: owned.get(node) ?? 0 }));
}

function ownedCounter(image: MetadataImage): (topic: TopicId, node: NodeId) => number {
  const counts = new Map<string, number>();
  for (const { topicId, record } of image.partitions()) {
    const key = `${topicId}@${record.owner.node}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return (topic, node) => counts.get(`${topic}@${node}`) ?? 0;
}
