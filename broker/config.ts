/**
 * Every setting of a broker: read from a file, environment and flags (rising precedence), checked against the tables in
 * broker-settings.ts and topic-settings.ts, and handed on as one typed, read-only object. Unknown keys and bad values
 * stop the start, all of them told at once: the key, the value, where it came from, what is allowed.
 */
import { brokerSettings, type BrokerSetting } from './broker-settings.ts';
import { readEnvironment, readFlags, readProperties, type ConfigSource, type ConfigText } from './config-properties.ts';
import { parseValue, type ValueType } from './config-value.ts';
import { inertBrokerSettings, refusedBrokerPrefixes } from './inert-settings.ts';
import { nearestKey } from './nearest-key.ts';
import { topicSettings } from './topic-settings.ts';

type CamelCase<Key extends string> = Key extends `${infer Head}.${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Key;
type BrokerSettings = typeof brokerSettings;
type BrokerFields = { readonly [Key in keyof BrokerSettings as CamelCase<Key>]: BrokerSettings[Key] extends BrokerSetting<infer Value> ? Value : never };

/** `message.max.bytes` is the field `messageMaxBytes`, and so on; what topics inherit is read with `settingLayers`. */
export interface BrokerConfig extends BrokerFields {
  /** What was set, by key; highest precedence first. Keys that nobody set are missing. */
  readonly layers: ReadonlyMap<string, readonly SettingLayer[]>;
}

export interface SettingLayer {
  /** `static`: file, environment or flag. The others were set through the protocol while brokers ran. */
  readonly source: 'dynamic-broker' | 'dynamic-default' | 'static';
  readonly text: string;
}

export interface ConfigInput {
  /** Content of a properties file. */
  readonly file?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--key=value` each. */
  readonly flags: readonly string[];
}

export type ConfigOutcome =
  | { readonly kind: 'config'; readonly config: BrokerConfig; readonly warnings: readonly string[] }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

/** Types of all keys that broker configuration may hold with effect: fields of `BrokerConfig` and defaults of topics. */
export const brokerSettingTypes: ReadonlyMap<string, ValueType<unknown>> = new Map<string, ValueType<unknown>>([
  ...Object.entries(brokerSettings).map(([key, setting]): [string, ValueType<unknown>] => [key, setting.type]),
  ...Object.values(topicSettings).flatMap((setting) => setting.synonyms.map((synonym): [string, ValueType<unknown>] => [synonym.key, synonym.type])),
]);

export function parseConfig(input: ConfigInput): ConfigOutcome {
  const flags = readFlags(input.flags);
  const problems = flags.unreadable.map((flag) => `${JSON.stringify(flag)}: a setting is given as --key=value`);
  const warnings: string[] = [];
  const winners = new Map<string, ConfigText>();
  for (const text of [...readProperties(input.file ?? ''), ...readEnvironment(input.env), ...flags.texts]) {
    const given: ConfigText = text.key === 'broker.id' ? { ...text, key: 'node.id' } : text;
    const earlier = winners.get(given.key);
    if (earlier?.source === given.source) problems.push(`${text.key}: set twice, ${earlier.place} and ${given.place}`);
    winners.set(given.key, given);
  }
  for (const given of winners.values()) {
    if (inertBrokerSettings.has(given.key)) warnings.push(`${given.key} (${given.place}) has no effect here: the object store keeps all data`);
    else {
      const problem = problemOf(given);
      if (problem !== undefined) problems.push(problem);
    }
  }
  if (problems.length > 0) return { kind: 'invalid', problems };
  const layers = new Map<string, readonly SettingLayer[]>();
  for (const given of winners.values()) layers.set(given.key, [{ source: 'static', text: given.text.trim() }]);
  const config = configFromLayers(layers);
  const conflicts = findConflicts(config);
  return conflicts.length > 0 ? { kind: 'invalid', problems: conflicts } : { kind: 'config', config, warnings };
}

/** A configuration from `key: text` pairs, for tests and the simulation. */
export function brokerConfig(values: Readonly<Record<string, string>> = {}): BrokerConfig {
  const outcome = parseConfig({ env: {}, flags: Object.entries(values).map(([key, text]) => `--${key}=${text}`) });
  if (outcome.kind === 'invalid') throw new Error(outcome.problems.join('\n'));
  return outcome.config;
}

