/**
 * A client's connection to the metadata store's server, made again whenever it ends. It is up once the server has said that it
 * serves the store we know; a server of another store is not talked to.
 */
import { type Clock, sleep } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { fullJitterMs, type Random } from '../../random.ts';
import type { Connection, Transport } from '../../transport.ts';
import { FrameReader } from './meta-frames.ts';
import { protocolVersion, type ServerMessage } from './meta-messages.ts';

export interface MetaLinkOptions {
  readonly host: string;
  readonly port: number;
  /** Which store it must be; without it, the first that answers. */
  readonly identity: string | undefined;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** To connect, and once more for the server's first word. */
  readonly timeoutMs: number;
  readonly onUp: () => void;
  readonly onMessage: (message: ServerMessage) => void;
  readonly onDown: () => void;
}

const backoff = { baseBackoffMs: 20, maxBackoffMs: 1_000 };

export class MetaLink {
  readonly #options: MetaLinkOptions;
  readonly #closing = new AbortController();
  #identity: string | undefined;
  #connection: Connection | undefined;
  #isUp = false;
  #isOutage = false;
  #failures = 0;
  /** Connections so far, to tell one from the next. */
  #count = 0;

  constructor(options: MetaLinkOptions) {
    this.#options = options;
    this.#identity = options.identity;
    void this.#run();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get connectionNumber(): number {
    return this.#count;
  }

  /** Only while it is up. */
  send(frame: Buffer): void {
    this.#connection?.write([frame]);
  }

  /** Gives this connection up for another. */
  cut(): void {
    this.#connection?.destroy();
  }

  /** Nothing is told from here on. */
  close(): void {
    this.#closing.abort();
    this.#isUp = false;
    this.#connection?.end();
  }

  async #run(): Promise<void> {
    const { clock, random, logger, host, port, transport, timeoutMs } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let cause = 'the connection ended';
      try {
        const connection = await transport.connect({ host, port }, { timeoutMs });
        if (signal.aborted) return connection.destroy();
        cause = (await this.#serve(connection)) ?? cause;
      } catch (error) {
        cause = (error as Error).message;
      }
      if (signal.aborted) return;
      if (!this.#isOutage) logger.warn('the metadata store cannot be reached, trying again', { host, port, cause });
      this.#isOutage = true;
      await sleep(clock, fullJitterMs(random, ++this.#failures, backoff), signal);
    }
  }

  /** Resolves when the connection has ended, with the cause when it is known. */
  #serve(connection: Connection): Promise<string | undefined> {
    const { clock, timeoutMs, onDown } = this.#options;
    this.#connection = connection;
    this.#count++;
    const reader = new FrameReader();
    let cause: string | undefined;
    const refuse = (why: string) => {
      cause = why;
      connection.destroy();
    };
    const timer = clock.setTimer(timeoutMs, () => clock.defer(() => this.#isUp || refuse('the server does not say who it is')));
    return new Promise((resolve) => {
      connection.setHandler({
        onData: (chunk) => {
          if (cause !== undefined || this.#closing.signal.aborted) return;
          try {
            for (const message of reader.accept(chunk)) {
              if (this.#isUp) this.#options.onMessage(message as ServerMessage);
              else this.#greet(message, refuse);
              if (cause !== undefined) return;
            }
          } catch (error) {
            refuse((error as Error).message);
          }
        },
        onDrain: () => {},
        onClose: () => {
          timer.cancel();
          this.#connection = undefined;
          const wasUp = this.#isUp;
          this.#isUp = false;
          if (wasUp && !this.#closing.signal.aborted) onDown();
          resolve(cause);
        },
      });
    });
  }

  #greet(message: unknown, refuse: (why: string) => void): void {
    const { host, port, logger } = this.#options;
    const { version, identity } = (message ?? {}) as { readonly version?: unknown; readonly identity?: unknown };
    if (typeof identity !== 'string') return refuse('what answers there is no metadata store');
    if (version !== protocolVersion) return refuse(`the server speaks version ${String(version)}, this program version ${protocolVersion}`);
    if (this.#identity !== undefined && identity !== this.#identity)
      return refuse(`another metadata store answers there: ${identity} instead of ${this.#identity}`);
    this.#identity = identity;
    this.#isUp = true;
    this.#failures = 0;
    if (this.#isOutage) logger.info('the metadata store is reached again', { host, port });
    this.#isOutage = false;
    this.#options.onUp();
  }
}
