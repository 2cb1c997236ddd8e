/** Lets a limited number of things happen at once; a limited number may wait for their turn, first come, first served. */
import { invariant } from './invariant.ts';

export interface SemaphoreOptions {
  readonly permits: number;
  readonly maxWaiting: number;
}

export class Semaphore {
  readonly #options: SemaphoreOptions;
  #taken = 0;
  #waiting: ((granted: boolean) => void)[] = [];
  #closed = false;

  constructor(options: SemaphoreOptions) {
    invariant(options.permits >= 1 && options.maxWaiting >= 0, 'a semaphore lets nothing through', { ...options });
    this.#options = options;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  tryAcquire(): boolean {
    if (this.#closed || this.#taken >= this.#options.permits) return false;
    this.#taken += 1;
    return true;
  }

  /** False when too many wait already, or the semaphore was closed. */
  acquire(): Promise<boolean> {
    if (this.tryAcquire()) return Promise.resolve(true);
    if (this.#closed || this.#waiting.length >= this.#options.maxWaiting) return Promise.resolve(false);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    invariant(this.#taken > 0, 'released more than was acquired');
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken -= 1;
    else next(true);
  }

  /** Turns away who waits and who comes. */
  close(): void {
    this.#closed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const turnAway of waiting) turnAway(false);
  }
}
