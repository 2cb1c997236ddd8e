/**
 * CreateTopics. Any replication factor is accepted, one is reported: the object store replicates (design §2).
 *
 * v4 defaults with −1 (KIP-464) · v5 flexible, partition count and configuration in the answer (KIP-525) · v6 throttling error · v7 topic id.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { BrokerConfig } from '../../config.ts';
import { describeTopicConfig } from '../../topic-config.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { doubledKeys } from './doubled-keys.ts';
import { effectiveConfigOf } from './effective-config.ts';
import { planTopic, tooManyPartitions, type PlannedTopic } from './topic-plan.ts';

type CreateTopicsRequest = RequestOf<typeof ApiKeys.CreateTopics>;
type TopicResult = ResponseInputOf<typeof ApiKeys.CreateTopics>['topics'][number];

const REPORTED_REPLICATION_FACTOR = 1;
const unknownCounts = { numPartitions: -1, replicationFactor: -1, configs: [] };

export function createTopicsHandler(services: Services): HandlerOf<typeof ApiKeys.CreateTopics> {
  const configNow = effectiveConfigOf(services);
  return {
    apiKey: ApiKeys.CreateTopics,
    minVersion: 2,
    maxVersion: 7,
    concurrency: 'serial',
    async handle(request) {
      const topics: TopicResult[] = [];
      for (const creation of plan(services, configNow(), request)) topics.push(await create(services, configNow(), request, creation));
      return { topics };
    },
  };
}

type Creation = { readonly kind: 'planned'; readonly topic: PlannedTopic } | { readonly kind: 'refused'; readonly result: TopicResult };

function plan(services: Services, config: BrokerConfig, request: CreateTopicsRequest): Creation[] {
  const doubled = doubledKeys(request.topics.map(({ name }) => name));
  const tooMany = tooManyPartitions(request.topics, config);
  const refuse = (name: string, error: ErrorCode, message: string): Creation => ({ kind: 'refused', result: refused(name, error, message) });
  const planned = [...doubled].map((name) => refuse(name, ErrorCodes.INVALID_REQUEST, 'Duplicate topic name.'));
  for (const topic of request.topics) {
    if (doubled.has(topic.name)) continue;
    const outcome =
      tooMany === undefined ? planTopic(services, config, topic) : ({ kind: 'refused', error: ErrorCodes.POLICY_VIOLATION, message: tooMany } as const);
    planned.push(outcome.kind === 'planned' ? outcome : refuse(topic.name, outcome.error, outcome.message));
  }
  return planned;
}

async function create(services: Services, config: BrokerConfig, request: CreateTopicsRequest, creation: Creation): Promise<TopicResult> {
  if (creation.kind === 'refused') return creation.result;
  const { topic } = creation;
  if (request.validateOnly) return created(topic, config, zeroUuid);
  const outcome = await services.admin.createTopic(topic);
  return outcome.kind === 'done' ? created(topic, config, outcome.topicId) : refused(topic.name, outcome.error, outcome.message);
}

function created(topic: PlannedTopic, config: BrokerConfig, topicId: string): TopicResult {
  const configs = describeTopicConfig(topic.config, config).map(({ name, value, readOnly, source, sensitive }) => ({
    name,
    value,
    readOnly,
    configSource: source,
    isSensitive: sensitive,
  }));
  return {
    name: topic.name,
    topicId,
    errorCode: ErrorCodes.NONE,
    errorMessage: null,
    numPartitions: topic.partitionCount,
    replicationFactor: REPORTED_REPLICATION_FACTOR,
    configs,
  };
}

function refused(name: string, errorCode: ErrorCode, errorMessage: string): TopicResult {
  return { name, errorCode, errorMessage, ...unknownCounts };
}
