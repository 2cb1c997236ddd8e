/**
 * The simulation's only source of events: one heap ordered by (virtual time, rank, seeded tie-break). The loop
 * pops an event, runs it, lets all microtasks drain (one turn of the real event loop), then takes the next:
 * promises inside one turn are deterministic, everything else comes from here.
 */
import type { SimRandom } from './sim-random.ts';
import type { Trace } from './trace.ts';

/** Kept from before the runtime trap replaces it. */
const nextTurn = setImmediate;

export interface ScheduledEvent {
  cancel(): void;
}

export interface SchedulerLimits {
  readonly maxEvents: number;
  /** Events in a row at one virtual instant: a loop that never lets time pass. */
  readonly maxEventsWithoutTime: number;
  /** Calls into io within one event: a microtask loop that never ends. */
  readonly maxCallsPerEvent: number;
}

export const defaultSchedulerLimits: SchedulerLimits = { maxEvents: 2_000_000, maxEventsWithoutTime: 50_000, maxCallsPerEvent: 500_000 };

export class RunawayError extends Error {
  override readonly name = 'RunawayError';
}

/** `immediate` events run in the order they were asked for, before all others of the same instant. */
export type Rank = 'immediate' | 'normal';

export class Scheduler {
  readonly trace: Trace;
  readonly #random: SimRandom;
  readonly #limits: SchedulerLimits;
  readonly #heap: Item[] = [];
  #nowMs = 0;
  #sequence = 0;
  #ran = 0;
  #ranNow = 0;
  #calls = 0;
  #stepListeners: (() => void)[] = [];

  constructor(options: { readonly random: SimRandom; readonly trace: Trace; readonly limits?: SchedulerLimits }) {
    this.trace = options.trace;
    this.#random = options.random;
    this.#limits = options.limits ?? defaultSchedulerLimits;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get eventsRun(): number {
    return this.#ran;
  }

  schedule(delayMs: number, label: string, run: () => void, rank: Rank = 'normal'): ScheduledEvent {
    if (!(delayMs >= 0)) throw new Error(`delay ${delayMs} of ${label}`);
    const item: Item = {
      timeMs: this.#nowMs + Math.round(delayMs * 1000) / 1000,
      rank: rank === 'immediate' ? 0 : 1,
      tie: rank === 'immediate' ? 0 : this.#random.float(),
      sequence: this.#sequence++,
      label,
      run,
    };
    push(this.#heap, item);
    return { cancel: () => void (item.run = undefined) };
  }

  /** Called after every event, with all microtasks drained: invariants of the whole system. */
  onStep(listener: () => void): void {
    this.#stepListeners.push(listener);
  }

  /** Every call into a fake counts, so that a loop of microtasks (which no event interrupts) is noticed. */
  countCall(): void {
    if (++this.#calls > this.#limits.maxCallsPerEvent) throw new RunawayError(`more than ${this.#limits.maxCallsPerEvent} io calls within one event`);
  }

  /** Runs events until `done()` says so, the time limit passes, or nothing is left. */
  run(options: { readonly done: () => boolean; readonly untilMs: number }): Promise<'done' | 'time' | 'idle'> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        try {
          const stop = this.#step(options.done, options.untilMs);
          if (stop !== undefined) return resolve(stop);
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)));
        }
        nextTurn(turn);
      };
      nextTurn(turn);
    });
  }

  #step(done: () => boolean, untilMs: number): 'done' | 'time' | 'idle' | undefined {
    for (const listener of this.#stepListeners) listener();
    if (done()) return 'done';
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined) return 'idle';
      if (next.run === undefined) {
        pop(this.#heap);
        continue;
      }
      if (next.timeMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return 'time';
      }
      pop(this.#heap);
      this.#execute(next, next.run);
      return undefined;
    }
  }

  #execute(item: Item, run: () => void): void {
    if (item.timeMs > this.#nowMs) this.#ranNow = 0;
    this.#nowMs = Math.max(this.#nowMs, item.timeMs);
    this.#calls = 0;
    if (++this.#ran > this.#limits.maxEvents) throw new RunawayError(`more than ${this.#limits.maxEvents} events; last: ${item.label}`);
    if (++this.#ranNow > this.#limits.maxEventsWithoutTime) throw new RunawayError(`${this.#ranNow} events without time passing; last: ${item.label}`);
    this.trace.note(this.#nowMs, item.label);
    item.run = undefined;
    run();
  }
}

interface Item {
  readonly timeMs: number;
  readonly rank: number;
  readonly tie: number;
  readonly sequence: number;
  readonly label: string;
  run: (() => void) | undefined;
}

function before(a: Item, b: Item): boolean {
  if (a.timeMs !== b.timeMs) return a.timeMs < b.timeMs;
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.sequence < b.sequence;
}

function push(heap: Item[], item: Item): void {
  let child = heap.length;
  heap.push(item);
  while (child > 0) {
    const parent = (child - 1) >> 1;
    const above = heap[parent] as Item;
    if (!before(item, above)) break;
    heap[child] = above;
    child = parent;
  }
  heap[child] = item;
}

function pop(heap: Item[]): void {
  const last = heap.pop() as Item;
  if (heap.length === 0) return;
  let parent = 0;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Item, heap[child] as Item)) child++;
    if (!before(heap[child] as Item, last)) break;
    heap[parent] = heap[child] as Item;
    parent = child;
  }
  heap[parent] = last;
}
