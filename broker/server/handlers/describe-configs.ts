/**
 * DescribeConfigs: settings of topics and brokers with sources and synonyms (KIP-133, KIP-226).
 *
 * v1 synonyms · v3 types and documentation · v4 flexible. Client metrics and groups have no settings here yet: their lists are empty.
 */
import { describeBrokerConfig, describeDynamicSettings } from '../../broker-config-description.ts';
import type { BrokerConfig } from '../../config.ts';
import { ConfigSourceCodes, type DescribedSetting } from '../../config-sources.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import { describeTopicConfig } from '../../topic-config.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { brokerNameProblem, configTypeCodes, ResourceTypes } from './config-resources.ts';
import { effectiveConfigOf } from './effective-config.ts';
import { topicNameProblem } from './topic-names.ts';

type DescribeConfigsRequest = RequestOf<typeof ApiKeys.DescribeConfigs>;
type Resource = DescribeConfigsRequest['resources'][number];
type Result = ResponseInputOf<typeof ApiKeys.DescribeConfigs>['results'][number];
type Outcome = { readonly error: ErrorCode; readonly message: string } | readonly DescribedSetting[];

const DYNAMIC_BROKER_LOGGER = 6;
const malformed =
  'This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.';

export function describeConfigsHandler(services: Services): HandlerOf<typeof ApiKeys.DescribeConfigs> {
  const configNow = effectiveConfigOf(services);
  return {
    apiKey: ApiKeys.DescribeConfigs,
    minVersion: 1,
    maxVersion: 4,
    concurrency: 'serial',
    handle: (request) => ({ results: distinct(request.resources).map((resource) => resultOf(request, resource, describe(services, configNow(), resource))) }),
  };
}

/** Each resource once: a description is much larger than its name. */
function distinct(resources: readonly Resource[]): Resource[] {
  return [...new Map(resources.map((resource) => [`${resource.resourceType}/${resource.resourceName}`, resource])).values()];
}

function describe(services: Services, config: BrokerConfig, resource: Resource): Outcome {
  const names = resource.configurationKeys === null || resource.configurationKeys.length === 0 ? undefined : new Set(resource.configurationKeys);
  switch (resource.resourceType) {
    case ResourceTypes.TOPIC:
      return describeTopic(services, config, resource.resourceName, names);
    case ResourceTypes.BROKER:
      return describeBroker(services, config, resource.resourceName, names);
    case ResourceTypes.BROKER_LOGGER:
      return describeLogger(services, resource.resourceName, names);
    case ResourceTypes.CLIENT_METRICS:
    case ResourceTypes.GROUP:
      return [];
    default:
      return { error: ErrorCodes.INVALID_REQUEST, message: malformed };
  }
}

function describeTopic(services: Services, config: BrokerConfig, name: string, names: ReadonlySet<string> | undefined): Outcome {
  const problem = topicNameProblem(name);
  if (problem !== undefined) return { error: ErrorCodes.INVALID_TOPIC_EXCEPTION, message: problem };
  const topic = services.image.topicByName(name);
  return topic === undefined ? { error: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, message: '' } : describeTopicConfig(topic.config, config, names);
}

function describeBroker(services: Services, config: BrokerConfig, name: string, names: ReadonlySet<string> | undefined): Outcome {
  if (name === '') return describeDynamicSettings(services.image.brokerConfig(''), ConfigSourceCodes.DYNAMIC_DEFAULT_BROKER_CONFIG, names);
  const problem = brokerNameProblem(name, services.node, 'Broker', `${services.node} or empty string, but received `);
  return problem === undefined ? describeBrokerConfig(config, names) : { error: ErrorCodes.INVALID_REQUEST, message: problem };
}

function describeLogger(services: Services, name: string, names: ReadonlySet<string> | undefined): Outcome {
  const problem = name === '' ? 'Broker id must not be empty' : brokerNameProblem(name, services.node, 'Broker', `${services.node} but received `);
  if (problem !== undefined) return { error: ErrorCodes.INVALID_REQUEST, message: problem };
  if (names !== undefined && !names.has('root')) return [];
  const source = DYNAMIC_BROKER_LOGGER as DescribedSetting['source'];
  return [
    {
      name: 'root',
      value: services.config.loggerLevel.toUpperCase(),
      source,
      readOnly: true,
      sensitive: false,
      type: 'string',
      documentation: '',
      synonyms: [],
    },
  ];
}

function resultOf(request: DescribeConfigsRequest, { resourceType, resourceName }: Resource, outcome: Outcome): Result {
  if ('error' in outcome) return { errorCode: outcome.error, errorMessage: outcome.message, resourceType, resourceName, configs: [] };
  const configs = outcome.map((setting) => ({
    name: setting.name,
    value: setting.value,
    readOnly: setting.readOnly,
    configSource: setting.source,
    isSensitive: setting.sensitive,
    synonyms: request.includeSynonyms ? setting.synonyms : [],
    configType: configTypeCodes[setting.type],
    documentation: request.includeDocumentation ? setting.documentation : null,
  }));
  return { errorCode: ErrorCodes.NONE, errorMessage: '', resourceType, resourceName, configs };
}
