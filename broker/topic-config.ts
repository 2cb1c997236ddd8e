/**
 * Topic configuration: what may be set, what a topic inherits from its broker, what the log engine obeys, and what
 * DescribeConfigs tells, with Kafka's sources and synonyms (KIP-226). The table is in topic-settings.ts.
 */
import type { BrokerConfig } from './config.ts';
import { ConfigSourceCodes, layerSources, type ConfigSourceCode, type DescribedSetting, type DescribedSynonym } from './config-sources.ts';
import { parseValue, splitList } from './config-value.ts';
import type { TopicLogConfig } from './log/topic-log-config.ts';
import { topicSettings, type Synonym, type TopicSetting } from './topic-settings.ts';

export type ExplicitTopicConfig = Readonly<Record<string, string>>;

/** What Kafka says in INVALID_CONFIG, or undefined when all is well. `unset` keys must exist, too. */
export function validateTopicConfig(explicit: ExplicitTopicConfig, broker: BrokerConfig): string | undefined {
  for (const [name, text] of Object.entries(explicit)) {
    const setting = topicSetting(name);
    if (setting === undefined) return `Unknown topic config name: ${name}`;
    const parsed = parseValue(setting.type, text);
    if (parsed.kind === 'problem') return `Invalid value ${parsed.shown ?? text} for configuration ${name}: ${parsed.problem}`;
  }
  const minLag = numberOf('min.compaction.lag.ms', explicit, broker);
  const maxLag = numberOf('max.compaction.lag.ms', explicit, broker);
  if (minLag > maxLag) return `conflict topic config setting min.compaction.lag.ms (${minLag}) > max.compaction.lag.ms (${maxLag})`;
  if (effectiveTopicSetting('remote.storage.enable', explicit, broker).toLowerCase() === 'true') {
    return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.';
  }
  return undefined;
}

/** The text as Kafka keeps it: booleans in lower case, lists without spaces and doublets. Only for texts that passed `validateTopicConfig`. */
export function normalizedTopicSetting(name: string, text: string): string {
  const setting = topicSetting(name);
  if (setting?.type.kafkaType === 'boolean') return text.trim().toLowerCase();
  return setting?.type.kafkaType === 'list' ? [...new Set(splitList(text))].join(',') : text.trim();
}

/** Kafka spells unknown names in requests exactly; there is no prefix or case folding. */
export function topicSetting(name: string): TopicSetting | undefined {
  return Object.hasOwn(topicSettings, name) ? topicSettings[name] : undefined;
}

/** What the log engine obeys. Texts were checked when they were set; one that is bad all the same falls back to the default. */
export function resolveTopicLogConfig(explicit: ExplicitTopicConfig, broker: BrokerConfig): TopicLogConfig {
  const policies = splitList(effectiveTopicSetting('cleanup.policy', explicit, broker));
  return {
    cleanupPolicy: { delete: policies.includes('delete'), compact: policies.includes('compact') },
    retentionMs: numberOf('retention.ms', explicit, broker),
    retentionBytes: numberOf('retention.bytes', explicit, broker),
    maxMessageBytes: numberOf('max.message.bytes', explicit, broker),
    timestampType: effectiveTopicSetting('message.timestamp.type', explicit, broker) as TopicLogConfig['timestampType'],
    timestampBeforeMaxMs: numberOf('message.timestamp.before.max.ms', explicit, broker),
    timestampAfterMaxMs: numberOf('message.timestamp.after.max.ms', explicit, broker),
    compressionType: effectiveTopicSetting('compression.type', explicit, broker) as TopicLogConfig['compressionType'],
  };
}

/** The text that holds for a topic, wherever it comes from. */
export function effectiveTopicSetting(name: string, explicit: ExplicitTopicConfig, broker: BrokerConfig): string {
  const setting = topicSetting(name);
  if (setting === undefined) throw new Error(`no topic setting ${name}`);
  const own = Object.hasOwn(explicit, name) ? explicit[name] : undefined;
  if (own !== undefined && parseValue(setting.type, own).kind === 'value') return own.trim();
  return inherited(setting, broker)[0]?.value ?? setting.default;
}

/** All settings of a topic, or those that were asked for, by name ascending. */
export function describeTopicConfig(explicit: ExplicitTopicConfig, broker: BrokerConfig, names?: ReadonlySet<string>): DescribedSetting[] {
  const described: DescribedSetting[] = [];
  for (const [name, setting] of Object.entries(topicSettings)) {
    if (names !== undefined && !names.has(name)) continue;
    const synonyms: DescribedSynonym[] = [];
    const own = Object.hasOwn(explicit, name) ? explicit[name] : undefined;
    if (own !== undefined) synonyms.push({ name, value: own, source: ConfigSourceCodes.DYNAMIC_TOPIC_CONFIG });
    for (const layer of inherited(setting, broker)) synonyms.push({ name: layer.key, value: layer.text, source: layer.source });
    synonyms.push(...defaultSynonym(setting, broker));
    described.push({
      name,
      value: own ?? inherited(setting, broker)[0]?.value ?? setting.default,
      source: synonyms[0]?.source ?? ConfigSourceCodes.DEFAULT_CONFIG,
      readOnly: false,
      sensitive: false,
      type: setting.type.kafkaType,
      documentation: setting.doc,
      synonyms,
    });
  }
  return described;
}

/** What the broker sets for this topic setting: first what wins. `text` is the broker setting's own, `value` in the topic's unit. */
function inherited(
  setting: TopicSetting,
  broker: BrokerConfig,
): { readonly key: string; readonly text: string; readonly value: string; readonly source: ConfigSourceCode }[] {
  return setting.synonyms.flatMap((synonym) =>
    (broker.layers.get(synonym.key) ?? []).map((layer) => ({
      key: synonym.key,
      text: layer.text,
      value: inTopicUnit(synonym, layer.text),
      source: layerSources[layer.source],
    })),
  );
}

function inTopicUnit(synonym: Synonym, text: string): string {
  if (synonym.factor === 1) return text;
  const amount = Number(text);
  return String(amount < 0 ? amount : amount * synonym.factor);
}

/** Kafka lists its default under the last broker setting that can give it, but only when the first one has a value, too. */
function defaultSynonym(setting: TopicSetting, broker: BrokerConfig): DescribedSynonym[] {
  const [first] = setting.synonyms;
  const carrier = setting.synonyms.at(-1);
  if (first === undefined || carrier === undefined || (carrier !== first && !broker.layers.has(first.key))) return [];
  const value = carrier.factor === 1 ? setting.default : String(Number(setting.default) / carrier.factor);
  return [{ name: carrier.key, value, source: ConfigSourceCodes.DEFAULT_CONFIG }];
}

function numberOf(name: string, explicit: ExplicitTopicConfig, broker: BrokerConfig): number {
  const setting = topicSetting(name);
  const parsed = setting === undefined ? undefined : parseValue(setting.type, effectiveTopicSetting(name, explicit, broker));
  return parsed?.kind === 'value' ? (parsed.value as number) : Number(setting?.default);
}
