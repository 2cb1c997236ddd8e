/**
 * DescribeLogDirs: where the data lies and how much of it this broker serves. There is one directory: the bucket.
 *
 * v2 flexible · v3 error of the whole answer · v4 size of the volume (KIP-827) · v5 cordoned directories (KIP-1066).
 * An object store has no size, so total and usable bytes are −1, Kafka's word for unknown.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { logDirOf } from './log-dir.ts';
import { accessPartition } from './partition-access.ts';

type DescribeLogDirsRequest = RequestOf<typeof ApiKeys.DescribeLogDirs>;
type TopicResponse = ResponseInputOf<typeof ApiKeys.DescribeLogDirs>['results'][number]['topics'][number];

export function describeLogDirsHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeLogDirs> {
  return {
    apiKey: ApiKeys.DescribeLogDirs,
    minVersion: 1,
    maxVersion: 5,
    concurrency: 'serial',
    handle: (request) => ({ results: [{ errorCode: ErrorCodes.NONE, logDir: logDirOf(services), topics: topicsOf(services, request) }] }),
  };
}

function topicsOf(services: Services, request: DescribeLogDirsRequest): TopicResponse[] {
  const topics: TopicResponse[] = [];
  if (request.topics === null) {
    for (const topic of services.image.topics())
      addTopic(
        services,
        topics,
        topic,
        Array.from({ length: topic.partitionCount }, (_, index) => index),
      );
    return topics;
  }
  for (const { topic: name, partitions } of request.topics) {
    const topic = services.image.topicByName(name);
    if (topic !== undefined) addTopic(services, topics, topic, partitions);
  }
  return topics;
}

/** Only what this broker serves, as in Kafka: tools ask every broker. */
function addTopic(services: Services, topics: TopicResponse[], topic: TopicImage, indexes: readonly number[]): void {
  const partitions: TopicResponse['partitions'][number][] = [];
  for (const partitionIndex of indexes) {
    const access = accessPartition(services, topic.topicId, partitionIndex);
    if (access.kind === 'open') partitions.push({ partitionIndex, partitionSize: access.log.sizeBytes, offsetLag: 0, isFutureKey: false });
  }
  if (partitions.length > 0) topics.push({ name: topic.name, partitions });
}
