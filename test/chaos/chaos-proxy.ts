/**
 * A TCP proxy on one link of a fault run (faults.md §2): per direction it delays, narrows, holds or swallows bytes; it cuts, and
 * refuses connections as a host does on which nobody listens. What is held arrives late when the link heals, as TCP resends it.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface FlowShape {
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  /** `hold`: nothing moves, not even the end of the connection (a black hole). `swallow`: bytes are lost after the sender got rid of them. */
  readonly bytes: 'pass' | 'hold' | 'swallow';
}

const open: FlowShape = { delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY, bytes: 'pass' };

/** `requests` flow to the server, `answers` to the client. */
export interface LinkShape {
  readonly requests: Partial<FlowShape>;
  readonly answers: Partial<FlowShape>;
}

type Direction = keyof LinkShape;

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly flows: readonly Flow[];
}

export class ChaosProxy {
  readonly port: number;
  #targetPort: number;
  #server: Server | undefined;
  #shape: Readonly<Record<Direction, FlowShape>> = { requests: open, answers: open };
  #resetAfterAnswerBytes = Number.POSITIVE_INFINITY;
  readonly #links = new Set<Link>();
  /** Connections that were taken. */
  accepted = 0;

  private constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
  }

  static async start(port: number, targetPort: number): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(port, targetPort);
    await proxy.admit();
    return proxy;
  }

  get links(): number {
    return this.#links.size;
  }

  /** Bytes that were lost, of all connections that are still there. */
  get swallowedBytes(): number {
    let sum = 0;
    for (const { flows } of this.#links) for (const flow of flows) sum += flow.lostBytes;
    return sum;
  }

  /** For a server that came back elsewhere. */
  retarget(port: number): void {
    this.#targetPort = port;
  }

  /** Listens again after `refuse`. */
  async admit(): Promise<void> {
    if (this.#server) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#server = server;
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
  }

  /** Resets all connections and listens no more. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
    this.reset();
  }

  /** Resets all connections; new ones are welcome. */
  reset(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  shape({ requests = {}, answers = {} }: Partial<LinkShape>): void {
    this.#shape = { requests: { ...open, ...requests }, answers: { ...open, ...answers } };
    for (const { flows } of this.#links) for (const flow of flows) flow.pump();
  }

  /** Nothing moves in either direction. */
  blackHole(): void {
    this.shape({ requests: { bytes: 'hold' }, answers: { bytes: 'hold' } });
  }

  /** Resets all connections once the servers have answered so many more bytes: in the middle of a body. */
  resetAfter(answerBytes: number): void {
    this.#resetAfterAnswerBytes = answerBytes;
  }

  /** Open links; a connection that lost bytes is reset, all others go on with what was held. */
  heal(): void {
    this.#resetAfterAnswerBytes = Number.POSITIVE_INFINITY;
    for (const { client, server, flows } of this.#links) {
      if (!flows.some((flow) => flow.lostBytes > 0)) continue;
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.shape({});
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.refuse();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  #accept(client: Socket): void {
    this.accepted++;
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const requests = new Flow(client, server, () => this.#shape.requests);
    const answers = new Flow(
      server,
      client,
      () => this.#shape.answers,
      (bytes) => this.#countAnswer(bytes),
    );
    const link: Link = { client, server, flows: [requests, answers] };
    this.#links.add(link);
    const drop = () => {
      if (client.destroyed && server.destroyed) this.#links.delete(link);
    };
    client.once('close', drop);
    server.once('close', drop);
  }

  #countAnswer(bytes: number): void {
    this.#resetAfterAnswerBytes -= bytes;
    if (this.#resetAfterAnswerBytes > 0) return;
    this.#resetAfterAnswerBytes = Number.POSITIVE_INFINITY;
    this.reset();
  }
}

const mostQueuedBytes = 1024 * 1024;

type Piece = { readonly kind: 'bytes'; readonly bytes: Buffer; readonly dueMs: number } | { readonly kind: 'end' | 'reset'; readonly dueMs: number };

/** One direction of one connection: pieces in order, each at its time. */
class Flow {
  lostBytes = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #shape: () => FlowShape;
  readonly #onBytes: (bytes: number) => void;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBlocked = false;

  constructor(from: Socket, to: Socket, shape: () => FlowShape, onBytes: (bytes: number) => void = () => {}) {
    this.#from = from;
    this.#to = to;
    this.#shape = shape;
    this.#onBytes = onBytes;
    from.on('data', (bytes) => this.#take(bytes));
    from.once('end', () => this.#put({ kind: 'end', dueMs: this.#due(0) }));
    from.once('error', () => {});
    from.once('close', (hadError) => this.#put({ kind: hadError ? 'reset' : 'end', dueMs: this.#due(0) }));
    to.on('drain', () => {
      this.#isBlocked = false;
      this.pump();
    });
    to.once('close', () => {
      clearTimeout(this.#timer);
      this.#queue.length = 0;
    });
  }

  /** Sends what is due. */
  pump(): void {
    clearTimeout(this.#timer);
    while (this.#queue.length > 0 && !this.#isBlocked && this.#shape().bytes !== 'hold') {
      const piece = this.#queue[0] as Piece;
      const inMs = piece.dueMs - performance.now();
      if (inMs > 0) {
        this.#timer = setTimeout(() => this.pump(), inMs);
        break;
      }
      this.#queue.shift();
      this.#send(piece);
    }
    if (this.#queuedBytes < mostQueuedBytes && this.#from.isPaused()) this.#from.resume();
  }

  #take(bytes: Buffer): void {
    if (this.#shape().bytes === 'swallow') {
      this.lostBytes += bytes.byteLength;
      return;
    }
    this.#queuedBytes += bytes.byteLength;
    this.#put({ kind: 'bytes', bytes, dueMs: this.#due(bytes.byteLength) });
    if (this.#queuedBytes >= mostQueuedBytes) this.#from.pause();
  }

  #due(bytes: number): number {
    const { delayMs, bytesPerSecond } = this.#shape();
    this.#lastDueMs = Math.max(performance.now() + delayMs, this.#lastDueMs + (bytes / bytesPerSecond) * 1_000);
    return this.#lastDueMs;
  }

  #put(piece: Piece): void {
    this.#queue.push(piece);
    this.pump();
  }

  #send(piece: Piece): void {
    if (piece.kind === 'bytes') {
      this.#queuedBytes -= piece.bytes.byteLength;
      this.#isBlocked = !this.#to.write(piece.bytes);
      this.#onBytes(piece.bytes.byteLength);
    } else if (piece.kind === 'end') this.#to.end();
    else this.#to.resetAndDestroy();
  }
}
