/** Checks one topic of a CreateTopics request as Kafka's controller does, in its order and words, and turns it into what is created. */
import type { NodeId } from '../../../cluster/identifiers.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import type { ApiKeys, RequestOf } from '../../protocol/messages.gen.ts';
import type { BrokerConfig } from '../../config.ts';
import { normalizedTopicSetting, validateTopicConfig } from '../../topic-config.ts';
import type { NewTopic, Services } from '../services.ts';
import { collidingName, topicNameProblem } from './topic-names.ts';

type AskedTopic = RequestOf<typeof ApiKeys.CreateTopics>['topics'][number];

export type PlannedTopic = NewTopic;
export type Refusal = { readonly kind: 'refused'; readonly error: ErrorCode; readonly message: string };
export type PlanOutcome = { readonly kind: 'planned'; readonly topic: PlannedTopic } | Refusal;

/** Kafka's MAX_PARTITIONS_PER_BATCH. */
export const MAX_PARTITIONS_PER_REQUEST = 10_000;
const FORBIDDEN_NAME = '__cluster_metadata';

export function planTopic(services: Services, config: BrokerConfig, asked: AskedTopic): PlanOutcome {
  const problem = topicNameProblem(asked.name);
  if (problem !== undefined) return refusal(ErrorCodes.INVALID_TOPIC_EXCEPTION, problem);
  if (asked.name === FORBIDDEN_NAME) return refusal(ErrorCodes.INVALID_REQUEST, `Creation of internal topic ${FORBIDDEN_NAME} is prohibited.`);
  if (services.image.topicByName(asked.name) !== undefined) return refusal(ErrorCodes.TOPIC_ALREADY_EXISTS, `Topic '${asked.name}' already exists.`);
  const collision = collidingName(asked.name, services.image.topics());
  if (collision !== undefined) return refusal(ErrorCodes.INVALID_TOPIC_EXCEPTION, `Topic '${asked.name}' collides with existing topic: ${collision}`);
  const explicit = explicitConfig(asked);
  if (typeof explicit === 'string') return refusal(ErrorCodes.INVALID_CONFIG, `Null value not supported for topic configs: ${explicit}`);
  const configProblem = validateTopicConfig(explicit, config);
  if (configProblem !== undefined) return refusal(ErrorCodes.INVALID_CONFIG, configProblem);
  const normalized = Object.fromEntries(Object.entries(explicit).map(([name, text]) => [name, normalizedTopicSetting(name, text)]));
  return asked.assignments.length > 0 ? planAssigned(services, asked, normalized) : planCounted(config, asked, normalized);
}

/** Kafka refuses the whole request. */
export function tooManyPartitions(topics: readonly AskedTopic[], config: BrokerConfig): string | undefined {
  let total = 0;
  for (const { numPartitions, assignments } of topics)
    total += assignments.length > 0 ? assignments.length : numPartitions === -1 ? config.numPartitions : Math.max(0, numPartitions);
  return total > MAX_PARTITIONS_PER_REQUEST ? 'Excessively large number of partitions per request.' : undefined;
}

/** One broker per partition: `undefined` when the list is fine. */
export function replicaListProblem(services: Services, brokerIds: readonly number[]): string | undefined {
  const [first] = brokerIds;
  if (first === undefined) return 'The manual partition assignment includes an empty replica list.';
  const seen = new Set<number>();
  for (const id of brokerIds) {
    if (seen.has(id)) return `The manual partition assignment includes the broker ${id} more than once.`;
    const broker = services.image.brokers().find(({ node }) => node === id);
    if (broker === undefined) return `The manual partition assignment includes broker ${id}, but no such broker is registered.`;
    if (broker.draining) return `The manual partition assignment includes broker ${id}, which is draining: nothing new is placed on it.`;
    seen.add(id);
  }
  return brokerIds.length === 1 ? undefined : 'The object store replicates the data: assign each partition to one broker.';
}

function planCounted(config: BrokerConfig, { name, numPartitions, replicationFactor }: AskedTopic, explicit: Readonly<Record<string, string>>): PlanOutcome {
  if (replicationFactor === 0 || replicationFactor < -1) {
    return refusal(ErrorCodes.INVALID_REPLICATION_FACTOR, 'Replication factor must be larger than 0, or -1 to use the default value.');
  }
  if (numPartitions === 0 || numPartitions < -1)
    return refusal(ErrorCodes.INVALID_PARTITIONS, 'Number of partitions was set to an invalid non-positive value.');
  return { kind: 'planned', topic: { name, partitionCount: numPartitions === -1 ? config.numPartitions : numPartitions, config: explicit } };
}

function planAssigned(
  services: Services,
  { name, numPartitions, replicationFactor, assignments }: AskedTopic,
  config: Readonly<Record<string, string>>,
): PlanOutcome {
  if (replicationFactor !== -1)
    return refusal(ErrorCodes.INVALID_REQUEST, 'A manual partition assignment was specified, but replication factor was not set to -1.');
  if (numPartitions !== -1) return refusal(ErrorCodes.INVALID_REQUEST, 'A manual partition assignment was specified, but numPartitions was not set to -1.');
  const owners = new Map<number, NodeId>();
  for (const { partitionIndex, brokerIds } of assignments) {
    if (owners.has(partitionIndex))
      return refusal(ErrorCodes.INVALID_REPLICA_ASSIGNMENT, `Found multiple manual partition assignments for partition ${partitionIndex}`);
    const problem = replicaListProblem(services, brokerIds);
    if (problem !== undefined) return refusal(ErrorCodes.INVALID_REPLICA_ASSIGNMENT, problem);
    owners.set(partitionIndex, brokerIds[0] as NodeId);
  }
  const assignment: NodeId[] = [];
  for (let partition = 0; partition < owners.size; partition++) {
    const owner = owners.get(partition);
    if (owner === undefined) return refusal(ErrorCodes.INVALID_REPLICA_ASSIGNMENT, 'partitions should be a consecutive 0-based integer sequence');
    assignment.push(owner);
  }
  return { kind: 'planned', topic: { name, partitionCount: assignment.length, config, assignment } };
}

/** The names of settings without a value, when there are such. */
function explicitConfig({ configs }: AskedTopic): Record<string, string> | string {
  const withoutValue = configs.filter(({ value }) => value === null).map(({ name }) => name);
  if (withoutValue.length > 0) return withoutValue.join(',');
  return Object.fromEntries(configs.map(({ name, value }) => [name, value ?? '']));
}

function refusal(error: ErrorCode, message: string): Refusal {
  return { kind: 'refused', error, message };
}
