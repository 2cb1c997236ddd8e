/**
 * When one attempt of an object store call must end: at its deadline or when the caller's signal aborts, whichever is first.
 * It runs from the moment of the call, so waiting for a slot or a socket counts (F45).
 */
import type { Clock, Timer } from '../clock.ts';
import type { CallOptions } from './object-store.ts';

export class CallEnd {
  readonly #timer: Timer;
  readonly #signal: AbortSignal | undefined;
  readonly #listeners = new Set<() => void>();
  #cause: string | undefined;

  constructor(clock: Clock, deadlineMs: number, signal?: AbortSignal) {
    this.#signal = signal;
    this.#timer = clock.setTimer(deadlineMs, () => this.#end(`no answer within ${Math.round(deadlineMs)} ms`));
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  static of(clock: Clock, options: CallOptions | undefined, defaultDeadlineMs: number): CallEnd {
    return new CallEnd(clock, options?.deadlineMs ?? defaultDeadlineMs, options?.signal);
  }

  /** Why the attempt is over; undefined while it may go on. */
  get cause(): string | undefined {
    return this.#cause;
  }

  /** Calls `listener` once when the attempt must end; at once when that has happened. Returns how to forget it. */
  onEnd(listener: () => void): () => void {
    if (this.#cause === undefined) this.#listeners.add(listener);
    else listener();
    return () => void this.#listeners.delete(listener);
  }

  /** Answers `work`, or undefined when the end comes first; `work` must be something that may be left behind. */
  race<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const forget = this.onEnd(() => resolve(undefined));
      work.then(resolve, reject).finally(forget);
    });
  }

  /** The call is settled: stops the timer. */
  release(): void {
    this.#timer.cancel();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#listeners.clear();
  }

  readonly #onAbort = (): void => this.#end('the caller gave up');

  #end(cause: string): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#timer.cancel();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
