/**
 * Byte streams between simulated hosts: latency, varying chunk sizes, backpressure, connections that are cut,
 * reset or half-open, and partitions that hold everything until they heal. Bytes are copied when the network
 * takes them, not when they are written, so that a buffer recycled too early shows.
 */
import { ConnectError, type Connection, type ConnectionHandler, type ListenAddress, type Listener, type Transport } from '../../io/transport.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';
import type { Scheduler } from './scheduler.ts';

export interface NetworkShape {
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  /** Bytes that one direction takes before the reader has read them. */
  readonly windowBytes: number;
  /** Chance that a delivery is cut into small pieces. */
  readonly splitChance: number;
}

interface OpenListener extends Listener {
  readonly process: SimProcess;
  readonly onConnection: (connection: Connection) => void;
}

interface Cut {
  readonly from: string;
  readonly to: string;
}

export class SimNetwork {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly shape: NetworkShape;
  readonly #listeners = new Map<string, OpenListener>();
  readonly #open = new Set<Link>();
  #cuts: Cut[] = [];
  readonly #onHealed: (() => void)[] = [];
  #nextPort = 30_000;
  #nextLink = 1;

  constructor(options: { readonly scheduler: Scheduler; readonly random: SimRandom; readonly shape: NetworkShape }) {
    this.scheduler = options.scheduler;
    this.random = options.random;
    this.shape = options.shape;
  }

  transportOf(process: SimProcess): Transport {
    return {
      listen: (address, onConnection) => this.#listen(process, address, onConnection),
      connect: (address, options) => this.#connect(process, address, options?.timeoutMs ?? 10_000),
    };
  }

  /** Nothing passes from one host to the other until the returned function is called; open connections stay open (F62: one way only). */
  cut(from: string, to: string): () => void {
    const cut: Cut = { from, to };
    this.#cuts.push(cut);
    return () => {
      this.#cuts = this.#cuts.filter((one) => one !== cut);
      this.#healed();
    };
  }

  heal(): void {
    this.#cuts = [];
    this.#healed();
  }

  /** Called whenever something passes again that did not. */
  onHealed(listener: () => void): void {
    this.#onHealed.push(listener);
  }

  /** The addresses of a process that sleeps become free for its replacement. */
  unlisten(process: SimProcess): void {
    for (const [name, listener] of this.#listeners) if (listener.process === process) this.#listeners.delete(name);
  }

  /** Open connections, oldest first. */
  links(): readonly Link[] {
    return [...this.#open];
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.some((cut) => cut.from === from && cut.to === to);
  }

  latencyMs(): number {
    return this.random.between(this.shape.minLatencyMs, this.shape.maxLatencyMs);
  }

  forget(link: Link): void {
    this.#open.delete(link);
  }

  #healed(): void {
    for (const link of this.#open) link.flow();
    for (const listener of this.#onHealed) listener();
  }

  async #listen(process: SimProcess, address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener> {
    const port = address.port === 0 ? this.#nextPort++ : address.port;
    const name = `${process.host}:${port}`;
    const holder = this.#listeners.get(name);
    if (holder !== undefined) throw new Error(`${name} is held by ${holder.process.name}`);
    const close = async () => {
      if (this.#listeners.get(name) === listener) this.#listeners.delete(name);
    };
    const listener: OpenListener = { host: address.host, port, process, onConnection, close };
    this.#listeners.set(name, listener);
    process.onKill(() => void close());
    return listener;
  }

  #connect(process: SimProcess, address: { readonly host: string; readonly port: number }, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (process.dead) return;
      const timeout = process.schedule(timeoutMs, 'connect timeout', () => reject(new ConnectError('connect timed out', { refused: false })));
      this.scheduler.schedule(this.latencyMs(), `${process.name} connect`, () => {
        // The answer to a SYN has to come back, too.
        if (process.dead || this.isCut(process.host, address.host) || this.isCut(address.host, process.host)) return;
        const listener = this.#listeners.get(`${address.host}:${address.port}`);
        if (listener === undefined) {
          process.schedule(this.latencyMs(), 'connect refused', () => {
            timeout.cancel();
            reject(new ConnectError('connection refused', { refused: true }));
          });
          return;
        }
        const link = new Link(this, this.#nextLink++, process, listener.process);
        this.#open.add(link);
        listener.process.schedule(0, 'accept', () => listener.onConnection(link.server));
        process.schedule(this.latencyMs(), 'connected', () => {
          timeout.cancel();
          resolve(link.client);
        });
      });
    });
  }
}

/** One connection: two ends. */
export class Link {
  readonly id: number;
  readonly network: SimNetwork;
  readonly client: End;
  readonly server: End;
  /** Both directions swallow everything and nobody is told. */
  halfOpen = false;

