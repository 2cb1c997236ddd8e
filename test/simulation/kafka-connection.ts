/** One client connection: frames, correlation, timeouts. Answers must come in the order of the requests (design §3). */
import { decodeCorrelationId, decodeResponse, encodeRequest } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import type { Clock, Timer } from '../../io/clock.ts';
import type { Connection, ConnectionHandler, Transport } from '../../io/transport.ts';

/** The connection is gone or did not answer in time: what was asked may or may not have happened. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

/** There was nobody to ask: nothing was sent. */
export class NotSent extends Disconnected {}

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

interface Pending {
  readonly apiKey: ApiKey;
  readonly version: number;
  readonly correlationId: number;
  readonly timer: Timer;
  readonly resolve: (body: never) => void;
  readonly reject: (error: Error) => void;
}

export interface KafkaConnectionOptions {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly onViolation: (name: string, detail: string) => void;
}

export class KafkaConnection implements ConnectionHandler {
  readonly #options: KafkaConnectionOptions;
  readonly #connection: Connection;
  readonly #versions = new Map<number, VersionRange>();
  #pending: Pending[] = [];
  #received: Buffer = Buffer.alloc(0);
  #nextCorrelationId = 1;
  #closed = false;

  private constructor(options: KafkaConnectionOptions, connection: Connection) {
    this.#options = options;
    this.#connection = connection;
    connection.setHandler(this);
  }

  /** Connects and asks for the versions. */
  static async open(options: KafkaConnectionOptions, address: { readonly host: string; readonly port: number }): Promise<KafkaConnection> {
    const connection = new KafkaConnection(options, await options.transport.connect(address, { timeoutMs: 3_000 }));
    const answer = await connection.request(ApiKeys.ApiVersions, 3, { clientSoftwareName: 'simulation', clientSoftwareVersion: '1' });
    for (const api of answer.apiKeys) connection.#versions.set(api.apiKey, { min: api.minVersion, max: api.maxVersion });
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The versions in which the broker serves this API; undefined when it does not. */
  versionsOf(apiKey: ApiKey): VersionRange | undefined {
    return this.#versions.get(apiKey);
  }

  request<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new NotSent('closed'));
      const correlationId = this.#write(apiKey, version, body);
      const timer = this.#options.clock.setTimer(this.#options.requestTimeoutMs, () => this.#close('request timed out'));
      this.#pending.push({ apiKey, version, correlationId, timer, resolve, reject });
    });
  }

  /** Sends what gets no answer (Produce with acks=0). */
  tell<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>): void {
    if (!this.#closed) this.#write(apiKey, version, body);
  }

  close(): void {
    this.#close('closed by us');
  }

  onData(chunk: Buffer): void {
    this.#received = this.#received.byteLength === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.byteLength >= 4) {
      const size = this.#received.readInt32BE(0);
      if (this.#received.byteLength < 4 + size) return;
      const frame = Buffer.from(this.#received.subarray(4, 4 + size));
      this.#received = this.#received.subarray(4 + size);
      this.#answer(frame);
    }
  }

  onDrain(): void {}

  onClose(): void {
    this.#close('closed by the broker');
  }

  #write<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>): number {
    const correlationId = this.#nextCorrelationId++;
    this.#connection.write(encodeRequest(apiKey, version, correlationId, this.#options.clientId, body));
    return correlationId;
  }

  #answer(frame: Buffer): void {
    const expected = this.#pending.shift();
    const correlationId = decodeCorrelationId(frame);
    if (expected === undefined || expected.correlationId !== correlationId) {
      this.#options.onViolation('answer-order', `answer ${correlationId} came where ${expected?.correlationId ?? 'none'} was due`);
      this.#close('answers out of order');
      return;
    }
    expected.timer.cancel();
    expected.resolve(decodeResponse(expected.apiKey, expected.version, frame).body as never);
  }

  #close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.destroy();
    for (const pending of this.#pending.splice(0)) {
      pending.timer.cancel();
      pending.reject(new Disconnected(why));
    }
  }
}
