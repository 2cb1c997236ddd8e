/**
 * DeleteRecords: moves the log start offset of partitions up (KIP-107).
 *
 * v2 flexible. Offset −1 means the high watermark. Only topics whose policy deletes take it.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { sleep } from '../../../io/clock.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { openedWithin, openingAmong } from './opening-wait.ts';
import { accessPartition } from './partition-access.ts';

type DeleteRecordsRequest = RequestOf<typeof ApiKeys.DeleteRecords>;
type PartitionResponse = ResponseInputOf<typeof ApiKeys.DeleteRecords>['topics'][number]['partitions'][number];

const HIGH_WATERMARK = -1;

export function deleteRecordsHandler(services: Services): HandlerOf<typeof ApiKeys.DeleteRecords> {
  return {
    apiKey: ApiKeys.DeleteRecords,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    async handle(request) {
      const topics = request.topics.map(async ({ name, partitions }) => {
        const topic = services.image.topicByName(name);
        return {
          name,
          partitions: await Promise.all(partitions.map((asked) => withinTimeout(services, request, asked.partitionIndex, deleteFrom(services, topic, asked)))),
        };
      });
      return { topics: await Promise.all(topics) };
    },
  };
}

async function deleteFrom(
  services: Services,
  topic: TopicImage | undefined,
  { partitionIndex, offset }: DeleteRecordsRequest['topics'][number]['partitions'][number],
): Promise<PartitionResponse> {
  if (topic === undefined) return refused(partitionIndex, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  if (topic.internal) return refused(partitionIndex, ErrorCodes.INVALID_TOPIC_EXCEPTION);
  const opening = openingAmong(services, [{ topic: topic.name, partition: partitionIndex }]);
  await openedWithin(services.io.clock, opening, services.config.partitionOpeningWaitMs);
  const access = accessPartition(services, topic.topicId, partitionIndex);
  if (access.kind !== 'open') return refused(partitionIndex, access.kind === 'error' ? access.error : ErrorCodes.NOT_LEADER_OR_FOLLOWER);
  const { log } = access;
  if (!log.config.cleanupPolicy.delete) return refused(partitionIndex, ErrorCodes.POLICY_VIOLATION);
  const target = offset === HIGH_WATERMARK ? log.highWatermark : offset;
  if (target < 0 || target > log.highWatermark) return refused(partitionIndex, ErrorCodes.OFFSET_OUT_OF_RANGE);
  const error = await log.deleteRecordsBefore(target);
  return error === ErrorCodes.NONE ? { partitionIndex, lowWatermark: log.logStartOffset, errorCode: error } : refused(partitionIndex, error);
}

async function withinTimeout(
  services: Services,
  { timeoutMs }: DeleteRecordsRequest,
  partitionIndex: number,
  work: Promise<PartitionResponse>,
): Promise<PartitionResponse> {
  const stopWaiting = new AbortController();
  const late = sleep(services.io.clock, Math.max(0, timeoutMs), stopWaiting.signal).then(() => refused(partitionIndex, ErrorCodes.REQUEST_TIMED_OUT));
  const answer = await Promise.race([work, late]);
  stopWaiting.abort();
  return answer;
}

function refused(partitionIndex: number, errorCode: ErrorCode): PartitionResponse {
  return { partitionIndex, lowWatermark: -1, errorCode };
}