  constructor(network: SimNetwork, id: number, from: SimProcess, to: SimProcess) {
    this.network = network;
    this.id = id;
    this.client = new End(this, from, `${to.host}#${id}`);
    this.server = new End(this, to, `${from.host}#${id}`);
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  /** Lost on both sides at once, with what was on the way. */
  cut(): void {
    this.client.closed('cut', true);
    this.server.closed('cut', true);
  }

  flow(): void {
    this.client.flow();
    this.server.flow();
  }
}

/** `cuts`: how often it was cut already; a long one is not handed over byte by byte. */
type Parcel = { readonly kind: 'data'; readonly bytes: Buffer; readonly cuts: number } | { readonly kind: 'fin' } | { readonly kind: 'reset' };

const mostCuts = 4;

class End implements Connection {
  readonly remote: string;
  readonly process: SimProcess;
  readonly #link: Link;
  #peer: End | undefined;
  #handler: ConnectionHandler | undefined;
  #state: 'open' | 'ending' | 'closed' = 'open';
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  /** Sent to the peer and not yet handed to its handler. */
  #unreadByPeer = 0;
  #wantsDrain = false;
  #lastArrivalMs = 0;
  #waiting: Parcel[] = [];
  readonly #onTheWay: Parcel[] = [];
  #inbox: Parcel[] = [];
  #readingPaused = false;
  #deliveryDue = false;
  #closeTold = false;
  #finSent = false;

