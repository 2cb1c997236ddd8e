/** `automq storage`: tests whether a store is fit, and looks into what lies in it. */
import type { BrokerConfig } from '../broker/config.ts';
import { proveStore } from '../broker/log/store-proof.ts';
import { noMetrics } from '../io/metrics.ts';
import type { ObjectStore } from '../io/object/object-store.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { type Command, UsageError } from './command.ts';
import { readConfig } from './config-input.ts';
import { openObjects } from './open-stores.ts';
import { refusalText } from './start-refusal.ts';

const help = `Usage: automq storage check [URL] [--KEY=VALUE …]

check      is this store fit? Races conditional PUTs (16 at a time, 20 rounds: each must have exactly one winner), looks whether
           what is missing is called missing and what was written can be read. Leaves nothing behind. Exit code 0: fit.

URL is s3://bucket/prefix or a folder; without it, the broker's settings say (environment and --KEY=VALUE).

Examples
  automq storage check s3://my-bucket/kafka
  automq storage check s3://my-bucket --s3.endpoint=http://127.0.0.1:9000
  automq storage check ./data/objects
`;

type Task = (objects: ObjectStore, rest: readonly string[], config: BrokerConfig) => Promise<number>;

const tasks: Readonly<Record<string, Task>> = { check };

async function run([name = '', ...args]: readonly string[]): Promise<number> {
  const task = tasks[name];
  if (!task) throw new UsageError(`${name === '' ? 'which' : `no such`} command${name === '' ? '' : ` ${name}`}? There are: ${Object.keys(tasks).join(', ')}.`);
  const flags = args.filter((arg) => arg.startsWith('--'));
  const [url, ...rest] = args.filter((arg) => !arg.startsWith('--'));
  const result = readConfig({ file: undefined, flags: url === undefined ? flags : [...flags, `--storage.url=${url}`] });
  if (result.kind === 'refused') {
    console.error(`automq storage: ${result.text}`);
    return 2;
  }
  try {
    const objects = await openObjects(result.config, noMetrics);
    try {
      return await task(objects, rest, result.config);
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

async function check(objects: ObjectStore): Promise<number> {
  const proof = await proveStore({ objects, clock: systemClock, random: systemRandom });
  if (proof.kind === 'fit') {
    console.log('fit: each of 20 races of 16 conditional creates had exactly one winner, and reads answered what was written');
    return 0;
  }
  console.error(`${proof.kind}: ${proof.text}`);
  return 1;
}
