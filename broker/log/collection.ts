/**
 * Deletes released objects (design §6): only what was released before a checkpoint that is *proven* (its pointer
 * written by a transaction that compared "no claim"), after a delay for readers that still hold an old index, and only what
 * no other broker holds (docs/design/0004-many-brokers.md): what is held is asked for again later.
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
  /** Whether something here reaches the object again: a partition that came back. */
  readonly isReached: (key: ObjectKey) => boolean;
  /** Which of the keys others hold, at a metadata revision not older than `notOlderThan`; undefined when nobody knows now. */
  readonly heldOf: (keys: readonly ObjectKey[], notOlderThan: number) => Promise<ReadonlySet<ObjectKey> | undefined>;
}

/** Held objects are asked for again after so long, at least. */
const heldRetryMs = 1_000;

interface Batch {
  readonly dueAtMs: number;
  readonly provenAt: number;
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

  has(key: ObjectKey): boolean {
    return this.#waiting.has(key);
  }

  /** A checkpoint that was proven at the metadata revision `provenAt` reaches none of these. */
  add(keys: readonly ObjectKey[], provenAt: number): void {
    this.#add(keys, provenAt, this.#options.delayMs);
  }

  #add(keys: readonly ObjectKey[], provenAt: number, delayMs: number): void {
    const added = keys.filter((key) => !this.#waiting.has(key));
    for (const key of added) this.#waiting.add(key);
    if (added.length > 0) this.#due.push({ dueAtMs: this.#options.clock.monotonicMs() + delayMs, provenAt, keys: added });
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
    const due = this.#due.filter(({ dueAtMs }) => dueAtMs <= now);
    if (due.length === 0) return;
    this.#due = this.#due.filter(({ dueAtMs }) => dueAtMs > now);
    const keys = due.flatMap((batch) => batch.keys);
    const provenAt = Math.max(...due.map((batch) => batch.provenAt));
    const held = await this.#options.heldOf(keys, provenAt).catch((error: unknown) => {
      this.#options.logger.error('nobody says which objects are held: nothing is deleted now', { error: String(error) });
      return undefined;
    });
    for (const key of keys) this.#waiting.delete(key);
    const later = held === undefined ? keys : keys.filter((key) => held.has(key));
    const free = held === undefined ? [] : keys.filter((key) => !held.has(key) && !this.#options.isReached(key));
    this.#add(later, provenAt, Math.max(heldRetryMs, this.#options.delayMs));
    for (let i = 0; i < free.length; i += this.#options.batchSize) {
      const some = free.slice(i, i + this.#options.batchSize);
      this.#add(this.#closed ? some : await this.#delete(some), provenAt, this.#options.delayMs);
    }
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
