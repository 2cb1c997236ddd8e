/**
 * Runs a command with real servers beside it:  node dist/test/lab/with-servers.js versitygw minio etcd -- COMMAND ARGS…
 * Servers: versitygw, minio, etcd, etcd-debian, kafka. The command finds them in AUTOMQ_TEST_S3 (one URL per S3 server, separated
 * by spaces: http://KEY:SECRET@HOST:PORT/BUCKET), AUTOMQ_TEST_ETCD and AUTOMQ_TEST_KAFKA. Data lies in a temporary folder that is removed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEtcd } from './etcd.ts';
import { startKafka } from './kafka.ts';
import type { Program } from './program.ts';
import { type S3ServerKind, startS3Server } from './s3-server.ts';

const split = process.argv.indexOf('--');
const [servers, [command, ...args]] = split < 0 ? [[], []] : [process.argv.slice(2, split), process.argv.slice(split + 1)];
if (!command || servers.length === 0) {
  console.error('usage: with-servers [versitygw] [minio] [etcd] [etcd-debian] [kafka] -- COMMAND ARGS…');
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'automq-lab-'));
const programs: Program[] = [];
const found: Record<string, string[]> = {};
let code = 1;
try {
  for (const name of servers) await startServer(name);
  const env = Object.fromEntries(Object.entries(found).map(([key, values]) => [key, values.join(' ')]));
  for (const [key, value] of Object.entries(env)) console.error(`${key}=${value}`);
  code = await runToEnd(command, args, env);
} finally {
  for (const program of programs) await program.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(code);

async function startServer(name: string): Promise<void> {
  const home = join(folder, name);
  if (name === 'versitygw' || name === 'minio') {
    const server = await startS3Server(name satisfies S3ServerKind, home);
    const at = new URL(server.bucket, server.endpoint);
    at.username = server.accessKeyId;
    at.password = server.secretAccessKey;
    note('AUTOMQ_TEST_S3', at.href, server.program);
  } else if (name === 'etcd' || name === 'etcd-debian') {
    const server = await startEtcd(name === 'etcd' ? 'current' : 'debian', home);
    note('AUTOMQ_TEST_ETCD', server.endpoint, server.program);
  } else if (name === 'kafka') {
    const server = await startKafka({ folder: home });
    note('AUTOMQ_TEST_KAFKA', server.bootstrap, server.program);
  } else throw new Error(`unknown server: ${name}`);
}

function note(key: string, value: string, program: Program): void {
  programs.push(program);
  (found[key] ??= []).push(value);
}

function runToEnd(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    child.once('error', reject);
    child.once('exit', (exit) => resolve(exit ?? 1));
  });
}
