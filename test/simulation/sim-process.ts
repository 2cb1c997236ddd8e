/**
 * One life of one simulated process. Whatever happens to it goes through `schedule`, so that a crash drops it
 * (timers never fire, answers never arrive, promises never settle) and a pause holds it until everything is
 * released at once: a zombie that wakes up with requests half handled.
 */
import type { Timer } from '../../io/clock.ts';
import type { Rank, Scheduler } from './scheduler.ts';

export class SimProcess {
  readonly name: string;
  readonly host: string;
  readonly scheduler: Scheduler;
  #state: 'running' | 'paused' | 'dead' = 'running';
  #held: Held[] = [];
  #onKill: (() => void)[] = [];

  constructor(options: { readonly scheduler: Scheduler; readonly name: string; readonly host: string }) {
    this.scheduler = options.scheduler;
    this.name = options.name;
    this.host = options.host;
  }

  get dead(): boolean {
    return this.#state === 'dead';
  }

  get paused(): boolean {
    return this.#state === 'paused';
  }

  schedule(delayMs: number, label: string, run: () => void, rank: Rank = 'normal'): Timer {
    const task: Held = { label, rank, run };
    if (this.#state === 'dead') return { cancel: () => {} };
    const event = this.scheduler.schedule(delayMs, `${this.name} ${label}`, () => this.#fire(task), rank);
    return {
      cancel: () => {
        task.run = undefined;
        event.cancel();
      },
    };
  }

  pause(): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    this.scheduler.trace.line(this.scheduler.nowMs, `${this.name} paused`);
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.scheduler.trace.line(this.scheduler.nowMs, `${this.name} resumed, ${this.#held.length} events held`);
    for (const task of this.#held.splice(0)) {
      this.scheduler.schedule(0, `${this.name} ${task.label}`, () => this.#fire(task), task.rank);
    }
  }

  kill(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#held = [];
    this.scheduler.trace.line(this.scheduler.nowMs, `${this.name} killed`);
    for (const listener of this.#onKill.splice(0)) listener();
  }

  onKill(listener: () => void): void {
    this.#onKill.push(listener);
  }

  #fire(task: Held): void {
    if (this.#state === 'dead' || task.run === undefined) return;
    if (this.#state === 'paused') {
      this.#held.push(task);
      return;
    }
    const run = task.run;
    task.run = undefined;
    run();
  }
}

interface Held {
  readonly label: string;
  readonly rank: Rank;
  run: (() => void) | undefined;
}
