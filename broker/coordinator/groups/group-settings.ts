/** The settings and limits of the group coordinator: Kafka's from the configuration, our own where Kafka has none. */
import type { BrokerConfig } from '../../config.ts';
import type { GroupLimits } from './group.ts';
import type { GroupStorageLimits } from './group-partition.ts';

export interface GroupSettings {
  readonly limits: GroupLimits;
  readonly storage: GroupStorageLimits;
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  /** Protocols that one member may offer; more are INCONSISTENT_GROUP_PROTOCOL. */
  readonly maxProtocols: number;
  /** Bytes of all metadata of one member; more could never be stored. */
  readonly maxMemberMetadataBytes: number;
  /** offset.metadata.max.bytes, counted in characters as Kafka does. */
  readonly maxOffsetMetadataLength: number;
  readonly offsetsRetentionMs: number;
  readonly retentionCheckIntervalMs: number;
  readonly offsetsTopicPartitions: number;
}

const mib = 1024 * 1024;
const fiveMinutesMs = 300_000;

export function groupSettings(config: BrokerConfig): GroupSettings {
  return {
    limits: {
      initialRebalanceDelayMs: config.groupInitialRebalanceDelayMs,
      maxMembers: config.groupMaxSize,
      maxPendingMembers: 10_000,
      maxMetadataBytes: 16 * mib,
      newMemberJoinTimeoutMs: fiveMinutesMs,
    },
    storage: {
      loadChunkBytes: mib,
      maxBatchBytes: 128 * mib,
      minLoadRetryMs: 500,
      maxLoadRetryMs: 30_000,
      appendTimeoutMs: config.offsetsCommitTimeoutMs,
      maxPendingBytes: 32 * mib,
      maxTombstonesPerBatch: 1_000,
      compaction: { minHistoryBytes: config.offsetsCompactionMinBytes, historyFactor: 3, batchBytes: 64 * 1024, maxInFlightBytes: mib, retryMs: 30_000 },
    },
    minSessionTimeoutMs: config.groupMinSessionTimeoutMs,
    maxSessionTimeoutMs: config.groupMaxSessionTimeoutMs,
    maxProtocols: 100,
    maxMemberMetadataBytes: mib,
    maxOffsetMetadataLength: config.offsetMetadataMaxBytes,
    offsetsRetentionMs: config.offsetsRetentionMinutes * 60_000,
    retentionCheckIntervalMs: config.offsetsRetentionCheckIntervalMs,
    offsetsTopicPartitions: config.offsetsTopicNumPartitions,
  };
}
