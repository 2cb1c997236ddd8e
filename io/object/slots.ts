/**
 * A bounded number of calls at a time, the rest waiting in order up to a limit. Waiting ends with the call's own end (F45).
 */
import type { CallEnd } from './call-end.ts';

export interface SlotLimits {
  readonly maxInFlight: number;
  /** Calls that may wait besides; one more is told no at once. */
  readonly maxWaiting: number;
}

export class Slots {
  readonly #limits: SlotLimits;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves to undefined when a slot was given (`free` it once), else to why there is none. */
  async take(end: CallEnd): Promise<string | undefined> {
    if (end.cause !== undefined) return end.cause;
    if (this.#taken < this.#limits.maxInFlight) {
      this.#taken++;
      return undefined;
    }
    if (this.#waiting.size >= this.#limits.maxWaiting) return `${this.#limits.maxWaiting} calls wait already`;
    return new Promise((resolve) => {
      const onFree = () => {
        forget();
        resolve(undefined);
      };
      this.#waiting.add(onFree);
      const forget = end.onEnd(() => {
        this.#waiting.delete(onFree);
        resolve(`${end.cause} (it waited for one of ${this.#limits.maxInFlight} slots)`);
      });
    });
  }

  /** Hands the slot to whoever waits longest. */
  free(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#taken--;
  }
}
