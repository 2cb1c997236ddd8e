/**
 * One client's connection at the server: runs its calls on the store and answers each once, tells its watches, and is cut when
 * it sends what is no frame, waits too long to read, or asks for more than its limits in watches.
 */
import type { Logger } from '../../logger.ts';
import type { Connection } from '../../transport.ts';
import {
  type MetaEntry,
  type MetaOperation,
  MetaRefused,
  type MetaStore,
  type MetaTxn,
  MetaUnavailable,
  MetaUnknown,
  type MetaWatch,
  type WatchHandler,
} from '../meta-store.ts';
import { encodeFrame, FrameReader } from './meta-frames.ts';
import { type CallFailure, clientMessage, piecesOf, protocolVersion, type ServedCall, type ServerMessage } from './meta-messages.ts';
import type { ServedLeases } from './served-leases.ts';

export interface ClientLimits {
  /** Calls of one client that run at once; one more is answered as unavailable. */
  readonly calls: number;
  readonly watches: number;
  /** Bytes that wait for a client that reads slowly; past it its connection is cut. */
  readonly unreadBytes: number;
}

export interface ServedClientOptions {
  readonly store: MetaStore;
  readonly leases: ServedLeases;
  readonly logger: Logger;
  readonly identity: string;
  readonly limits: ClientLimits;
  readonly onClose: (client: ServedClient) => void;
}

const pieceCharacters = 256 * 1024;

export class ServedClient {
  readonly #connection: Connection;
  readonly #options: ServedClientOptions;
  readonly #reader = new FrameReader();
  readonly #watches = new Map<number, MetaWatch>();
  #calls = 0;
  #isOver = false;
  #drained: (() => void)[] = [];

  constructor(connection: Connection, options: ServedClientOptions) {
    this.#connection = connection;
    this.#options = options;
    connection.setHandler({
      onData: (chunk) => this.#accept(chunk),
      onDrain: () => this.#wake(),
      onClose: () => this.#end(),
    });
    this.#send({ version: protocolVersion, identity: options.identity });
  }

  /** Cuts the connection. */
  close(): void {
    this.#connection.destroy();
    this.#end();
  }

  #accept(chunk: Buffer): void {
    if (this.#isOver) return;
    let messages: unknown[];
    try {
      messages = this.#reader.accept(chunk);
    } catch (error) {
      return this.#refuse((error as Error).message);
    }
    for (const message of messages) {
      const read = clientMessage.safeParse(message);
      if (!read.success) return this.#refuse('a message that is none of ours');
      if ('id' in read.data) void this.#call(read.data.id, read.data.call);
      else if ('watch' in read.data) this.#watch(read.data.watch, read.data.prefix, read.data.after);
      else this.#unwatch(read.data.unwatch);
      if (this.#isOver) return;
    }
  }

  #refuse(cause: string): void {
    this.#options.logger.warn('a client of the metadata store is cut off', { client: this.#connection.remote, cause });
    this.close();
  }

  async #call(id: number, call: ServedCall): Promise<void> {
    const { limits } = this.#options;
    if (this.#calls >= limits.calls) return this.#send({ id, failure: 'unavailable', text: `${limits.calls} calls of this client are under way` });
    this.#calls++;
    try {
      this.#send({ id, answer: await this.#run(id, call) });
    } catch (error) {
      this.#send({ id, failure: failureOf(error, call), text: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#calls--;
    }
  }

  async #run(id: number, call: ServedCall): Promise<unknown> {
    const { store, leases } = this.#options;
    switch (call.kind) {
      case 'get':
        return (await store.get(call.key)) ?? null;
      case 'list': {
        const { entries, revision } = await store.list(call.prefix);
        await this.#sendEntries(id, entries);
        return { revision };
      }
      case 'txn': {
        const result = await store.txn(this.#withLeases(call.txn));
        return { ...result, reads: result.reads.map((entry) => entry ?? null) };
      }
      case 'grant':
        return { lease: await leases.grant(call.ttlMs) };
      case 'keep-alive':
        return leases.keepAlive(call.lease);
      case 'revoke':
        await leases.revoke(call.lease);
        return true;
      case 'ping':
        return true;
    }
  }

  /** At the client's pace: a list may be larger than anything else here. */
  async #sendEntries(id: number, entries: readonly MetaEntry[]): Promise<void> {
    for (const piece of piecesOf(entries, pieceCharacters)) {
      if (this.#isOver) return;
      if (!this.#write({ id, entries: piece })) await new Promise<void>((resolve) => this.#drained.push(resolve));
    }
  }

  #withLeases({ compare, then, otherwise }: Extract<ServedCall, { kind: 'txn' }>['txn']): MetaTxn {
    const held = (operation: (typeof then)[number]): MetaOperation => {
      if (operation.kind !== 'put') return operation;
      const { key, value } = operation;
      if (!operation.lease) return { kind: 'put', key, value };
      const lease = this.#options.leases.find(operation.lease.id);
      if (!lease) throw new MetaRefused(`the lease ${operation.lease.id} is gone`);
      return { kind: 'put', key, value, lease };
    };
    return { compare, then: then.map(held), ...(otherwise ? { otherwise: otherwise.map(held) } : {}) };
  }

  #watch(watch: number, prefix: string, after: number): void {
    if (this.#watches.has(watch) || this.#watches.size >= this.#options.limits.watches)
      return this.#refuse(`more than ${this.#options.limits.watches} watches`);
    const handler: WatchHandler = {
      onEvents: (events, revision) => {
        const pieces = piecesOf(events, pieceCharacters);
        for (const [index, piece] of pieces.entries()) this.#send({ watch, events: piece, revision, more: index < pieces.length - 1 });
      },
      onGap: () => {
        this.#watches.delete(watch);
        this.#send({ watch, gap: true });
      },
    };
    this.#watches.set(watch, this.#options.store.watch(prefix, after, handler));
  }

  #unwatch(watch: number): void {
    void this.#watches.get(watch)?.close();
    this.#watches.delete(watch);
  }

  #send(message: ServerMessage): void {
    this.#write(message);
  }

  /** False when the client is behind with reading. */
  #write(message: ServerMessage): boolean {
    if (this.#isOver) return true;
    const isTaken = this.#connection.write([encodeFrame(message)]);
    if (this.#connection.pendingWriteBytes() > this.#options.limits.unreadBytes) this.#refuse('it does not read what it asked for');
    return isTaken || this.#isOver;
  }

  #wake(): void {
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const watch of this.#watches.values()) void watch.close();
    this.#watches.clear();
    this.#wake();
    this.#options.onClose(this);
  }
}

/** What else a transaction may fail with says nothing about whether it was applied. */
function failureOf(error: unknown, call: ServedCall): CallFailure {
  if (error instanceof MetaRefused) return 'refused';
  if (error instanceof MetaUnavailable) return 'unavailable';
  if (error instanceof MetaUnknown) return 'unknown';
  return call.kind === 'txn' ? 'unknown' : 'unavailable';
}
