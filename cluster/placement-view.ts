/**
 * Where partitions are, as placement wants to know it: counted where they will be once the moves that were asked for are done, so that two
 * placements in a row do not choose the same broker for what is still under way. Counts all partitions: for decisions, not for requests.
 */
import type { ClusterImage } from './cluster-image.ts';
import { type NodeId, partitionKey, type TopicId } from './identifiers.ts';
import type { PlacementBroker } from './placement.ts';

export interface PlacementView {
  readonly brokers: readonly PlacementBroker[];
  readonly ownedOf: (topic: TopicId, node: NodeId) => number;
}

export function placementView(image: ClusterImage): PlacementView {
  const live = new Set(image.brokers().map(({ node }) => node));
  const targets = new Map(image.moves().map(({ topicId, partition, target }) => [partitionKey(topicId, partition), target]));
  const byTopic = new Map<TopicId, ReadonlyMap<number, number>>();
  const total = new Map<number, number>();
  for (const { topicId, partitionCount } of image.topics()) {
    const counts = new Map<number, number>();
    for (let partition = 0; partition < partitionCount; partition++) {
      const target = targets.size > 0 ? targets.get(partitionKey(topicId, partition)) : undefined;
      const node = target !== undefined && live.has(target) ? target : (image.leaderOf(topicId, partition)?.leader ?? -1);
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    for (const [node, count] of counts) total.set(node, (total.get(node) ?? 0) + count);
    byTopic.set(topicId, counts);
  }
  return {
    brokers: image.brokers().map(({ node, rack, draining }) => ({ node, rack, draining, partitions: total.get(node) ?? 0 })),
    ownedOf: (topic, node) => byTopic.get(topic)?.get(node) ?? 0,
  };
}
