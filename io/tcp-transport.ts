/**
 * `Transport` over TCP (node:net). Chunks of one write leave in one writev, never joined in memory; a
 * connection reports its end exactly once, and no socket error is ever unhandled.
 */
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { describePortHolder } from './port-holder.ts';
import { reopenWithPlaces } from './placed-socket.ts';
import { ConnectError, type Connection, type ConnectionHandler, ListenError, type Listener, type Transport } from './transport.ts';

export interface TcpTransportOptions {
  /** `write` answers false from this many queued bytes on. */
  readonly writeHighWaterBytes?: number;
  /** Connections that wait to be accepted. */
  readonly backlog?: number;
  /** Errors of a listening socket (out of file descriptors, …); accepting goes on. */
  readonly onAcceptError?: (error: Error) => void;
}

/** Where bytes arrive whose place nobody knows yet; used up before anything else is read, so that all sockets share it. */
const borrowed = Buffer.allocUnsafeSlow(64 * 1024);
const lingerMs = 1_000;
const keepAliveMs = 60_000;
const defaultConnectTimeoutMs = 10_000;

export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const writeHighWaterBytes = options.writeHighWaterBytes ?? 1024 * 1024;
  const backlog = options.backlog ?? 1024;

  async function listen(address: { readonly host: string; readonly port: number }, onConnection: (connection: Connection) => void): Promise<Listener> {
    const highWater = { highWaterMark: writeHighWaterBytes };
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, pauseOnConnect: true, ...highWater });
    server.on('connection', (socket) => onConnection(TcpConnection.accepted(socket, highWater)));
    await listening(server, { ...address, backlog });
    server.on('error', (error) => options.onAcceptError?.(error));
    return new TcpListener(server);
  }

  function connect(
    address: { readonly host: string; readonly port: number },
    { timeoutMs = defaultConnectTimeoutMs }: { readonly timeoutMs?: number } = {},
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const at = `${address.host}:${address.port}`;
      const socketOptions = { ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, writableHighWaterMark: writeHighWaterBytes };
      const socket = connectSocket(socketOptions);
      const timer = setTimeout(() => socket.destroy(new Error(`no connection to ${at} within ${timeoutMs} ms`)), timeoutMs);
      const onError = (error: Error) =>
        reject(new ConnectError(`cannot connect to ${at}: ${error.message || 'refused'}`, { refused: isRefusal(error), cause: error }));
      socket.once('error', onError);
      socket.once('close', () => clearTimeout(timer));
      socket.once('connect', () => {
        clearTimeout(timer);
        const connection = new TcpConnection(socket);
        socket.off('error', onError);
        resolve(connection);
      });
    });
  }

  return { listen, connect };
}

/** A name with several addresses refuses when each of them does. */
function isRefusal(error: NodeJS.ErrnoException): boolean {
  return error instanceof AggregateError ? error.errors.every(isRefusal) : error.code === 'ECONNREFUSED';
}

/** Starts `server`; rejects with a `ListenError` that says what is wrong and what to do. */
export async function listening(server: Server, address: { readonly host: string; readonly port: number; readonly backlog?: number }): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...address, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw await listenError(address, error as NodeJS.ErrnoException);
  }
}

async function listenError({ host, port }: { readonly host: string; readonly port: number }, error: NodeJS.ErrnoException): Promise<ListenError> {
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const code = error.code ?? 'unknown';
  switch (code) {
    case 'EADDRINUSE': {
      const holder = (await describePortHolder(port)) ?? 'another process';
      return new ListenError(`cannot listen on ${at}: ${holder} holds the port. Stop that process or choose another port.`, code);
    }
    case 'EACCES':
      return new ListenError(`cannot listen on ${at}: not permitted (ports below 1024 need a privilege). Choose a higher port.`, code);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError(`cannot listen on ${at}: ${host} is no address of this machine. Use 0.0.0.0, 127.0.0.1 or one of its own addresses.`, code);
    default:
      return new ListenError(`cannot listen on ${at}: ${error.message}`, code);
  }
}

class TcpListener implements Listener {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;

  constructor(server: Server) {
    const address = server.address();
    this.host = typeof address === 'object' && address ? address.address : '';
    this.port = typeof address === 'object' && address ? address.port : 0;
    this.#server = server;
  }

  /** The port is free at once; node calls back only after the last open connection, which we do not wait for. */
  async close(): Promise<void> {
    if (this.#server.listening) this.#server.close();
  }
}

class TcpConnection implements Connection {
  readonly remote: string;
  readonly #socket: Socket;
  #handler: ConnectionHandler | undefined;
  /** Where the next bytes go when the handler chose the place. */
  #place: Buffer | undefined;
  #ending = false;
  #closed = false;

  /** A socket that is paused, and of which nothing was read. */
  static accepted(socket: Socket, options: { readonly highWaterMark: number }): TcpConnection {
    // Node asks for a first buffer before there is a connection.
    const made: { connection?: TcpConnection } = {};
    const onread = { buffer: () => made.connection?.nextPlace() ?? borrowed, callback: (sizeBytes: number) => made.connection?.onRead(sizeBytes) ?? true };
    made.connection = new TcpConnection(reopenWithPlaces(socket, { ...options, onread }) ?? socket);
    return made.connection;
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    const address = socket.remoteAddress ?? 'unknown';
    this.remote = address.includes(':') ? `[${address}]:${socket.remotePort}` : `${address}:${socket.remotePort}`;
    // 'close' follows every error and is what the handler hears; the error itself says nothing it could act on.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#handler?.onClose();
    });
  }

  setHandler(handler: ConnectionHandler): void {
    if (this.#handler) throw new Error('the handler of a connection is set once');
    this.#handler = handler;
    if (this.#closed) return void setImmediate(() => handler.onClose());
    this.#socket.on('drain', () => {
      if (!this.#ending && !this.#closed) handler.onDrain();
    });
    this.#socket.on('data', (chunk: Buffer) => {
      if (!this.#ending && !this.#closed) handler.onData(chunk);
    });
    this.#socket.resume();
  }

  private nextPlace(): Buffer | undefined {
    this.#place = this.#ending || this.#closed ? undefined : this.#handler?.receiver?.place();
    return this.#place;
  }

  private onRead(sizeBytes: number): boolean {
    const handler = this.#handler;
    if (!handler || this.#ending || this.#closed) return true;
    if (this.#place) handler.receiver?.onPlaced(sizeBytes);
    else if (handler.receiver) handler.receiver.onBorrowed(borrowed.subarray(0, sizeBytes));
    else handler.onData(Buffer.from(borrowed.subarray(0, sizeBytes)));
    return true;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (this.#ending || socket.destroyed) return true;
    let accepted = true;
    socket.cork();
    for (const chunk of chunks) accepted = socket.write(chunk);
    socket.uncork();
    return accepted;
  }

  pendingWriteBytes(): number {
    return this.#socket.writableLength;
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /**
   * Bytes that arrive after our FIN are read and dropped for a moment: closing a socket with unread input
   * sends a reset, and a reset may destroy the answer that the peer has not read yet.
   */
  end(): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#ending = true;
    const socket = this.#socket;
    socket.resume();
    socket.end(() => {
      const timer = setTimeout(() => socket.destroy(), lingerMs);
      timer.unref();
      socket.once('close', () => clearTimeout(timer));
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
