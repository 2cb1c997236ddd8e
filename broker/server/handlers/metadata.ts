/**
 * Metadata: brokers, and who leads the partitions of topics.
 *
 * v1 null means all topics, racks, controller · v2 cluster id · v4 auto-creation is the client's choice · v5 offline replicas · v7 leader
 * epochs · v8 authorized operations (KIP-430) · v9 flexible · v10 topic ids (KIP-516) · v11 no cluster operations · v12 topics by id · v13 error of
 * the whole answer (KIP-1102). Unlike Kafka, an auto-created topic is in the same answer when it is ready soon.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf, RequestContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { allClusterOperations, allTopicOperations, operationsNotAsked } from './authorized-operations.ts';
import { topicOf, unknownTopicError } from './partition-access.ts';
import { TopicAutoCreation } from './topic-auto-creation.ts';
import { describePartition, missingTopicError } from './topic-description.ts';

type MetadataRequest = RequestOf<typeof ApiKeys.Metadata>;
type MetadataResponse = ResponseInputOf<typeof ApiKeys.Metadata>;
type TopicResponse = MetadataResponse['topics'][number];

const AUTO_CREATION = { perRequest: 100, atOnce: 500, waitMs: 5000 };

export function metadataHandler(services: Services): HandlerOf<typeof ApiKeys.Metadata> {
  const creation = new TopicAutoCreation(services, AUTO_CREATION);
  return {
    apiKey: ApiKeys.Metadata,
    minVersion: 0,
    maxVersion: 13,
    concurrency: 'serial',
    handle(request, context) {
      if (context.apiVersion < 12 && request.topics?.some((topic) => topic.name === null || topic.topicId !== zeroUuid) === true)
        return refused(request, ErrorCodes.INVALID_REQUEST);
      const missing = missingNames(services, request, context);
      if (missing.length === 0) return answerOf(services, request, context);
      return creation.create(missing).then(() => answerOf(services, request, context));
    },
  };
}

/** Names to create before the answer. */
function missingNames(services: Services, request: MetadataRequest, { apiVersion }: RequestContext): string[] {
  const allowed = services.config.autoCreateTopicsEnable && (apiVersion < 4 || request.allowAutoTopicCreation);
  if (!allowed || request.topics === null) return [];
  const names = new Set<string>();
  for (const { name, topicId } of request.topics) {
    if (name !== null && topicId === zeroUuid && services.image.topicByName(name) === undefined) names.add(name);
  }
  return [...names];
}

function answerOf(services: Services, request: MetadataRequest, { apiVersion }: RequestContext): MetadataResponse {
  const { image } = services;
  const all = request.topics === null || (apiVersion === 0 && request.topics.length === 0);
  const operations = request.includeTopicAuthorizedOperations ? allTopicOperations : operationsNotAsked;
  const topics = all ? image.topics().map((topic) => describeTopic(services, topic, operations)) : askedTopics(services, request, operations);
  return {
    brokers: image.brokers().map(({ node, host, port, rack }) => ({ nodeId: node, host, port, rack: rack ?? null })),
    clusterId: image.clusterId,
    controllerId: image.controllerId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : operationsNotAsked,
    errorCode: ErrorCodes.NONE,
  };
}

function askedTopics(services: Services, request: MetadataRequest, operations: number): TopicResponse[] {
  const topics: TopicResponse[] = [];
  const seen = new Set<string>();
  for (const { name, topicId } of request.topics ?? []) {
    const key = topicId === zeroUuid ? `/${name}` : topicId;
    if (seen.has(key)) continue;
    seen.add(key);
    const topic = topicOf(services, name ?? '', topicId);
    if (topic !== undefined) topics.push(describeTopic(services, topic, operations));
    else
      topics.push({
        errorCode: topicId === zeroUuid ? missingTopicError(name ?? '') : unknownTopicError(true),
        name: topicId === zeroUuid ? name : null,
        topicId,
        partitions: [],
      });
  }
  return topics;
}

function describeTopic(services: Services, topic: TopicImage, topicAuthorizedOperations: number): TopicResponse {
  const partitions = Array.from({ length: topic.partitionCount }, (_, index) => describePartition(services, topic, index));
  return { errorCode: ErrorCodes.NONE, name: topic.name, topicId: topic.topicId, isInternal: topic.internal, partitions, topicAuthorizedOperations };
}

/** Kafka's answer to a request that makes no sense names no broker. */
function refused(request: MetadataRequest, error: ErrorCode): MetadataResponse {
  const topics = (request.topics ?? []).map(({ name, topicId }) => ({ errorCode: error, name: name ?? '', topicId, partitions: [] }));
  return { brokers: [], clusterId: null, controllerId: -1, topics };
}
