/**
 * Changes of configuration, as IncrementalAlterConfigs and AlterConfigs ask for them: checked as Kafka does and in its words,
 * then handed to the metadata store. Pure but for that last step.
 */
import { brokerSettingTypes, isDynamicSetting, type BrokerConfig } from '../../config.ts';
import { parseValue, splitList } from '../../config-value.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { effectiveTopicSetting, normalizedTopicSetting, topicSetting, validateTopicConfig } from '../../topic-config.ts';
import type { Services } from '../services.ts';
import { brokerNameProblem, ResourceTypes } from './config-resources.ts';
import { throttleSettings } from './throttle-settings.ts';
import { topicNameProblem } from './topic-names.ts';

export const Operations = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const;

export interface ConfigOperation {
  readonly name: string;
  readonly configOperation: number;
  readonly value: string | null;
}

export interface AlterationResult {
  readonly errorCode: ErrorCode;
  readonly errorMessage: string | null;
}

type Changes = Readonly<Record<string, string | null>>;
type ChangesOutcome =
  | { readonly kind: 'changes'; readonly changes: Changes }
  | { readonly kind: 'refused'; readonly error: ErrorCode; readonly message: string };

export interface AlteredResource {
  readonly resourceType: number;
  readonly resourceName: string;
}

export const accepted: AlterationResult = { errorCode: ErrorCodes.NONE, errorMessage: null };

export function refused(errorCode: ErrorCode, errorMessage: string | null): AlterationResult {
  return { errorCode, errorMessage };
}

/** `replaceAll`: settings of the resource that are not named are unset (AlterConfigs). */
export interface AlterationOptions {
  readonly validateOnly: boolean;
  readonly replaceAll: boolean;
}

export async function alterResource(
  services: Services,
  config: BrokerConfig,
  resource: AlteredResource,
  operations: readonly ConfigOperation[],
  options: AlterationOptions,
): Promise<AlterationResult> {
  if (new Set(operations.map(({ name }) => name)).size < operations.length) return refused(ErrorCodes.INVALID_REQUEST, 'Error due to duplicate config keys');
  const withoutValue = operations.filter(({ configOperation, value }) => configOperation !== Operations.DELETE && value === null);
  if (withoutValue.length > 0) return refused(ErrorCodes.INVALID_REQUEST, `Null value not supported for : ${withoutValue.map(({ name }) => name).join(',')}`);
  if (operations.some(({ configOperation }) => configOperation < 0 || configOperation > 3))
    return refused(ErrorCodes.INVALID_REQUEST, 'Unknown config operation');
  switch (resource.resourceType) {
    case ResourceTypes.TOPIC:
      return alterTopic(services, config, resource.resourceName, operations, options);
    case ResourceTypes.BROKER:
      return alterBroker(services, resource.resourceName, operations, options);
    case ResourceTypes.BROKER_LOGGER:
    case ResourceTypes.CLIENT_METRICS:
    case ResourceTypes.GROUP:
      return refused(ErrorCodes.INVALID_REQUEST, `Settings of resource type ${resource.resourceType} cannot be changed on this broker yet.`);
    default:
      return refused(ErrorCodes.INVALID_REQUEST, `Unknown resource type ${resource.resourceType}`);
  }
}

