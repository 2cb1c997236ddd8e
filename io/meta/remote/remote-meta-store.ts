/**
 * `MetaStore` of another process of this machine, which serves it (serve-meta-store.ts). Every call has a deadline. When the connection ends, what
 * only reads is asked again, and a transaction that was sent is unknown; watches go on behind the last revision that they were told.
 */
import type { Clock, Timer } from '../../clock.ts';
import { silentLogger, type Logger } from '../../logger.ts';
import type { Random } from '../../random.ts';
import type { Transport } from '../../transport.ts';
import { invariant } from '../../../std/invariant.ts';
import { EtcdLease } from '../etcd-lease.ts';
import {
  type MetaEntry,
  type MetaEvent,
  type MetaLease,
  type MetaList,
  type MetaOperation,
  MetaRefused,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  MetaUnavailable,
  MetaUnknown,
  type MetaWatch,
  type WatchHandler,
} from '../meta-store.ts';
import { checkTxn } from '../txn-limits.ts';
import { encodeFrame } from './meta-frames.ts';
import { MetaLink } from './meta-link.ts';
import type { Answers, CallFailure, ClientCall, ServerMessage } from './meta-messages.ts';

export interface RemoteMetaOptions {
  readonly host: string;
  readonly port: number;
  /** Which store it must be; without it, the first that answers. */
  readonly identity?: string | undefined;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger | undefined;
  readonly callDeadlineMs?: number | undefined;
  /** A connection is tried this long after the last try. */
  readonly pingMs?: number | undefined;
  /** Calls that may be under way, and the bytes of their requests; one more is refused as unavailable. */
  readonly waitingCalls?: number | undefined;
  readonly waitingBytes?: number | undefined;
  readonly watches?: number | undefined;
}

interface WaitingCall {
  readonly kind: ClientCall['kind'];
  readonly frame: Buffer;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  isSent: boolean;
  /** Of a list, so far. */
  entries: MetaEntry[];
  timer: Timer;
}

interface RemoteWatch {
  readonly prefix: string;
  readonly handler: WatchHandler;
  /** Everything up to this revision was told. */
  after: number;
  /** Of a delivery whose last part has not come. */
  held: MetaEvent[];
}

export class RemoteMetaStore implements MetaStore {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #callDeadlineMs: number;
  readonly #pingMs: number;
  readonly #limits: { readonly calls: number; readonly bytes: number; readonly watches: number };
  readonly #link: MetaLink;
  readonly #waiting = new Map<number, WaitingCall>();
  #waitingBytes = 0;
  readonly #watches = new Map<number, RemoteWatch>();
  readonly #leases = new Set<EtcdLease>();
  #nextId = 0;
  #pingTimer: Timer;
  #isClosed = false;
  #closed: Promise<void> | undefined;

