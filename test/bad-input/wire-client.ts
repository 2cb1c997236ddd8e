/**
 * A client that sends bytes, not requests: whatever they are, it says what came back. Answers are cut into frames; everything else that a
 * broker can do is an end of the connection (FIN and reset count as the same) or silence.
 */
import { connect, type Socket } from 'node:net';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export type Reply = { readonly kind: 'frame'; readonly bytes: Buffer } | { readonly kind: 'closed' } | { readonly kind: 'silent' };

export class WireClient {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  readonly #frames: Buffer[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  static connect({ host, port }: Address): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new WireClient(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => this.#end()); // A reset: the same end as `close`.
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#end());
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Resolves when the bytes were given to the kernel, or cannot be any more. */
  sent(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.socket.write(bytes, () => resolve());
    });
  }

  /** Says that nothing more will come; still listens. */
  endSending(): void {
    this.socket.end();
  }

  /** The next frame, or the end once all frames were handed out. */
  async next(timeoutMs: number): Promise<Reply> {
    const deadline = setTimeout(() => this.#wake?.(), timeoutMs);
    const giveUpAt = performance.now() + timeoutMs;
    try {
      for (;;) {
        const bytes = this.#frames.shift();
        if (bytes) return { kind: 'frame', bytes };
        if (this.#closed) return { kind: 'closed' };
        if (performance.now() >= giveUpAt - 1) return { kind: 'silent' };
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  destroy(): void {
    this.socket.destroy();
    this.#end();
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    for (;;) {
      if (this.#receivedBytes < 4) return;
      if (this.#received[0]!.length < 4) this.#received = [Buffer.concat(this.#received)];
      const size = this.#received[0]!.readInt32BE(0);
      if (this.#receivedBytes < 4 + size) return;
      const all = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
      this.#frames.push(all.subarray(4, 4 + size));
      this.#received = [all.subarray(4 + size)];
      this.#receivedBytes -= 4 + size;
      this.#wake?.();
    }
  }

  #end(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
