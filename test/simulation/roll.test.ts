/** Rolling from one build to the next and back under load, in the simulation: issue "2 ·", docs/design/0006-versions.md. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Roll } from './roll.ts';
import { type FoundViolation, simulate } from './simulation.ts';
import { checkStore } from './store-check.ts';
import { type SimOptions, swarmOptions } from './swarm.ts';

const nodes = [0, 1, 2] as const;
const quietSeeds = [12];
const faultySeeds = [5, 6];

describe('a roll under load', () => {
  for (const seed of quietSeeds) test(`seed ${seed}, nothing else happens`, () => rollsForwardAndBack(rollOptions(seed, false)));
  for (const seed of faultySeeds) test(`seed ${seed}, brokers die and stores fail`, () => rollsForwardAndBack(rollOptions(seed, true)));
});

async function rollsForwardAndBack(options: SimOptions): Promise<void> {
  const roll = new Roll();
  let finished = false;
  const script = async () => {
    await roll.rest();
    for (const node of nodes) await roll.restart(node, 'new', 'orderly');
    // Not finalized: back, in whatever way, and forward again.
    await roll.restart(1, 'old', 'orderly');
    await roll.restart(2, 'old', 'kill');
    assert.match((await roll.finalize(2)) ?? 'finalized', /Broker [12] supports automq\.storage 1 to 1 only/);
    assert.deepEqual(roll.newerWritten, []);
    await roll.restart(1, 'new', 'kill');
    await roll.restart(2, 'new', 'orderly');
    while ((await roll.finalize(2)) !== undefined) await roll.rest();
    await roll.restart(0, 'new', 'kill');
    assert.notDeepEqual(roll.newerWritten, []);
    await roll.refused(1, 1);
    await roll.rest();
    finished = true;
  };
  let problem: unknown;
  void script().catch((error: unknown) => {
    problem = error;
  });
  const outcome = await simulate(options, { program: roll.program, storeCheck: checkStore, stepCheck: roll.step });
  if (problem instanceof Error) throw problem;
  const violations = outcome.violations.slice(0, 5).map(({ name, detail }: FoundViolation) => `${name}: ${detail}`);
  assert.deepEqual(violations, [], `${roll.steps.join('\n')}\n${outcome.lastLines.slice(-20).join('\n')}`);
  assert.ok(finished, `the roll did not come to its end in ${outcome.virtualMs} ms:\n${roll.steps.join('\n')}`);
  assert.deepEqual(roll.newerMet, [], 'an older build was handed what it cannot read');
  assert.ok(roll.refusals.length >= 1);
  for (const { node, build, text } of roll.refusals)
    assert.match(`${node} ${build} ${text}`, /^1 old .*finalized at storage version 2, this program reads 1 to 1/);
}

/** A cluster of three whose load lasts for all restarts. */
function rollOptions(seed: number, faulty: boolean): SimOptions {
  const drawn = swarmOptions(seed, nodes.length);
  const times = workMs / drawn.workMs;
  return {
    ...drawn,
    workMs,
    damaged: false,
    powerCuts: false,
    restartBeforeFinalReads: true,
    nemesis: faulty ? Object.fromEntries(Object.entries({ crash: 10_000, ...drawn.nemesis }).map(([fault, ms]) => [fault, Math.round(ms * times)])) : {},
    lastVictim: 'none',
    drainGapMs: 0,
    gapMs: 300,
    // Long runs: what is garbage goes, and nothing is cut into small pieces.
    network: { ...drawn.network, windowBytes: 65_536, splitChance: 0 },
    broker: { ...drawn.broker, 'checkpoint.interval.ms': '2000', 'merge.interval.ms': '3000', 'gc.delay.ms': '1000' },
    noise: ['move partition', 'move topic'],
    noiseGapMs: 3_000,
    idempotentProducers: 2,
    plainProducers: 0,
    consumers: 1,
    groups: [1],
  };
}

const workMs = 300_000;
