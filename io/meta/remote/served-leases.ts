/**
 * Leases that a server holds for its clients: each ends when its client let its time to live pass without a word, or closed
 * it. They do not end with a connection: whoever comes back in time keeps his. Ids of one run of the server mean
 * nothing to the next, which has none of its leases.
 */
import type { Clock, Timer } from '../../clock.ts';
import { type MetaLease, type MetaStore, MetaUnavailable } from '../meta-store.ts';

export interface ServedLeasesOptions {
  readonly store: MetaStore;
  readonly clock: Clock;
  /** Differs from run to run. */
  readonly run: string;
  readonly most: number;
}

interface ServedLease {
  readonly lease: MetaLease;
  readonly ttlMs: number;
  deadlineMs: number;
  timer: Timer;
}

export class ServedLeases {
  readonly #options: ServedLeasesOptions;
  readonly #leases = new Map<string, ServedLease>();
  #granting = 0;
  #count = 0;
  #closed: Promise<void> | undefined;

  constructor(options: ServedLeasesOptions) {
    this.#options = options;
  }

  async grant(ttlMs: number): Promise<string> {
    if (this.#closed || this.#leases.size + this.#granting >= this.#options.most) throw new MetaUnavailable(`${this.#options.most} leases are held already`);
    const id = `${this.#options.run}-${++this.#count}`;
    this.#granting++;
    const lease = await this.#options.store.lease(ttlMs).finally(() => this.#granting--);
    const served: ServedLease = { lease, ttlMs, deadlineMs: this.#options.clock.monotonicMs() + ttlMs, timer: this.#arm(id, ttlMs) };
    this.#leases.set(id, served);
    void lease.lost.then(() => this.#forget(id, served));
    if (this.#closed) await this.#end(id);
    return id;
  }

  /** Undefined when it is gone. */
  find(id: string): MetaLease | undefined {
    return this.#leases.get(id)?.lease;
  }

  /** False when it is gone. */
  keepAlive(id: string): boolean {
    const served = this.#leases.get(id);
    if (!served) return false;
    served.deadlineMs = this.#options.clock.monotonicMs() + served.ttlMs;
    return true;
  }

  /** Resolves when its keys are gone. */
  async revoke(id: string): Promise<void> {
    await this.#end(id);
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all([...this.#leases.keys()].map((id) => this.#end(id))).then(() => {});
    return this.#closed;
  }

  #arm(id: string, delayMs: number): Timer {
    const { clock } = this.#options;
    // Deferred: when this process itself was asleep, the client's word may lie in the socket, unread.
    return clock.setTimer(delayMs, () => clock.defer(() => this.#look(id)));
  }

  #look(id: string): void {
    const served = this.#leases.get(id);
    if (!served) return;
    const leftMs = served.deadlineMs - this.#options.clock.monotonicMs();
    if (leftMs > 0) served.timer = this.#arm(id, leftMs);
    else void this.#end(id);
  }

  async #end(id: string): Promise<void> {
    const served = this.#leases.get(id);
    if (!served) return;
    this.#forget(id, served);
    await served.lease.close();
  }

  #forget(id: string, served: ServedLease): void {
    served.timer.cancel();
    if (this.#leases.get(id) === served) this.#leases.delete(id);
  }
}
