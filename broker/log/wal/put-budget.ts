/** A token bucket over the monotonic clock: paces group uploads, which cost money on a cloud's store (design §3). */
import type { Clock } from '../../../io/clock.ts';

export interface PutBudgetOptions {
  readonly clock: Clock;
  /** Tokens a second; 0: no limit. */
  readonly perSecond: number;
  readonly burst: number;
}

export class PutBudget {
  readonly #options: PutBudgetOptions;
  #tokens: number;
  #filledAtMs: number;

  constructor(options: PutBudgetOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledAtMs = options.clock.monotonicMs();
  }

  /** Takes a token and answers 0, or answers how many milliseconds to wait for one. */
  take(): number {
    const { clock, perSecond, burst } = this.#options;
    if (perSecond === 0) return 0;
    const now = clock.monotonicMs();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAtMs) * perSecond) / 1000);
    this.#filledAtMs = now;
    if (this.#tokens < 1) return Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / perSecond));
    this.#tokens -= 1;
    return 0;
  }
}
