/**
 * Byte streams between processes. `Server` and `Connection` are what the Kafka server stands on; the
 * simulation brings its own. Data arrives as buffers that the receiver owns.
 */
export interface Transport {
  /** Listens; rejects with a `ListenError` that says who holds the port when it is taken. Port 0 takes a free one. */
  listen(address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** Rejects with a `ConnectError` that tells a refusal from silence. */
  connect(address: { readonly host: string; readonly port: number }, options?: { readonly timeoutMs?: number }): Promise<Connection>;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; open connections stay. */
  close(): Promise<void>;
}

export interface Connection {
  readonly remote: string;
  /** Set once, right after the connection appeared. No event is delivered before it is set. */
  setHandler(handler: ConnectionHandler): void;
  /** Queues all buffers in order (one writev). Returns false when the peer is slow: `onDrain` follows. */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes queued and not yet handed to the kernel. */
  pendingWriteBytes(): number;
  pauseReading(): void;
  resumeReading(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once. `onClose` still follows, once. */
  destroy(): void;
}

export interface ConnectionHandler {
  /** Bytes that the receiver owns from here on. */
  onData(chunk: Buffer): void;
  /** For transports that can read into memory of the receiver's, which saves a copy; others ignore it and call `onData`. */
  readonly receiver?: DirectReceiver;
  onDrain(): void;
  /** Once, whatever the reason; nothing follows. */
  onClose(): void;
}

export interface DirectReceiver {
  /** Where the next bytes shall lie; undefined when that is open: then `onBorrowed` is called. Asked anew after each call. */
  place(): Buffer | undefined;
  /** The first `sizeBytes` of the last place are filled. */
  onPlaced(sizeBytes: number): void;
  /** The bytes are the transport's, and others after this call. */
  onBorrowed(chunk: Buffer): void;
}

/** A port cannot be listened on. The text names the reason, the process that holds the port when it is known, and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The operating system's code, such as EADDRINUSE. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** No connection came about. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  /** The host answered that nobody listens there. Else: no answer in time, no way to the host, no such name. */
  readonly refused: boolean;

  constructor(message: string, options: { readonly refused: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.refused = options.refused;
  }
}
