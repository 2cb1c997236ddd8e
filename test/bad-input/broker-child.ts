/**
 * Our broker in a process of its own, which can be asked for its memory and open files and whose end is noticed: what a bad request does
 * to the process must not hide in the test's own. Stores are in memory, ports are free ones.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Address } from './wire-client.ts';

/** From the parent. */
export type Question = { readonly ask: 'measure' } | { readonly ask: 'stop' };

/** To the parent. */
export type Message = { readonly say: 'listening'; readonly port: number } | ({ readonly say: 'measured' } & Measurement);

export interface Measurement {
  readonly rssBytes: number;
  /** Largest since the last measurement, looked at all the time. */
  readonly peakRssBytes: number;
  /** V8 heap and buffers outside of it, after garbage collection. */
  readonly heldBytes: number;
  /** Sockets and files. */
  readonly openFiles: number;
  /** Requests that a handler could not answer: bugs of ours. */
  readonly handlerFailures: number;
}

const program = fileURLToPath(new URL('./broker-process.js', import.meta.url));

export class BrokerChild {
  readonly address: Address;
  /** Why it is not there any more; undefined while it lives. */
  ended: string | undefined;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  /** `settings` as in a properties file. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<BrokerChild> {
    const child = fork(program, [JSON.stringify(settings)], { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const first = await answerOf(child);
    if (first?.say !== 'listening') throw new Error('the broker did not start');
    return new BrokerChild(child, { host: '127.0.0.1', port: first.port });
  }

  private constructor(child: ChildProcess, address: Address) {
    this.#child = child;
    this.address = address;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.ended = `ended with ${code ?? signal}`;
        resolve();
      });
    });
  }

  async measure(): Promise<Measurement> {
    const answer = await this.#ask({ ask: 'measure' });
    if (answer?.say !== 'measured') throw new Error(`the broker ${this.ended ?? 'does not answer'}`);
    return answer;
  }

  /** Ends it gracefully; throws when it had ended before, or not well. */
  async stop(): Promise<void> {
    if (this.ended !== undefined) throw new Error(`the broker ${this.ended} before it was stopped`);
    const leave = setTimeout(() => this.#child.kill('SIGKILL'), 20_000);
    this.#child.send({ ask: 'stop' } satisfies Question);
    await this.#exited;
    clearTimeout(leave);
    if (this.ended !== 'ended with 0') throw new Error(`the broker ${this.ended ?? ''}`);
  }

  #ask(question: Question): Promise<Message | undefined> {
    if (this.ended !== undefined) return Promise.resolve(undefined);
    const answer = answerOf(this.#child);
    this.#child.send(question);
    return answer;
  }
}

/** The next message; undefined when the process ends before. */
function answerOf(child: ChildProcess): Promise<Message | undefined> {
  return new Promise((resolve) => {
    const onMessage = (message: unknown) => {
      child.off('exit', onExit);
      resolve(message as Message);
    };
    const onExit = () => {
      child.off('message', onMessage);
      resolve(undefined);
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}