  constructor(options: RemoteMetaOptions) {
    const { host, port, identity, transport, clock, random, logger = silentLogger } = options;
    this.#clock = clock;
    this.#random = random;
    this.#callDeadlineMs = options.callDeadlineMs ?? 5_000;
    this.#pingMs = options.pingMs ?? 2_000;
    this.#limits = { calls: options.waitingCalls ?? 1_000, bytes: options.waitingBytes ?? 64 * 1024 * 1024, watches: options.watches ?? 100 };
    const onUp = () => this.#resume();
    const onMessage = (message: ServerMessage) => this.#take(message);
    const onDown = () => this.#interrupt();
    this.#link = new MetaLink({ host, port, identity, transport, clock, random, logger, timeoutMs: this.#callDeadlineMs, onUp, onMessage, onDown });
    this.#pingTimer = this.#armPing();
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    return (await this.#ask({ kind: 'get', key })) ?? undefined;
  }

  async list(prefix: string): Promise<MetaList> {
    return (await this.#ask({ kind: 'list', prefix })) as Answers['list'] & Pick<MetaList, 'entries'>;
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkTxn(txn);
    const { compare, then, otherwise = [] } = txn;
    const result = await this.#ask({ kind: 'txn', txn: { compare, then: then.map(withLeaseId), otherwise: otherwise.map(withLeaseId) } });
    return { ...result, reads: result.reads.map((entry) => entry ?? undefined) };
  }

  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch {
    if (this.#isClosed) return { close: async () => {} };
    invariant(this.#watches.size < this.#limits.watches, 'watches are few', { watches: this.#watches.size });
    const id = this.#nextId++;
    const watch: RemoteWatch = { prefix, handler, after, held: [] };
    this.#watches.set(id, watch);
    if (this.#link.isUp) this.#begin(id, watch);
    return {
      close: async () => {
        if (this.#watches.delete(id) && this.#link.isUp) this.#link.send(encodeFrame({ unwatch: id }));
      },
    };
  }

  async lease(ttlMs: number): Promise<MetaLease> {
    const sentMs = this.#clock.monotonicMs();
    // A grant whose answer was lost ends by itself, so it may be asked for again: a read, in this respect.
    const { lease: id } = await this.#ask({ kind: 'grant', ttlMs });
    const lease = new EtcdLease(id, {
      clock: this.#clock,
      random: this.#random,
      ttlMs,
      sentMs,
      keepAlive: () => this.#call({ kind: 'keep-alive', lease: id }, Math.min(this.#callDeadlineMs, ttlMs / 3)),
      revoke: async () => void (await this.#call({ kind: 'revoke', lease: id })),
      onEnd: (ended) => this.#leases.delete(ended),
    });
    this.#leases.add(lease);
    if (this.#isClosed) await lease.close();
    return lease;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#watches.clear();
    // What cannot be told now ends there by itself.
    if (this.#link.isUp) await Promise.all([...this.#leases].map((lease) => lease.close()));
    for (const lease of this.#leases) lease.abandon();
    this.#pingTimer.cancel();
    this.#link.close();
    for (const id of this.#waiting.keys()) this.#fail(id, 'the metadata store is closed');
  }

  async #ask<Call extends ClientCall>(call: Call): Promise<Answers[Call['kind']]> {
    if (this.#isClosed) throw new MetaUnavailable('the metadata store is closed');
    if (this.#waiting.size >= this.#limits.calls || this.#waitingBytes > this.#limits.bytes)
      throw new MetaUnavailable(`${this.#waiting.size} calls wait for the metadata store already`);
    return this.#call(call);
  }

  /** Without a limit: keeping leases and the connection must not wait behind other calls. */
  #call<Call extends ClientCall>(call: Call, deadlineMs = this.#callDeadlineMs): Promise<Answers[Call['kind']]> {
    const id = this.#nextId++;
    const frame = encodeFrame({ id, call });
    return new Promise<unknown>((resolve, reject) => {
      const waiting: WaitingCall = { kind: call.kind, frame, resolve, reject, isSent: false, entries: [], timer: this.#armDeadline(id, deadlineMs) };
      this.#waiting.set(id, waiting);
      this.#waitingBytes += frame.length;
      if (this.#link.isUp) this.#send(waiting);
    }) as Promise<Answers[Call['kind']]>;
  }

  #armDeadline(id: number, deadlineMs: number): Timer {
    // Deferred: when this process itself was asleep, the answer may lie in the socket, unread.
    return this.#clock.setTimer(deadlineMs, () => this.#clock.defer(() => this.#fail(id, `the metadata store did not answer within ${deadlineMs} ms`)));
  }

  #send(waiting: WaitingCall): void {
    waiting.isSent = true;
    this.#link.send(waiting.frame);
  }

  #begin(id: number, watch: RemoteWatch): void {
    watch.held = [];
    this.#link.send(encodeFrame({ watch: id, prefix: watch.prefix, after: watch.after }));
  }

  #resume(): void {
    for (const [id, watch] of this.#watches) this.#begin(id, watch);
    for (const waiting of this.#waiting.values()) this.#send(waiting);
  }

  #interrupt(): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.kind === 'txn' && waiting.isSent) this.#fail(id, 'the connection to the metadata store ended before its answer');
      waiting.isSent = false;
      waiting.entries = [];
    }
  }

  #take(message: ServerMessage): void {
    if ('watch' in message) return this.#tell(message);
    if (!('id' in message)) return;
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if ('entries' in message) {
      for (const entry of message.entries) waiting.entries.push(entry);
      waiting.timer.cancel();
      waiting.timer = this.#armDeadline(message.id, this.#callDeadlineMs);
      return;
    }
    this.#settle(message.id, waiting);
    if ('failure' in message) waiting.reject(failure(message.failure, message.text));
    else waiting.resolve(waiting.kind === 'list' ? { ...(message.answer as Answers['list']), entries: waiting.entries } : message.answer);
  }

  #tell(message: Extract<ServerMessage, { watch: number }>): void {
    const watch = this.#watches.get(message.watch);
    if (!watch) return;
    if ('gap' in message) {
      this.#watches.delete(message.watch);
      watch.handler.onGap();
      return;
    }
    for (const event of message.events) watch.held.push(event);
    if (message.more) return;
    const events = watch.held;
    watch.held = [];
    watch.after = message.revision;
    watch.handler.onEvents(events, message.revision);
  }

  /** Whether a transaction was applied is known only of one that was never sent. */
  #fail(id: number, text: string): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#settle(id, waiting);
    waiting.reject(failure(waiting.kind === 'txn' && waiting.isSent ? 'unknown' : 'unavailable', text));
  }

  #settle(id: number, waiting: WaitingCall): void {
    waiting.timer.cancel();
    this.#waiting.delete(id);
    this.#waitingBytes -= waiting.frame.length;
  }

  #armPing(): Timer {
    return this.#clock.setTimer(this.#pingMs, () => void this.#ping());
  }

  /** A connection that says nothing may be dead without having ended. */
  async #ping(): Promise<void> {
    const { connectionNumber } = this.#link;
    if (this.#link.isUp) {
      const answer = await this.#call({ kind: 'ping' }).catch(() => undefined);
      if (!answer && this.#link.isUp && this.#link.connectionNumber === connectionNumber) this.#link.cut();
    }
    if (!this.#isClosed) this.#pingTimer = this.#armPing();
  }
}

function withLeaseId(operation: MetaOperation): unknown {
  return operation.kind === 'put' && operation.lease ? { ...operation, lease: { id: operation.lease.id } } : operation;
}

function failure(kind: CallFailure, text: string): Error {
  if (kind === 'refused') return new MetaRefused(text);
  return kind === 'unknown' ? new MetaUnknown(text) : new MetaUnavailable(text);
}
