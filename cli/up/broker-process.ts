/**
 * One broker of a local cluster as a child process: started, restarted when it dies although nobody asked for that, ended. Its standard
 * input is held open by us, and it ends with it, so none outlives the supervising process, whatever kills that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { StartRefused } from '../start-refusal.ts';
import { freePorts, host } from './free-ports.ts';

export interface BrokerProcessOptions {
  readonly node: number;
  /** Where clients connect. */
  readonly port: number;
  readonly settings: (ports: { readonly metrics: number; readonly internal: number }) => readonly string[];
  /** Options of Node itself. */
  readonly nodeOptions: readonly string[];
  readonly logFile: () => Promise<string>;
  /** How long it has to end before it is killed. */
  readonly endWithinMs: number;
  readonly say: (line: string) => void;
}

export type BrokerState =
  | { readonly kind: 'starting' | 'serving' | 'silent' | 'ending'; readonly pid: number; readonly metricsPort: number }
  | { readonly kind: 'down'; readonly why: string }
  | { readonly kind: 'restarting'; readonly why: string };

interface Life {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly metricsPort: number;
  readonly logFile: string;
  /** How it ended. */
  readonly ended: Promise<string>;
  isServing: boolean;
  isEnding: boolean;
}

const startWithinMs = 120_000;
const pollMs = 50;
const answerWithinMs = 1_000;
const firstPauseMs = 100;
const longestPauseMs = 10_000;
/** Whoever served for so long has not failed at its start. */
const steadyMs = 10_000;
const tailLines = 8;

const automq = fileURLToPath(new URL('../automq.js', import.meta.url));

export class BrokerProcess {
  readonly node: number;
  readonly port: number;
  readonly #options: BrokerProcessOptions;
  #life: Life | undefined;
  #isWanted = false;
  /** While it is wanted and does not run. */
  #why = 'not started';
  #failures = 0;
  #pause: AbortController | undefined;
  #beginning: Promise<Life> | undefined;

  constructor(options: BrokerProcessOptions) {
    this.#options = options;
    this.node = options.node;
    this.port = options.port;
  }

  /** Resolves when it serves; rejects with `StartRefused` when it runs already, or ends before it serves: it is not tried again then. */
  async start(): Promise<void> {
    if (this.#life || this.#beginning) throw new StartRefused(`broker ${this.node} runs already`);
    this.#pause?.abort();
    this.#isWanted = true;
    this.#failures = 0;
    const life = await this.#begin();
    const ended = await this.#untilServing(life);
    if (ended === undefined) return;
    this.#isWanted = false;
    throw new StartRefused(`broker ${this.node} ${ended} before it served; the end of ${life.logFile}:\n${tailOf(life.logFile)}`);
  }

  /** SIGTERM, and SIGKILL when that takes too long. It stays down. */
  async stop(): Promise<void> {
    const life = await this.#unwanted('stopped');
    if (!life) return;
    life.isEnding = true;
    life.child.kill('SIGTERM');
    const gaveUp = new AbortController();
    const late = delay(this.#options.endWithinMs, 'late', { signal: gaveUp.signal }).catch(() => '');
    if ((await Promise.race([life.ended, late])) === 'late') {
      this.#options.say(`broker ${this.node} did not end within ${this.#options.endWithinMs / 1_000} s and is killed`);
      life.child.kill('SIGKILL');
    }
    gaveUp.abort();
    await life.ended;
  }

  /** SIGKILL. It stays down. */
  async kill(): Promise<void> {
    const life = await this.#unwanted('killed');
    life?.child.kill('SIGKILL');
    await life?.ended;
  }

  /** For a supervising process that ends this instant. */
  killNow(): void {
    this.#isWanted = false;
    this.#life?.child.kill('SIGKILL');
  }

  /** As it is now: one that does not answer at /readyz is silent. */
  async state(): Promise<BrokerState> {
    const life = this.#life;
    if (!life) return { kind: this.#isWanted ? 'restarting' : 'down', why: this.#why };
    const { pid, metricsPort } = life;
    if (life.isEnding) return { kind: 'ending', pid, metricsPort };
    if (!life.isServing) return { kind: 'starting', pid, metricsPort };
    return { kind: (await isReady(metricsPort)) ? 'serving' : 'silent', pid, metricsPort };
  }

  async #unwanted(why: string): Promise<Life | undefined> {
    this.#isWanted = false;
    this.#why = why;
    this.#pause?.abort();
    await this.#beginning?.catch(() => {});
    return this.#life;
  }

  #begin(): Promise<Life> {
    this.#beginning = this.#spawn().finally(() => (this.#beginning = undefined));
    return this.#beginning;
  }

  async #spawn(): Promise<Life> {
    const logFile = await this.#options.logFile();
    const [metricsPort = 0, internalPort = 0] = await freePorts(2);
    const settings = this.#options.settings({ metrics: metricsPort, internal: internalPort });
    const log = openSync(logFile, 'a');
    // In a process group of its own: the terminal's Ctrl-C is for us, and we end it in order.
    const child = spawn(process.execPath, [...this.#options.nodeOptions, automq, 'broker', '--end-with-stdin', ...settings], {
      stdio: ['pipe', log, log],
      detached: true,
    });
    closeSync(log);
    child.stdin?.on('error', () => {});
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be started (${error.message})`));
      child.once('exit', (code, signal) => resolve(signal === null ? `ended with ${code}` : `was ended by ${signal}`));
    });
    const life: Life = { child, pid: child.pid ?? 0, metricsPort, logFile, ended, isServing: false, isEnding: false };
    this.#life = life;
    const startedMs = performance.now();
    void ended.then((how) => this.#hasEnded(how, performance.now() - startedMs));
    return life;
  }

  /** Undefined when it serves, else how it ended. */
  async #untilServing(life: Life): Promise<string | undefined> {
    const deadlineMs = performance.now() + startWithinMs;
    let how: string | undefined;
    void life.ended.then((ended) => (how = ended));
    while (how === undefined && !(await isReady(life.metricsPort))) {
      if (performance.now() > deadlineMs) {
        life.child.kill('SIGKILL');
        return `did not serve within ${startWithinMs / 1_000} s`;
      }
      await delay(pollMs);
    }
    life.isServing = how === undefined;
    return how;
  }

  #hasEnded(how: string, livedMs: number): void {
    const wasServing = this.#life?.isServing === true;
    this.#life = undefined;
    if (!this.#isWanted) return;
    this.#why = how;
    // Its first start: whoever asked for it is told.
    if (!wasServing && this.#failures === 0) return;
    this.#failures = livedMs >= steadyMs ? 1 : this.#failures + 1;
    void this.#restart(how);
  }

  async #restart(how: string): Promise<void> {
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
    this.#options.say(`broker ${this.node} ${how}; it is started again in ${pauseMs / 1_000} s`);
    const pause = new AbortController();
    this.#pause = pause;
    await delay(pauseMs, undefined, { signal: pause.signal }).catch(() => {});
    if (pause.signal.aborted || !this.#isWanted) return;
    try {
      if ((await this.#untilServing(await this.#begin())) === undefined) this.#options.say(`broker ${this.node} serves again`);
    } catch (error) {
      this.#hasEnded(`could not be started (${(error as Error).message})`, 0);
    }
  }
}

async function isReady(metricsPort: number): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://${host}:${metricsPort}/readyz`, { signal: AbortSignal.timeout(answerWithinMs) });
    return ok;
  } catch {
    return false;
  }
}

function tailOf(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
}
