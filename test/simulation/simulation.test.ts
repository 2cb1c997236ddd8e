/** A short run of the simulation with fixed seeds, and every seed that ever failed. Long runs: `make sim SEEDS=1000`. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realBroker } from './real-broker.ts';
import { type Outcome, simulate } from './simulation.ts';
import { checkStore } from './store-check.ts';
import { readOptions, swarmOptions } from './swarm.ts';

const seeds = Array.from({ length: 25 }, (_, i) => i + 1);
const projectRoot = findProjectRoot();

describe('the simulated broker keeps the contract', () => {
  for (const seed of seeds) {
    test(`seed ${seed}`, async () => expectClean(await simulate(swarmOptions(seed), { program: realBroker(), storeCheck: checkStore })));
  }
});

describe('what failed once and was mended', () => {
  for (const file of seedFiles()) {
    test(file, async () => {
      const options = readOptions(readFileSync(`${projectRoot}/test/seeds/${file}`, 'utf8'));
      expectClean(await simulate(options, { program: realBroker(), storeCheck: checkStore }));
    });
  }
});

test('one seed, one history: two runs leave the same trace', async () => {
  for (const seed of [3, 8]) {
    const first = await simulate(swarmOptions(seed), { program: realBroker(), storeCheck: checkStore });
    const second = await simulate(swarmOptions(seed), { program: realBroker(), storeCheck: checkStore });
    assert.equal(first.traceHash, second.traceHash, `seed ${seed}`);
    assert.deepEqual(first.history, second.history);
  }
});

function expectClean(outcome: Outcome): void {
  const { seed } = outcome.options;
  const text = outcome.violations.slice(0, 5).map(({ name, detail }) => `${name}: ${detail}`);
  assert.deepEqual(text, [], `seed ${seed}; replay: make sim SEED=${seed}\n${outcome.lastLines.slice(-20).join('\n')}`);
}

function seedFiles(): readonly string[] {
  return readdirSync(`${projectRoot}/test/seeds`).filter((name) => name.endsWith('.json'));
}

/** Tests run from an output folder at any depth: the seeds lie beside the sources. */
function findProjectRoot(): string {
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    const path = fileURLToPath(folder);
    if (readdirSync(path).includes('package-lock.json')) return path;
  }
  throw new Error('no package-lock.json above this file');
}
