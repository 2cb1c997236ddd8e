/**
 * CreatePartitions: grows topics (KIP-195).
 *
 * v2 flexible · v3 throttling error. Assignments name the one broker of each new partition; without them it is up to placement.
 */
import type { NodeId } from '../../../cluster/identifiers.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { doubledKeys } from './doubled-keys.ts';
import { MAX_PARTITIONS_PER_REQUEST, replicaListProblem } from './topic-plan.ts';

type CreatePartitionsRequest = RequestOf<typeof ApiKeys.CreatePartitions>;
type AskedTopic = CreatePartitionsRequest['topics'][number];
type TopicResult = ResponseInputOf<typeof ApiKeys.CreatePartitions>['results'][number];

export function createPartitionsHandler(services: Services): HandlerOf<typeof ApiKeys.CreatePartitions> {
  return {
    apiKey: ApiKeys.CreatePartitions,
    minVersion: 0,
    maxVersion: 3,
    concurrency: 'serial',
    async handle(request) {
      const doubled = doubledKeys(request.topics.map(({ name }) => name));
      const results = [...doubled].map((name) => refused({ name }, ErrorCodes.INVALID_REQUEST, 'Duplicate topic name.'));
      for (const asked of request.topics) if (!doubled.has(asked.name)) results.push(await grow(services, request, asked));
      return { results };
    },
  };
}

async function grow(services: Services, { validateOnly }: CreatePartitionsRequest, asked: AskedTopic): Promise<TopicResult> {
  const topic = services.image.topicByName(asked.name);
  if (topic === undefined) return refused(asked, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, null);
  const added = asked.count - topic.partitionCount;
  if (added === 0) return refused(asked, ErrorCodes.INVALID_PARTITIONS, `Topic already has ${asked.count} partition(s).`);
  if (added < 0) {
    const message = `The topic ${asked.name} currently has ${topic.partitionCount} partition(s); ${asked.count} would not be an increase.`;
    return refused(asked, ErrorCodes.INVALID_PARTITIONS, message);
  }
  if (added > MAX_PARTITIONS_PER_REQUEST)
    return refused(asked, ErrorCodes.INVALID_PARTITIONS, `At most ${MAX_PARTITIONS_PER_REQUEST} partitions can be added at once.`);
  const problem = assignmentProblem(services, asked, added);
  if (problem !== undefined) return refused(asked, ErrorCodes.INVALID_REPLICA_ASSIGNMENT, problem);
  if (validateOnly) return { name: asked.name, errorCode: ErrorCodes.NONE };
  const owners = asked.assignments?.map(({ brokerIds }) => brokerIds[0] as NodeId);
  const outcome = await services.admin.createPartitions(topic.topicId, asked.count, owners);
  return outcome.kind === 'done' ? { name: asked.name, errorCode: ErrorCodes.NONE } : refused(asked, outcome.error, outcome.message);
}

function assignmentProblem(services: Services, { assignments }: AskedTopic, added: number): string | undefined {
  if (assignments === null) return undefined;
  if (assignments.length !== added) return `Attempted to add ${added} additional partition(s), but only ${assignments.length} assignment(s) were specified.`;
  for (const { brokerIds } of assignments) {
    const problem = replicaListProblem(services, brokerIds);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function refused({ name }: Pick<AskedTopic, 'name'>, errorCode: ErrorCode, errorMessage: string | null): TopicResult {
  return { name, errorCode, errorMessage };
}
