/** A setting as DescribeConfigs tells it: value, source, synonyms (KIP-226). */
import type { SettingLayer } from './config.ts';
import type { KafkaType } from './config-value.ts';

/** DescribeConfigs' answer for one setting; sources are Kafka's `ConfigSource` numbers. */
export interface DescribedSetting {
  readonly name: string;
  /** null: secret. */
  readonly value: string | null;
  readonly source: ConfigSourceCode;
  readonly readOnly: boolean;
  readonly sensitive: boolean;
  readonly type: KafkaType;
  readonly documentation: string;
  readonly synonyms: readonly DescribedSynonym[];
}

export interface DescribedSynonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: ConfigSourceCode;
}

export const ConfigSourceCodes = {
  DYNAMIC_TOPIC_CONFIG: 1,
  DYNAMIC_BROKER_CONFIG: 2,
  DYNAMIC_DEFAULT_BROKER_CONFIG: 3,
  STATIC_BROKER_CONFIG: 4,
  DEFAULT_CONFIG: 5,
} as const;
export type ConfigSourceCode = (typeof ConfigSourceCodes)[keyof typeof ConfigSourceCodes];

export const layerSources: Readonly<Record<SettingLayer['source'], ConfigSourceCode>> = {
  'dynamic-broker': ConfigSourceCodes.DYNAMIC_BROKER_CONFIG,
  'dynamic-default': ConfigSourceCodes.DYNAMIC_DEFAULT_BROKER_CONFIG,
  static: ConfigSourceCodes.STATIC_BROKER_CONFIG,
};
