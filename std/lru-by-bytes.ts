/** Keeps values within a budget of bytes: the least recently used go first. */
import { invariant } from './invariant.ts';

export interface LruOptions<V> {
  readonly budgetBytes: number;
  /** Told of each value that had to go, not of those that were deleted or replaced. */
  readonly onEvicted?: (value: V) => void;
}

export class LruByBytes<K, V> {
  readonly #options: LruOptions<V>;
  /** Least recently used first. */
  readonly #entries = new Map<K, { readonly value: V; readonly sizeBytes: number }>();
  #sizeBytes = 0;

  constructor(options: LruOptions<V>) {
    invariant(options.budgetBytes >= 0, 'a cache needs a budget', { budgetBytes: options.budgetBytes });
    this.#options = options;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Makes it the most recently used. */
  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** A value that is larger than the budget is evicted at once. */
  set(key: K, value: V, sizeBytes: number): void {
    this.delete(key);
    this.#entries.set(key, { value, sizeBytes });
    this.#sizeBytes += sizeBytes;
    this.shrinkTo(this.#options.budgetBytes);
  }

  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#sizeBytes -= entry.sizeBytes;
    return true;
  }

  /** Evicts until at most so many bytes are left. */
  shrinkTo(bytes: number): void {
    if (this.#sizeBytes <= bytes) return;
    for (const [key, { value }] of this.#entries) {
      this.delete(key);
      this.#options.onEvicted?.(value);
      if (this.#sizeBytes <= bytes) return;
    }
  }
}
