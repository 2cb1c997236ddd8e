/**
 * One simulated broker host: runs the broker program, one process after the other, and starts it again when it
 * ends. A supervisor with faults: kill, pause, replacement while the old process sleeps, orderly stop.
 */
import type { Io } from '../../io/io.ts';
import type { LogFields, Logger } from '../../io/logger.ts';
import { noMetrics } from '../../io/metrics.ts';
import type { FakeMetaStore } from './fake-meta-store.ts';
import type { FakeObjectStore } from './fake-object-store.ts';
import type { Scheduler } from './scheduler.ts';
import { HostWallClock, simClock } from './sim-clock.ts';
import { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimNetwork } from './sim-transport.ts';

/** What is simulated: a program that serves Kafka clients on `launch.host:launch.port`. */
export type BrokerProgram = (io: Io, launch: BrokerLaunch) => Promise<RunningBroker>;

export interface BrokerLaunch {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  /** Where other brokers reach it. */
  readonly internalPort: number;
  readonly settings: Readonly<Record<string, string>>;
}

export interface RunningBroker {
  close(): Promise<void>;
  /** Settles when the broker has ended by itself (sealed by another, store not to be trusted): the process exits. */
  readonly ended: Promise<string>;
}

export interface SimBrokerOptions {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly objects: FakeObjectStore;
  readonly meta: FakeMetaStore;
  readonly program: BrokerProgram;
  readonly launch: BrokerLaunch;
  readonly clockOffsetMs: number;
  /** Messages of brokers, to see what was met in a run. */
  readonly onMessage: (message: string) => void;
  /** How long a supervisor waits before it starts a broker again. */
  readonly restartMs: () => number;
}

interface Life {
  readonly process: SimProcess;
  running: RunningBroker | undefined;
}

export class SimBroker {
  readonly wall: HostWallClock;
  readonly #options: SimBrokerOptions;
  #current: Life | undefined;
  readonly #zombies: Life[] = [];
  #lives = 0;
  #stopping = false;
  #left = false;

  constructor(options: SimBrokerOptions) {
    this.#options = options;
    this.wall = new HostWallClock({ offsetMs: options.clockOffsetMs, rate: 1 });
  }

  get host(): string {
    return this.#options.launch.host;
  }

  /** The program answered that it serves. */
  get serving(): boolean {
    return this.#current?.running !== undefined && !this.#current.process.dead && !this.#current.process.paused;
  }

  get lives(): number {
    return this.#lives;
  }

  owns(process: SimProcess): boolean {
    return this.#current?.process === process || this.#zombies.some((life) => life.process === process);
  }

