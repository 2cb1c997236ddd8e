/**
 * Time, the only source of it. Wall time may jump and is only for timestamps; every timeout and
 * interval is measured on the monotonic clock.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump in both directions. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` after the work that is ready now, before any timer. */
  defer(callback: () => void): void;
}

export interface Timer {
  /** Idempotent; after it the callback never runs. */
  cancel(): void;
}

/** Resolves after `delayMs`; resolves early, too, when `signal` aborts (look at the signal afterwards). */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const onAbort = () => {
      timer.cancel();
      resolve();
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
