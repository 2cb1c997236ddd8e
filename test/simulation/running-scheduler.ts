/** Keeps a scheduler going while a test awaits what happens on it: virtual time passes as fast as the test needs. */
import { Scheduler } from './scheduler.ts';
import { SimProcess } from './sim-process.ts';
import { SimRandom } from './sim-random.ts';
import { Trace } from './trace.ts';

export interface RunningScheduler {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly process: (name: string) => SimProcess;
  readonly stop: () => void;
}

export function runningScheduler(seed: string): RunningScheduler {
  const random = new SimRandom(seed);
  const limits = { maxEvents: 100_000_000, maxEventsWithoutTime: 1_000_000, maxCallsPerEvent: 1_000_000 };
  const scheduler = new Scheduler({ random: random.fork('scheduler'), trace: new Trace({ keepLines: 10 }), limits });
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      await scheduler.run({ done: () => stopped, untilMs: Number.MAX_SAFE_INTEGER });
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  void loop();
  return {
    scheduler,
    random,
    process: (name) => new SimProcess({ scheduler, name, host: name }),
    stop: () => {
      stopped = true;
    },
  };
}
