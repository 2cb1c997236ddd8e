/** One timer for everything of a coordinator that happens at a time: sessions, rebalances, waiting appends, retention. */
import type { Clock, Timer } from '../../io/clock.ts';
import { DeadlineHeap } from './deadline-heap.ts';

export interface Due {
  due(): void;
}

/** The longest that one timer is asked for; Node's own limit is 2^31 − 1 ms. */
const longestTimerMs = 3_600_000;

export class Deadlines {
  readonly #clock: Clock;
  readonly #heap = new DeadlineHeap<Due>();
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.size;
  }

  /** Calls `item.due()` once at `dueMs` (monotonic), or, when it is undefined, no more. */
  set(item: Due, dueMs: number | undefined): void {
    if (this.#closed) return;
    if (dueMs === undefined) this.#heap.delete(item);
    else this.#heap.set(item, dueMs);
    this.#arm();
  }

  close(): void {
    this.#closed = true;
    this.#heap.clear();
    this.#timer?.cancel();
  }

  #arm(): void {
    const next = this.#heap.nextMs();
    if (next === undefined || next >= this.#timerDueMs) return;
    this.#timer?.cancel();
    const nowMs = this.#clock.monotonicMs();
    // At least 1 ms, so that what is due again at once still lets others run.
    const delayMs = Math.min(Math.max(next - nowMs, 1), longestTimerMs);
    this.#timerDueMs = nowMs + delayMs;
    this.#timer = this.#clock.setTimer(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const due: Due[] = [];
    for (let item = this.#heap.popDue(nowMs); item; item = this.#heap.popDue(nowMs)) due.push(item);
    for (const item of due) if (!this.#closed) item.due();
    if (!this.#closed) this.#arm();
  }
}
