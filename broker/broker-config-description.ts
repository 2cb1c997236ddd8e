/** DescribeConfigs' answer for a broker: every setting that has an effect, with where its value comes from (KIP-226). */
import { brokerSettings, type BrokerSetting } from './broker-settings.ts';
import { brokerSettingTypes, isDynamicSetting, type BrokerConfig } from './config.ts';
import { ConfigSourceCodes, layerSources, type ConfigSourceCode, type DescribedSetting, type DescribedSynonym } from './config-sources.ts';
import { topicSettings } from './topic-settings.ts';

export function describeBrokerConfig(config: BrokerConfig, names?: ReadonlySet<string>): DescribedSetting[] {
  const described: DescribedSetting[] = [];
  for (const key of [...brokerSettingTypes.keys()].sort()) {
    if (names === undefined || names.has(key)) described.push(describe(key, config));
  }
  return described;
}

/** What was set for all brokers, or for one, through the protocol; nothing else. */
export function describeDynamicSettings(values: Readonly<Record<string, string>>, source: ConfigSourceCode, names?: ReadonlySet<string>): DescribedSetting[] {
  const described: DescribedSetting[] = [];
  for (const [key, value] of Object.entries(values)) {
    const type = brokerSettingTypes.get(key);
    if (type === undefined || (names !== undefined && !names.has(key))) continue;
    const synonyms = [{ name: key, value, source }];
    described.push({ name: key, value, source, readOnly: false, sensitive: false, type: type.kafkaType, documentation: documentationOf(key), synonyms });
  }
  return described;
}

function describe(key: string, config: BrokerConfig): DescribedSetting {
  const own = (brokerSettings as Readonly<Record<string, BrokerSetting<unknown>>>)[key];
  const secret = own?.secret ?? false;
  const fallback = own === undefined ? topicDefaults.get(key) : own.default === '' ? undefined : own.default;
  const synonyms: DescribedSynonym[] = (config.layers.get(key) ?? []).map((layer) => ({
    name: key,
    value: secret ? null : layer.text,
    source: layerSources[layer.source],
  }));
  if (fallback !== undefined) synonyms.push({ name: key, value: secret ? null : fallback, source: ConfigSourceCodes.DEFAULT_CONFIG });
  return {
    name: key,
    value: synonyms[0]?.value ?? null,
    source: synonyms[0]?.source ?? ConfigSourceCodes.DEFAULT_CONFIG,
    readOnly: !isDynamicSetting(key),
    sensitive: secret,
    type: brokerSettingTypes.get(key)?.kafkaType ?? 'string',
    documentation: documentationOf(key),
    synonyms,
  };
}

function documentationOf(key: string): string {
  const own = (brokerSettings as Readonly<Record<string, BrokerSetting<unknown>>>)[key];
  if (own !== undefined) return own.doc;
  const entry = Object.entries(topicSettings).find(([, setting]) => setting.synonyms.some((synonym) => synonym.key === key));
  return entry === undefined ? '' : `Default of the topic setting ${entry[0]}: ${entry[1].doc}`;
}

/** Where several settings can give a topic's default (ms, minutes, hours), Kafka's default sits at the last one. */
const topicDefaults: ReadonlyMap<string, string> = new Map(
  Object.values(topicSettings).flatMap((setting): [string, string][] => {
    const carrier = setting.synonyms.at(-1);
    return carrier === undefined ? [] : [[carrier.key, carrier.factor === 1 ? setting.default : String(Number(setting.default) / carrier.factor)]];
  }),
);
