/** What the WAL tells about itself. */
import type { Counter, Gauge, Histogram, Metrics } from '../../../io/metrics.ts';

export interface WalMetrics {
  readonly uploadSeconds: Histogram;
  readonly groupBytes: Histogram;
  readonly uploadedBytes: Counter;
  readonly inFlight: Gauge;
  readonly trouble: Counter;
  readonly hedged: Counter;
  readonly ownObjectFound: Counter;
}

export function createWalMetrics(metrics: Metrics): WalMetrics {
  return {
    uploadSeconds: metrics.histogram(
      'automq_wal_upload_seconds',
      'From closing a group to its object being durable',
      [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    ),
    groupBytes: metrics.histogram('automq_wal_group_bytes', 'Bytes of records in one WAL object', [1e3, 1e4, 1e5, 5e5, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6]),
    uploadedBytes: metrics.counter('automq_wal_uploaded_bytes_total', 'Bytes of WAL objects that became durable'),
    inFlight: metrics.gauge('automq_wal_uploads_in_flight', 'WAL objects sent and not counted yet'),
    trouble: metrics.counter('automq_wal_upload_trouble_total', 'Attempts that the store did not confirm', ['kind']),
    hedged: metrics.counter('automq_wal_hedged_uploads_total', 'Slow uploads that were sent a second time'),
    ownObjectFound: metrics.counter('automq_wal_own_object_found_total', 'Attempts whose lost answer was settled by reading our own object back'),
  };
}
