/** DescribeTopicPartitions: topics page by page, by name (KIP-966). There are no eligible leader replicas beside the leader. */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { allTopicOperations } from './authorized-operations.ts';
import { describePartition, missingTopicError } from './topic-description.ts';

type DescribeRequest = RequestOf<typeof ApiKeys.DescribeTopicPartitions>;
type DescribeResponse = ResponseInputOf<typeof ApiKeys.DescribeTopicPartitions>;

export function describeTopicPartitionsHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeTopicPartitions> {
  return {
    apiKey: ApiKeys.DescribeTopicPartitions,
    minVersion: 0,
    maxVersion: 0,
    concurrency: 'serial',
    handle: (request) => describe(services, request),
  };
}

function describe(services: Services, request: DescribeRequest): DescribeResponse {
  const { cursor } = request;
  if (cursor !== null && (cursor.partitionIndex < 0 || (request.topics.length > 0 && !request.topics.some(({ name }) => name === cursor.topicName)))) {
    return { topics: request.topics.map(({ name }) => ({ errorCode: ErrorCodes.INVALID_REQUEST, name, topicId: zeroUuid, partitions: [] })) };
  }
  let left = Math.max(1, Math.min(services.config.maxRequestPartitionSizeLimit, request.responsePartitionLimit));
  const topics: DescribeResponse['topics'][number][] = [];
  for (const name of namesFrom(services, request)) {
    const topic = services.image.topicByName(name);
    if (topic === undefined) {
      topics.push({ errorCode: missingTopicError(name), name, topicId: zeroUuid, partitions: [], topicAuthorizedOperations: allTopicOperations });
      continue;
    }
    if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } };
    const start = cursor !== null && cursor.topicName === name ? cursor.partitionIndex : 0;
    const end = Math.min(topic.partitionCount, start + left);
    topics.push(describeTopic(services, topic, start, end));
    left -= Math.max(0, end - start);
    if (end < topic.partitionCount) return { topics, nextCursor: { topicName: name, partitionIndex: end } };
  }
  return { topics, nextCursor: null };
}

/** The names asked for, or all, ascending, from the cursor on. */
function namesFrom(services: Services, { topics, cursor }: DescribeRequest): string[] {
  const names = topics.length === 0 ? services.image.topics().map((topic) => topic.name) : [...new Set(topics.map((topic) => topic.name))].sort();
  return cursor === null ? names : names.filter((name) => name >= cursor.topicName);
}

function describeTopic(services: Services, topic: TopicImage, start: number, end: number): DescribeResponse['topics'][number] {
  const partitions = Array.from({ length: Math.max(0, end - start) }, (_, index) => ({
    ...describePartition(services, topic, start + index),
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
  }));
  return {
    errorCode: ErrorCodes.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions,
    topicAuthorizedOperations: allTopicOperations,
  };
}
