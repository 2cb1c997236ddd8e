/**
 * DeleteTopics, by name or by id.
 *
 * v1 throttle time · v3 TOPIC_DELETION_DISABLED · v4 flexible · v5 error message · v6 topic ids (KIP-516).
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { doubledKeys } from './doubled-keys.ts';

type TopicResult = ResponseInputOf<typeof ApiKeys.DeleteTopics>['responses'][number];

interface Asked {
  readonly name: string | null;
  readonly topicId: string;
}

export function deleteTopicsHandler(services: Services): HandlerOf<typeof ApiKeys.DeleteTopics> {
  return {
    apiKey: ApiKeys.DeleteTopics,
    minVersion: 1,
    maxVersion: 6,
    concurrency: 'serial',
    async handle(request, { apiVersion }) {
      const asked = apiVersion >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: zeroUuid }));
      if (!services.config.deleteTopicEnable)
        return { responses: asked.map((topic) => refused(topic, apiVersion < 3 ? ErrorCodes.INVALID_REQUEST : ErrorCodes.TOPIC_DELETION_DISABLED, null)) };
      const doubled = doubledKeys(asked.map(keyOf));
      const alsoById = idsNamedToo(services, asked);
      const told = new Set<string>();
      const responses: TopicResult[] = [];
      for (const topic of asked) {
        const key = keyOf(topic);
        if (told.has(key) || (topic.name === null && alsoById.has(topic.topicId))) continue;
        told.add(key);
        const target = targetOf(services, topic, { isDoubled: doubled.has(key), alsoById });
        responses.push('errorCode' in target ? target : await remove(services, target, apiVersion));
      }
      return { responses };
    },
  };
}

interface Repetition {
  readonly isDoubled: boolean;
  readonly alsoById: ReadonlySet<string>;
}

/** Ids of topics that the request names by id and by name. */
function idsNamedToo(services: Services, asked: readonly Asked[]): ReadonlySet<string> {
  const ids = new Set(asked.filter(({ name }) => name === null).map(({ topicId }) => topicId));
  const named = asked.flatMap(({ name }) => (name === null ? [] : [services.image.topicByName(name)?.topicId ?? zeroUuid]));
  return new Set(named.filter((topicId) => topicId !== zeroUuid && ids.has(topicId)));
}

function targetOf(services: Services, asked: Asked, { isDoubled, alsoById }: Repetition): TopicImage | TopicResult {
  const { name, topicId } = asked;
  const byId = topicId !== zeroUuid;
  if (name !== null && byId) return refused(asked, ErrorCodes.INVALID_REQUEST, 'You may not specify both topic name and topic id.');
  if (name === null && !byId) return refused(asked, ErrorCodes.INVALID_REQUEST, 'Neither topic name nor id were specified.');
  if (isDoubled) return refused(asked, ErrorCodes.INVALID_REQUEST, byId ? 'Duplicate topic id.' : 'Duplicate topic name.');
  if (byId) return services.image.topicById(topicId as TopicId) ?? refused(asked, ErrorCodes.UNKNOWN_TOPIC_ID, 'This server does not host this topic ID.');
  const topic = services.image.topicByName(name ?? '');
  if (topic === undefined) return refused(asked, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'This server does not host this topic-partition.');
  if (!alsoById.has(topic.topicId)) return topic;
  return refused({ name, topicId: topic.topicId }, ErrorCodes.INVALID_REQUEST, 'The provided topic name maps to an ID that was already supplied.');
}

async function remove(services: Services, topic: TopicImage, apiVersion: number): Promise<TopicResult> {
  const outcome = await services.admin.deleteTopic(topic.topicId);
  if (outcome.kind === 'error') return refused({ name: topic.name, topicId: topic.topicId }, outcome.error, outcome.message);
  services.io.logger.info('topic deleted by request', { topic: topic.name, topicId: topic.topicId });
  return { name: topic.name, topicId: apiVersion >= 6 ? topic.topicId : zeroUuid, errorCode: ErrorCodes.NONE };
}

function keyOf({ name, topicId }: Asked): string {
  return name === null ? topicId : `${topicId}/${name}`;
}

function refused({ name, topicId }: Asked, errorCode: ErrorCode, errorMessage: string | null): TopicResult {
  return { name, topicId, errorCode, errorMessage };
}
