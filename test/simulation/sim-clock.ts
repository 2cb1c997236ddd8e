/**
 * A process's clocks. The wall clock belongs to the host (it survives restarts): it may be off, drift and jump
 * (F69). The monotonic clock is only ever right.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';

/** Virtual time zero on every wall clock, before skew: 2026-01-01. */
const wallStartMs = 1_767_225_600_000;

export class HostWallClock {
  #offsetMs: number;
  /** Wall milliseconds per virtual millisecond. */
  #rate: number;
  #sinceMs = 0;

  constructor(options: { readonly offsetMs: number; readonly rate: number }) {
    this.#offsetMs = wallStartMs + options.offsetMs;
    this.#rate = options.rate;
  }

  read(nowMs: number): number {
    return Math.floor(this.#offsetMs + (nowMs - this.#sinceMs) * this.#rate);
  }

  jump(nowMs: number, byMs: number): void {
    this.#offsetMs = this.read(nowMs) + byMs;
    this.#sinceMs = nowMs;
  }

  setRate(nowMs: number, rate: number): void {
    this.jump(nowMs, 0);
    this.#rate = rate;
  }
}

export function simClock(process: SimProcess, wall: HostWallClock, random: SimRandom): Clock {
  const scheduler = process.scheduler;
  const startedAtMs = random.below(1_000_000);
  return {
    wallMs: () => {
      scheduler.countCall();
      return wall.read(scheduler.nowMs);
    },
    monotonicMs: () => {
      scheduler.countCall();
      return startedAtMs + scheduler.nowMs;
    },
    setTimer: (delayMs, callback): Timer => {
      scheduler.countCall();
      // Real timers are never early and often a little late.
      return process.schedule(Math.max(0, delayMs) + random.float() * 0.3, 'timer', callback);
    },
    defer: (callback) => {
      scheduler.countCall();
      process.schedule(0, 'defer', callback, 'immediate');
    },
  };
}
