/**
 * OffsetFetch 1–10: what groups have committed; −1 where they have not. Shows what is durable.
 * 2: all partitions (null), error for the whole answer · 5: leader epoch (KIP-320) · 6: flexible · 7: require stable (KIP-447): waits for
 * commits that are on their way · 8: many groups (KIP-709) · 9: member epochs (KIP-848) · 10: topic ids.
 */
import type { TopicId } from '../../../../cluster/identifiers.ts';
import { ApiKeys, type OffsetFetchRequest, type OffsetFetchResponseInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import type { GroupPartition } from '../group-partition.ts';
import { type CommittedOffset, zeroTopicId } from '../group-records.ts';

interface Question {
  readonly groupId: string;
  /** Null: all that there are. */
  readonly topics: readonly AskedTopic[] | null;
}

interface AskedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitionIndexes: readonly number[];
}

interface GroupAnswer {
  readonly groupId: string;
  readonly errorCode: ErrorCode;
  readonly topics: readonly TopicAnswer[];
}

interface TopicAnswer {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly PartitionAnswer[];
}

interface PartitionAnswer {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedLeaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: ErrorCode;
}

export function offsetFetch(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.OffsetFetch> {
  return {
    apiKey: ApiKeys.OffsetFetch,
    minVersion: 1,
    maxVersion: 10,
    concurrency: 'serial',
    async handle(request, { apiVersion }) {
      const questions = questionsOf(request, apiVersion);
      if (!request.requireStable)
        return toResponse(
          questions.map((question) => answer(groups, question, apiVersion)),
          apiVersion,
        );
      const answers = questions.map(async (question) => {
        const error = await settled(groups, question.groupId);
        return error === ErrorCodes.NONE ? answer(groups, question, apiVersion) : refused(question, error);
      });
      return toResponse(await Promise.all(answers), apiVersion);
    },
  };
}

function questionsOf(request: OffsetFetchRequest, apiVersion: number): readonly Question[] {
  if (apiVersion >= 8) return request.groups;
  return [{ groupId: request.groupId, topics: request.topics?.map((topic) => ({ ...topic, topicId: zeroTopicId })) ?? null }];
}

/** Clients before 3.9 do not retry COORDINATOR_NOT_AVAILABLE here: NOT_COORDINATOR makes them look for the coordinator again. */
function settled(groups: GroupCoordinator, groupId: string): Promise<ErrorCode> {
  return new Promise((resolve) => {
    const found = groups.find(groupId);
    if (found.kind === 'unavailable') return resolve(ErrorCodes.NONE);
    found.partition.whenDurable(groupId, (error) => resolve(error === ErrorCodes.COORDINATOR_NOT_AVAILABLE ? ErrorCodes.NOT_COORDINATOR : error));
  });
}

function answer(groups: GroupCoordinator, question: Question, apiVersion: number): GroupAnswer {
  const found = groups.find(question.groupId);
  if (found.kind === 'unavailable') return refused(question, found.error);
  const { groupId } = question;
  const topics = question.topics
    ? question.topics.map((topic) => answerTopic(groups, found.partition, groupId, topic, apiVersion))
    : allTopics(groups, found.partition, groupId, apiVersion);
  return { groupId, errorCode: ErrorCodes.NONE, topics };
}

function answerTopic({ image }: GroupCoordinator, partition: GroupPartition, groupId: string, topic: AskedTopic, apiVersion: number): TopicAnswer {
  const byId = apiVersion >= 10;
  const known = byId ? image.topicById(topic.topicId as TopicId) : image.topicByName(topic.name);
  const name = known?.name ?? topic.name;
  const error = byId && !known ? ErrorCodes.UNKNOWN_TOPIC_ID : ErrorCodes.NONE;
  const partitions = topic.partitionIndexes.map((partitionIndex) =>
    partitionAnswer(partitionIndex, ofTopic(partition.offsets.get(groupId, name, partitionIndex), known?.topicId), error),
  );
  return { name: topic.name, topicId: topic.topicId, partitions };
}

function allTopics({ image }: GroupCoordinator, partition: GroupPartition, groupId: string, apiVersion: number): readonly TopicAnswer[] {
  const answers: TopicAnswer[] = [];
  for (const [name, offsets] of partition.offsets.ofGroup(groupId)) {
    const topicId = image.topicByName(name)?.topicId;
    // A topic that is gone cannot be named by an id.
    if (apiVersion >= 10 && !topicId) continue;
    const partitions: PartitionAnswer[] = [];
    for (const [partitionIndex, value] of offsets) {
      const committed = ofTopic(value, topicId);
      if (committed) partitions.push(partitionAnswer(partitionIndex, committed, ErrorCodes.NONE));
    }
    if (partitions.length > 0) answers.push({ name, topicId: topicId ?? zeroTopicId, partitions });
  }
  return answers;
}

/** Not the offset of an earlier topic of the same name. */
function ofTopic(committed: CommittedOffset | undefined, topicId: string | undefined): CommittedOffset | undefined {
  const other = committed && topicId !== undefined && committed.topicId !== zeroTopicId && committed.topicId !== topicId;
  return other ? undefined : committed;
}

function partitionAnswer(partitionIndex: number, committed: CommittedOffset | undefined, errorCode: ErrorCode): PartitionAnswer {
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode,
  };
}

/** Nothing but the error, except in version 1, which has no place for it but the partitions. */
function refused(question: Question, errorCode: ErrorCode): GroupAnswer {
  const topics = question.topics?.map(({ name, topicId, partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map((partitionIndex) => partitionAnswer(partitionIndex, undefined, errorCode)),
  }));
  return { groupId: question.groupId, errorCode, topics: topics ?? [] };
}

function toResponse(answers: readonly GroupAnswer[], apiVersion: number): OffsetFetchResponseInput {
  const withTopics = answers.map((group) => (group.errorCode !== ErrorCodes.NONE && apiVersion >= 2 ? { ...group, topics: [] } : group));
  return apiVersion >= 8 ? { groups: withTopics } : { ...withTopics[0] };
}
