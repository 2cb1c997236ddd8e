/**
 * The real `Metrics`: a prom-client registry of its own, rendered for /metrics. Children of a metric are kept
 * per label values, because looking them up in prom-client costs a hash of an object per observation; their
 * number is bounded, and what comes past the bound is counted under `_overflow`.
 */
import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.ts';

export interface PrometheusOptions {
  /** Process, garbage collection and event loop metrics of Node itself. Default true. */
  readonly processMetrics?: boolean;
  /** Distinct label values of one metric. */
  readonly childrenLimit?: number;
}

export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #kept = new Map<string, unknown>();
  readonly #childrenLimit: number;

  constructor(options: PrometheusOptions = {}) {
    this.#childrenLimit = options.childrenLimit ?? 5_000;
    if (options.processMetrics ?? true) collectDefaultMetrics({ register: this.#registry });
  }

  /** The text of /metrics. */
  async render(): Promise<{ readonly type: string; readonly body: string }> {
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    return this.#once(name, () => {
      const metric = new PromCounter({ name, help, labelNames: [...labels], registers: [this.#registry] });
      const child = this.#children(labels, (values) => metric.labels(...values));
      return { add: (amount, ...values) => child(values).inc(amount) };
    });
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
    return this.#once(name, () => {
      const metric = new PromGauge({ name, help, labelNames: [...labels], registers: [this.#registry] });
      const child = this.#children(labels, (values) => metric.labels(...values));
      return { set: (value, ...values) => child(values).set(value) };
    });
  }

  histogram(name: string, help: string, buckets: readonly number[], labels: readonly string[] = []): Histogram {
    return this.#once(name, () => {
      const metric = new PromHistogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [this.#registry] });
      const child = this.#children(labels, (values) => metric.labels(...values));
      return { observe: (value, ...values) => child(values).observe(value) };
    });
  }

  /** The last one to observe a name wins: a module that was closed and made anew reads its new self. */
  observedGauge(name: string, help: string, read: () => number): void {
    this.#registry.removeSingleMetric(name);
    const gauge = new PromGauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(read());
      },
    });
    this.#registry.registerMetric(gauge);
  }

  #once<T>(name: string, make: () => T): T {
    const kept = this.#kept.get(name) as T | undefined;
    if (kept !== undefined) return kept;
    const made = make();
    this.#kept.set(name, made);
    return made;
  }

  #children<T>(labels: readonly string[], make: (values: string[]) => T): (values: readonly string[]) => T {
    if (labels.length === 0) {
      const only = make([]);
      return () => only;
    }
    const children = new Map<string, T>();
    return (values) => {
      if (values.length !== labels.length) throw new Error(`labels ${labels.join(', ')} got the values ${values.join(', ')}`);
      const key = values.length === 1 ? (values[0] as string) : values.join('\0');
      const known = children.get(key);
      if (known !== undefined) return known;
      const overflow = labels.map(() => '_overflow');
      const isFull = children.size >= this.#childrenLimit;
      const child = isFull ? (children.get(overflow.join('\0')) ?? make(overflow)) : make([...values]);
      children.set(isFull ? overflow.join('\0') : key, child);
      return child;
    };
  }
}
