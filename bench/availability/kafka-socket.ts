/** One client connection on a real socket: frames, correlation, versions. Requests are pipelined; answers come in their order. */
import { connect, type Socket } from 'node:net';
import { decodeCorrelationId, decodeResponse, encodeRequest } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The connection is gone or did not answer in time: what was asked may or may not have happened. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

/** There was nobody to ask: nothing was sent. */
export class NotSent extends Disconnected {}

interface Pending {
  readonly apiKey: ApiKey;
  readonly version: number;
  readonly correlationId: number;
  readonly deadlineMs: number;
  readonly resolve: (body: never) => void;
  readonly reject: (error: Error) => void;
}

const connectWithinMs = 3_000;
/** As Java's request.timeout.ms. */
const answerWithinMs = 30_000;
const lookMs = 250;

export class KafkaSocket {
  readonly address: Address;
  readonly #socket: Socket;
  readonly #versions = new Map<number, { readonly min: number; readonly max: number }>();
  readonly #timer: NodeJS.Timeout;
  #pending: Pending[] = [];
  #received: Buffer = Buffer.alloc(0);
  #nextCorrelationId = 1;
  #closed = false;

  /** Connects and asks for the versions; rejects with `NotSent`. */
  static async open(address: Address): Promise<KafkaSocket> {
    const socket = connect({ ...address, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(new Error('timed out')), connectWithinMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(new NotSent(error.message));
      });
    });
    const opened = new KafkaSocket(address, socket);
    try {
      const { apiKeys } = await opened.#ask(ApiKeys.ApiVersions, 3, { clientSoftwareName: 'availability', clientSoftwareVersion: '1' });
      for (const { apiKey, minVersion, maxVersion } of apiKeys) opened.#versions.set(apiKey, { min: minVersion, max: maxVersion });
      return opened;
    } catch (error) {
      throw new NotSent(String(error));
    }
  }

  private constructor(address: Address, socket: Socket) {
    this.address = address;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => this.#end('reset'));
    socket.on('close', () => this.#end('closed by the broker'));
    this.#timer = setInterval(() => {
      if ((this.#pending[0]?.deadlineMs ?? Infinity) < performance.now()) this.#end('request timed out');
    }, lookMs);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** In the newest version up to `newest` that both speak. */
  request<K extends ApiKey>(apiKey: K, newest: number, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    const served = this.#versions.get(apiKey);
    if (!served || served.min > newest) throw new Error(`API ${apiKey} is not served in a version up to ${newest}`);
    return this.#ask(apiKey, Math.min(newest, served.max), body);
  }

  close(): void {
    this.#end('closed by us');
  }

  #ask<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new NotSent('closed'));
      const correlationId = this.#nextCorrelationId++;
      this.#pending.push({ apiKey, version, correlationId, deadlineMs: performance.now() + answerWithinMs, resolve, reject });
      this.#socket.cork();
      for (const chunk of encodeRequest(apiKey, version, correlationId, 'availability', body)) this.#socket.write(chunk);
      this.#socket.uncork();
    });
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      const expected = this.#pending.shift();
      if (expected?.correlationId !== decodeCorrelationId(frame)) throw new Error(`answers of ${this.address.port} out of order`);
      expected.resolve(decodeResponse(expected.apiKey, expected.version, frame).body as never);
    }
  }

  #end(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#socket.destroy();
    for (const pending of this.#pending.splice(0)) pending.reject(new Disconnected(why));
  }
}
