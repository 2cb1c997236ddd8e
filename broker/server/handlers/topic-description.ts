/** A topic as Metadata and DescribeTopicPartitions tell it: its owner is the one replica, the object store replicates. */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import type { Services } from '../services.ts';
import { topicNameProblem } from './topic-names.ts';

export interface DescribedPartition {
  readonly errorCode: ErrorCode;
  readonly partitionIndex: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicaNodes: readonly number[];
  readonly isrNodes: readonly number[];
  readonly offlineReplicas: readonly number[];
}

/**
 * A partition that nobody owns at this moment has leader −1 and no error: LEADER_NOT_AVAILABLE is final for some clients
 * (design §5), while leader −1 makes all of them ask again.
 */
export function describePartition(services: Services, topic: TopicImage, partitionIndex: number): DescribedPartition {
  const { leader, leaderEpoch } = services.image.leaderOf(topic.topicId, partitionIndex) ?? { leader: -1, leaderEpoch: -1 };
  const nodes = leader < 0 ? [] : [leader];
  return { errorCode: ErrorCodes.NONE, partitionIndex, leaderId: leader, leaderEpoch, replicaNodes: nodes, isrNodes: nodes, offlineReplicas: [] };
}

/** The error for a name that no topic has. */
export function missingTopicError(name: string): ErrorCode {
  return topicNameProblem(name) === undefined ? ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION : ErrorCodes.INVALID_TOPIC_EXCEPTION;
}
