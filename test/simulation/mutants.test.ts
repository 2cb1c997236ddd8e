/** Deliberate bugs in the broker: the simulation must find each of them, or it would not find the real ones either. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mutant } from '../../broker/log/mutants.ts';
import { realBroker } from './real-broker.ts';
import { simulate } from './simulation.ts';
import { swarmOptions } from './swarm.ts';

/** The mutants that the broker has, and where to begin to look: the first seed that found each when this was written. */
const firstSeeds: Readonly<Partial<Record<Mutant, number>>> = {
  'ack-before-durable': 1,
  'ack-out-of-order': 1,
  'any-412-is-success': 59,
  'forget-producer-state-on-recovery': 2,
  'reuse-node-epoch': 1,
  'collect-too-early': 11,
  'skip-seal': 59,
  'send-other-bytes': 1,
};
const mostSeeds = 40;

for (const [mutant, first] of Object.entries(firstSeeds) as [Mutant, number][]) {
  test(`${mutant} is found`, async () => {
    for (let seed = first; seed < first + mostSeeds; seed++) {
      const { violations } = await simulate(swarmOptions(seed), { program: realBroker(new Set([mutant])) });
      if (violations.length > 0) return;
    }
    assert.fail(`not within ${mostSeeds} seeds from ${first}`);
  });
}
