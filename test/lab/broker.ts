/** Our own broker as a process: `automq broker` on free ports, its stores in a folder or on an S3 server. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, Program } from './program.ts';
import { type CommandResult, runCommand } from './run-command.ts';

/** Where objects are kept on an S3 server; an `S3Server` is one. */
export interface BucketAddress {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix?: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface OwnBrokerOptions {
  /** Its data folder and log. A second start on the same folder finds everything again. */
  readonly folder: string;
  readonly port?: number;
  /** More settings, `--key=value`. */
  readonly settings?: readonly string[];
  /** Keep objects there instead of in the folder; the metadata stays in the folder. */
  readonly s3?: BucketAddress;
  /** Of the V8 heap. */
  readonly heapMiB?: number;
}

export interface OwnBroker {
  readonly bootstrap: string;
  readonly metricsUrl: string;
  readonly program: Program;
}

/** As compiled beside this file. */
const automq = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));

/** Node is this process's own, so that a test run on Node 24 tests the broker on Node 24. */
export async function startBroker(options: OwnBrokerOptions): Promise<OwnBroker> {
  const port = options.port ?? (await freePort());
  const metricsPort = await freePort();
  mkdirSync(options.folder, { recursive: true });
  const settings = [
    ...storeSettings(options),
    `--listeners=PLAINTEXT://127.0.0.1:${port}`,
    `--metrics.listener=127.0.0.1:${metricsPort}`,
    '--group.initial.rebalance.delay.ms=0',
    '--offsets.topic.num.partitions=16',
    ...(options.settings ?? []),
  ];
  const program = await Program.start({
    command: process.execPath,
    args: [...(options.heapMiB ? [`--max-old-space-size=${options.heapMiB}`] : []), automq, 'broker', ...settings],
    env: credentials(options),
    logFile: join(options.folder, 'broker.log'),
    port,
    startTimeoutMs: 60_000,
  });
  return { bootstrap: `127.0.0.1:${port}`, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`, program };
}

/** `automq storage fsck --verify` over the stores of a broker that has ended. */
export function fsck(options: OwnBrokerOptions): Promise<CommandResult> {
  return runCommand(process.execPath, [automq, 'storage', 'fsck', '--verify', ...storeSettings(options)], { env: credentials(options) });
}

function storeSettings({ folder, s3 }: OwnBrokerOptions): string[] {
  const bucket = s3 ? [`--storage.url=s3://${s3.bucket}/${s3.prefix ?? 'automq'}`, `--s3.endpoint=${s3.endpoint}`, '--s3.region=us-east-1'] : [];
  return [`--data.folder=${join(folder, 'data')}`, ...bucket];
}

function credentials({ s3 }: OwnBrokerOptions): Record<string, string> {
  return s3 ? { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey } : {};
}
