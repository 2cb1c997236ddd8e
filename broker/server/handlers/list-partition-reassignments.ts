/**
 * ListPartitionReassignments: moves that were asked for and are not done (KIP-455). A partition has one replica, its owner; while it
 * waits to be moved the target is told as the one that is added, the owner as the one that is removed.
 */
import { partitionKey } from '../../../cluster/identifiers.ts';
import type { MoveImage, TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { pendingMoves } from './pending-moves.ts';

type ListRequest = RequestOf<typeof ApiKeys.ListPartitionReassignments>;
type OngoingTopic = ResponseInputOf<typeof ApiKeys.ListPartitionReassignments>['topics'][number];

export function listPartitionReassignmentsHandler(services: Services): HandlerOf<typeof ApiKeys.ListPartitionReassignments> {
  return {
    apiKey: ApiKeys.ListPartitionReassignments,
    minVersion: 0,
    maxVersion: 0,
    concurrency: 'serial',
    handle: ({ topics }) => ({
      errorCode: ErrorCodes.NONE,
      errorMessage: null,
      topics: topics === null ? allOngoing(services) : askedOngoing(services, topics),
    }),
  };
}

function allOngoing(services: Services): OngoingTopic[] {
  const byTopic = new Map<TopicImage, MoveImage[]>();
  for (const move of pendingMoves(services).values()) {
    const topic = services.image.topicById(move.topicId);
    if (topic === undefined) continue;
    const moves = byTopic.get(topic);
    if (moves) moves.push(move);
    else byTopic.set(topic, [move]);
  }
  return [...byTopic].map(([{ name }, moves]) => ({ name, partitions: moves.map((move) => describe(services, move)) }));
}

/** Kafka leaves out what is not there, as it does what is not being moved. */
function askedOngoing(services: Services, asked: NonNullable<ListRequest['topics']>): OngoingTopic[] {
  const pending = pendingMoves(services);
  const topics: OngoingTopic[] = [];
  for (const { name, partitionIndexes } of asked) {
    const topic = services.image.topicByName(name);
    if (topic === undefined) continue;
    const moves = partitionIndexes.flatMap((partition) => pending.get(partitionKey(topic.topicId, partition)) ?? []);
    if (moves.length > 0) topics.push({ name, partitions: moves.map((move) => describe(services, move)) });
  }
  return topics;
}

function describe({ image }: Services, { topicId, partition, target }: MoveImage): OngoingTopic['partitions'][number] {
  const leader = image.leaderOf(topicId, partition)?.leader ?? -1;
  const current = leader < 0 ? [] : [leader];
  return { partitionIndex: partition, replicas: [...current, target], addingReplicas: [target], removingReplicas: current };
}
