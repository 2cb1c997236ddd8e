/** `automq storage`: tests whether a store is fit, and looks into what lies in it. */
import type { BrokerConfig } from '../broker/config.ts';
import { fsck, type ObjectClass } from '../broker/log/fsck/fsck.ts';
import { inspectObject } from '../broker/log/inspect.ts';
import { proveStore } from '../broker/log/store-proof.ts';
import { readStoredMetadata } from '../broker/ownership/stored-metadata.ts';
import { silentLogger } from '../io/logger.ts';
import { noMetrics } from '../io/metrics.ts';
import type { ObjectStore } from '../io/object/object-store.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { type Command, UsageError } from './command.ts';
import { readConfig } from './config-input.ts';
import { openMeta, openObjects } from './open-stores.ts';
import { refusalText } from './start-refusal.ts';

const help = `Usage: automq storage check|fsck [URL] [--KEY=VALUE …]
       automq storage inspect KEY [URL] [--KEY=VALUE …]

check      is this store fit? Races conditional PUTs (16 at a time, 20 rounds: each must have exactly one winner), looks whether
           what is missing is called missing and what was written can be read. Leaves nothing behind. Exit code 0: fit.

fsck       what is each stored object: live, seal, start of an incarnation, garbage, unknown; is anything missing? Reads the metadata
           store, too, and changes nothing. Of a running cluster it is a look at things that move. Exit code 0: nothing is wrong.
             --verify    reads every object that is needed and checks its CRCs
             --objects   a line for every object, not only the totals

inspect    what one stored object says: who wrote it, which offsets of which partitions it holds and where; its CRCs are checked.

URL is s3://bucket/prefix or a folder; without it, the broker's settings say (environment and --KEY=VALUE).

Examples
  automq storage check s3://my-bucket/kafka
  automq storage check s3://my-bucket --s3.endpoint=http://127.0.0.1:9000
  automq storage check ./data/objects
  automq storage fsck --data.folder=./data
  automq storage inspect wal/0/000000000001/000000000003 ./data/objects
  automq storage fsck s3://my-bucket/kafka --metadata.url=etcd://127.0.0.1:2379 --verify
`;

interface TaskInput {
  readonly objects: ObjectStore;
  readonly config: BrokerConfig;
  /** Of inspect. */
  readonly key: string;
  /** The task's own options, without dashes. */
  readonly options: ReadonlySet<string>;
}

interface Task {
  readonly options: readonly string[];
  readonly takesKey?: true;
  readonly run: (input: TaskInput) => Promise<number>;
}

const tasks: Readonly<Record<string, Task>> = {
  check: { options: [], run: runCheck },
  fsck: { options: ['verify', 'objects'], run: runFsck },
  inspect: { options: [], takesKey: true, run: runInspect },
};

async function run([name = '', ...args]: readonly string[]): Promise<number> {
  const task = tasks[name];
  if (!task) throw new UsageError(`${name === '' ? 'which' : `no such`} command${name === '' ? '' : ` ${name}`}? There are: ${Object.keys(tasks).join(', ')}.`);
  const isOption = (arg: string) => task.options.includes(arg.replace(/^--/, ''));
  const options = new Set(args.filter(isOption).map((arg) => arg.slice(2)));
  const flags = args.filter((arg) => arg.startsWith('--') && !isOption(arg));
  const named = args.filter((arg) => !arg.startsWith('--'));
  const key = task.takesKey ? named.shift() : '';
  if (key === undefined) throw new UsageError('which object? Its key is missing.');
  const [url, ...more] = named;
  if (more.length > 0) throw new UsageError(`${more.join(' ')}: one URL is enough`);
  const result = readConfig({ file: undefined, flags: url === undefined ? flags : [...flags, `--storage.url=${url}`] });
  if (result.kind === 'refused') {
    console.error(`automq storage: ${result.text}`);
    return 2;
  }
  try {
    const objects = await openObjects(result.config, noMetrics);
    try {
      return await task.run({ objects, config: result.config, key, options });
    } finally {
      await objects.close();
    }
  } catch (error) {
    const text = refusalText(error);
    if (text === undefined) throw error;
    console.error(`automq storage: ${text}`);
    return 1;
  }
}

export const storage: Command = { help, run };

async function runCheck({ objects }: TaskInput): Promise<number> {
  const proof = await proveStore({ objects, clock: systemClock, random: systemRandom });
  if (proof.kind === 'fit') {
    console.log('fit: each of 20 races of 16 conditional creates had exactly one winner, and reads answered what was written');
    return 0;
  }
  console.error(`${proof.kind}: ${proof.text}`);
  return 1;
}

async function runFsck({ objects, config, options }: TaskInput): Promise<number> {
  const meta = await openMeta(config, silentLogger);
  try {
    const metadata = () => readStoredMetadata(meta);
    const signal = new AbortController().signal;
    const report = await fsck({ objects, clock: systemClock, random: systemRandom, signal, parallel: 16, metadata, verify: options.has('verify') });
    const told = report.objects.filter((object) => options.has('objects') || wrong.includes(object.is));
    for (const { key, is, sizeBytes, reason } of told) console.log(`${is.padEnd(8)} ${String(sizeBytes).padStart(12)} ${key}  ${reason}`);
    for (const problem of report.problems) console.log(`problem  ${problem}`);
    for (const [is, { count, bytes }] of Object.entries(report.totals)) if (count > 0) console.log(`${is}: ${count} objects, ${bytes} bytes`);
    console.log(report.clean ? 'clean: nothing is missing, damaged or unknown' : 'NOT clean: see above; nothing was changed');
    return report.clean ? 0 : 1;
  } finally {
    await meta.close();
  }
}

async function runInspect({ objects, key }: TaskInput): Promise<number> {
  const { signal } = new AbortController();
  const lines = await inspectObject(key, { objects, clock: systemClock, random: systemRandom, signal, maxWholeBytes: 256 * 1024 * 1024 });
  console.log(lines?.join('\n') ?? `there is no object ${key}`);
  return lines ? 0 : 1;
}

const wrong: readonly ObjectClass[] = ['missing', 'damaged', 'unknown'];
