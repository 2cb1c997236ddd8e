/**
 * `node dist/test/simulation/run.js --seeds 300 --seed 1`: simulates seeds one after the other. For each that fails: the
 * seed, what was violated, the options, the last lines of the trace, the command that replays it. Exit status 1 then.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Mutant, mutantNames } from '../../broker/log/mutants.ts';
import { realBroker } from './real-broker.ts';
import { type Outcome, simulate } from './simulation.ts';
import { checkStore } from './store-check.ts';
import { readOptions, swarmOptions } from './swarm.ts';

const usage = `usage: run.js [--seed FIRST] [--seeds COUNT] [--file PATH] [--brokers N] [--twice] [--trace] [--keep] [--lines N] [--mutant NAME]
  --brokers how many, whatever the seed draws; the environment's BROKERS says the same
  --twice   runs every seed twice and compares the hashes of the traces
  --trace   prints all lines of the trace as they happen
  --keep    writes a failing seed with its options into test/seeds/open/; when it is mended the file moves up to
            test/seeds/, where make test replays it for ever
  --file    replays such a file
  --lines   last lines of the trace to print for a failure (40)
  --mutant  a deliberate bug: ${mutantNames.join(', ')}`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    twice: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    lines: { type: 'string', default: '40' },
    mutant: { type: 'string' },
    file: { type: 'string' },
    brokers: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

// Straight to the descriptor: streams stand on what the runtime trap forbids.
const print = (line: string) => void writeSync(1, `${line}\n`);

if (values.help || (values.mutant !== undefined && !mutantNames.includes(values.mutant as Mutant))) {
  print(usage);
  process.exit(values.help ? 0 : 2);
}
const brokersGiven = values.brokers ?? process.env['BROKERS'];
const brokers = brokersGiven === undefined ? undefined : Number(brokersGiven);
process.exitCode = (await runSeeds()) ? 0 : 1;

async function runSeeds(): Promise<boolean> {
  const first = Number(values.seed ?? 1);
  const count = values.file === undefined ? Number(values.seeds ?? 1) : 1;
  const cpu = process.cpuUsage();
  const totals = new Map<string, number>();
  let failed = 0;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await once(seed);
    for (const [name, times] of outcome.counts) totals.set(name, (totals.get(name) ?? 0) + times);
    const again = values.twice ? await once(seed) : outcome;
    const differs = again.traceHash !== outcome.traceHash;
    if (differs) print(`seed ${seed}: two runs differ, ${outcome.traceHash} and ${again.traceHash}: something is not deterministic`);
    if (outcome.violations.length > 0) report(outcome);
    if (differs || outcome.violations.length > 0) failed++;
    else if (count === 1)
      print(`seed ${outcome.options.seed}: clean, ${outcome.history.length} operations, ${outcome.events} events, trace ${outcome.traceHash}`);
  }
  const { user, system } = process.cpuUsage(cpu);
  const perSeed = (user + system) / 1e6 / count / (values.twice ? 2 : 1);
  print(`${count} seeds, ${failed} failed, ${perSeed.toFixed(2)} CPU-s each`);
  if (count > 1)
    print(
      [...totals]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, times]) => `${name}: ${times}`)
        .join(', '),
    );
  return failed === 0;
}

function once(seed: number): Promise<Outcome> {
  const mutants = values.mutant === undefined ? undefined : new Set([values.mutant as Mutant]);
  const options = values.file === undefined ? swarmOptions(seed, brokers) : readOptions(readFileSync(values.file, 'utf8'));
  return simulate(options, { program: realBroker(mutants), storeCheck: checkStore, print: values.trace ? print : undefined });
}

function report(outcome: Outcome): void {
  const { seed } = outcome.options;
  print(`seed ${seed} FAILED at commit ${commit()}`);
  const byName = new Map<string, string[]>();
  for (const { name, detail } of outcome.violations) byName.set(name, [...(byName.get(name) ?? []), detail]);
  for (const [name, details] of byName) print(`  ${name}${details.length > 1 ? ` (${details.length} times)` : ''}: ${details[0]}`);
  print(`  options: ${JSON.stringify(outcome.options)}`);
  const lines = Number(values.lines);
  for (const line of lines > 0 ? outcome.lastLines.slice(-lines) : []) print(`    ${line}`);
  const more = brokers === undefined ? '' : ` BROKERS=${brokers}`;
  print(
    `  replay: make sim SEED=${seed}${more}   (everything: node dist/test/simulation/run.js --seed ${seed} --trace${more === '' ? '' : ` --brokers ${brokers}`})`,
  );
  if (!values.keep) return;
  mkdirSync('test/seeds/open', { recursive: true });
  const file = `test/seeds/open/${seed}-${outcome.violations[0]?.name ?? 'unknown'}.json`;
  writeFileSync(file, `${JSON.stringify({ found: outcome.violations[0], options: outcome.options }, null, 2)}\n`);
  print(`  kept as ${file}`);
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