  start(): void {
    if (this.#left || (this.#current !== undefined && !this.#current.process.dead)) return;
    const { scheduler, launch, program, random } = this.#options;
    const process = new SimProcess({ scheduler, name: `broker-${launch.nodeId}.${++this.#lives}`, host: launch.host });
    const life: Life = { process, running: undefined };
    this.#current = life;
    scheduler.trace.line(scheduler.nowMs, `${process.name} starts`);
    program(this.#ioOf(process, random.fork(process.name)), launch).then(
      (running) => {
        if (process.dead) return;
        life.running = running;
        scheduler.trace.line(scheduler.nowMs, `${process.name} serves`);
        void running.ended.then((why) => this.#exited(life, why));
      },
      (error: unknown) => this.#exited(life, String(error)),
    );
  }

  /** kill -9. */
  crash(): void {
    const life = this.#current;
    if (life === undefined || life.process.dead) return;
    life.process.kill();
    this.#startAgain();
  }

  /** The machine that it runs on has lost power. */
  losePower(): void {
    for (const zombie of this.#zombies) zombie.process.kill();
    this.crash();
  }

  pause(forMs: number): void {
    const life = this.#current;
    if (life === undefined || life.process.dead || life.process.paused) return;
    life.process.pause();
    this.#options.scheduler.schedule(forMs, `${life.process.name} wakes`, () => life.process.resume());
  }

  /**
   * A new process takes the place of one that sleeps or was only thought to be dead (`sleepMs` 0); that one goes on as a zombie
   * for those clients that are still connected to it, and is stopped at last.
   */
  replace(sleepMs: number, zombieMs: number): void {
    const life = this.#current;
    if (life === undefined || life.process.dead) return;
    if (sleepMs > 0) life.process.pause();
    this.#options.network.unlisten(life.process);
    this.#zombies.push(life);
    this.#current = undefined;
    const { scheduler } = this.#options;
    scheduler.trace.line(scheduler.nowMs, `${life.process.name} is replaced`);
    if (sleepMs > 0) scheduler.schedule(sleepMs, `${life.process.name} wakes`, () => life.process.resume());
    scheduler.schedule(sleepMs + zombieMs, `${life.process.name} is stopped`, () => life.process.kill());
    this.start();
  }

  /** An orderly stop and start (rolling restart); killed when it takes longer than its grace. */
  shutdown(graceMs: number): void {
    const life = this.#current;
    const running = life?.running;
    if (life === undefined || running === undefined || this.#stopping || life.process.paused) return;
    this.#stopping = true;
    const { scheduler } = this.#options;
    scheduler.trace.line(scheduler.nowMs, `${life.process.name} stops`);
    const over = (how: string) => {
      if (life.process.dead) return;
      scheduler.trace.line(scheduler.nowMs, `${life.process.name} ${how}`);
      life.process.kill();
      this.#stopping = false;
      this.#startAgain();
    };
    life.process.onKill(() => (this.#stopping = false));
    void running.close().then(() => over('stopped'));
    scheduler.schedule(graceMs, `${life.process.name} grace over`, () => over('did not stop in time'));
  }

  /** Gone for good, or asleep for good: `heal` changes nothing any more. */
  leave(how: 'dead' | 'asleep'): void {
    this.#left = true;
    for (const zombie of this.#zombies) zombie.process.kill();
    if (how === 'dead') this.#current?.process.kill();
    else this.#current?.process.pause();
  }

  /** Nothing sleeps any more, zombies are gone, and the broker is started if it is not. */
  heal(): void {
    if (this.#left) return;
    this.#current?.process.resume();
    for (const zombie of this.#zombies) zombie.process.kill();
    this.start();
  }

  kill(): void {
    this.#current?.process.kill();
    for (const zombie of this.#zombies) zombie.process.kill();
  }

  #exited(life: Life, why: string): void {
    if (life.process.dead) return;
    const { scheduler } = this.#options;
    scheduler.trace.line(scheduler.nowMs, `${life.process.name} exits: ${why}`);
    life.process.kill();
    if (this.#current === life && !this.#stopping) this.#startAgain();
  }

  #startAgain(): void {
    this.#options.scheduler.schedule(this.#options.restartMs(), 'supervisor', () => this.start());
  }

  #ioOf(process: SimProcess, random: SimRandom): Io {
    const { network, objects, meta } = this.#options;
    return {
      clock: simClock(process, this.wall, random.fork('clock')),
      random: random.fork('chance'),
      objects: objects.clientOf(process),
      meta: meta.clientOf(process),
      transport: network.transportOf(process),
      logger: simLogger(process, {}, this.#options.onMessage),
      metrics: noMetrics,
    };
  }
}

/** Log lines become lines of the trace. */
function simLogger(process: SimProcess, bound: LogFields, onMessage: (message: string) => void): Logger {
  const log = (level: string) => (message: string, fields?: LogFields) => {
    if (process.dead) return;
    onMessage(message);
    const values = Object.entries({ ...bound, ...fields }).map(([name, value]) => `${name}=${typeof value === 'string' ? value : safeJson(value)}`);
    process.scheduler.trace.line(process.scheduler.nowMs, `${process.name} ${level} ${message} ${values.join(' ')}`);
  };
  return {
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: () => {},
    child: (fields) => simLogger(process, { ...bound, ...fields }, onMessage),
  };
}

function safeJson(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  try {
    return JSON.stringify(value) ?? 'undefined';
  } catch {
    return 'unprintable';
  }
}
