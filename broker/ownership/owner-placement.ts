/** Placement (cluster/placement.ts) over what the metadata image shows, in incarnations. */
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import { type Orphan, placeOrphans, placePartitions } from '../../cluster/placement.ts';
import { placementView } from '../../cluster/placement-view.ts';
import type { MetadataImage } from './metadata-image.ts';

/** New owners for partitions, in their order; undefined when nobody outside `exclude` lives. */
export function ownersForOrphans(image: MetadataImage, orphans: readonly Orphan[], exclude: ReadonlySet<NodeId>): readonly Incarnation[] | undefined {
  const { brokers, ownedOf } = placementView(image);
  return placeOrphans(orphans, brokers, { start: 0, exclude, ownedOf })?.map((node) => incarnationOf(image, node));
}

/** Owners for `count` new partitions of a topic; undefined when there is no broker. */
export function ownersForNew(image: MetadataImage, topicId: TopicId, count: number, start: number): readonly Incarnation[] | undefined {
  const { brokers, ownedOf } = placementView(image);
  return placePartitions(topicId, count, brokers, { start, ownedOf })?.map((node) => incarnationOf(image, node));
}

/** The node's newest incarnation as far as the image knows; whether it lives is compared by the transaction that names it. */
export function incarnationOf(image: MetadataImage, node: NodeId): Incarnation {
  return { node, epoch: image.node(node)?.epoch ?? 0 };
}
