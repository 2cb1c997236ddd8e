/** `Metrics` that a test reads: `value` of counters and gauges, `observations` of histograms. */
import type { Counter, Gauge, Histogram, Metrics } from './metrics.ts';

export class MemoryMetrics implements Metrics {
  readonly #values = new Map<string, number>();
  readonly #observations = new Map<string, number[]>();
  readonly #observed = new Map<string, () => number>();

  counter(name: string): Counter {
    return { add: (amount, ...labels) => void this.#values.set(keyOf(name, labels), this.value(name, ...labels) + amount) };
  }

  gauge(name: string): Gauge {
    return { set: (value, ...labels) => void this.#values.set(keyOf(name, labels), value) };
  }

  observedGauge(name: string, _help: string, read: () => number): void {
    this.#observed.set(name, read);
  }

  histogram(name: string): Histogram {
    return { observe: (value, ...labels) => void this.#observationsOf(keyOf(name, labels)).push(value) };
  }

  /** A counter's or gauge's value, 0 when nothing was ever recorded. */
  value(name: string, ...labels: readonly string[]): number {
    return this.#observed.get(name)?.() ?? this.#values.get(keyOf(name, labels)) ?? 0;
  }

  /** The sum of a counter over all its label values. */
  total(name: string): number {
    let sum = 0;
    for (const [key, value] of this.#values) if (key === name || key.startsWith(`${name}\0`)) sum += value;
    return sum;
  }

  observations(name: string, ...labels: readonly string[]): readonly number[] {
    return this.#observationsOf(keyOf(name, labels));
  }

  #observationsOf(key: string): number[] {
    const kept = this.#observations.get(key) ?? [];
    this.#observations.set(key, kept);
    return kept;
  }
}

function keyOf(name: string, labels: readonly string[]): string {
  return [name, ...labels].join('\0');
}
