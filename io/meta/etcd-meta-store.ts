/**
 * `MetaStore` over etcd (3.4 and later) through npm etcd3's bare clients. What etcd3 adds on top of them (retries,
 * watcher, lease) is not used: each breaks a promise of the interface. Supported are 3.5.28, 3.6.9 and later;
 * older ones may answer stale reads after a pause (etcd #20418): they are warned about, and safe, because nothing
 * that opens, closes or deletes rests on a read.
 */
import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import type { Clock } from '../clock.ts';
import { silentLogger, type Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import { EtcdEndpoints, type EtcdTls } from './etcd-endpoints.ts';
import { describeEtcdError, judgeEtcdError } from './etcd-errors.ts';
import { EtcdLease } from './etcd-lease.ts';
import { keyAfter, prefixRange } from './etcd-ranges.ts';
import { openKeepAliveStream } from './etcd-streams.ts';
import { EtcdWatch } from './etcd-watch.ts';
import {
  type MetaCompare,
  type MetaEntry,
  type MetaLease,
  type MetaList,
  type MetaOperation,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  MetaUnavailable,
  type MetaWatch,
  type WatchHandler,
} from './meta-store.ts';
import { checkTxn } from './txn-limits.ts';

export interface EtcdOptions {
  /** `http://host:port` or `https://host:port`, all of one kind. */
  readonly endpoints: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  readonly callDeadlineMs?: number;
  /** A watch stream that stayed silent for so long is replaced. */
  readonly watchSilenceMs?: number;
}

const firstPageSize = 1_000;
/** For each page etcd counts all keys that follow: a long list is read in pages of about this size, well below the 4 MiB that an answer may have. */
const pageBytes = 1_000_000;
const mostPageSize = 10_000;
const listRestarts = 5;

export class EtcdMetaStore implements MetaStore {
  readonly #endpoints: EtcdEndpoints;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #callDeadlineMs: number;
  readonly #watchSilenceMs: number;
  readonly #watches = new Set<MetaWatch>();
  readonly #leases = new Set<EtcdLease>();
  #isClosed = false;
  #closed: Promise<void> | undefined;

  constructor(options: EtcdOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#logger = options.logger ?? silentLogger;
    this.#callDeadlineMs = options.callDeadlineMs ?? 5_000;
    this.#watchSilenceMs = options.watchSilenceMs ?? 10_000;
    this.#endpoints = new EtcdEndpoints({ ...options, callDeadlineMs: this.#callDeadlineMs });
  }

  /** The version of the member that answers, such as 3.6.9. */
  async version(): Promise<string> {
    return (await this.#endpoints.read((client, options) => client.maintenance.status(options))).version;
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    const { kvs } = await this.#endpoints.read((client, options) => client.kv.range({ key: Buffer.from(key) }, options));
    return kvs[0] && toEntry(kvs[0]);
  }

  async list(prefix: string): Promise<MetaList> {
    let pageSize = firstPageSize;
    for (let restart = 0; ; restart++) {
      try {
        // A restart keeps its pages: those that follow may hold larger values.
        return await this.#listPages(prefix, pageSize, restart === 0);
      } catch (error) {
        const verdict = judgeEtcdError(error);
        if (verdict === 'answer-too-large') pageSize = Math.ceil(pageSize / 8);
        else if (verdict !== 'wrong-revision') throw error;
        if (restart === listRestarts) throw new MetaUnavailable(`cannot list ${prefix}: ${describeEtcdError(error)}`, { cause: error });
      }
    }
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkTxn(txn);
    const request = { compare: txn.compare.map(toCompare), success: txn.then.map(toRequest), failure: (txn.otherwise ?? []).map(toRequest) };
    const { header, succeeded, responses } = await this.#endpoints.write((client, options) => client.kv.txn(request, options));
    const reads: (MetaEntry | undefined)[] = [];
    for (const { response_range: range } of responses) if (range) reads.push(range.kvs[0] && toEntry(range.kvs[0]));
    return { committed: succeeded, revision: Number(header.revision), reads };
  }

  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch {
    if (this.#isClosed) return { close: async () => {} };
    const watch = new EtcdWatch(this.#endpoints, prefix, after, handler, {
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      silenceMs: this.#watchSilenceMs,
      onEnd: (ended) => this.#watches.delete(ended),
    });
    this.#watches.add(watch);
    return watch;
  }

  async lease(ttlMs: number): Promise<MetaLease> {
    const sentMs = this.#clock.monotonicMs();
    // A grant whose answer was lost ends by itself, so it may be asked for again: a read, in this respect.
    const { ID: id } = await this.#endpoints.read((client, options) => client.leaseClient.leaseGrant({ TTL: Math.ceil(ttlMs / 1000) }, options));
    const lease = new EtcdLease(id, {
      clock: this.#clock,
      random: this.#random,
      ttlMs,
      sentMs,
      keepAlive: () => this.#keepAlive(id, Math.min(this.#callDeadlineMs, ttlMs / 3)),
      revoke: () => this.#revoke(id),
      onEnd: (ended) => this.#leases.delete(ended),
    });
    this.#leases.add(lease);
    return lease;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...[...this.#watches].map((watch) => watch.close()), ...[...this.#leases].map((lease) => lease.close())]);
    for (const lease of this.#leases) lease.abandon();
    this.#endpoints.close();
  }

  /** All pages at the revision of the first. */
  async #listPages(prefix: string, pageSize: number, mayGrow: boolean): Promise<MetaList> {
    const { key: first, range_end } = prefixRange(prefix);
    const entries: MetaEntry[] = [];
    let revision = 0;
    let limit = pageSize;
    for (let key = first; ; ) {
      const { header, kvs, more } = await this.#endpoints.read((client, options) => client.kv.range({ key, range_end, limit, revision }, options));
      for (const kv of kvs) entries.push(toEntry(kv));
      if (revision === 0) revision = Number(header.revision);
      const last = kvs.at(-1);
      if (!more || !last) return { entries, revision };
      key = keyAfter(last.key);
      if (!mayGrow) continue;
      const bytes = kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length, 0);
      limit = Math.max(pageSize, Math.min(mostPageSize, Math.floor((pageBytes * kvs.length) / bytes)));
    }
  }

  /** One stream per keep-alive: a lease's whole traffic is one request every few seconds, and this way every one has its own deadline and endpoint. */
  async #keepAlive(id: string, deadlineMs: number): Promise<boolean> {
    const { client, failed } = this.#endpoints.forStream();
    const stream = await openKeepAliveStream(client);
    const answer = new Promise<boolean>((resolve, reject) => {
      const timer = this.#clock.setTimer(deadlineMs, () => reject(new MetaUnavailable('no answer to a keep-alive')));
      const settle = (run: () => void) => {
        timer.cancel();
        run();
      };
      stream.on('data', ({ TTL: ttl }) => settle(() => resolve(Number(ttl) > 0)));
      stream.on('error', (error) => settle(() => reject(error)));
      stream.on('end', () => settle(() => reject(new MetaUnavailable('the server ended the keep-alive'))));
      stream.write({ ID: id });
    });
    try {
      return await answer;
    } catch (error) {
      failed();
      throw error;
    } finally {
      stream.cancel();
    }
  }

  async #revoke(id: string): Promise<void> {
    try {
      await this.#endpoints.read((client, options) => client.leaseClient.leaseRevoke({ ID: id }, options));
    } catch (error) {
      if (!describeEtcdError(error).includes('lease not found')) throw error;
    }
  }
}

function toEntry({ key, value, mod_revision }: IKeyValue): MetaEntry {
  return { key: key.toString(), value: value.toString(), modRevision: Number(mod_revision) };
}

function toCompare(compare: MetaCompare): ICompare {
  const key = Buffer.from(compare.key);
  return 'value' in compare
    ? { key, result: 'Equal', target: 'Value', value: Buffer.from(compare.value) }
    : { key, result: 'Equal', target: 'Mod', mod_revision: compare.modRevision };
}

function toRequest(operation: MetaOperation): IRequestOp {
  const key = Buffer.from(operation.key);
  if (operation.kind === 'get') return { request_range: { key } };
  if (operation.kind === 'delete') return { request_delete_range: { key } };
  return { request_put: { key, value: Buffer.from(operation.value), ...(operation.lease ? { lease: operation.lease.id } : {}) } };
}
