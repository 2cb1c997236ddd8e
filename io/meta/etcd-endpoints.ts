/**
 * Calls to the members of an etcd cluster: one client per endpoint with etcd3's own retries and circuit breakers
 * off, because a transaction that is sent twice may be applied twice. Every call has a deadline of our own; reads
 * go on to the next endpoint, writes only while they provably never left this process.
 */
import { type CallContext, Etcd3, type IOptions } from 'etcd3';
import type { Clock } from '../clock.ts';
import { describeEtcdError, judgeEtcdError } from './etcd-errors.ts';
import { MetaRefused, MetaUnavailable, MetaUnknown } from './meta-store.ts';

export interface EtcdTls {
  /** PEM; the system's roots when left out. */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface EndpointOptions {
  /** `http://host:port` or `https://host:port`, all of one kind. */
  readonly endpoints: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  /** One call, all its endpoints together. */
  readonly callDeadlineMs: number;
}

type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>;

const longestAnswerBytes = 64 * 1024 * 1024;

export class EtcdEndpoints {
  readonly #clients: readonly Etcd3[];
  readonly #clock: Clock;
  readonly #callDeadlineMs: number;
  /** The client to ask first: the last one that answered. */
  #preferred = 0;
  #isClosed = false;

  constructor(options: EndpointOptions) {
    checkEndpoints(options);
    this.#clock = options.clock;
    this.#callDeadlineMs = options.callDeadlineMs;
    this.#clients = options.endpoints.map((endpoint) => new Etcd3(clientOptions(endpoint, options)));
  }

  /** Throws `MetaUnavailable` or `MetaRefused`; errors about revisions and sizes are thrown as they came. */
  async read<T>(run: (client: Etcd3, options: CallOptions) => Promise<T>): Promise<T> {
    return this.#call(run, (verdict) => verdict === 'unknown' || verdict === 'not-sent', MetaUnavailable);
  }

  /** Throws `MetaUnknown` or `MetaRefused`. An endpoint that cannot be reached counts as unknown, too: callers settle what they do not know was refused. */
  async write<T>(run: (client: Etcd3, options: CallOptions) => Promise<T>): Promise<T> {
    return this.#call(run, (verdict) => verdict === 'not-sent', MetaUnknown);
  }

  /** A client for a stream, and what to say when the stream failed, so that the next one goes elsewhere. */
  forStream(): { readonly client: Etcd3; readonly failed: () => void } {
    this.#checkOpen();
    const index = this.#preferred;
    return { client: this.#clients[index] as Etcd3, failed: () => this.#passOver(index) };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const client of this.#clients) client.close();
  }

  async #call<T>(
    run: (client: Etcd3, options: CallOptions) => Promise<T>,
    mayGoOn: (verdict: ReturnType<typeof judgeEtcdError>) => boolean,
    Otherwise: typeof MetaUnknown | typeof MetaUnavailable,
  ): Promise<T> {
    this.#checkOpen();
    const endMs = this.#clock.monotonicMs() + this.#callDeadlineMs;
    for (let attempt = 1; ; attempt++) {
      const index = this.#preferred;
      const remainingMs = Math.max(1, endMs - this.#clock.monotonicMs());
      const isLast = attempt > this.#clients.length;
      // A silent endpoint must leave time for the others; a write that was sent is not sent again anyway.
      const leavesTime = Otherwise === MetaUnavailable && this.#clients.length > 1 && !isLast;
      try {
        return await this.#withDeadline(leavesTime ? remainingMs / 2 : remainingMs, (options) => run(this.#clients[index] as Etcd3, options));
      } catch (error) {
        const verdict = judgeEtcdError(error);
        if (verdict === 'wrong-revision' || verdict === 'answer-too-large') throw error;
        if (verdict === 'refused') throw new MetaRefused(describeEtcdError(error), { cause: error });
        this.#passOver(index);
        const isOver = this.#isClosed || isLast || this.#clock.monotonicMs() >= endMs;
        if (isOver || !mayGoOn(verdict)) throw new Otherwise(describeEtcdError(error), { cause: error });
      }
    }
  }

  #passOver(index: number): void {
    if (this.#preferred === index) this.#preferred = (index + 1) % this.#clients.length;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new MetaUnavailable('the metadata store is closed');
  }

  /** gRPC's deadline is a wall-clock time, which may jump: it only ends the call some time after ours has. */
  #withDeadline<T>(deadlineMs: number, run: (options: CallOptions) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(deadlineMs, () => reject(new Error(`4 DEADLINE_EXCEEDED: etcd did not answer within ${Math.round(deadlineMs)} ms`)));
      run({ deadline: this.#clock.wallMs() + deadlineMs + 250 })
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }
}

function checkEndpoints({ endpoints, tls }: EndpointOptions): void {
  if (endpoints.length === 0) throw new MetaRefused('no etcd endpoint is given; expected http://host:port or https://host:port');
  const schemes = new Set<string>();
  for (const endpoint of endpoints) {
    const scheme = /^(https?):\/\/[^/@\s]+:\d+\/?$/.exec(endpoint)?.[1];
    if (scheme === undefined)
      throw new MetaRefused(
        `not an etcd endpoint: ${endpoint.replace(/\/\/.*@/, '//')}; expected http://host:port or https://host:port (user and password are settings of their own)`,
      );
    schemes.add(scheme);
  }
  if (schemes.size > 1) throw new MetaRefused('etcd endpoints are all http:// or all https://, not mixed');
  if (tls && !schemes.has('https')) throw new MetaRefused('certificates are given, but the etcd endpoints are http://');
}

function clientOptions(endpoint: string, options: EndpointOptions): IOptions {
  const { user, password, tls, clock, callDeadlineMs } = options;
  const passThrough = { execute: async (run: (context: unknown) => unknown) => run({}) };
  const faultHandling = { host: () => passThrough, global: passThrough } as unknown as NonNullable<IOptions['faultHandling']>;
  return {
    hosts: [endpoint.replace(/\/$/, '')],
    faultHandling,
    grpcOptions: {
      // etcd refuses pings more often than every 5 s.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.max_receive_message_length': longestAnswerBytes,
      'grpc.max_send_message_length': -1,
    },
    ...(tls ? { credentials: { rootCertificate: tls.ca, privateKey: tls.key, certChain: tls.cert } as NonNullable<IOptions['credentials']> } : {}),
    ...(user === undefined
      ? {}
      : { auth: { username: user, password: password ?? '', callOptions: (_context: CallContext) => ({ deadline: clock.wallMs() + callDeadlineMs }) } }),
  };
}
