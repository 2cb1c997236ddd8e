/** Metrics as modules see them. `prometheus-metrics.ts` is the real one; tests read `memory` ones. Names are prom style (`automq_wal_upload_seconds`). */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  /** A gauge that is read when it is scraped. */
  observedGauge(name: string, help: string, read: () => number): void;
  histogram(name: string, help: string, buckets: readonly number[], labels?: readonly string[]): Histogram;
}

/** Label values come in the order of the labels' names. Their cardinality is the caller's duty: never anything a client sends. */
export interface Counter {
  add(amount: number, ...labelValues: readonly string[]): void;
}

export interface Gauge {
  set(value: number, ...labelValues: readonly string[]): void;
}

export interface Histogram {
  observe(value: number, ...labelValues: readonly string[]): void;
}

const nothing = { add: () => {}, set: () => {}, observe: () => {} };
export const noMetrics: Metrics = {
  counter: () => nothing,
  gauge: () => nothing,
  observedGauge: () => {},
  histogram: () => nothing,
};
