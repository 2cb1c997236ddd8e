/**
 * A bounded set of connections to one origin. A call waits for a socket within its own deadline; one that reached its deadline
 * takes its socket with it, and the idle ones, too, since they may lead to the same dead end: the next attempt gets a new one.
 */
import type { Clock } from '../../clock.ts';
import type { CallEnd } from '../call-end.ts';
import { Slots } from '../slots.ts';
import { type HttpCall, HttpConnection, type HttpOutcome, type Origin } from './http-connection.ts';

export interface HttpConnectionLimits {
  readonly maxSockets: number;
  /** Calls that may wait for a socket. */
  readonly maxWaiting: number;
  /** An idle connection older than this is not used again: servers close them, and a request on its way is lost then. */
  readonly maxIdleMs: number;
}

export class HttpConnections {
  readonly #origin: Origin;
  readonly #clock: Clock;
  readonly #maxIdleMs: number;
  readonly #slots: Slots;
  readonly #all = new Set<HttpConnection>();
  #onAllClosed: (() => void) | undefined;
  /** The one used last is at the end, and is used next. */
  readonly #idle: { readonly connection: HttpConnection; readonly sinceMs: number }[] = [];
  #closed = false;

  constructor(origin: Origin, clock: Clock, limits: HttpConnectionLimits) {
    this.#origin = origin;
    this.#clock = clock;
    this.#maxIdleMs = limits.maxIdleMs;
    this.#slots = new Slots({ maxInFlight: limits.maxSockets, maxWaiting: limits.maxWaiting });
  }

  get open(): number {
    return this.#all.size;
  }

  async run(call: HttpCall, end: CallEnd): Promise<HttpOutcome> {
    const noSlot = await this.#slots.take(end);
    if (noSlot !== undefined) return { kind: 'broken', cause: noSlot };
    try {
      return this.#closed ? { kind: 'broken', cause: 'the store is closed' } : await this.#runNow(call, end);
    } finally {
      this.#slots.free();
    }
  }

  /** Ends all connections and waits until they are gone; calls that run settle as broken. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#all.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      const before = this.#onAllClosed;
      this.#onAllClosed = () => {
        before?.();
        resolve();
      };
    });
    for (const connection of this.#all) connection.destroy('the store is closed');
    await gone;
  }

  async #runNow(call: HttpCall, end: CallEnd): Promise<HttpOutcome> {
    const connection = this.#takeIdle() ?? this.#connect();
    const forget = end.onEnd(() => {
      connection.destroy(end.cause ?? 'the call ended');
      this.#dropIdle();
    });
    const outcome = await connection.run(call);
    forget();
    if (connection.reusable) this.#idle.push({ connection, sinceMs: this.#clock.monotonicMs() });
    return outcome;
  }

  #takeIdle(): HttpConnection | undefined {
    for (let last = this.#idle.pop(); last; last = this.#idle.pop()) {
      if (last.connection.reusable && this.#clock.monotonicMs() - last.sinceMs <= this.#maxIdleMs) return last.connection;
      last.connection.destroy('idle for too long');
    }
    return undefined;
  }

  #dropIdle(): void {
    for (const { connection } of this.#idle.splice(0)) connection.destroy('another call reached its deadline');
  }

  #connect(): HttpConnection {
    const connection: HttpConnection = new HttpConnection(this.#origin, () => {
      this.#all.delete(connection);
      if (this.#all.size === 0) this.#onAllClosed?.();
    });
    this.#all.add(connection);
    return connection;
  }
}
