/** The log engine's limits out of the broker's configuration. */
import type { BrokerConfig } from './config.ts';
import type { LogLimits } from './log/log.ts';

const largestDecompressedBytes = 64 * 1024 * 1024;
const maxProducersPerPartition = 100_000;
const tickMs = 100;
/** A slice costs a recovery some ten microseconds. */
const checkpointSlices = 20_000;
const kib = 1024;
const mib = 1024 * kib;
const settleMs = 5_000;
const hedgeMinMs = 100;
/** What a merge holds in memory besides the log cache, at most. */
const mergeOutputBytes = 32 * mib;

export function logLimits(config: BrokerConfig): LogLimits {
  return {
    wal: {
      maxGroupBytes: config.walGroupMaxBytes,
      maxUploads: config.walUploadSlots,
      idleUploads: Math.min(2, config.walUploadSlots),
      smallGroupBytes: Math.ceil(config.walGroupMaxBytes / 8),
      maxPendingBytes: config.uploadMaxBytes,
      putsPerSecond: storeIsLocal(config) ? 0 : config.walPutRatePerSecond,
      putBurst: config.walPutBurst,
      baseBackoffMs: 50,
      maxBackoffMs: 5_000,
      hedgeMinMs: isFolder(config) ? 0 : hedgeMinMs,
      settleMs,
    },
    merge: {
      // Slices are read out of the log cache while they are there: half of it may fill up before a merge begins.
      thresholdBytes: Math.min(config.mergeThresholdBytes, Math.max(mib, Math.floor(config.logCacheBytes / 2))),
      thresholdObjects: config.mergeThresholdObjects,
      intervalMs: config.mergeIntervalMs,
      sparseDelayMs: 10 * config.mergeIntervalMs,
      largeEntryBytes: 256 * kib,
      fanIn: 8,
      smallObjectBytes: mib,
      streamObjectMinBytes: config.streamObjectMinBytes,
      maxOutputBytes: mergeOutputBytes,
      maxSlicesPerOutput: 10_000,
      maxEntriesPerPartition: 2_048,
      maxIndexEntries: 500_000,
      maxPlanBytes: 1024 * mib,
      concurrentReads: 2,
      readAttempts: 5,
      baseBackoffMs: 100,
      maxBackoffMs: 5_000,
    },
    logCacheBytes: config.logCacheBytes,
    checkpointBytes: config.mergeThresholdBytes,
    checkpointObjects: config.checkpointIntervalObjects,
    checkpointSlices,
    checkpointIntervalMs: config.checkpointIntervalMs,
    retentionIntervalMs: config.logRetentionCheckIntervalMs,
    tickMs,
    collectionDelayMs: config.gcDelayMs,
    maxProducersPerPartition,
    producerExpirationMs: config.producerIdExpirationMs,
    maxDecompressedBytes: largestDecompressedBytes,
  };
}

function isFolder({ storageUrl }: BrokerConfig): boolean {
  return !storageUrl.startsWith('s3:');
}

/** Requests to a folder or a loopback endpoint cost nothing: they are not paced. */
function storeIsLocal({ storageUrl, s3Endpoint }: BrokerConfig): boolean {
  if (!storageUrl.startsWith('s3:')) return true;
  const endpoint = s3Endpoint ?? new URLSearchParams(storageUrl.split('?')[1] ?? '').get('endpoint') ?? '';
  return /^https?:\/\/(127\.|localhost|\[::1\])/.test(endpoint);
}
