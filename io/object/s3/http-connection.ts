/**
 * One connection to an object store, one HTTP/1.1 call at a time.
 *
 * Why not node:http: a body read through it arrives in 64 KiB buffers that are copied twice (1.0–1.9 CPU-ms per MB here); here the socket reads
 * straight into the buffer where the bytes stay (0.2–0.3). And a call settles only when the socket is gone or all its bytes were
 * sent, so that its buffers are provably free (F46).
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectSecure, type ConnectionOptions } from 'node:tls';
import { type AnswerHead, ChunkedBody, HttpFormatError, parseAnswerHead } from './http-answer.ts';

export interface Origin {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** PEM of the authority to trust instead of the system's. */
  readonly ca?: string;
}

export interface HttpCall {
  readonly method: string;
  /** Request line and headers with their empty line. */
  readonly head: string;
  readonly body: readonly Uint8Array[];
  /** Where a body of `sizeBytes` goes; undefined when it is not wanted, which costs the connection. */
  placeBody(head: AnswerHead, sizeBytes: number): Buffer | undefined;
}

export type HttpOutcome = { readonly kind: 'answer'; readonly head: AnswerHead; readonly body: Buffer } | { readonly kind: 'broken'; readonly cause: string };

/** Bodies without a known length: errors and listings. */
const maxUnsizedBody = 8 * 1024 * 1024;
const receiveBufferBytes = 32 * 1024;

interface Running {
  readonly call: HttpCall;
  readonly resolve: (outcome: HttpOutcome) => void;
  head: AnswerHead | undefined;
  /** The body's place when its length is known, and how much of it is there. */
  body: Buffer | undefined;
  filled: number;
  chunked: ChunkedBody | undefined;
  unsized: Buffer[] | undefined;
  unsizedBytes: number;
  flushed: boolean;
  outcome: HttpOutcome | undefined;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #receive = Buffer.allocUnsafeSlow(receiveBufferBytes);
  readonly #onClosed: () => void;
  #received = 0;
  #running: Running | undefined;
  #cause: string | undefined;
  #open = true;
  #reusable = true;

