/**
 * A history that keeps every promise, made from a log in memory: several producers with sends under way at the
 * same time, unknown outcomes that happened or not, consumers from the start and at the tail, a final reading.
 * Tests of the checker break it in one place at a time.
 */
import { SeededRandom } from '../../io/seeded-random.ts';
import type { Operation, PollOperation, SendOperation } from './history.ts';

interface Pending {
  readonly send: Omit<SendOperation, 'type' | 't1' | 'baseOffset'>;
  readonly base: number | null;
}

export function cleanHistory(seed: number, key = 'topic/0'): Operation[] {
  return new CleanLog(new SeededRandom(seed), key).history;
}

class CleanLog {
  readonly history: Operation[] = [];
  readonly #random: SeededRandom;
  readonly #key: string;
  readonly #log: (readonly [number, number, number])[] = [];
  readonly #orders = new Map<string, number>();
  readonly #positions = new Map<string, number>();
  #nowMs = 0;
  #nextValue = 1;
  #epoch = 0;

  constructor(random: SeededRandom, key: string) {
    this.#random = random;
    this.#key = key;
    for (let round = 0; round < 40; round++) this.#round();
    this.#consumer('reader-1', false);
    this.#consumer('reader-2', false);
    while (this.#poll('final', true) > 0);
  }

  #round(): void {
    const pending: Pending[] = [];
    for (let i = this.#random.below(4); i >= 0; i--) pending.push(this.#begin(`producer-${this.#random.below(3)}`));
    for (const one of pending) this.#end(one);
    if (this.#random.below(8) === 0) this.#epoch++;
    this.#consumer('reader-1', false);
    if (this.#random.below(2) === 0) this.#consumer('reader-2', false);
    if (this.#random.below(3) === 0) this.#list();
  }

  #begin(process: string): Pending {
    const values = Array.from({ length: 1 + this.#random.below(3) }, () => this.#nextValue++);
    const order = (this.#orders.get(process) ?? 0) + 1;
    this.#orders.set(process, order);
    const base = this.#random.below(8) === 0 ? null : this.#log.length;
    if (base !== null) values.forEach((value, i) => this.#log.push([base + i, value, this.#epoch]));
    return { send: { f: 'send', process, key: this.#key, t0: this.#tick(), values, idempotent: process !== 'producer-0', order, attempts: 1 }, base };
  }

  #end({ send, base }: Pending): void {
    const unknown = base === null || this.#random.below(6) === 0;
    if (!unknown) {
      this.history.push({ ...send, type: 'ok', t1: this.#tick(), baseOffset: base });
      if (send.idempotent && this.#random.below(3) === 0) {
        this.history.push({
          f: 'resend',
          type: 'ok',
          process: send.process,
          key: this.#key,
          t0: this.#tick(),
          t1: this.#tick(),
          values: send.values,
          baseOffset: base,
        });
      }
      return;
    }
    const failed = base === null && this.#random.below(2) === 0;
    this.history.push({
      ...send,
      type: failed ? 'fail' : 'info',
      t1: this.#tick(),
      baseOffset: null,
      error: failed ? 'NOT_ENOUGH_REPLICAS' : 'REQUEST_TIMED_OUT',
    });
  }

  #consumer(process: string, final: boolean): void {
    if (!this.#positions.has(process)) {
      const to = process === 'reader-1' ? 0 : this.#log.length;
      this.#positions.set(process, to);
      this.history.push({ f: 'seek', type: 'ok', process, key: this.#key, t0: this.#tick(), t1: this.#nowMs, to });
    }
    this.#poll(process, final);
  }

  #poll(process: string, final: boolean): number {
    const from = this.#positions.get(process) ?? 0;
    const records = this.#log.slice(from, from + 2 + this.#random.below(12));
    this.#positions.set(process, from + records.length);
    const end = this.#log.length;
    const poll: PollOperation = {
      f: 'poll',
      type: 'ok',
      process,
      key: this.#key,
      t0: this.#tick(),
      t1: this.#tick(),
      from,
      isolation: 'uncommitted',
      records,
      next: from + records.length,
      highWatermark: end,
      lastStableOffset: end,
      logStart: 0,
    };
    this.history.push(final ? { ...poll, final: true } : poll);
    return records.length;
  }

  #list(): void {
    this.history.push({
      f: 'listOffsets',
      type: 'ok',
      process: 'lister',
      key: this.#key,
      t0: this.#tick(),
      t1: this.#tick(),
      spec: 'latest',
      offset: this.#log.length,
    });
  }

  #tick(): number {
    this.#nowMs += 1 + this.#random.below(5);
    return this.#nowMs;
  }
}
