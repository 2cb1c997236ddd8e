/** A real etcd on loopback: the current one (a pinned Go module), or Debian's 3.4, which is past its end of life and worth a test. */
import { join } from 'node:path';
import { goModuleProgram } from './cache.ts';
import { freePort, Program } from './program.ts';

export type EtcdKind = 'current' | 'debian';

export interface EtcdServer {
  readonly endpoint: string;
  readonly program: Program;
}

export async function startEtcd(kind: EtcdKind, folder: string): Promise<EtcdServer> {
  const port = await freePort();
  const peer = `http://127.0.0.1:${await freePort()}`;
  const endpoint = `http://127.0.0.1:${port}`;
  const args = ['--name', 'm0', '--data-dir', join(folder, 'etcd'), '--listen-client-urls', endpoint, '--advertise-client-urls', endpoint];
  args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `m0=${peer}`, '--log-level', 'warn');
  const program = await Program.start({ command: etcdProgram(kind), args, logFile: join(folder, `etcd-${kind}.log`), port, startTimeoutMs: 30_000 });
  return { endpoint, program };
}

export function etcdProgram(kind: EtcdKind): string {
  return kind === 'current' ? goModuleProgram('etcd', 'etcd', 'go.etcd.io/etcd/server/v3') : 'etcd';
}