  /** `onClosed` is called once, after the call that ran has settled. */
  constructor(origin: Origin, onClosed: () => void) {
    this.#onClosed = onClosed;
    const onread = { buffer: () => this.#place(), callback: (count: number) => this.#onBytes(count) };
    const target = { host: origin.host, port: origin.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000, onread };
    this.#socket = origin.secure ? connectSecure({ ...target, ...secureOptions(origin) }) : connectPlain(target);
    this.#socket.on('error', (error) => this.destroy(error.message));
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.once('close', () => this.#onClose());
  }

  /** The next call may go over this connection. */
  get reusable(): boolean {
    return this.#open && this.#reusable && this.#running === undefined;
  }

  run(call: HttpCall): Promise<HttpOutcome> {
    return new Promise((resolve) => {
      const running: Running = {
        call,
        resolve,
        head: undefined,
        body: undefined,
        filled: 0,
        chunked: undefined,
        unsized: undefined,
        unsizedBytes: 0,
        flushed: false,
        outcome: undefined,
      };
      this.#running = running;
      if (!this.#open) return this.#settle({ kind: 'broken', cause: this.#cause ?? 'the connection is closed' });
      const socket = this.#socket;
      socket.cork();
      socket.write(call.head, 'latin1', call.body.length === 0 ? () => this.#onFlushed(running) : undefined);
      call.body.forEach((chunk, index) => socket.write(chunk, index === call.body.length - 1 ? () => this.#onFlushed(running) : undefined));
      socket.uncork();
    });
  }

  /** Ends it at once; the running call settles when the socket is gone. */
  destroy(cause: string): void {
    this.#cause ??= cause;
    this.#reusable = false;
    this.#socket.destroy();
  }

  /** Where the next bytes from the socket go: never further than the end of the body. */
  #place(): Buffer {
    const running = this.#running;
    if (running?.body && running.filled < running.body.length) return running.body.subarray(running.filled);
    return this.#received < this.#receive.length ? this.#receive.subarray(this.#received) : this.#receive;
  }

  #onBytes(count: number): boolean {
    if (!this.#open || this.#cause !== undefined) return false;
    try {
      this.#take(count);
    } catch (error) {
      if (!(error instanceof HttpFormatError)) throw error;
      this.destroy(error.message);
    }
    return true;
  }

  #take(count: number): void {
    const running = this.#running;
    if (!running || running.outcome) throw new HttpFormatError('bytes that nobody asked for');
    if (running.body && running.filled < running.body.length) {
      running.filled += count;
      if (running.filled === running.body.length) this.#complete(running, running.body);
      return;
    }
    const bytes = this.#receive.subarray(0, this.#received + count);
    this.#received = running.head ? 0 : bytes.length;
    if (running.head) this.#takeBody(running, running.head, bytes);
    else this.#takeHead(running, bytes);
  }

  #takeHead(running: Running, bytes: Buffer): void {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) {
      if (bytes.length === this.#receive.length) throw new HttpFormatError(`a head of more than ${bytes.length} bytes`);
      return;
    }
    const head = parseAnswerHead(bytes.toString('latin1', 0, end), running.call.method);
    const rest = bytes.subarray(end + 4);
    this.#received = 0;
    // An interim answer (100, 103): the real one follows.
    if (head.status < 200) {
      rest.copy(this.#receive);
      if (rest.length > 0) {
        this.#received = rest.length;
        this.#takeHead(running, this.#receive.subarray(0, rest.length));
      }
      return;
    }
    running.head = head;
    if (head.framing.kind === 'length') {
      const { sizeBytes } = head.framing;
      running.body = sizeBytes === 0 ? Buffer.alloc(0) : running.call.placeBody(head, sizeBytes)?.subarray(0, sizeBytes);
      if (!running.body) return this.#complete(running, Buffer.alloc(0), 'its body was not wanted');
    } else if (head.framing.kind === 'chunked') running.chunked = new ChunkedBody(maxUnsizedBody);
    else running.unsized = [];
    this.#takeBody(running, head, rest);
  }

  #takeBody(running: Running, head: AnswerHead, bytes: Buffer): void {
    if (running.body) {
      if (bytes.length > running.body.length) throw new HttpFormatError('a body longer than its length');
      running.filled = bytes.copy(running.body);
      if (running.filled === running.body.length) this.#complete(running, running.body);
    } else if (running.chunked) {
      const taken = running.chunked.push(bytes);
      if (taken < bytes.length) throw new HttpFormatError('bytes behind the last chunk');
      if (running.chunked.complete) this.#complete(running, running.chunked.body());
    } else if (head.framing.kind === 'until-close') {
      running.unsized?.push(Buffer.from(bytes));
      running.unsizedBytes += bytes.length;
      if (running.unsizedBytes > maxUnsizedBody) throw new HttpFormatError(`a body of more than ${maxUnsizedBody} bytes`);
    }
  }

  #complete(running: Running, body: Buffer, unusable?: string): void {
    if (!running.head) return;
    running.outcome = { kind: 'answer', head: running.head, body };
    // A server that answers before it has read everything leaves a connection on which the next request would be lost.
    if (unusable !== undefined || !running.head.keepAlive || !running.flushed) this.destroy(unusable ?? 'the server ends the connection');
    else this.#settle(running.outcome);
  }

  #onFlushed(running: Running): void {
    running.flushed = true;
  }

  #onEnd(): void {
    const running = this.#running;
    if (running?.unsized && running.head) this.#complete(running, Buffer.concat(running.unsized), 'the body ended with the connection');
    else this.destroy('the server closed the connection');
  }

  #onClose(): void {
    this.#open = false;
    if (this.#running) this.#settle(this.#running.outcome ?? { kind: 'broken', cause: this.#cause ?? 'the connection closed' });
    this.#onClosed();
  }

  #settle(outcome: HttpOutcome): void {
    const running = this.#running;
    this.#running = undefined;
    running?.resolve(outcome);
  }
}

/** TLS forbids addresses as server names. */
function secureOptions({ host, ca }: Origin): ConnectionOptions {
  return { ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) };
}
