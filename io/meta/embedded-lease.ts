/**
 * A lease in the process that holds the store. It keeps itself alive, so it ends only by `close`, or when the
 * process slept past its time to live: others may have acted on its absence by then, as they would with etcd.
 */
import type { Clock, Timer } from '../clock.ts';
import type { MetaLease } from './meta-store.ts';

export interface EmbeddedLeaseOptions {
  readonly clock: Clock;
  readonly ttlMs: number;
  /** Ends the lease in the store and deletes its keys. */
  readonly revoke: () => Promise<void>;
  readonly onEnd: () => void;
}

export class EmbeddedLease implements MetaLease {
  readonly id: string;
  readonly lost: Promise<void>;
  readonly #options: EmbeddedLeaseOptions;
  #settleLost: () => void = () => {};
  #deadlineMs: number;
  #timer: Timer;
  #closed: Promise<void> | undefined;

  constructor(id: string, options: EmbeddedLeaseOptions) {
    this.id = id;
    this.#options = options;
    this.lost = new Promise((resolve) => {
      this.#settleLost = resolve;
    });
    this.#deadlineMs = options.clock.monotonicMs() + options.ttlMs;
    this.#timer = this.#arm();
  }

  /** Never rejects: a store that cannot be written now drops the lease when it is opened again. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  #arm(): Timer {
    return this.#options.clock.setTimer(this.#options.ttlMs / 3, () => {
      const nowMs = this.#options.clock.monotonicMs();
      if (nowMs >= this.#deadlineMs) {
        void this.close();
        return;
      }
      this.#deadlineMs = nowMs + this.#options.ttlMs;
      this.#timer = this.#arm();
    });
  }

  async #end(): Promise<void> {
    this.#timer.cancel();
    await this.#options.revoke().catch(() => {});
    this.#options.onEnd();
    this.#settleLost();
  }
}