  constructor(link: Link, process: SimProcess, remote: string) {
    this.#link = link;
    this.process = process;
    this.remote = remote;
    process.onKill(() => this.#processDied());
  }

  set peer(peer: End) {
    this.#peer = peer;
  }

  get peer(): End {
    if (this.#peer === undefined) throw new Error('no peer');
    return this.#peer;
  }

  setHandler(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#deliver();
    if (this.#state === 'closed') this.#tellClosed();
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.process.scheduler.countCall();
    if (this.#state !== 'open') return false;
    for (const chunk of chunks) {
      if (chunk.byteLength === 0) continue;
      this.#unsent.push(chunk);
      this.#unsentBytes += chunk.byteLength;
    }
    this.#send();
    if (this.#unsentBytes > 0) this.#wantsDrain = true;
    return this.#unsentBytes === 0;
  }

  pendingWriteBytes(): number {
    return this.#unsentBytes;
  }

  pauseReading(): void {
    this.#readingPaused = true;
  }

  resumeReading(): void {
    this.#readingPaused = false;
    this.#deliver();
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#send();
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#dispatch({ kind: this.#link.network.random.chance(0.5) ? 'reset' : 'fin' });
    this.closed('destroyed', false);
  }

  /** This end is closed; with `dropInbox` what had arrived is lost, too. */
  closed(why: string, dropInbox: boolean): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#waiting = [];
    if (dropInbox) this.#inbox = [];
    this.#link.network.forget(this.#link);
    this.process.scheduler.trace.note(this.process.scheduler.nowMs, `${this.process.name} ${this.remote} closed ${why}`);
    this.#tellClosed();
  }

  /** A partition healed: what was held goes on. */
  flow(): void {
    for (const parcel of this.#waiting.splice(0)) this.#dispatch(parcel);
    this.#send();
  }

  #processDied(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#link.network.forget(this.#link);
    this.#dispatch({ kind: 'reset' });
  }

  #send(): void {
    const window = this.#link.network.shape.windowBytes;
    // Not for every byte that the reader takes (silly window syndrome, RFC 1122 §4.2.3.4).
    while (this.#unsentBytes > 0 && window - this.#unreadByPeer >= Math.min(this.#unsentBytes, window / 2)) {
      const bytes = this.#take(window - this.#unreadByPeer);
      this.#unreadByPeer += bytes.byteLength;
      this.#dispatch({ kind: 'data', bytes, cuts: 0 });
    }
    if (this.#unsentBytes > 0) return;
    if (this.#wantsDrain && this.#state === 'open') {
      this.#wantsDrain = false;
      this.process.schedule(0, 'drain', () => {
        if (this.#state === 'open') this.#handler?.onDrain();
      });
    }
    if (this.#state === 'ending' && !this.#finSent) {
      this.#finSent = true;
      this.#dispatch({ kind: 'fin' });
      this.process.schedule(2 * this.#link.network.latencyMs(), 'ended', () => this.closed('ended', true));
    }
  }

  #take(limit: number): Buffer {
    const taken: Uint8Array[] = [];
    let size = 0;
    while (size < limit && this.#unsent.length > 0) {
      const chunk = this.#unsent[0] as Uint8Array;
      const part = chunk.subarray(0, limit - size);
      taken.push(part);
      size += part.byteLength;
      if (part.byteLength === chunk.byteLength) this.#unsent.shift();
      else this.#unsent[0] = chunk.subarray(part.byteLength);
    }
    this.#unsentBytes -= size;
    return Buffer.concat(taken, size);
  }

  #dispatch(parcel: Parcel): void {
    if (this.#link.halfOpen) return;
    if (this.#link.network.isCut(this.process.host, this.peer.process.host)) {
      this.#waiting.push(parcel);
      return;
    }
    const network = this.#link.network;
    const now = network.scheduler.nowMs;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, now + network.latencyMs());
    this.#onTheWay.push(parcel);
    const size = parcel.kind === 'data' ? parcel.bytes.byteLength : 0;
    // Events of one instant run in any order, parcels arrive in theirs.
    network.scheduler.schedule(this.#lastArrivalMs - now, `#${this.#link.id} to ${this.peer.process.name} ${parcel.kind} ${size}`, () => {
      const first = this.#onTheWay.shift();
      if (first !== undefined && !this.#link.halfOpen) this.peer.#arrive(first);
    });
  }

  #arrive(parcel: Parcel): void {
    if (this.#state === 'closed') return;
    if (parcel.kind === 'reset') this.#inbox = [];
    this.#inbox.push(parcel);
    this.#deliver();
  }

  #deliver(): void {
    if (this.#deliveryDue || this.#inbox.length === 0 || this.#handler === undefined) return;
    if (this.#readingPaused && this.#inbox[0]?.kind === 'data') return;
    this.#deliveryDue = true;
    this.process.schedule(0, 'data', () => {
      this.#deliveryDue = false;
      if (this.#state === 'closed') return;
      if (this.#readingPaused && this.#inbox[0]?.kind === 'data') return;
      this.#handOver();
      this.#deliver();
    });
  }

  #handOver(): void {
    const parcel = this.#inbox.shift();
    if (parcel === undefined) return;
    if (parcel.kind !== 'data') return this.closed(parcel.kind, true);
    const random = this.#link.network.random;
    let bytes = parcel.bytes;
    if (bytes.byteLength > 1 && parcel.cuts < mostCuts && random.chance(this.#link.network.shape.splitChance)) {
      const size = random.integer(1, Math.min(bytes.byteLength - 1, random.chance(0.5) ? 8 : bytes.byteLength - 1));
      this.#inbox.unshift({ kind: 'data', bytes: Buffer.from(bytes.subarray(size)), cuts: parcel.cuts + 1 });
      bytes = Buffer.from(bytes.subarray(0, size));
    }
    this.peer.#unreadByPeer -= bytes.byteLength;
    this.#handler?.onData(bytes);
    if (this.peer.#state !== 'closed') this.peer.#send();
  }

  #tellClosed(): void {
    if (this.#closeTold || this.#handler === undefined) return;
    this.#closeTold = true;
    const handler = this.#handler;
    this.process.schedule(0, 'close', () => handler.onClose());
  }
}
