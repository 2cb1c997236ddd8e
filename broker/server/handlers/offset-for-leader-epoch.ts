/**
 * OffsetForLeaderEpoch: where a leader epoch ended, so that a client notices a log that was truncated (KIP-101, KIP-320).
 *
 * v2 fencing by the client's epoch · v3 replica id · v4 flexible.
 * Consumers ask it of the new leader of a partition that has moved, before they fetch on: a partition that opens is waited for.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { openedWithin, openingAmong } from './opening-wait.ts';
import { accessPartition, leaderEpochError, topicOf } from './partition-access.ts';

type AskedPartition = RequestOf<typeof ApiKeys.OffsetForLeaderEpoch>['topics'][number]['partitions'][number];
type PartitionResponse = ResponseInputOf<typeof ApiKeys.OffsetForLeaderEpoch>['topics'][number]['partitions'][number];

export function offsetForLeaderEpochHandler(services: Services): HandlerOf<typeof ApiKeys.OffsetForLeaderEpoch> {
  return {
    apiKey: ApiKeys.OffsetForLeaderEpoch,
    minVersion: 2,
    maxVersion: 4,
    concurrency: 'serial',
    async handle({ topics }) {
      const asked = topics.flatMap(({ topic, partitions }) => partitions.map(({ partition }) => ({ topic, partition })));
      await openedWithin(services.io.clock, openingAmong(services, asked), services.config.partitionOpeningWaitMs);
      return { topics: topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map((each) => endOf(services, topic, each)) })) };
    },
  };
}

function endOf(services: Services, name: string, asked: AskedPartition): PartitionResponse {
  const { partition } = asked;
  const topic = topicOf(services, name, zeroUuid);
  if (topic === undefined) return refused(partition, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  const access = accessPartition(services, topic.topicId, partition);
  if (access.kind !== 'open') return refused(partition, access.kind === 'error' ? access.error : ErrorCodes.NOT_LEADER_OR_FOLLOWER);
  const epochError = leaderEpochError(access.log, asked.currentLeaderEpoch);
  if (epochError !== ErrorCodes.NONE) return refused(partition, epochError);
  if (asked.leaderEpoch < 0) return refused(partition, ErrorCodes.NONE);
  const { leaderEpoch, endOffset } = access.log.endOffsetForEpoch(asked.leaderEpoch);
  return { errorCode: ErrorCodes.NONE, partition, leaderEpoch, endOffset };
}

function refused(partition: number, errorCode: ErrorCode): PartitionResponse {
  return { errorCode, partition, leaderEpoch: -1, endOffset: -1 };
}
