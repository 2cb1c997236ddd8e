/**
 * The log cache: the newest counted groups, kept in memory for tail reads and for the merge, within a byte budget
 * for the whole broker. Eviction is first in, first out, a group at a time: a group's slices share the buffers that
 * requests arrived in, so only whole groups give memory back. What counts is memory: a slice of one small record costs ten times its bytes.
 */
import type { Metrics } from '../../io/metrics.ts';
import type { OpenGroup } from './wal/open-group.ts';

export class LogCache {
  readonly #budgetBytes: number;
  readonly #groups: (OpenGroup | undefined)[] = [];
  #first = 0;
  #sizeBytes = 0;

  constructor(options: { readonly budgetBytes: number; readonly metrics: Metrics }) {
    this.#budgetBytes = options.budgetBytes;
    options.metrics.observedGauge('automq_log_cache_bytes', 'Memory that recent records take', () => this.#sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  add(group: OpenGroup): void {
    this.#groups.push(group);
    this.#sizeBytes += group.memoryBytes;
    while (this.#sizeBytes > this.#budgetBytes && this.#first < this.#groups.length) this.#evictOldest();
  }

  #evictOldest(): void {
    const group = this.#groups[this.#first] as OpenGroup;
    this.#groups[this.#first] = undefined;
    this.#first++;
    this.#sizeBytes -= group.memoryBytes;
    for (const slice of group.slices) slice.owner.sliceEvicted(slice);
    group.release();
    if (this.#first > 1024 && this.#first * 2 > this.#groups.length) {
      this.#groups.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
