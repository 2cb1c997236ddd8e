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
  readonly health: string;
}

export interface EtcdProcessOptions {
  readonly extraArgs?: readonly string[];
  /** Serves clients over TLS. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string };
}

export class EtcdProcess {
  readonly endpoint: string;
  readonly clientPort: number;
  readonly #binary: string;
  readonly #args: readonly string[];
  readonly #folder: string;
  readonly #health: string;
  #program: Program | undefined;

  private constructor(binary: string, folder: string, { name, client, peer, health }: Member, initialCluster: string, options: EtcdProcessOptions) {
    this.endpoint = client;
    this.clientPort = Number(new URL(client).port);
    this.#binary = binary;
    this.#folder = folder;
    this.#health = health;
    const addresses = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-metrics-urls', health];
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', initialCluster];
    const { certificate, extraArgs = [] } = options;
    const tls = certificate ? ['--cert-file', certificate.certFile, '--key-file', certificate.keyFile] : [];
    this.#args = ['--name', name, '--data-dir', join(folder, 'data'), '--log-level', 'error', ...addresses, ...peers, ...tls, ...extraArgs];
  }

  static async start(binary: string, options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
    return (await EtcdProcess.startCluster(binary, 1, options))[0] as EtcdProcess;
  }

  static async startCluster(binary: string, size: number, options: EtcdProcessOptions = {}): Promise<EtcdProcess[]> {
    const members: Member[] = [];
    const scheme = options.certificate ? 'https' : 'http';
    const address = async () => `127.0.0.1:${await freePort()}`;
    for (let i = 0; i < size; i++)
      members.push({ name: `m${i}`, client: `${scheme}://${await address()}`, peer: `http://${await address()}`, health: `http://${await address()}` });
    const initialCluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
    const processes: EtcdProcess[] = [];
    for (const member of members) processes.push(new EtcdProcess(binary, await mkdtemp(join(tmpdir(), 'automq-etcd-')), member, initialCluster, options));
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
    const answer = await fetch(`${this.#health}/health`).catch(() => undefined);
    return answer !== undefined && (await answer.text()).includes('"true"');
  }
}
