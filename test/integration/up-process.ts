/** `automq up` as a process of a test: what it says, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const automq = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));

export class UpProcess {
  output = '';
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly #child: ChildProcess;

  constructor(folder: string, args: readonly string[]) {
    // Our own variables must not look like settings to it.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AUTOMQ_')));
    this.#child = spawn(process.execPath, [automq, 'up', ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.ended = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve(code ?? signal)));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when the output matches; rejects when the process ended before. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      const more = new Promise<string>((resolve) => {
        for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.once('data', () => resolve('more'));
      });
      const exit = await Promise.race([more, this.ended]);
      if (exit !== 'more' && !pattern.test(this.output)) throw new Error(`ended with ${exit}:\n${this.output}`);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
