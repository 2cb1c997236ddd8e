/**
 * OffsetCommit 2–10: offsets of a group's member, or of a consumer without a group's generations (generation −1).
 * Answered when durable. 2–4: retention time of the commit's own · 6: leader epoch (KIP-320) · 7: static members (KIP-345) ·
 * 8: flexible · 9: GROUP_ID_NOT_FOUND, member epochs (KIP-848) · 10: topic ids.
 */
import type { TopicImage } from '../../../../cluster/cluster-image.ts';
import type { TopicId } from '../../../../cluster/identifiers.ts';
import { ApiKeys, type OffsetCommitRequest, type OffsetCommitRequestPartition, type OffsetCommitResponseInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import { type OffsetRecord, zeroTopicId } from '../group-records.ts';
import { fitsRecord } from '../request-text.ts';

export function offsetCommit(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.OffsetCommit> {
  return {
    apiKey: ApiKeys.OffsetCommit,
    minVersion: 2,
    maxVersion: 10,
    // The log fixes the order before the handler returns.
    concurrency: 'pipelined',
    handle: (request, { apiVersion }) => commitOffsets(groups, request, apiVersion),
  };
}

function commitOffsets(
  groups: GroupCoordinator,
  request: OffsetCommitRequest,
  apiVersion: number,
): OffsetCommitResponseInput | Promise<OffsetCommitResponseInput> {
  const { settings, clock, image } = groups;
  const records: OffsetRecord[] = [];
  const nowMs = clock.wallMs();
  const expireTimestampMs = request.retentionTimeMs < 0 ? -1 : nowMs + request.retentionTimeMs;
  let known = 0;
  /** The error of each partition, NONE where the coordinator decides. */
  const errors = request.topics.map((topic) => {
    const byId = apiVersion >= 10;
    const found = byId ? image.topicById(topic.topicId as TopicId) : image.topicByName(topic.name);
    return topic.partitions.map((partition): ErrorCode => {
      const error = partitionError(found, byId, partition, settings.maxOffsetMetadataLength);
      if (error === ErrorCodes.NONE || error === ErrorCodes.OFFSET_METADATA_TOO_LARGE) known += 1;
      if (!found || error !== ErrorCodes.NONE) return error;
      const value = {
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata ?? '',
        commitTimestampMs: nowMs,
        expireTimestampMs,
        // The record version that has an expiry time has no topic id.
        topicId: expireTimestampMs < 0 ? found.topicId : zeroTopicId,
      };
      records.push({ kind: 'offset', groupId: request.groupId, topic: found.name, partition: partition.partitionIndex, value });
      return ErrorCodes.NONE;
    });
  });
  const response = (ofAll: ErrorCode): OffsetCommitResponseInput => ({
    topics: request.topics.map(({ name, topicId, partitions }, t) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }, p) => {
        const own = errors[t]?.[p] ?? ErrorCodes.NONE;
        const overruled = own === ErrorCodes.NONE || own === ErrorCodes.OFFSET_METADATA_TOO_LARGE;
        return { partitionIndex, errorCode: overruled && ofAll !== ErrorCodes.NONE ? ofAll : own };
      }),
    })),
  });
  // Only partitions that do not exist: nothing that a coordinator would be asked.
  if (known === 0) return response(ErrorCodes.NONE);
  const error = allow(groups, request, apiVersion);
  if (error !== ErrorCodes.NONE || records.length === 0) return response(error);
  return append(groups, request.groupId, records).then(response);
}

function partitionError(topic: TopicImage | undefined, byId: boolean, partition: OffsetCommitRequestPartition, maxMetadataLength: number): ErrorCode {
  if (!topic) return byId ? ErrorCodes.UNKNOWN_TOPIC_ID : ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
  const { partitionIndex, committedMetadata } = partition;
  if (partitionIndex < 0 || partitionIndex >= topic.partitionCount) return ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
  const text = committedMetadata ?? '';
  return text.length > maxMetadataLength || !fitsRecord(text) ? ErrorCodes.OFFSET_METADATA_TOO_LARGE : ErrorCodes.NONE;
}

/** Whether this member may commit now. */
function allow(groups: GroupCoordinator, request: OffsetCommitRequest, apiVersion: number): ErrorCode {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generationId } = request;
  const found = groups.find(groupId);
  if (found.kind === 'unavailable') return found.error;
  const { partition } = found;
  // Who keeps offsets without being a member needs no group to begin with.
  const hosted = generationId < 0 ? partition.findOrCreate(groupId) : partition.find(groupId);
  if (!hosted) return apiVersion >= 9 ? ErrorCodes.GROUP_ID_NOT_FOUND : ErrorCodes.ILLEGAL_GENERATION;
  const [error = ErrorCodes.NONE] = hosted.step({ kind: 'commit', memberId, groupInstanceId, generationId });
  if (error !== ErrorCodes.NONE) partition.forgetIfBlank(groupId);
  return error;
}

function append(groups: GroupCoordinator, groupId: string, records: readonly OffsetRecord[]): Promise<ErrorCode> {
  return new Promise((resolve) => {
    const found = groups.find(groupId);
    if (found.kind === 'unavailable') return resolve(found.error);
    const { partition } = found;
    partition.append(records, (error) => {
      if (error === ErrorCodes.NONE) groups.commits.add(records.length);
      else partition.forgetIfBlank(groupId);
      resolve(error === ErrorCodes.MESSAGE_TOO_LARGE ? ErrorCodes.INVALID_COMMIT_OFFSET_SIZE : error);
    });
  });
}
