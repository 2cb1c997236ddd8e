/**
 * Deletes released objects (design §6): only what was released before a checkpoint that is *proven* (its pointer
 * written by a transaction that compared "no claim"), after a delay for readers that still hold an old index.
 */
import type { Clock } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { Counter, Metrics } from '../../io/metrics.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { ObjectKey } from './format/object-keys.ts';

export interface CollectionOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly delayMs: number;
  /** Keys in one request. */
  readonly batchSize: number;
}

interface Batch {
  readonly dueAtMs: number;
  readonly keys: readonly ObjectKey[];
}

export class Collection {
  readonly #options: CollectionOptions;
  readonly #deleted: Counter;
  #due: Batch[] = [];
  readonly #waiting = new Set<ObjectKey>();
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: CollectionOptions) {
    this.#options = options;
    this.#deleted = options.metrics.counter('automq_objects_deleted_total', 'Objects that collection deleted');
    options.metrics.observedGauge('automq_objects_waiting_for_deletion', 'Objects that nothing reaches any more', () => this.waiting);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** A proven checkpoint reaches none of these. */
  add(keys: readonly ObjectKey[]): void {
    const added = keys.filter((key) => !this.#waiting.has(key));
    for (const key of added) this.#waiting.add(key);
    if (added.length > 0) this.#due.push({ dueAtMs: this.#options.clock.monotonicMs() + this.#options.delayMs, keys: added });
  }

  /** Deletes what is due; one run at a time. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const now = this.#options.clock.monotonicMs();
    const due = this.#due.filter(({ dueAtMs }) => dueAtMs <= now).flatMap(({ keys }) => keys);
    this.#due = this.#due.filter(({ dueAtMs }) => dueAtMs > now);
    const left: ObjectKey[] = [];
    for (let i = 0; i < due.length; i += this.#options.batchSize) {
      const keys = due.slice(i, i + this.#options.batchSize);
      left.push(...(this.#closed ? keys : await this.#delete(keys)));
    }
    for (const key of due) this.#waiting.delete(key);
    this.add(left);
  }

  async #delete(keys: readonly ObjectKey[]): Promise<readonly ObjectKey[]> {
    const outcome = await this.#options.objects.delete(keys);
    if (outcome.kind === 'deleted') {
      this.#deleted.add(keys.length);
      return [];
    }
    if (outcome.kind === 'partial') {
      this.#deleted.add(keys.length - outcome.left.length);
      return outcome.left as readonly ObjectKey[];
    }
    this.#options.logger.warn('objects could not be deleted, trying again later', { count: keys.length, cause: outcome.cause });
    return keys;
  }
}
