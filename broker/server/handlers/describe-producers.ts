/** DescribeProducers: the producers with state in a partition, for finding hanging transactions (KIP-664). */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { accessPartition } from './partition-access.ts';

type PartitionResponse = ResponseInputOf<typeof ApiKeys.DescribeProducers>['topics'][number]['partitions'][number];

export function describeProducersHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeProducers> {
  return {
    apiKey: ApiKeys.DescribeProducers,
    minVersion: 0,
    maxVersion: 0,
    concurrency: 'serial',
    handle: (request) => ({
      topics: request.topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: [...new Set(partitionIndexes)].map((index) => producersOf(services, name, index)),
      })),
    }),
  };
}

function producersOf(services: Services, name: string, partitionIndex: number): PartitionResponse {
  const topic = services.image.topicByName(name);
  if (topic === undefined) return refused(partitionIndex, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.');
  const access = accessPartition(services, topic.topicId, partitionIndex);
  if (access.kind !== 'open') return refused(partitionIndex, access.kind === 'error' ? access.error : ErrorCodes.NOT_LEADER_OR_FOLLOWER, null);
  const activeProducers = access.log.activeProducers().map((producer) => ({
    producerId: producer.producerId,
    producerEpoch: producer.producerEpoch,
    lastSequence: producer.lastSequence,
    lastTimestamp: producer.lastTimestampMs,
    coordinatorEpoch: -1,
    currentTxnStartOffset: producer.currentTransactionFirstOffset,
  }));
  return { partitionIndex, errorCode: ErrorCodes.NONE, activeProducers };
}

function refused(partitionIndex: number, errorCode: ErrorCode, errorMessage: string | null): PartitionResponse {
  return { partitionIndex, errorCode, errorMessage, activeProducers: [] };
}
