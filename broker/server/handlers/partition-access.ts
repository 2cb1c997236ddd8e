/** From the names or ids in a request to partitions of this broker, or the error that the client gets instead. */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import type { PartitionLookup, Services } from '../services.ts';

export interface LeaderHint {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export type PartitionAccess =
  | { readonly kind: 'open'; readonly log: PartitionLog }
  | { readonly kind: 'opening'; readonly ready: Promise<void> }
  | { readonly kind: 'error'; readonly error: ErrorCode; readonly leader?: LeaderHint };

/** Requests name a topic either way; the id counts when the version has it. */
export function topicOf(services: Services, name: string, topicId: string): TopicImage | undefined {
  return topicId === zeroUuid ? services.image.topicByName(name) : services.image.topicById(topicId as TopicId);
}

/** The error for a topic that `topicOf` did not find; `byId`: the version of the request names topics by id. */
export function unknownTopicError(byId: boolean): ErrorCode {
  return byId ? ErrorCodes.UNKNOWN_TOPIC_ID : ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
}

export function accessPartition(services: Services, topicId: TopicId, partition: number): PartitionAccess {
  const lookup = services.partitions.find(topicId, partition);
  if (lookup.kind === 'owned') return { kind: 'open', log: lookup.log };
  return lookup.kind === 'opening' ? lookup : { kind: 'error', ...lookupError(lookup) };
}

const unknownPartition = { error: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION } as const;
const damagedPartition = { error: ErrorCodes.KAFKA_STORAGE_ERROR } as const;

function lookupError(lookup: Extract<PartitionLookup, { kind: 'elsewhere' | 'failed' | 'unknown' }>): {
  readonly error: ErrorCode;
  readonly leader?: LeaderHint;
} {
  switch (lookup.kind) {
    case 'elsewhere':
      return { error: ErrorCodes.NOT_LEADER_OR_FOLLOWER, leader: { leaderId: lookup.leader, leaderEpoch: lookup.leaderEpoch } };
    case 'failed':
      return damagedPartition;
    case 'unknown':
      return unknownPartition;
  }
}

/** Who leads now, as far as this broker knows; told with NOT_LEADER_OR_FOLLOWER so that clients move at once (KIP-951). */
export function leaderHint(services: Services, topicId: TopicId, partition: number): LeaderHint | undefined {
  const leader = services.image.leaderOf(topicId, partition);
  return leader && { leaderId: leader.leader, leaderEpoch: leader.leaderEpoch };
}

/** Kafka's fencing by the leader epoch that the client knows; −1 means that it knows none (KIP-320). */
export function leaderEpochError(log: PartitionLog, currentLeaderEpoch: number): ErrorCode {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === log.leaderEpoch) return ErrorCodes.NONE;
  return currentLeaderEpoch < log.leaderEpoch ? ErrorCodes.FENCED_LEADER_EPOCH : ErrorCodes.UNKNOWN_LEADER_EPOCH;
}

export interface NodeEndpoint {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** Addresses of the leaders that an answer names. */
export function nodeEndpoints(services: Services, leaders: ReadonlySet<number>): NodeEndpoint[] {
  if (leaders.size === 0) return [];
  const endpoints: NodeEndpoint[] = [];
  for (const { node, host, port, rack } of services.image.brokers()) if (leaders.has(node)) endpoints.push({ nodeId: node, host, port, rack: rack ?? null });
  return endpoints;
}
