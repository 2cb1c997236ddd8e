/** The settings of a topic that the log engine obeys, parsed (Kafka's topic configuration). */
export interface TopicLogConfig {
  readonly cleanupPolicy: { readonly delete: boolean; readonly compact: boolean };
  /** −1: unlimited. */
  readonly retentionMs: number;
  /** −1: unlimited. */
  readonly retentionBytes: number;
  readonly maxMessageBytes: number;
  readonly timestampType: 'CreateTime' | 'LogAppendTime';
  readonly timestampBeforeMaxMs: number;
  readonly timestampAfterMaxMs: number;
  /** `producer` keeps what the producer chose. */
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
}

export const defaultTopicLogConfig: TopicLogConfig = {
  cleanupPolicy: { delete: true, compact: false },
  retentionMs: 604_800_000,
  retentionBytes: -1,
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  timestampAfterMaxMs: 3_600_000,
  compressionType: 'producer',
};
