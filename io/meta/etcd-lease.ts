/**
 * A lease with a deadline of our own, on the monotonic clock: it counts from when the last keep-alive that succeeded
 * was *sent*, so that we never believe in a lease longer than etcd does. etcd3's lease reports its loss late, and
 * by the wall clock.
 */
import { type Clock, type Timer } from '../clock.ts';
import type { Random } from '../random.ts';
import type { MetaLease } from './meta-store.ts';

export interface EtcdLeaseOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly ttlMs: number;
  /** When the request that granted the lease was sent. */
  readonly sentMs: number;
  /** False when the store says that the lease is gone; rejects when it did not answer. */
  readonly keepAlive: () => Promise<boolean>;
  readonly revoke: () => Promise<void>;
  readonly onEnd: (lease: EtcdLease) => void;
}

export class EtcdLease implements MetaLease {
  readonly id: string;
  readonly lost: Promise<void>;
  readonly #options: EtcdLeaseOptions;
  #settleLost: () => void = () => {};
  #deadlineMs: number;
  #keepAliveTimer: Timer | undefined;
  #deadlineTimer: Timer | undefined;
  #isOver = false;
  #closed: Promise<void> | undefined;

  constructor(id: string, options: EtcdLeaseOptions) {
    this.id = id;
    this.#options = options;
    this.lost = new Promise((resolve) => {
      this.#settleLost = resolve;
    });
    this.#deadlineMs = options.sentMs + options.ttlMs;
    this.#watchDeadline();
    this.#keepAliveAt(options.sentMs + options.ttlMs / 3);
  }

  /** Never rejects. When the store cannot be told, the lease ends there by itself, and `lost` settles at our deadline. */
  close(): Promise<void> {
    this.#closed ??= this.#revoke();
    return this.#closed;
  }

  /** Forgets the lease without telling the store: for a store that closes. */
  abandon(): void {
    this.#end();
  }

  async #revoke(): Promise<void> {
    this.#keepAliveTimer?.cancel();
    this.#keepAliveTimer = undefined;
    if (this.#isOver) return;
    try {
      await this.#options.revoke();
      this.#lose();
    } catch {
      // The deadline's timer goes on.
    }
  }

  #watchDeadline(): void {
    const { clock } = this.#options;
    this.#deadlineTimer = clock.setTimer(this.#deadlineMs - clock.monotonicMs(), () => {
      if (clock.monotonicMs() >= this.#deadlineMs) this.#lose();
      else this.#watchDeadline();
    });
  }

  #keepAliveAt(atMs: number): void {
    const { clock } = this.#options;
    this.#keepAliveTimer = clock.setTimer(Math.max(0, atMs - clock.monotonicMs()), () => void this.#keepAlive());
  }

  async #keepAlive(): Promise<void> {
    const { clock, random, ttlMs, keepAlive } = this.#options;
    const sentMs = clock.monotonicMs();
    if (sentMs >= this.#deadlineMs) return this.#lose();
    const alive = await keepAlive().catch(() => undefined);
    if (this.#isOver || this.#closed) return;
    // An answer that came after the deadline is too late: others may have acted on our silence.
    if (alive === false || clock.monotonicMs() >= this.#deadlineMs) return this.#lose();
    if (alive) this.#deadlineMs = sentMs + ttlMs;
    this.#keepAliveAt(alive ? sentMs + ttlMs / 3 : clock.monotonicMs() + (random.float() * ttlMs) / 20);
  }

  #lose(): void {
    this.#end();
    this.#settleLost();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#keepAliveTimer?.cancel();
    this.#deadlineTimer?.cancel();
    this.#options.onEnd(this);
  }
}
