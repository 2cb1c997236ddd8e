/** A network in memory on a clock that is moved by hand: what is written arrives in a later turn; a host that is cut off refuses. */
import type { Clock } from '../../io/clock.ts';
import { ConnectError, type Connection, type ConnectionHandler, type Listener, type Transport } from '../../io/transport.ts';

export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #listeners = new Map<string, { readonly host: string; readonly accept: (connection: Connection) => void }>();
  readonly #ends = new Map<string, Set<End>>();
  #nextPort = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The network as `host` sees it. */
  of(host: string): Transport {
    return {
      listen: (_, accept): Promise<Listener> => {
        const port = this.#nextPort++;
        const at = `${host}:${port}`;
        this.#listeners.set(at, { host, accept });
        return Promise.resolve({ host, port, close: () => Promise.resolve(void this.#listeners.delete(at)) });
      },
      connect: (to) => this.#connect(host, to),
    };
  }

  /** As when its process is killed. */
  cut(host: string): void {
    for (const [at, listener] of this.#listeners) if (listener.host === host) this.#listeners.delete(at);
    for (const end of this.#ends.get(host) ?? []) end.destroy();
  }

  #connect(from: string, to: { readonly host: string; readonly port: number }): Promise<Connection> {
    const listener = this.#listeners.get(`${to.host}:${to.port}`);
    if (!listener) return Promise.reject(new ConnectError('nobody listens there', { refused: true }));
    const near = this.#end(from, to.host);
    const far = this.#end(to.host, from);
    near.peer = far;
    far.peer = near;
    listener.accept(far);
    return Promise.resolve(near);
  }

  #end(host: string, remote: string): End {
    let ends = this.#ends.get(host);
    if (!ends) this.#ends.set(host, (ends = new Set()));
    const end = new End(this.#clock, remote, () => ends.delete(end));
    ends.add(end);
    return end;
  }
}

class End implements Connection {
  readonly remote: string;
  peer: End | undefined;
  readonly #clock: Clock;
  readonly #onGone: () => void;
  #handler: ConnectionHandler | undefined;
  #closed = false;

  constructor(clock: Clock, remote: string, onGone: () => void) {
    this.#clock = clock;
    this.remote = remote;
    this.#onGone = onGone;
  }

  setHandler(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(chunks);
    const { peer } = this;
    if (!this.#closed)
      this.#clock.defer(() => {
        if (peer && !peer.#closed) peer.#handler?.onData(bytes);
      });
    return true;
  }

  pendingWriteBytes(): number {
    return 0;
  }

  pauseReading(): void {}

  resumeReading(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onGone();
    this.#clock.defer(() => {
      this.#handler?.onClose();
      this.peer?.destroy();
    });
  }
}
