/**
 * One broker of a fault run: a real process whose every link goes through a proxy of its own: clients and other brokers reach it,
 * and it reaches the stores, only there. It says when its process ends although nobody ended it.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Program } from '../lab/program.ts';
import { ChaosProxy } from './chaos-proxy.ts';
import type { ChaosStore } from './chaos-stores.ts';
import { lastingPort } from './ports.ts';

export interface ChaosBrokerOptions {
  readonly node: number;
  readonly folder: string;
  readonly metadata: ChaosStore;
  /** Undefined: the folder `data` below `folder`. */
  readonly objects: ChaosStore | undefined;
  readonly settings: readonly string[];
  readonly heapMiB: number;
  readonly onUncausedExit: (what: string) => void;
}

/** `metadata` and `objects` are the broker's way out, `clients` and `internal` the way in. */
export type LinkName = 'clients' | 'internal' | 'metadata' | 'objects';

interface Ports {
  readonly clients: number;
  readonly internal: number;
  readonly metrics: number;
}

const automq = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));

export class ChaosBroker {
  readonly node: number;
  readonly links: ReadonlyMap<LinkName, ChaosProxy>;
  readonly logFile: string;
  peakRssMiB = 0;
  lives = 0;
  readonly #options: ChaosBrokerOptions;
  readonly #ports: Ports;
  #program: Program | undefined;
  #isPaused = false;

  private constructor(options: ChaosBrokerOptions, ports: Ports, links: ReadonlyMap<LinkName, ChaosProxy>) {
    this.#options = options;
    this.#ports = ports;
    this.node = options.node;
    this.links = links;
    this.logFile = join(options.folder, `broker-${options.node}.log`);
  }

  /** With its proxies, not yet running. */
  static async prepare(options: ChaosBrokerOptions): Promise<ChaosBroker> {
    const ports = { clients: await lastingPort(), internal: await lastingPort(), metrics: await lastingPort() };
    const links = new Map<LinkName, ChaosProxy>([
      ['clients', await ChaosProxy.start(await lastingPort(), ports.clients)],
      ['internal', await ChaosProxy.start(await lastingPort(), ports.internal)],
      ['metadata', await ChaosProxy.start(await lastingPort(), options.metadata.port)],
    ]);
    if (options.objects) links.set('objects', await ChaosProxy.start(await lastingPort(), options.objects.port));
    return new ChaosBroker(options, ports, links);
  }

  /** Where clients connect. */
  get port(): number {
    return this.#portOf('clients');
  }

  get metricsUrl(): string {
    return `http://127.0.0.1:${this.#ports.metrics}/metrics`;
  }

  get isRunning(): boolean {
    return this.#program !== undefined;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  async start(): Promise<void> {
    if (this.#program) return;
    await this.#admit(true);
    this.lives++;
    appendFileSync(this.logFile, `--- start ${this.lives}\n`);
    const { heapMiB, settings, metadata, objects } = this.#options;
    const program = await Program.start({
      command: process.execPath,
      args: [`--max-old-space-size=${heapMiB}`, automq, 'broker', ...this.#addresses(), ...this.#storeSettings(), ...settings],
      env: { ...metadata.env, ...objects?.env },
      logFile: this.logFile,
    });
    this.#program = program;
    void program.exited.then(({ code, signal }) => {
      if (this.#program !== program) return;
      this.#program = undefined;
      this.#options.onUncausedExit(`broker ${this.node} ended with ${code ?? signal}; its log ends:\n${program.logTail(8)}`);
    });
  }

  /** False when it is not within `withinMs`, or ended. */
  async becomesReady(withinMs: number): Promise<boolean> {
    const deadline = performance.now() + withinMs;
    while (this.#program && performance.now() < deadline) {
      if (await this.isReady()) return true;
      await delay(50);
    }
    return false;
  }

  async kill(): Promise<void> {
    const program = this.#take();
    await program?.kill9();
    await this.#admit(false);
  }

  /** SIGTERM; how long it took, and whether it had to be killed. */
  async stop(graceMs: number): Promise<{ readonly ms: number; readonly killed: boolean; readonly code: number | null }> {
    this.resume();
    const began = performance.now();
    const exit = await this.#take()?.stop(graceMs);
    await this.#admit(false);
    return { ms: performance.now() - began, killed: exit?.signal === 'SIGKILL', code: exit?.code ?? null };
  }

  pause(): void {
    this.#isPaused = true;
    this.#program?.signal('SIGSTOP');
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#program?.signal('SIGCONT');
  }

  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(new URL('/readyz', this.metricsUrl), { signal: AbortSignal.timeout(1_000) });
      return answer.ok;
    } catch {
      return false;
    }
  }

  heal(): void {
    this.resume();
    for (const link of this.links.values()) link.heal();
  }

  async close(): Promise<void> {
    await this.kill();
    for (const link of this.links.values()) await link.close();
  }

  sampleMemory(): void {
    const pid = this.#program?.pid;
    if (pid !== undefined) this.peakRssMiB = Math.max(this.peakRssMiB, residentMiB(pid));
  }

  /** Lines of its log at a level, as JSON. */
  logged(level: string): readonly Record<string, unknown>[] {
    if (!existsSync(this.logFile)) return [];
    return readFileSync(this.logFile, 'utf8')
      .split('\n')
      .flatMap((line) => {
        try {
          const parsed = JSON.parse(line) as Record<string, unknown>;
          return parsed['level'] === level ? [parsed] : [];
        } catch {
          return [];
        }
      });
  }

  #take(): Program | undefined {
    const program = this.#program;
    this.#program = undefined;
    this.#isPaused = false;
    return program;
  }

  /** Nobody listens where a process is gone: others must see a refused connection, not one that is taken and cut. */
  async #admit(admitted: boolean): Promise<void> {
    for (const name of ['clients', 'internal'] as const) {
      const link = this.links.get(name);
      if (admitted) await link?.admit();
      else link?.refuse();
    }
  }

  #addresses(): readonly string[] {
    const { clients, internal, metrics } = this.#ports;
    return [
      `--node.id=${this.node}`,
      `--listeners=PLAINTEXT://127.0.0.1:${clients}`,
      `--advertised.listeners=PLAINTEXT://127.0.0.1:${this.port}`,
      `--internal.listener=127.0.0.1:${internal}`,
      `--internal.advertised.port=${this.#portOf('internal')}`,
      `--metrics.listener=127.0.0.1:${metrics}`,
    ];
  }

  #storeSettings(): readonly string[] {
    const { folder, metadata, objects } = this.#options;
    return [`--data.folder=${join(folder, 'data')}`, ...metadata.settings(this.#portOf('metadata')), ...(objects?.settings(this.#portOf('objects')) ?? [])];
  }

  #portOf(name: LinkName): number {
    return this.links.get(name)?.port ?? 0;
  }
}

function residentMiB(pid: number): number {
  try {
    if (existsSync('/proc/self/status')) return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
  } catch {
    return 0; // It has just ended.
  }
}
