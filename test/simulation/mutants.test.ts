/** Deliberate bugs in the broker: the simulation must find each of them, or it would not find the real ones either. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mutant, mutantNames } from '../../broker/log/mutants.ts';
import { noMetaStoreFaults } from './fake-meta-store.ts';
import { realBroker } from './real-broker.ts';
import { simulate } from './simulation.ts';
import { type SimOptions, swarmOptions } from './swarm.ts';

type Tune = (options: SimOptions) => SimOptions;

/** Where to begin to look: the first seed that found each when this was written. */
interface Hunt {
  readonly first: number;
  readonly brokers: number;
  /** What the bug needs to show itself more often than a run meets it by chance. */
  readonly tune?: Tune;
}

const moving: Partial<SimOptions> = { damaged: false, quiet: false, powerCuts: false, noise: ['move partition', 'move topic'], noiseGapMs: 120, gapMs: 15 };
const often = { 'gc.delay.ms': '0', 'checkpoint.interval.ms': '300' };

/** Transactions that are applied later than they are answered, stale reads, and moves without a pause. */
const lateTransactions: Tune = (options) => ({
  ...options,
  ...moving,
  quiet: options.quiet,
  noiseGapMs: 150,
  metaStore: { ...options.metaStore, deadlineMs: 200, faults: { ...noMetaStoreFaults, appliedLate: 0.3, answerLost: 0.1, staleRead: 0.2 } },
});

/** The same, with crashes, and everything that can be collected is collected at once. */
const busyCollection: Tune = (options) => ({
  ...options,
  ...moving,
  nemesis: { crash: options.workMs / 5 },
  metaStore: { ...options.metaStore, deadlineMs: 200, faults: { ...noMetaStoreFaults, appliedLate: 0.2, answerLost: 0.1, staleRead: 0.3 } },
  broker: { ...options.broker, ...often, 'merge.interval.ms': '500', 'merge.threshold.objects': '3' },
});

/** Brokers that are taken for dead and go on. */
const livingDead: Tune = (options) => ({
  ...options,
  damaged: false,
  quiet: false,
  gapMs: 15,
  nemesis: { ...options.nemesis, pause: options.workMs / 4, stall: options.workMs / 6, isolate: options.workMs / 4, partitionBrokers: options.workMs / 4 },
  objectStore: { ...options.objectStore, minLatencyMs: 3, maxLatencyMs: 60, faults: { ...options.objectStore.faults, slow: 0.1 } },
  broker: { ...options.broker, ...often, 'wal.upload.slots': '8' },
});

/** Targets of moves die while they are named. */
const dyingTargets: Tune = (options) => ({
  ...options,
  ...moving,
  nemesis: { crash: options.workMs / 8, pause: options.workMs / 4 },
  metaStore: { ...options.metaStore, deadlineMs: 200, faults: { ...noMetaStoreFaults, appliedLate: 0.3, watchDelay: 0.3 } },
});

/** Many seals. */
const manyLives: Tune = (options) => ({
  ...options,
  damaged: false,
  quiet: false,
  powerCuts: false,
  gapMs: 15,
  nemesis: { crash: options.workMs / 6, replace: options.workMs / 3 },
  broker: { ...options.broker, ...often, 'wal.upload.slots': '8' },
});

const hunts: Readonly<Record<Mutant, Hunt>> = {
  'ack-before-durable': { first: 1, brokers: 1 },
  'ack-out-of-order': { first: 1, brokers: 1 },
  'any-412-is-success': { first: 14, brokers: 1, tune: manyLives },
  'forget-producer-state-on-recovery': { first: 2, brokers: 1 },
  'reuse-node-epoch': { first: 1, brokers: 1 },
  'collect-too-early': { first: 11, brokers: 1 },
  'skip-seal': { first: 14, brokers: 1, tune: manyLives },
  'send-other-bytes': { first: 1, brokers: 1 },
  'own-by-node': { first: 1, brokers: 3 },
  'take-over-without-claim': { first: 4, brokers: 3 },
  'pointer-in-spite-of-claim': { first: 36, brokers: 3, tune: livingDead },
  'checkpoint-of-another-epoch': { first: 4, brokers: 3, tune: busyCollection },
  'count-handover-early': { first: 1, brokers: 3 },
  'move-to-fenced': { first: 12, brokers: 3, tune: dyingTargets },
  'settle-move-by-read': { first: 7, brokers: 3, tune: lateTransactions },
  'drop-hold-on-move': { first: 1, brokers: 3, tune: busyCollection },
  'collect-on-stale-holds': { first: 4, brokers: 3, tune: busyCollection },
  'drop-hold-without-comparing': { first: 9, brokers: 3, tune: busyCollection },
  'forget-unsettled-handover': { first: 4, brokers: 3, tune: busyCollection },
  'collect-seals': { first: 1, brokers: 3, tune: manyLives },
};
const mostSeeds = 40;

for (const mutant of mutantNames) {
  const { first, brokers, tune = (options) => options } = hunts[mutant];
  test(`${mutant} is found`, async () => {
    for (let seed = first; seed < first + mostSeeds; seed++) {
      const options = swarmOptions(seed, brokers);
      // Damage would be found, too.
      if (options.damaged) continue;
      const { violations } = await simulate(tune(options), { program: realBroker(new Set([mutant])) });
      if (violations.length > 0) return;
    }
    assert.fail(`not within ${mostSeeds} seeds from ${first}`);
  });
}

/** What a hunt finds is the bug, not what it was tuned to. */
for (const [name, tune] of Object.entries({ lateTransactions, busyCollection, livingDead, dyingTargets, manyLives })) {
  test(`without a bug nothing is found with ${name}`, async () => {
    for (const seed of [1, 2]) {
      const { violations } = await simulate(tune(swarmOptions(seed, 3)), { program: realBroker() });
      assert.deepEqual(violations, [], `seed ${seed}`);
    }
  });
}
