/**
 * DescribeQuorum: who acts as controller and who could (KIP-595, KIP-836). There is no metadata log and no quorum of brokers here: the metadata
 * store is their place. So that tools can show it, all brokers are voters (each may be elected controller), the controller leads, and
 * log positions are −1, Kafka's word for unknown.
 *
 * v1 times of fetches · v2 directory ids, addresses of voters (KIP-853).
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';

type QuorumRequest = RequestOf<typeof ApiKeys.DescribeQuorum>;
type QuorumResponse = ResponseInputOf<typeof ApiKeys.DescribeQuorum>;

const METADATA_TOPIC = '__cluster_metadata';
const METADATA_PARTITION = 0;
const UNKNOWN = -1;

export function describeQuorumHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeQuorum> {
  return {
    apiKey: ApiKeys.DescribeQuorum,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    handle: (request, { connection }) => describe(services, request, connection.listener),
  };
}

function describe({ image }: Services, request: QuorumRequest, listener: string): QuorumResponse {
  if (!asksForMetadata(request)) return refused(request, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.');
  // Tools look for the leader among the voters, and end with a stack trace when it is not there.
  if (image.controllerId < 0) return refused(request, ErrorCodes.NOT_LEADER_OR_FOLLOWER, 'No broker acts as controller at this moment.');
  const brokers = image.brokers();
  const quorum = {
    partitionIndex: METADATA_PARTITION,
    errorCode: ErrorCodes.NONE,
    leaderId: image.controllerId,
    leaderEpoch: 0,
    highWatermark: UNKNOWN,
    currentVoters: brokers.map(({ node }) => ({ replicaId: node, logEndOffset: UNKNOWN })),
    observers: [],
  };
  return {
    errorCode: ErrorCodes.NONE,
    topics: [{ topicName: METADATA_TOPIC, partitions: [quorum] }],
    nodes: brokers.map(({ node, host, port }) => ({ nodeId: node, listeners: [{ name: listener, host, port }] })),
  };
}

function asksForMetadata({ topics }: QuorumRequest): boolean {
  const [topic] = topics;
  return (
    topics.length === 1 && topic?.topicName === METADATA_TOPIC && topic.partitions.length === 1 && topic.partitions[0]?.partitionIndex === METADATA_PARTITION
  );
}

function refused({ topics }: QuorumRequest, errorCode: ErrorCode, errorMessage: string): QuorumResponse {
  const nothing = { errorCode, errorMessage, leaderId: UNKNOWN, leaderEpoch: UNKNOWN, highWatermark: UNKNOWN, currentVoters: [], observers: [] };
  return {
    errorCode: ErrorCodes.NONE,
    topics: topics.map(({ topicName, partitions }) => ({ topicName, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...nothing })) })),
    nodes: [],
  };
}
