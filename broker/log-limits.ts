/** The log engine's limits out of the broker's configuration. */
import type { BrokerConfig } from './config.ts';
import type { LogLimits } from './log/log.ts';

const largestDecompressedBytes = 64 * 1024 * 1024;
const maxProducersPerPartition = 100_000;
const tickMs = 100;
const settleMs = 5_000;

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
      settleMs,
    },
    logCacheBytes: config.logCacheBytes,
    checkpointBytes: config.mergeThresholdBytes,
    checkpointIntervalMs: config.checkpointIntervalMs,
    retentionIntervalMs: config.logRetentionCheckIntervalMs,
    tickMs,
    collectionDelayMs: config.gcDelayMs,
    maxProducersPerPartition,
    producerExpirationMs: config.producerIdExpirationMs,
    maxDecompressedBytes: largestDecompressedBytes,
  };
}

/** Requests to a folder or a loopback endpoint cost nothing: they are not paced. */
function storeIsLocal({ storageUrl, s3Endpoint }: BrokerConfig): boolean {
  if (!storageUrl.startsWith('s3:')) return true;
  const endpoint = s3Endpoint ?? new URLSearchParams(storageUrl.split('?')[1] ?? '').get('endpoint') ?? '';
  return /^https?:\/\/(127\.|localhost|\[::1\])/.test(endpoint);
}
