/** OffsetDelete 0 (KIP-496): an administrator removes offsets of topics that the group does not consume. */
import { ApiKeys, type OffsetDeleteRequest, type OffsetDeleteResponseInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import { type Group, isSubscribedTo, usesConsumerProtocol } from '../group.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import type { OffsetRecord } from '../group-records.ts';

export function offsetDelete(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.OffsetDelete> {
  return {
    apiKey: ApiKeys.OffsetDelete,
    minVersion: 0,
    maxVersion: 0,
    concurrency: 'serial',
    handle: (request) => deleteOffsets(groups, request),
  };
}

function deleteOffsets(groups: GroupCoordinator, request: OffsetDeleteRequest): OffsetDeleteResponseInput | Promise<OffsetDeleteResponseInput> {
  const { groupId } = request;
  if (groupId === '') return { errorCode: ErrorCodes.INVALID_GROUP_ID, topics: [] };
  const found = groups.find(groupId);
  if (found.kind === 'unavailable') return { errorCode: found.error, topics: [] };
  const { partition } = found;
  const group = partition.find(groupId)?.group;
  const error = group ? errorOf(group) : ErrorCodes.GROUP_ID_NOT_FOUND;
  if (!group || error !== ErrorCodes.NONE) return { errorCode: error, topics: [] };
  const asked = new Set<string>();
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => {
      const errorCode = partitionError(groups, group, name, partitionIndex);
      if (errorCode === ErrorCodes.NONE) asked.add(`${name}/${partitionIndex}`);
      return { partitionIndex, errorCode };
    }),
  }));
  const records: readonly OffsetRecord[] = partition.tombstones(groupId).filter((record) => asked.has(`${record.topic}/${record.partition}`));
  if (records.length === 0) return { errorCode: ErrorCodes.NONE, topics };
  return new Promise((resolve) => {
    partition.remove(records, (errorCode) => resolve({ errorCode, topics: errorCode === ErrorCodes.NONE ? topics : [] }));
  });
}

/** Which topics are in use is known of the consumer protocol only. */
function errorOf(group: Group): ErrorCode {
  if (group.phase === 'Dead') return ErrorCodes.GROUP_ID_NOT_FOUND;
  return group.phase === 'Empty' || usesConsumerProtocol(group) ? ErrorCodes.NONE : ErrorCodes.NON_EMPTY_GROUP;
}

function partitionError({ image }: GroupCoordinator, group: Group, topic: string, partition: number): ErrorCode {
  const known = image.topicByName(topic);
  if (!known || partition < 0 || partition >= known.partitionCount) return ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
  return isSubscribedTo(group, topic) ? ErrorCodes.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCodes.NONE;
}
