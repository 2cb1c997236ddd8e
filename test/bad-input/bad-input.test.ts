/**
 * The corpus of bad requests against our broker: it does what Apache Kafka did (test/golden/bad-input, recorded by differential.ts), or what
 * accepted-differences.ts says and why. And it lives: nothing hangs, nothing fails inside, nothing stays open.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { projectRoot } from '../tidy/project-files.ts';
import { acceptedDifferences } from './accepted-differences.ts';
import { caseName } from './bad-input.ts';
import { BrokerChild, type Measurement } from './broker-child.ts';
import { corpus } from './corpus/corpus.ts';
import { documentText } from './document.ts';
import { readGolden } from './golden.ts';
import { measureWhenFreed } from './open-files.ts';
import { type CorpusRun, runCorpus } from './run-corpus.ts';

const MIB = 1_048_576;
const golden = readGolden();
const accepted = new Map(acceptedDifferences.flatMap(({ ours }) => Object.entries(ours)));

let broker: BrokerChild;
let started: Measurement;
let run: CorpusRun;

before(async () => {
  broker = await BrokerChild.start();
  started = await broker.measure();
  run = await runCorpus(broker.address, corpus, { patienceMs: 10_000, silenceMs: 200, parallel: 4 });
});

after(() => broker.stop());

test('Kafka was asked about every case', () => {
  assert.deepEqual([...golden.keys()], corpus.map(caseName));
});

describe('bad input', () => {
  for (const name of corpus.map(caseName)) {
    test(name, () => assert.deepEqual(run.observations.get(name), accepted.get(name) ?? golden.get(name)));
  }
});

test('accepted differences are differences', () => {
  for (const [name, ours] of accepted) assert.notDeepEqual(ours, golden.get(name), `${name}: we do as Kafka now; take it out of accepted-differences.ts`);
});

test('the broker lives, nothing failed inside, every connection is closed', async () => {
  const end = await measureWhenFreed(broker, started);
  assert.equal(end.handlerFailures, 0);
  assert.equal(end.openFiles, started.openFiles);
  // What the corpus made is still there: a topic and a group for every case, and what was written.
  assert.ok(end.heldBytes - started.heldBytes < 32 * MIB, `${end.heldBytes - started.heldBytes} bytes more than at the start`);
});

test('docs/bad-input.md tells the accepted differences', () => {
  assert.equal(readFileSync(join(projectRoot, 'docs/bad-input.md'), 'utf8'), documentText(), 'run: node dist/test/bad-input/differential.js document');
});
