/** A real etcd server as a child process on free loopback ports, that a test may stop, pause, kill and start again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface EtcdMember {
  readonly clientPort: number;
  readonly peerPort: number;
  readonly name: string;
}

export class EtcdProcess {
  readonly clientPort: number;
  readonly endpoint: string;
  readonly #binary: string;
  readonly #args: readonly string[];
  readonly #folder: string;
  #child: ChildProcess | undefined;

  private constructor(binary: string, folder: string, member: EtcdMember, args: readonly string[]) {
    this.#binary = binary;
    this.#folder = folder;
    this.#args = args;
    this.clientPort = member.clientPort;
    this.endpoint = `http://127.0.0.1:${member.clientPort}`;
  }

  /** Starts a cluster of `size` members and waits until each serves. */
  static async startCluster(binary: string, size: number, extraArgs: readonly string[] = []): Promise<EtcdProcess[]> {
    const ports = await freePorts(2 * size);
    const members = Array.from({ length: size }, (_, i) => ({ name: `m${i}`, clientPort: ports[2 * i] as number, peerPort: ports[2 * i + 1] as number }));
    const cluster = members.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(',');
    const processes: EtcdProcess[] = [];
    for (const member of members) {
      const folder = await mkdtemp(join(tmpdir(), 'automq-etcd-'));
      const client = `http://127.0.0.1:${member.clientPort}`;
      const peer = `http://127.0.0.1:${member.peerPort}`;
      const args = [
        '--name',
        member.name,
        '--data-dir',
        folder,
        '--listen-client-urls',
        client,
        '--advertise-client-urls',
        client,
        '--listen-peer-urls',
        peer,
        '--initial-advertise-peer-urls',
        peer,
        '--initial-cluster',
        cluster,
        '--log-level',
        'error',
        ...extraArgs,
      ];
      processes.push(new EtcdProcess(binary, folder, member, args));
    }
    await Promise.all(processes.map((process) => process.start()));
    return processes;
  }

  static async start(binary: string, extraArgs: readonly string[] = []): Promise<EtcdProcess> {
    return (await EtcdProcess.startCluster(binary, 1, extraArgs))[0] as EtcdProcess;
  }

  async start(): Promise<void> {
    const child = spawn(this.#binary, this.#args, { stdio: 'ignore' });
    this.#child = child;
    while (!(await this.#serves())) {
      if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}: ${this.#binary} ${this.#args.join(' ')}`);
      await delay(20);
    }
  }

  /** Listening is not enough: a member serves once it knows a leader. */
  async #serves(): Promise<boolean> {
    const answer = await fetch(`${this.endpoint}/health`).catch(() => undefined);
    return answer !== undefined && (await answer.text()).includes('"true"');
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  /** Deletes its data; for a process that is not running. */
  async wipe(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async destroy(): Promise<void> {
    await this.kill();
    await this.wipe();
  }
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
