/** Branded identifiers, so that two strings or two numbers cannot be swapped unnoticed. */

/** A topic's UUID as Kafka prints it: 22 characters of URL-safe base64. */
export type TopicId = string & { readonly __brand: 'TopicId' };
/** A broker's stable id, the StatefulSet's ordinal. */
export type NodeId = number & { readonly __brand: 'NodeId' };

/** A map key for one partition. */
export function partitionKey(topicId: TopicId, partition: number): string {
  return `${topicId}/${partition}`;
}

/** One life of one node (design §2): the owner of partitions, never just the node. */
export interface Incarnation {
  readonly node: NodeId;
  readonly epoch: number;
}
