/**
 * A program that a test or benchmark starts: its output kept in a file, its end awaited, never left behind. Only processes
 * started here are ever signalled, by their pid.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface ProgramOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Wait until this port takes connections. */
  readonly port?: number;
  readonly startTimeoutMs?: number;
}

export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const living = new Set<Program>();
process.once('exit', () => {
  for (const program of living) program.signal('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

export class Program {
  readonly pid: number;
  readonly exited: Promise<ProgramExit>;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  /** Starts it and waits for its port. What it printed is in the error when it ends before. */
  static async start(options: ProgramOptions): Promise<Program> {
    const program = new Program(options);
    const deadline = Date.now() + (options.startTimeoutMs ?? 60_000);
    let ended: ProgramExit | undefined;
    void program.exited.then((exit) => {
      ended = exit;
    });
    while (options.port !== undefined && !(await takesConnections(options.port))) {
      if (ended) throw new Error(`${options.command} ended (${ended.code ?? ended.signal}) before it listened on ${options.port}:\n${program.logTail()}`);
      if (Date.now() > deadline) {
        program.signal('SIGKILL');
        throw new Error(`${options.command} does not listen on ${options.port}:\n${program.logTail()}`);
      }
      await delay(20);
    }
    return program;
  }

  private constructor(options: ProgramOptions) {
    mkdirSync(dirname(options.logFile), { recursive: true });
    const log = openSync(options.logFile, 'a');
    this.#logFile = options.logFile;
    this.#child = spawn(options.command, options.args, { stdio: ['ignore', log, log], env: { ...process.env, ...options.env } });
    closeSync(log);
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: 127, signal: null }));
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    this.pid = this.#child.pid ?? -1;
    living.add(this);
    void this.exited.then(() => living.delete(this));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to end, and ends it after `graceMs`. */
  async stop(graceMs = 20_000): Promise<ProgramExit> {
    this.signal('SIGTERM');
    const gaveUp = new AbortController();
    const exit = await Promise.race([this.exited, delay(graceMs, undefined, { signal: gaveUp.signal }).catch(() => undefined)]);
    gaveUp.abort();
    if (exit) return exit;
    this.signal('SIGKILL');
    return this.exited;
  }

  async kill9(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  logTail(lines = 30): string {
    return readFileSync(this.#logFile, 'utf8').split('\n').slice(-lines).join('\n');
  }
}

export function takesConnections(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port that nobody listened on a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no address'))));
    });
  });
}
