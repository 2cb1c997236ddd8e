/** The 99th percentile of the last attempts' latencies: what counts as unusually slow (hedging, design §3). */
const windowSize = 128;
const refreshEvery = 16;

export class RecentLatency {
  readonly #samples: number[] = [];
  #next = 0;
  #sinceRefresh = 0;
  #p99: number | undefined;

  add(latencyMs: number): void {
    this.#samples[this.#next] = latencyMs;
    this.#next = (this.#next + 1) % windowSize;
    this.#sinceRefresh++;
    if (this.#sinceRefresh < refreshEvery) return;
    this.#sinceRefresh = 0;
    const sorted = this.#samples.toSorted((a, b) => a - b);
    this.#p99 = sorted[Math.floor(sorted.length * 0.99)];
  }

  /** Milliseconds; undefined until enough was seen. */
  get p99(): number | undefined {
    return this.#p99;
  }
}
