/** Many real brokers over one folder and one metadata store, all on this machine, and what the kernel and their logs say about them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../../cli/config-input.ts';
import { BrokerProcess } from '../../cli/up/broker-process.ts';
import { freePorts, host } from '../../cli/up/free-ports.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import { openMetaStore } from '../../io/meta/open-meta-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { silentLogger } from '../../io/logger.ts';
import { etcdProgram, startEtcd } from '../../test/lab/etcd.ts';
import { Program } from '../../test/lab/program.ts';
import type { Address } from '../availability/kafka-socket.ts';

export interface ClusterOptions {
  readonly folder: string;
  readonly brokers: number;
  readonly etcd: boolean;
  /** Of Node itself, for the broker with this node id: a profile. */
  readonly nodeOptionsOf: (node: number) => readonly string[];
}

/** One line of a broker's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

const endWithinMs = 120_000;

export class ManyBrokers {
  readonly meta: MetaStore;
  readonly metadata: Program;
  readonly brokers: readonly BrokerProcess[];
  readonly #metadataFolder: string;
  readonly #folder: string;

  static async start({ folder, brokers: count, etcd, nodeOptionsOf }: ClusterOptions): Promise<ManyBrokers> {
    mkdirSync(folder, { recursive: true });
    const metadataFolder = join(folder, 'metadata');
    const [metadata, url] = etcd ? await etcdIn(metadataFolder) : await embeddedIn(metadataFolder, join(folder, 'metadata.log'));
    const meta = await openMetaStore({ url }, { clock: systemClock, random: systemRandom, logger: silentLogger });
    const settings = [`--metadata.url=${url}`, `--data.folder=${join(folder, 'data')}`, '--shutdown.timeout.ms=60000'];
    const plan = readConfig({ file: undefined, flags: settings, brokers: count });
    if (plan.kind === 'refused') throw new Error(plan.text);
    const ports = await freePorts(count);
    const brokers = ports.map(
      (port, node) =>
        new BrokerProcess({
          node,
          port,
          settings: ({ metrics, internal }) => [
            `--node.id=${node}`,
            `--listeners=PLAINTEXT://${host}:${port}`,
            `--metrics.listener=${host}:${metrics}`,
            `--internal.listener=${host}:${internal}`,
            ...settings,
            ...plan.planned,
          ],
          nodeOptions: [`--max-old-space-size=${Math.floor(plan.heapBytes / 1_048_576)}`, ...nodeOptionsOf(node)],
          logFile: async () => logFileOf(folder, node),
          endWithinMs,
          say: (line) => console.error(`scale: ${line}`),
        }),
    );
    const cluster = new ManyBrokers({ meta, metadata, brokers, metadataFolder, folder });
    process.once('exit', () => brokers.forEach((broker) => broker.killNow()));
    // One after the other: twenty processes that compile at once would tell nothing.
    for (const broker of brokers) await broker.start();
    return cluster;
  }

  private constructor(parts: {
    readonly meta: MetaStore;
    readonly metadata: Program;
    readonly brokers: readonly BrokerProcess[];
    readonly metadataFolder: string;
    readonly folder: string;
  }) {
    this.meta = parts.meta;
    this.metadata = parts.metadata;
    this.brokers = parts.brokers;
    this.#metadataFolder = parts.metadataFolder;
    this.#folder = parts.folder;
  }

  get bootstrap(): readonly Address[] {
    return this.brokers.map(({ port }) => ({ host, port }));
  }

  broker(node: number): BrokerProcess {
    const found = this.brokers[node];
    if (!found) throw new Error(`there is no broker ${node}`);
    return found;
  }

  async pidOf(node: number): Promise<number> {
    const state = await this.broker(node).state();
    if (!('pid' in state)) throw new Error(`broker ${node} does not run: ${state.why}`);
    return state.pid;
  }

  /** Of the metadata store's files: its journal and snapshot, or etcd's database without its WAL. */
  metadataFileBytes(): number {
    const database = join(this.#metadataFolder, 'etcd', 'member', 'snap', 'db');
    if (existsSync(database)) return statSync(database).size;
    return readdirSync(this.#metadataFolder).reduce((sum, name) => sum + statSync(join(this.#metadataFolder, name)).size, 0);
  }

  /** What a broker has logged from this byte of its log on. */
  logLines(node: number, fromByte = 0): LogLine[] {
    const text = readFileSync(logFileOf(this.#folder, node)).subarray(fromByte).toString();
    return text.split('\n').flatMap((line): LogLine[] => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
  }

  logBytes(node: number): number {
    const file = logFileOf(this.#folder, node);
    return existsSync(file) ? statSync(file).size : 0;
  }

  /** Without a drain: what is measured is over. But who was profiled writes that at its end. */
  async close(profiled: number | undefined): Promise<void> {
    if (profiled !== undefined) await this.broker(profiled).stop();
    await Promise.all(this.brokers.map((broker) => broker.kill()));
    await this.meta.close();
    await this.metadata.stop();
  }
}

function logFileOf(folder: string, node: number): string {
  return join(folder, `broker-${node}.log`);
}

async function embeddedIn(folder: string, logFile: string): Promise<[Program, string]> {
  const [port = 0] = await freePorts(1);
  const script = fileURLToPath(new URL('metadata-host.js', import.meta.url));
  const program = await Program.start({ command: process.execPath, args: [script, folder, String(port)], logFile, port });
  return [program, `tcp://${host}:${port}/scale`];
}

async function etcdIn(folder: string): Promise<[Program, string]> {
  etcdProgram('current');
  mkdirSync(folder, { recursive: true });
  const { endpoint, program } = await startEtcd('current', folder);
  await delay(1_000);
  return [program, endpoint.replace('http://', 'etcd://')];
}
