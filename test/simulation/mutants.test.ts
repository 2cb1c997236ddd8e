/** Deliberate bugs in the broker: the simulation must find each of them, or it would not find the real ones either. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mutant, mutantNames } from '../../broker/log/mutants.ts';
import { realBroker } from './real-broker.ts';
import { simulate } from './simulation.ts';
import { swarmOptions } from './swarm.ts';

/** Where to begin to look: the first seed that found it when this was written. */
const firstSeeds: Readonly<Partial<Record<Mutant, number>>> = {};
const mostSeeds = 60;

for (const mutant of mutantNames) {
  test(`${mutant} is found`, async () => {
    const first = firstSeeds[mutant] ?? 1;
    for (let seed = first; seed < first + mostSeeds; seed++) {
      const { violations } = await simulate(swarmOptions(seed), { program: realBroker(new Set([mutant])) });
      if (violations.length > 0) return;
    }
    assert.fail(`not within ${mostSeeds} seeds from ${first}`);
  });
}