/** May `key` be changed through the protocol while brokers run? */
export function isDynamicSetting(key: string): boolean {
  const setting = (brokerSettings as Readonly<Record<string, BrokerSetting<unknown>>>)[key];
  return setting === undefined ? topicDefaultKeys.has(key) : setting.dynamic === 'cluster';
}

/** The configuration with what was set through the protocol on top; texts were checked when they were set, bad ones are left out. */
export function withDynamicSettings(
  config: BrokerConfig,
  clusterDefaults: Readonly<Record<string, string>>,
  ofThisBroker: Readonly<Record<string, string>>,
): BrokerConfig {
  const layers = new Map(config.layers);
  const put = (source: SettingLayer['source'], values: Readonly<Record<string, string>>) => {
    for (const [key, text] of Object.entries(values)) {
      const type = brokerSettingTypes.get(key);
      if (type === undefined || !isDynamicSetting(key) || parseValue(type, text).kind === 'problem') continue;
      layers.set(key, [{ source, text }, ...(layers.get(key) ?? [])]);
    }
  };
  put('dynamic-default', clusterDefaults);
  put('dynamic-broker', ofThisBroker);
  return configFromLayers(layers);
}

/** Kafka lets the first synonym of a topic setting be changed dynamically (`log.retention.ms`, not `log.retention.hours`). */
const topicDefaultKeys: ReadonlySet<string> = new Set(
  Object.values(topicSettings).flatMap((setting) => setting.synonyms.slice(0, 1).map((synonym) => synonym.key)),
);

function configFromLayers(layers: ReadonlyMap<string, readonly SettingLayer[]>): BrokerConfig {
  const fields: Record<string, unknown> = { layers };
  for (const [key, setting] of Object.entries<BrokerSetting<unknown>>(brokerSettings)) {
    const parsed = parseValue(setting.type, layers.get(key)?.[0]?.text ?? setting.default);
    if (parsed.kind === 'problem') throw new Error(`default of ${key}: ${parsed.problem}`);
    fields[fieldName(key)] = parsed.value;
  }
  return Object.freeze(fields) as unknown as BrokerConfig;
}

function problemOf(given: ConfigText): string | undefined {
  const type = brokerSettingTypes.get(given.key);
  const where = `${given.key} = ${JSON.stringify(given.text)} (${placeText(given.source, given.place)})`;
  if (type !== undefined) {
    const parsed = parseValue(type, given.text);
    return parsed.kind === 'problem' ? `${where}: ${parsed.problem}; allowed: ${type.allowed}` : undefined;
  }
  if (refusedBrokerPrefixes.some((prefix) => given.key.startsWith(prefix)))
    return `${given.key} (${placeText(given.source, given.place)}): not supported yet, and not safe to ignore`;
  const nearest = nearestKey(given.key, brokerSettingTypes.keys());
  return `${where}: unknown setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

function placeText(source: ConfigSource, place: string): string {
  return source === 'flag' ? `flag ${place}` : place;
}

function findConflicts(config: BrokerConfig): string[] {
  const conflicts: string[] = [];
  if (config.groupMinSessionTimeoutMs > config.groupMaxSessionTimeoutMs) {
    conflicts.push(
      `group.min.session.timeout.ms = ${config.groupMinSessionTimeoutMs} must not be more than group.max.session.timeout.ms = ${config.groupMaxSessionTimeoutMs}`,
    );
  }
  if (config.queuedMaxRequestBytes < config.socketRequestMaxBytes) {
    conflicts.push(
      `queued.max.request.bytes = ${config.queuedMaxRequestBytes} must hold one request of socket.request.max.bytes = ${config.socketRequestMaxBytes}`,
    );
  }
  for (const listener of config.listeners) {
    if (!config.listenerSecurityProtocolMap.includes(listener.name)) {
      conflicts.push(`listeners: ${listener.name} is not mapped to PLAINTEXT by listener.security.protocol.map, and other protocols are not supported yet`);
    }
  }
  for (const listener of config.advertisedListeners ?? []) {
    if (!config.listeners.some((other) => other.name === listener.name)) conflicts.push(`advertised.listeners: ${listener.name} is not among listeners`);
    if (listener.host === '' || listener.host === '0.0.0.0') conflicts.push(`advertised.listeners: ${listener.name} needs a host that clients can reach`);
  }
  return conflicts;
}

function fieldName(key: string): string {
  return key.replace(/\.([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
