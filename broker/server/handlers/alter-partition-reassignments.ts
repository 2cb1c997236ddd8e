/**
 * AlterPartitionReassignments: asks for partitions to be on another broker, or withdraws that (KIP-455).
 *
 * v1 whether the replication factor may change (KIP-860); it is 1 here in any case, so that a list of more than one broker is refused.
 * What is asked for is a wish in the metadata store: the answer says that it stands, the owner executes it (design §5, §10).
 */
import { type NodeId, partitionKey } from '../../../cluster/identifiers.ts';
import type { MoveImage, TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services, WantedMove } from '../services.ts';
import { doubledKeys } from './doubled-keys.ts';
import { pendingMoves } from './pending-moves.ts';
import { replicaListProblem } from './topic-plan.ts';

type AlterRequest = RequestOf<typeof ApiKeys.AlterPartitionReassignments>;
type AlterResponse = ResponseInputOf<typeof ApiKeys.AlterPartitionReassignments>;
type AskedPartition = AlterRequest['topics'][number]['partitions'][number];

/** What becomes of one partition of the request: an answer at once, or a request of which the outcome is the answer. */
type Plan = { readonly kind: 'answered'; readonly error: ErrorCode; readonly message: string | null } | { readonly kind: 'asked'; readonly move: WantedMove };

const nothingToDo: Plan = { kind: 'answered', error: ErrorCodes.NONE, message: null };

export function alterPartitionReassignmentsHandler(services: Services): HandlerOf<typeof ApiKeys.AlterPartitionReassignments> {
  return {
    apiKey: ApiKeys.AlterPartitionReassignments,
    minVersion: 0,
    maxVersion: 1,
    concurrency: 'serial',
    handle: (request, { connection }) => alter(services, request, connection.principal),
  };
}

async function alter(services: Services, { topics, allowReplicationFactorChange }: AlterRequest, principal: string): Promise<AlterResponse> {
  const plans = planAll(services, topics);
  const moves = plans.flatMap(({ partitions }) => partitions.flatMap(({ plan }) => (plan.kind === 'asked' ? [plan.move] : [])));
  const outcomes = moves.length > 0 ? await services.moves.request(moves, `${principal} by AlterPartitionReassignments`) : [];
  const answers = new Map(outcomes.map((outcome, i) => [moves[i], outcome]));
  const answerOf = (plan: Plan) => {
    if (plan.kind === 'answered') return { errorCode: plan.error, errorMessage: plan.message };
    const outcome = answers.get(plan.move);
    return outcome?.kind === 'error' ? { errorCode: outcome.error, errorMessage: outcome.message } : { errorCode: ErrorCodes.NONE, errorMessage: null };
  };
  return {
    allowReplicationFactorChange,
    errorCode: ErrorCodes.NONE,
    errorMessage: null,
    responses: plans.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, plan }) => ({ partitionIndex, ...answerOf(plan) })),
    })),
  };
}

function planAll(services: Services, topics: AlterRequest['topics']) {
  const pending = pendingMoves(services);
  const doubled = doubledKeys(topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex }) => `${name}/${partitionIndex}`)));
  return topics.map(({ name, partitions }) => {
    const topic = services.image.topicByName(name);
    const planOf = (asked: AskedPartition): Plan => {
      if (doubled.has(`${name}/${asked.partitionIndex}`)) return refused(ErrorCodes.INVALID_REQUEST, 'The request names this partition more than once.');
      if (topic === undefined) return refused(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, `Unable to find a topic named ${name}.`);
      return planPartition(services, topic, asked, pending);
    };
    return { name, partitions: partitions.map((asked) => ({ partitionIndex: asked.partitionIndex, plan: planOf(asked) })) };
  });
}

function planPartition(services: Services, topic: TopicImage, asked: AskedPartition, pending: ReadonlyMap<string, MoveImage>): Plan {
  const { topicId, name } = topic;
  const { partitionIndex: partition, replicas } = asked;
  const current = services.image.leaderOf(topicId, partition);
  if (current === undefined) return refused(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, `Unable to find partition ${name}:${partition}.`);
  const isPending = pending.has(partitionKey(topicId, partition));
  const withdraw: Plan = { kind: 'asked', move: { topicId, partition, target: undefined } };
  if (replicas === null) return isPending ? withdraw : refused(ErrorCodes.NO_REASSIGNMENT_IN_PROGRESS, 'No partition reassignment is in progress.');
  const problem = replicaListProblem(services, replicas);
  if (problem !== undefined) return refused(ErrorCodes.INVALID_REPLICA_ASSIGNMENT, problem);
  const target = replicas[0] as NodeId;
  if (target !== current.leader) return { kind: 'asked', move: { topicId, partition, target } };
  return isPending ? withdraw : nothingToDo;
}

function refused(error: ErrorCode, message: string): Plan {
  return { kind: 'answered', error, message };
}
