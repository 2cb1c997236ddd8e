/** A real etcd server on free loopback ports, that a test may pause, kill, empty and start again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, Program } from '../lab/program.ts';

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
}

export class EtcdProcess {
  readonly endpoint: string;
  readonly clientPort: number;
  readonly #binary: string;
  readonly #args: readonly string[];
  readonly #folder: string;
  #program: Program | undefined;

  private constructor(binary: string, folder: string, { name, client, peer }: Member, initialCluster: string, extraArgs: readonly string[]) {
    this.endpoint = client;
    this.clientPort = Number(new URL(client).port);
    this.#binary = binary;
    this.#folder = folder;
    const addresses = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
    this.#args = ['--name', name, '--data-dir', join(folder, 'data'), '--initial-cluster', initialCluster, '--log-level', 'error', ...addresses, ...extraArgs];
  }

  static async start(binary: string, extraArgs: readonly string[] = []): Promise<EtcdProcess> {
    return (await EtcdProcess.startCluster(binary, 1, extraArgs))[0] as EtcdProcess;
  }

  static async startCluster(binary: string, size: number, extraArgs: readonly string[] = []): Promise<EtcdProcess[]> {
    const members: Member[] = [];
    for (let i = 0; i < size; i++)
      members.push({ name: `m${i}`, client: `http://127.0.0.1:${await freePort()}`, peer: `http://127.0.0.1:${await freePort()}` });
    const initialCluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
    const processes: EtcdProcess[] = [];
    for (const member of members) processes.push(new EtcdProcess(binary, await mkdtemp(join(tmpdir(), 'automq-etcd-')), member, initialCluster, extraArgs));
    await Promise.all(processes.map((process) => process.start()));
    return processes;
  }

  async start(): Promise<void> {
    this.#program = await Program.start({ command: this.#binary, args: this.#args, logFile: join(this.#folder, 'log'), port: this.clientPort });
    while (!(await this.#serves())) await delay(20);
  }

  pause(): void {
    this.#program?.signal('SIGSTOP');
  }

  resume(): void {
    this.#program?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#program?.kill9();
    this.#program = undefined;
  }

  /** Deletes its data; for a process that is not running. */
  async wipe(): Promise<void> {
    await rm(join(this.#folder, 'data'), { recursive: true, force: true });
  }

  async destroy(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Listening is not enough: a member serves once it knows a leader. */
  async #serves(): Promise<boolean> {
    const answer = await fetch(`${this.endpoint}/health`).catch(() => undefined);
    return answer !== undefined && (await answer.text()).includes('"true"');
  }
}
