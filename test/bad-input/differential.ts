/**
 * The corpus against real brokers:
 *   node dist/test/bad-input/differential.js record              starts Apache Kafka, writes test/golden/bad-input/
 *   node dist/test/bad-input/differential.js compare HOST:PORT   that broker against the recorded answers; ends with 1 when they differ
 *   node dist/test/bad-input/differential.js document            writes docs/bad-input.md
 * An argument `only=B31` picks the cases whose name holds it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../lab/kafka.ts';
import { caseName } from './bad-input.ts';
import { corpus } from './corpus/corpus.ts';
import { writeDocument } from './document.ts';
import { readGolden, writeGolden } from './golden.ts';
import type { Observation } from './observation.ts';
import { type CorpusRun, runCorpus } from './run-corpus.ts';
import type { Address } from './wire-client.ts';

const only = process.argv.find((argument) => argument.startsWith('only='))?.slice('only='.length);
const [command, target] = process.argv.slice(2).filter((argument) => !argument.startsWith('only='));
const cases = corpus.filter((sample) => only === undefined || caseName(sample).includes(only));
const options = { patienceMs: 5_000, silenceMs: 700, parallel: 8 };

if (command === 'record') await record();
else if (command === 'compare' && target) process.exitCode = (await compare(addressOf(target))) > 0 ? 1 : 0;
else if (command === 'document') console.log(writeDocument());
else {
  console.error('usage: differential.js record | compare HOST:PORT | document   [only=TEXT]');
  process.exitCode = 2;
}

/** Twice, since what Kafka answers differently from run to run is nothing to hold others to. */
async function record(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bad-input-kafka-'));
  const { bootstrap, program } = await startKafka({ folder });
  try {
    const first = await runCorpus(addressOf(bootstrap), cases, options);
    tell(first);
    const second = await runCorpus(addressOf(bootstrap), cases, options);
    const unsteady = differences(first.observations, second.observations);
    for (const { name, one, other } of unsteady) console.log(`not steady: ${name}\n  first   ${one.join(' | ')}\n  second  ${other.join(' | ')}`);
    console.log(
      `${writeGolden(corpus, new Map([...(only === undefined ? [] : readGolden()), ...first.observations]))}: ${cases.length} cases, ${unsteady.length} not steady`,
    );
  } finally {
    await program.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(address: Address): Promise<number> {
  const run = await runCorpus(address, cases, options);
  tell(run);
  const found = differences(readGolden(), run.observations);
  for (const { name, one, other } of found) console.log(`${name}\n  Kafka  ${one.join(' | ')}\n  here   ${other.join(' | ')}`);
  console.log(`${found.length} differences in ${cases.length} cases`);
  return found.length;
}

interface Difference {
  readonly name: string;
  readonly one: Observation;
  readonly other: Observation;
}

function differences(one: ReadonlyMap<string, Observation>, other: ReadonlyMap<string, Observation>): Difference[] {
  return [...other].flatMap(([name, seen]) => {
    const wanted = one.get(name) ?? ['not recorded'];
    return wanted.join('\n') === seen.join('\n') ? [] : [{ name, one: wanted, other: seen }];
  });
}

function tell({ observations, slowest }: CorpusRun): void {
  console.log(`${observations.size} cases; slowest: ${slowest.name}, ${Math.round(slowest.tookMs)} ms`);
}

function addressOf(text: string): Address {
  const [host = '127.0.0.1', port = ''] = text.split(':');
  return { host, port: Number(port) };
}
