/**
 * Consumer groups of real clients (groups.py, over librdkafka) that commit what they read and are never restarted. Several, because
 * each has its coordinator on one broker only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pythonCommand } from '../../test/clients/python-client.ts';
import { projectFolder } from '../../test/lab/cache.ts';
import type { Address } from './kafka-socket.ts';
import { Timeline } from './timeline.ts';

export interface LibrdkafkaGroupsOptions {
  readonly bootstrap: readonly Address[];
  readonly topic: string;
  readonly partitions: number;
  readonly groups: number;
}

interface Step {
  readonly atMs: number;
  readonly kind: 'progress' | 'commit' | 'fault';
  readonly group: string;
  readonly partition: number;
  readonly text: string;
}

const pollMs = 50;

export class LibrdkafkaGroups {
  readonly progress = new Timeline();
  readonly commits = new Timeline();
  /** What must not happen. */
  readonly faults: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  /** Resolves when every group has read and committed. */
  static async start(options: LibrdkafkaGroupsOptions): Promise<LibrdkafkaGroups> {
    const groups = new LibrdkafkaGroups(options);
    while (groups.progress.size < options.groups * options.partitions || groups.commits.size < options.groups) await delay(pollMs);
    return groups;
  }

  private constructor({ bootstrap, topic, groups }: LibrdkafkaGroupsOptions) {
    const { command, env } = pythonCommand();
    this.#child = spawn(command, [join(projectFolder, 'bench', 'availability', 'groups.py')], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const order = { bootstrap: bootstrap.map(({ host, port }) => `${host}:${port}`).join(','), topic, groups };
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    if (!this.#child.stdout) throw new Error('no standard output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(JSON.parse(line) as Step));
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    // Its input ends with us, and it with that.
    void this.#ended.then(() => this.#child.exitCode === 0 || this.faults.push(`groups.py ended with ${this.#child.exitCode ?? this.#child.signalCode}`));
  }

  watch(): void {
    for (const timeline of [this.progress, this.commits]) timeline.watch();
  }

  missingSince(sinceMs: number): string[] {
    return [...this.progress.missingSince(sinceMs), ...this.commits.missingSince(sinceMs)];
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  #take({ atMs, kind, group, partition, text }: Step): void {
    const at = atMs - performance.timeOrigin;
    if (kind === 'progress') this.progress.note(`${group}, partition ${partition}`, at);
    else if (kind === 'commit') this.commits.note(`commits of ${group}`, at);
    else this.faults.push(`${group}, partition ${partition}: ${text}`);
  }
}
