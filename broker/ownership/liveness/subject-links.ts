/** The connections of one observer to what it watches: does what `suspicion.ts` asks for, tells it what came of it. */
import type { Clock, Timer } from '../../../io/clock.ts';
import { ConnectError, type Connection, type Transport } from '../../../io/transport.ts';
import type { Incarnation } from '../../../cluster/identifiers.ts';
import { encodeMessage, InternalFrames, type Subject } from './internal-protocol.ts';
import type { LinkEvent } from './suspicion.ts';

export interface SubjectLinksOptions {
  readonly clock: Clock;
  readonly transport: Transport;
  /** Nothing more is said about a link that was disconnected. */
  readonly onEvent: (event: LinkEvent) => void;
}

interface Link {
  readonly id: number;
  readonly subject: Subject;
  timer: Timer | undefined;
  connection: Connection | undefined;
}

const connectTimeoutMs = 1_000;

export class SubjectLinks {
  readonly #options: SubjectLinksOptions;
  readonly #links = new Map<number, Link>();

  constructor(options: SubjectLinksOptions) {
    this.#options = options;
  }

  connect(subject: Subject, id: number, afterMs: number): void {
    const link: Link = { id, subject, timer: undefined, connection: undefined };
    this.#links.set(id, link);
    if (afterMs === 0) void this.#open(link);
    else link.timer = this.#options.clock.setTimer(afterMs, () => void this.#open(link));
  }

  ping(incarnation: Incarnation, id: number): void {
    this.#links.get(id)?.connection?.write([encodeMessage({ kind: 'ping', incarnation })]);
  }

  disconnect(id: number): void {
    const link = this.#links.get(id);
    this.#links.delete(id);
    link?.timer?.cancel();
    link?.connection?.destroy();
  }

  close(): void {
    for (const id of [...this.#links.keys()]) this.disconnect(id);
  }

  async #open(link: Link): Promise<void> {
    const { host, port } = link.subject;
    let connection: Connection;
    try {
      connection = await this.#options.transport.connect({ host, port }, { timeoutMs: connectTimeoutMs });
    } catch (error) {
      return this.#ended(link, error instanceof ConnectError && error.refused ? 'refused' : 'unreachable');
    }
    if (!this.#isCurrent(link)) return connection.destroy();
    link.connection = connection;
    const frames = new InternalFrames();
    connection.setHandler({
      onData: (chunk) => this.#heard(link, frames, chunk),
      onDrain: () => {},
      onClose: () => this.#ended(link, 'closed'),
    });
    this.#options.onEvent({ kind: 'connected', node: link.subject.incarnation.node, link: link.id });
  }

  #heard(link: Link, frames: InternalFrames, chunk: Buffer): void {
    try {
      for (const message of frames.push(chunk)) {
        if (!this.#isCurrent(link)) return;
        if (message.kind === 'pong') this.#options.onEvent({ kind: 'pong', node: link.subject.incarnation.node, link: link.id, pong: message });
      }
    } catch {
      // What talks like this is no broker: the close that follows is all there is to know.
      link.connection?.destroy();
    }
  }

  #ended(link: Link, kind: 'refused' | 'unreachable' | 'closed'): void {
    if (!this.#isCurrent(link)) return;
    this.#links.delete(link.id);
    this.#options.onEvent({ kind, node: link.subject.incarnation.node, link: link.id });
  }

  #isCurrent(link: Link): boolean {
    return this.#links.get(link.id) === link;
  }
}