async function alterTopic(
  services: Services,
  config: BrokerConfig,
  name: string,
  operations: readonly ConfigOperation[],
  options: AlterationOptions,
): Promise<AlterationResult> {
  if (name === '') return refused(ErrorCodes.INVALID_REQUEST, 'Default topic resources are not allowed.');
  const topic = services.image.topicByName(name);
  if (topic === undefined) {
    const problem = topicNameProblem(name);
    if (problem !== undefined) return refused(ErrorCodes.INVALID_TOPIC_EXCEPTION, problem);
    return refused(ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${name}' does not exist.`);
  }
  const outcome = topicChanges(topic.config, config, operations);
  if (outcome.kind === 'refused') return refused(outcome.error, outcome.message);
  const changes = options.replaceAll ? { ...unsetAll(topic.config), ...outcome.changes } : outcome.changes;
  const problem = validateTopicConfig(applied(topic.config, changes), config);
  if (problem !== undefined) return refused(ErrorCodes.INVALID_CONFIG, problem);
  if (options.validateOnly || Object.keys(changes).length === 0) return accepted;
  const done = await services.admin.alterTopicConfig(topic.topicId, changes);
  return done.kind === 'done' ? accepted : refused(done.error, done.message);
}

function topicChanges(current: Readonly<Record<string, string>>, config: BrokerConfig, operations: readonly ConfigOperation[]): ChangesOutcome {
  const changes: Record<string, string | null> = {};
  for (const { name, configOperation, value } of operations) {
    const setting = topicSetting(name);
    if (configOperation === Operations.DELETE) {
      // Kafka lets unknown settings be removed.
      if (Object.hasOwn(current, name)) changes[name] = null;
      continue;
    }
    if (setting === undefined) return { kind: 'refused', error: ErrorCodes.INVALID_CONFIG, message: `Unknown topic config name: ${name}` };
    if (configOperation === Operations.SET) {
      changes[name] = parseValue(setting.type, value ?? '').kind === 'value' ? normalizedTopicSetting(name, value ?? '') : (value ?? '');
      continue;
    }
    if (setting.type.kafkaType !== 'list') {
      const operation = configOperation === Operations.APPEND ? 'APPEND' : 'SUBTRACT';
      return { kind: 'refused', error: ErrorCodes.INVALID_CONFIG, message: `Can't ${operation} to key ${name} because its type is not LIST.` };
    }
    changes[name] = changedList(effectiveTopicSetting(name, current, config), value ?? '', configOperation);
  }
  return { kind: 'changes', changes };
}

function changedList(current: string, given: string, operation: number): string {
  const items = splitList(current);
  const named = splitList(given);
  const result = operation === Operations.APPEND ? [...items, ...named.filter((item) => !items.includes(item))] : items.filter((item) => !named.includes(item));
  return result.join(',');
}

async function alterBroker(services: Services, name: string, operations: readonly ConfigOperation[], options: AlterationOptions): Promise<AlterationResult> {
  const nameProblem = name === '' ? undefined : brokerNameProblem(name, services.node, 'Node', `${services.node}, but received `);
  if (nameProblem !== undefined) return refused(ErrorCodes.INVALID_REQUEST, nameProblem);
  const fixed = operations
    .filter((operation) => brokerSettingTypes.has(operation.name) && !isDynamicSetting(operation.name))
    .map((operation) => operation.name);
  if (fixed.length > 0) return refused(ErrorCodes.INVALID_REQUEST, `Cannot update these configs dynamically: [${fixed.join(', ')}]`);
  const current = services.image.brokerConfig(name);
  const changes: Record<string, string | null> = options.replaceAll ? unsetAll(current) : {};
  for (const { name: key, configOperation, value } of operations) {
    const type = brokerSettingTypes.get(key) ?? throttleSettings.get(key);
    if (configOperation === Operations.DELETE) {
      if (Object.hasOwn(current, key)) changes[key] = null;
      continue;
    }
    if (type === undefined) return refused(ErrorCodes.INVALID_CONFIG, `Unknown broker config name: ${key}`);
    if (configOperation !== Operations.SET && type.kafkaType !== 'list') {
      const operation = configOperation === Operations.APPEND ? 'APPEND' : 'SUBTRACT';
      return refused(ErrorCodes.INVALID_CONFIG, `Can't ${operation} to key ${key} because its type is not LIST.`);
    }
    const text = configOperation === Operations.SET ? (value ?? '').trim() : changedList(current[key] ?? '', value ?? '', configOperation);
    const parsed = parseValue(type, text);
    if (parsed.kind === 'problem')
      return refused(ErrorCodes.INVALID_REQUEST, `Invalid value ${parsed.shown ?? text} for configuration ${key}: ${parsed.problem}`);
    if (!throttleSettings.has(key)) changes[key] = text;
  }
  if (options.validateOnly || Object.keys(changes).length === 0) return accepted;
  const done = await services.admin.alterBrokerConfig(name, changes);
  return done.kind === 'done' ? accepted : refused(done.error, done.message);
}

function unsetAll(current: Readonly<Record<string, string>>): Record<string, null> {
  return Object.fromEntries(Object.keys(current).map((name) => [name, null]));
}

function applied(current: Readonly<Record<string, string>>, changes: Changes): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...current, ...changes })) if (value !== null) result[name] = value;
  return result;
}
