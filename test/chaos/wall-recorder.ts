/** The simulation's recorder on real time, and its clients over real sockets: one history for the one checker. */
import { systemClock } from '../../io/system-clock.ts';
import { tcpTransport } from '../../io/tcp-transport.ts';
import type { Operation } from '../checker/history.ts';
import { type Address, KafkaSession } from '../simulation/kafka-session.ts';
import { Recorder } from '../simulation/recorder.ts';
import type { SimRandom } from '../simulation/sim-random.ts';
import { Trace } from '../simulation/trace.ts';

export interface Found {
  readonly name: string;
  readonly detail: string;
}

const mostViolations = 50;
const trace = new Trace({ keepLines: 1 });

/** Milliseconds of the system's monotonic clock: other processes of this machine can write the same. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

export class ChaosRecord {
  readonly recorder: Recorder;
  readonly violations: Found[] = [];
  readonly #leaders = new Map<string, number>();
  readonly #begunMs = monotonicMs();

  constructor() {
    const now = () => this.nowMs;
    const scheduler = {
      get nowMs() {
        return now();
      },
      trace,
    };
    this.recorder = new Recorder(
      scheduler,
      (name, detail) => this.violation(name, detail),
      () => {},
    );
  }

  /** Since the run began. */
  get nowMs(): number {
    return monotonicMs() - this.#begunMs;
  }

  /** The run's time of a moment on the system's monotonic clock. */
  timeOf(systemMs: number): number {
    return systemMs - this.#begunMs;
  }

  get history(): readonly Operation[] {
    return this.recorder.history;
  }

  violation(name: string, detail: string): void {
    if (this.violations.length >= mostViolations) return;
    this.violations.push({ name, detail });
    console.log(`${(this.nowMs / 1_000).toFixed(1).padStart(7)} s  VIOLATION ${name}: ${detail}`);
  }

  /** What was done to the cluster. Call what is returned when it is over. */
  fault(what: string): () => void {
    const t0 = this.nowMs;
    console.log(`${(t0 / 1_000).toFixed(1).padStart(7)} s  ${what}`);
    let recorded = false;
    const record = (t1: number | null) => {
      if (recorded) return;
      recorded = true;
      this.recorder.record({ f: 'fault', type: 'info', process: 'nemesis', key: '', t0, t1, what });
    };
    const closed = this.recorder.opened(() => record(null));
    return () => {
      closed();
      record(this.nowMs);
    };
  }

  session(name: string, random: SimRandom, bootstrap: readonly Address[], requestTimeoutMs = 8_000): KafkaSession {
    return new KafkaSession({
      process: { name, host: '127.0.0.1' },
      clock: systemClock,
      transport: tcpTransport(),
      random,
      bootstrap,
      requestTimeoutMs,
      onViolation: (what, detail) => this.violation(what, `${name}: ${detail}`),
      onLeaderTold: (topicId, partition, leader, epoch) => this.#told(topicId, partition, leader, epoch),
    });
  }

  /** One leader for each leader epoch, whoever says so. */
  #told(topicId: string, partition: number, leader: number, epoch: number): void {
    if (leader < 0 || epoch < 0) return;
    const key = `${topicId}/${partition}/${epoch}`;
    const known = this.#leaders.get(key);
    if (known === undefined) this.#leaders.set(key, leader);
    else if (known !== leader) this.violation('two-leaders', `${topicId}/${partition} in leader epoch ${epoch}: ${known} and ${leader}`);
  }
}
