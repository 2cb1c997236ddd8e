/**
 * The machine's own clock. A timer here never fires early: libuv rounds to whole milliseconds of its loop
 * time, so a bare setTimeout can run before the monotonic clock has reached its due time, and a lease
 * deadline that fires early would be a lie. Delays beyond setTimeout's 2^31 − 1 ms are served in parts.
 */
import type { Clock, Timer } from './clock.ts';

const longestDelayMs = 0x7fff_ffff;
let deferredCount = 0;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs, callback) => new SystemTimer(delayMs, callback),
  defer: (callback) => {
    deferredCount++;
    setImmediate(() => {
      deferredCount--;
      callback();
    });
  },
};

class SystemTimer implements Timer {
  readonly #callback: () => void;
  readonly #dueMs: number;
  #handle: NodeJS.Timeout;
  #cancelled = false;

  constructor(delayMs: number, callback: () => void) {
    this.#callback = callback;
    this.#dueMs = performance.now() + (delayMs > 0 ? delayMs : 0);
    this.#handle = this.#arm();
  }

  cancel(): void {
    this.#cancelled = true;
    clearTimeout(this.#handle);
  }

  #arm(): NodeJS.Timeout {
    const remainingMs = Math.min(Math.ceil(this.#dueMs - performance.now()), longestDelayMs);
    return setTimeout(() => this.#fire(), remainingMs);
  }

  /** Immediates that were set while immediates ran wait for the next turn of the loop, where timers come first: step behind them. */
  #fire(): void {
    if (performance.now() < this.#dueMs) this.#handle = this.#arm();
    else if (deferredCount > 0) setImmediate(() => this.#run());
    else this.#run();
  }

  #run(): void {
    if (!this.#cancelled) this.#callback();
  }
}
