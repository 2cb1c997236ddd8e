/** A clock that a test moves by hand; deferred work runs before timers, in order. */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../../../io/clock.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  private nowMs = 1_000_000;
  private order = 0;
  private readonly timers = new Set<Due>();
  private deferred: (() => void)[] = [];

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const due = { atMs: this.nowMs + delayMs, order: this.order++, callback };
    this.timers.add(due);
    return { cancel: () => void this.timers.delete(due) };
  }

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  get pendingTimers(): number {
    return this.timers.size;
  }

  /** Runs what is ready: promises, deferred callbacks, timers that are due. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      // A few turns of the promise queue: chains of awaits inside handlers need several.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      idle = this.runDeferred() || this.runDue() ? 0 : idle + 1;
    }
  }

  async advance(ms: number): Promise<void> {
    await this.settle();
    const endMs = this.nowMs + ms;
    for (let next = this.nextDue(endMs); next !== undefined; next = this.nextDue(endMs)) {
      this.nowMs = Math.max(this.nowMs, next.atMs);
      await this.settle();
    }
    this.nowMs = endMs;
    await this.settle();
  }

  /** Advances by milliseconds until the promise has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let i = 0; !settled; i++) {
      assert.ok(i < 10_000, 'the promise does not settle');
      await (i < 5 ? this.settle() : this.advance(1));
    }
    return promise;
  }

  private runDeferred(): boolean {
    const { deferred } = this;
    this.deferred = [];
    for (const callback of deferred) callback();
    return deferred.length > 0;
  }

  private runDue(): boolean {
    const due = this.nextDue(this.nowMs);
    if (due === undefined) return false;
    this.timers.delete(due);
    due.callback();
    return true;
  }

  private nextDue(untilMs: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.timers) {
      if (due.atMs <= untilMs && (first === undefined || due.atMs < first.atMs || (due.atMs === first.atMs && due.order < first.order))) first = due;
    }
    return first;
  }
}
