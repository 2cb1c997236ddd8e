/**
 * The internal listener (design §11): where other brokers ask whether this one lives, and ask it to look at a third. It lives as
 * long as the process, across incarnations, so that who asks for one that has ended is told so at once.
 */
import type { Clock, Timer } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { Connection, Listener, Transport } from '../../../io/transport.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import { probeSubject } from './internal-exchange.ts';
import { encodeMessage, InternalFrames, type InternalMessage, internalVersion, type SentMessage, type Subject } from './internal-protocol.ts';

export interface InternalListenerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly transport: Transport;
  readonly node: NodeId;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** One more is closed at once. */
  readonly maxConnections: number;
  /** One more at a time is answered `unavailable`. */
  readonly maxProbes: number;
}

const probeDeadlineMs = 1_000;
const idleMs = 30_000;
/** A peer that asks and does not read is cut off. */
const maxUnreadBytes = 64 * 1024;

export class InternalListener {
  readonly #options: InternalListenerOptions;
  /** Open connections, and when each last said something. */
  readonly #connections = new Map<Connection, number>();
  #listener: Listener | undefined;
  #idleTimer: Timer | undefined;
  #newest: Incarnation | undefined;
  #living = false;
  #probes = 0;

  private constructor(options: InternalListenerOptions) {
    this.#options = options;
  }

  /** Listens; rejects with a `ListenError` when the port is taken. */
  static async open(options: InternalListenerOptions): Promise<InternalListener> {
    const opened = new InternalListener(options);
    opened.#listener = await options.transport.listen({ host: options.host, port: options.port }, (connection) => opened.#accept(connection));
    opened.#closeIdle();
    return opened;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /**
   * Which incarnation lives in this process: to be told right after its registration, or others see its record before its process knows
   * of it. `undefined`: none, the last one can write no more and its partitions may be taken.
   */
  setSelf(incarnation: Incarnation | undefined): void {
    if (incarnation) this.#newest = incarnation;
    this.#living = incarnation !== undefined;
  }

  async close(): Promise<void> {
    this.#idleTimer?.cancel();
    for (const connection of this.#connections.keys()) connection.destroy();
    await this.#listener?.close();
  }

  #accept(connection: Connection): void {
    if (this.#connections.size >= this.#options.maxConnections) return connection.destroy();
    const { clock, logger } = this.#options;
    const frames = new InternalFrames();
    this.#connections.set(connection, clock.monotonicMs());
    connection.setHandler({
      onData: (chunk) => {
        this.#connections.set(connection, clock.monotonicMs());
        try {
          for (const message of frames.push(chunk)) this.#answer(connection, message);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          logger.warn('bytes on the internal listener that no broker sends, closing', { remote: connection.remote, error: error.message });
          connection.destroy();
        }
      },
      onDrain: () => {},
      onClose: () => void this.#connections.delete(connection),
    });
  }

  #answer(connection: Connection, message: InternalMessage): void {
    switch (message.kind) {
      case 'ping':
        return this.#send(connection, { kind: 'pong', node: this.#options.node, epoch: this.#newest?.epoch ?? 0, living: this.#living });
      case 'probe':
        return this.#probe(connection, message.subject);
      case 'unknown':
        return this.#send(connection, { kind: 'unsupported', upTo: internalVersion });
      case 'pong':
      case 'probed':
      case 'unsupported':
        throw new FormatError(`a ${message.kind} that nobody asked for`);
    }
  }

  #probe(connection: Connection, subject: Subject): void {
    if (this.#probes >= this.#options.maxProbes) return this.#send(connection, { kind: 'probed', outcome: 'unavailable' });
    this.#probes++;
    const { transport, clock, logger } = this.#options;
    probeSubject(subject, { transport, clock, deadlineMs: probeDeadlineMs })
      .then((outcome) => {
        if (this.#connections.has(connection)) this.#send(connection, { kind: 'probed', outcome });
      })
      .catch((error: unknown) => logger.error('a probe failed', { error: String(error) }))
      .finally(() => this.#probes--);
  }

  #send(connection: Connection, message: SentMessage): void {
    if (connection.pendingWriteBytes() > maxUnreadBytes) connection.destroy();
    else connection.write([encodeMessage(message)]);
  }

  #closeIdle(): void {
    this.#idleTimer = this.#options.clock.setTimer(idleMs / 2, () => {
      const now = this.#options.clock.monotonicMs();
      for (const [connection, heardAtMs] of this.#connections) if (now - heardAtMs > idleMs) connection.destroy();
      this.#closeIdle();
    });
  }
}
