/**
 * ElectLeaders: asks for the preferred or any replica to lead (KIP-460). A partition has one replica here, the one that leads, so there is
 * never anything to elect; a partition without an owner gets one by recovery, not by asking.
 *
 * v1 unclean elections, an error of the whole answer · v2 flexible.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';

type ElectRequest = RequestOf<typeof ApiKeys.ElectLeaders>;
type ElectionResult = ResponseInputOf<typeof ApiKeys.ElectLeaders>['replicaElectionResults'][number];
type PartitionResult = ElectionResult['partitionResult'][number];

const PREFERRED = 0;
const UNCLEAN = 1;

export function electLeadersHandler(services: Services): HandlerOf<typeof ApiKeys.ElectLeaders> {
  return {
    apiKey: ApiKeys.ElectLeaders,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    handle(request) {
      const { electionType, topicPartitions } = request;
      if (electionType !== PREFERRED && electionType !== UNCLEAN) return refused(request);
      const replicaElectionResults = topicPartitions === null ? unledPartitions(services, electionType) : results(services, topicPartitions, electionType);
      return { errorCode: ErrorCodes.NONE, replicaElectionResults };
    },
  };
}

function results(services: Services, asked: NonNullable<ElectRequest['topicPartitions']>, electionType: number): ElectionResult[] {
  return asked.map(({ topic: name, partitions }) => {
    const topic = services.image.topicByName(name);
    return { topic: name, partitionResult: partitions.map((partitionId) => elect(services, topic ?? name, partitionId, electionType)) };
  });
}

/** Asked for all partitions, Kafka tells only of those where the wish was not already true. */
function unledPartitions(services: Services, electionType: number): ElectionResult[] {
  const unled: ElectionResult[] = [];
  for (const topic of services.image.topics()) {
    const partitionResult = Array.from({ length: topic.partitionCount }, (_, partition) => elect(services, topic, partition, electionType)).filter(
      ({ errorCode }) => errorCode !== ErrorCodes.ELECTION_NOT_NEEDED,
    );
    if (partitionResult.length > 0) unled.push({ topic: topic.name, partitionResult });
  }
  return unled;
}

function elect(services: Services, topic: TopicImage | string, partitionId: number, electionType: number): PartitionResult {
  const result = (errorCode: ErrorCode, errorMessage: string): PartitionResult => ({ partitionId, errorCode, errorMessage });
  if (typeof topic === 'string') return result(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, `No such topic as ${topic}`);
  const current = services.image.leaderOf(topic.topicId, partitionId);
  if (current === undefined) return result(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, `No such partition as ${topic.name}-${partitionId}`);
  if (current.leader >= 0) return result(ErrorCodes.ELECTION_NOT_NEEDED, 'Leader election not needed for topic partition.');
  const error = electionType === PREFERRED ? ErrorCodes.PREFERRED_LEADER_NOT_AVAILABLE : ErrorCodes.ELIGIBLE_LEADERS_NOT_AVAILABLE;
  return result(error, 'No live broker owns the partition; it is led again as soon as its last owner is recovered.');
}

/** Version 0 has no error of the whole answer, but no election type either. */
function refused({ topicPartitions }: ElectRequest): ResponseInputOf<typeof ApiKeys.ElectLeaders> {
  const errorCode = ErrorCodes.INVALID_REQUEST;
  const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage: 'Unknown election type.' })),
  }));
  return { errorCode, replicaElectionResults };
}
