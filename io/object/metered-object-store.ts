/**
 * Counts what goes to a store: requests by kind and outcome, bytes, latency, calls in flight, and an estimate of what the requests cost.
 * Prices are those of S3 Standard in us-east-1 (AWS price list, 2025): deletes and data within a region are free.
 */
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { ObjectStore } from './object-store.ts';

export interface RequestPrices {
  /** USD per 1,000 PUT and LIST requests. */
  readonly putPerThousand: number;
  /** USD per 1,000 GET and HEAD requests. */
  readonly getPerThousand: number;
}

export interface MeteredObjectStoreOptions {
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Zero for stores that cost nothing per request. */
  readonly prices?: RequestPrices;
}

type Operation = 'create' | 'read' | 'head' | 'delete' | 'list';

export const s3Prices: RequestPrices = { putPerThousand: 0.005, getPerThousand: 0.0004 };
export const noPrices: RequestPrices = { putPerThousand: 0, getPerThousand: 0 };

const latencyBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

export function meteredObjectStore(store: ObjectStore, { metrics, clock, prices = s3Prices }: MeteredObjectStoreOptions): ObjectStore {
  const requests = metrics.counter('automq_object_store_requests_total', 'Object store requests', ['operation', 'outcome']);
  const seconds = metrics.histogram('automq_object_store_request_seconds', 'Time of object store requests', latencyBuckets, ['operation']);
  const bytes = metrics.counter('automq_object_store_bytes_total', 'Bytes of objects moved', ['direction']);
  const cost = metrics.counter('automq_object_store_cost_usd_total', 'Estimated cost of object store requests', ['operation']);
  let inFlight = 0;
  metrics.observedGauge('automq_object_store_requests_in_flight', 'Object store requests in flight', () => inFlight);
  const usd: Record<Operation, number> = {
    create: prices.putPerThousand / 1000,
    list: prices.putPerThousand / 1000,
    read: prices.getPerThousand / 1000,
    head: prices.getPerThousand / 1000,
    delete: 0,
  };

  const metered = async <Outcome extends { readonly kind: string }>(operation: Operation, call: () => Promise<Outcome>): Promise<Outcome> => {
    const startMs = clock.monotonicMs();
    inFlight++;
    try {
      const outcome = await call();
      requests.add(1, operation, outcome.kind);
      return outcome;
    } finally {
      inFlight--;
      seconds.observe((clock.monotonicMs() - startMs) / 1000, operation);
      if (usd[operation] > 0) cost.add(usd[operation], operation);
    }
  };
  const reading = async <Outcome extends { readonly kind: string; readonly bytes?: Buffer }>(call: () => Promise<Outcome>): Promise<Outcome> => {
    const outcome = await metered('read', call);
    if (outcome.bytes) bytes.add(outcome.bytes.length, 'read');
    return outcome;
  };

  return {
    create: async (key, body, options) => {
      const outcome = await metered('create', () => store.create(key, body, options));
      if (outcome.kind === 'created') bytes.add(body.sizeBytes, 'written');
      return outcome;
    },
    read: (key, range, options) => reading(() => store.read(key, range, options)),
    readTail: (key, length, options) => reading(() => store.readTail(key, length, options)),
    head: (key, options) => metered('head', () => store.head(key, options)),
    delete: (keys, options) => metered('delete', () => store.delete(keys, options)),
    list: (prefix, after, options) => metered('list', () => store.list(prefix, after, options)),
    close: () => store.close(),
  };
}
