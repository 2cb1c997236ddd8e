/**
 * The metadata store of the simulation: etcd's model on virtual time. Without faults it keeps every word of
 * `MetaStore`; with them transactions lose their answers (applied, not applied, applied later), reads lag, watches
 * are late, repeat themselves or lose their place, leases run out, and all of it can be away for a while (F48–F56).
 */
import {
  type MetaEntry,
  type MetaLease,
  type MetaList,
  MetaRefused,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  MetaUnavailable,
  MetaUnknown,
  type MetaWatch,
  type WatchHandler,
} from '../../io/meta/meta-store.ts';
import { type MetaCommit, MetaMap } from '../../io/meta/meta-map.ts';
import { checkTxn } from '../../io/meta/txn-limits.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';

export interface MetaStoreFaults {
  readonly failBefore: number;
  readonly answerLost: number;
  readonly appliedLate: number;
  readonly staleRead: number;
  /** A batch of events takes seconds. */
  readonly watchDelay: number;
  /** Events that were delivered before come again. */
  readonly watchRepeat: number;
  /** The place in the stream is lost: `onGap`. */
  readonly watchGap: number;
  /** A keepalive is not answered. */
  readonly keepaliveLost: number;
  /** A keepalive of a lease that has ended is answered as if it had not (F51). */
  readonly keepaliveLies: number;
}

export const noMetaStoreFaults: MetaStoreFaults = {
  failBefore: 0,
  answerLost: 0,
  appliedLate: 0,
  staleRead: 0,
  watchDelay: 0,
  watchRepeat: 0,
  watchGap: 0,
  keepaliveLost: 0,
  keepaliveLies: 0,
};

export interface FakeMetaStoreOptions {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  readonly deadlineMs: number;
  /** Whether the network lets nothing pass between two hosts; the store's is `metaHost`. */
  readonly isCut?: (from: string, to: string) => boolean;
}

/** The store's name in the network. */
export const metaHost = 'metadata-store';

export interface MetaWatcher {
  onTxnIssued?(txn: MetaTxn, process: SimProcess): void;
  onTxnApplied?(txn: MetaTxn, result: MetaTxnResult, process: SimProcess): void;
}

interface StoredLease {
  readonly ttlMs: number;
  expiresAtMs: number;
}

export class FakeMetaStore {
  faults: MetaStoreFaults = noMetaStoreFaults;
  /** Away: nothing is applied, nobody is told (F48). */
  away = false;
  readonly map = new MetaMap();
  readonly #commits: MetaCommit[] = [];
  readonly counts = new Map<string, number>();
  readonly options: FakeMetaStoreOptions;
  readonly leases = new Map<string, StoredLease>();
  readonly #watchers: MetaWatcher[] = [];
  readonly #streams = new Set<WatchStream>();
  /** Hosts whose watches are told nothing, while all else works (F54). */
  readonly #deaf = new Set<string>();
  #nextLease = 1;

  constructor(options: FakeMetaStoreOptions) {
    this.options = options;
  }

  clientOf(process: SimProcess): MetaStore {
    return new FakeMetaStoreClient(this, process);
  }

  watch(watcher: MetaWatcher): void {
    this.#watchers.push(watcher);
  }

  compact(): void {
    this.map.compact(this.map.revision);
    this.note('compacted');
  }

  comeBack(): void {
    this.away = false;
    this.#deaf.clear();
    this.wakeStreams();
  }

  /** Something passes again that did not. */
  wakeStreams(): void {
    for (const stream of this.#streams) stream.wake();
  }

  holdWatches(host: string): void {
    this.#deaf.add(host);
  }

  releaseWatches(host: string): void {
    this.#deaf.delete(host);
    this.wakeStreams();
  }

  /** All leases end at once (F50). */
  loseLeases(): void {
    for (const id of [...this.leases.keys()]) this.revoke(id);
  }

  /** Nothing that is sent there arrives. */
  isOutOfReach(host: string): boolean {
    return this.away || (this.options.isCut?.(host, metaHost) ?? false);
  }

  /** Nothing that it says arrives there. */
  isSilentFor(host: string): boolean {
    return this.options.isCut?.(metaHost, host) ?? false;
  }

  tellsNothing(host: string): boolean {
    return this.isOutOfReach(host) || this.isSilentFor(host) || this.#deaf.has(host);
  }

  latencyMs(): number {
    return this.options.random.between(this.options.minLatencyMs, this.options.maxLatencyMs);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(text: string): void {
    this.options.scheduler.trace.line(this.options.scheduler.nowMs, `meta ${text}`);
  }

  issued(txn: MetaTxn, process: SimProcess): void {
    for (const watcher of this.#watchers) watcher.onTxnIssued?.(txn, process);
  }

  /** Throws `MetaRefused` when a put names a lease that is gone. */
  applyTxn(txn: MetaTxn, process: SimProcess): MetaTxnResult {
    const { result, commit } = this.map.apply(txn);
    this.#committed(commit);
    this.note(`r${result.revision} ${process.name} ${describe(txn, result.committed)}`);
    for (const watcher of this.#watchers) watcher.onTxnApplied?.(txn, result, process);
    return result;
  }

  /** The store as it was some revisions ago: what a stale read sees (F55). */
  past(revisionsAgo: number): MetaMap {
    const upTo = this.map.revision - revisionsAgo;
    const map = new MetaMap();
    for (const commit of this.#commits) if (commit.revision <= upTo) map.replay(commit);
    return map;
  }

  openStream(stream: WatchStream): void {
    this.#streams.add(stream);
    stream.wake();
  }

  closeStream(stream: WatchStream): void {
    this.#streams.delete(stream);
  }

  grant(ttlMs: number): string {
    const id = `lease-${this.#nextLease++}`;
    this.map.grant(id);
    this.leases.set(id, { ttlMs, expiresAtMs: this.options.scheduler.nowMs + ttlMs });
    this.#expireLater(id, ttlMs);
    return id;
  }

  keepAlive(id: string): boolean {
    const lease = this.leases.get(id);
    if (lease === undefined) return false;
    lease.expiresAtMs = this.options.scheduler.nowMs + lease.ttlMs;
    return true;
  }

  revoke(id: string): void {
    if (!this.leases.delete(id)) return;
    this.note(`${id} ended`);
    this.#committed(this.map.revoke([id]));
  }

  #committed(commit: MetaCommit | undefined): void {
    if (commit === undefined) return;
    this.#commits.push(commit);
    this.wakeStreams();
  }

  #expireLater(id: string, afterMs: number): void {
    this.options.scheduler.schedule(afterMs, `meta ${id} due`, () => {
      const lease = this.leases.get(id);
      if (lease === undefined) return;
      const leftMs = lease.expiresAtMs - this.options.scheduler.nowMs;
      // A store that is away does not expire leases, and grants them anew when it is back (etcd's leader change).
      if (this.away) this.#expireLater(id, lease.ttlMs);
      // The scheduler counts in microseconds: less than one would never pass.
      else if (leftMs >= 0.001) this.#expireLater(id, leftMs);
      else this.revoke(id);
    });
  }
}

class FakeMetaStoreClient implements MetaStore {
  readonly #store: FakeMetaStore;
  readonly #process: SimProcess;
  readonly #random: SimRandom;
  readonly #streams: WatchStream[] = [];
  #closed = false;

  constructor(store: FakeMetaStore, process: SimProcess) {
    this.#store = store;
    this.#process = process;
    this.#random = store.options.random;
  }

  get(key: string): Promise<MetaEntry | undefined> {
    return this.#readCall(`get ${key}`, () => this.#state().get(key));
  }

  list(prefix: string): Promise<MetaList> {
    return this.#readCall(`list ${prefix}`, () => this.#state().list(prefix));
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkTxn(txn);
    const store = this.#store;
    const { faults } = store;
    store.issued(txn, this.#process);
    return this.#call<MetaTxnResult>('txn', (answer, fail) => {
      const apply = () => {
        try {
          return store.applyTxn(txn, this.#process);
        } catch (error) {
          if (error instanceof MetaRefused) return error;
          throw error;
        }
      };
      if (store.isOutOfReach(this.#process.host) || this.#random.chance(faults.failBefore)) {
        store.count('txn fail');
        fail(this.#random.chance(0.3) ? new MetaUnavailable('unreachable') : new MetaUnknown('no answer'));
      } else if (store.isSilentFor(this.#process.host) || this.#random.chance(faults.answerLost)) {
        store.count('txn lost');
        store.note(`${this.#process.name} txn: answer lost`);
        apply();
        fail(new MetaUnknown('answer lost'));
      } else if (this.#random.chance(faults.appliedLate)) {
        store.count('txn late');
        const lateMs = this.#random.logBetween(1, 20_000);
        store.note(`${this.#process.name} txn: ${Math.round(lateMs)} ms late`);
        store.options.scheduler.schedule(lateMs, 'meta late txn', apply);
        fail(new MetaUnknown('answer lost'));
      } else {
        const result = apply();
        if (result instanceof MetaRefused) fail(result);
        else answer(result);
      }
    });
  }

  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch {
    const stream = new WatchStream({ store: this.#store, process: this.#process, prefix, after, handler });
    this.#streams.push(stream);
    this.#store.openStream(stream);
    this.#process.onKill(() => stream.close());
    return { close: async () => stream.close() };
  }

  async lease(ttlMs: number): Promise<MetaLease> {
    const id = await this.#call<string>('lease', (answer, fail) => {
      const { host } = this.#process;
      if (this.#store.isOutOfReach(host) || this.#store.isSilentFor(host)) fail(new MetaUnavailable('unreachable'));
      else answer(this.#store.grant(ttlMs));
    });
    return new KeptLease(this.#store, this.#process, id, ttlMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stream of this.#streams.splice(0)) stream.close();
  }

  #state(): MetaMap {
    if (!this.#random.chance(this.#store.faults.staleRead)) return this.#store.map;
    this.#store.count('stale read');
    return this.#store.past(this.#random.integer(1, 20));
  }

  #readCall<T>(label: string, read: () => T): Promise<T> {
    return this.#call<T>(label, (answer, fail) => {
      const { host } = this.#process;
      const unreachable = this.#store.isOutOfReach(host) || this.#store.isSilentFor(host);
      if (unreachable || this.#random.chance(this.#store.faults.failBefore)) fail(new MetaUnavailable('unreachable'));
      else answer(read());
    });
  }

  #call<T>(label: string, atStore: (answer: (value: T) => void, fail: (error: Error) => void) => void): Promise<T> {
    const store = this.#store;
    const process = this.#process;
    store.options.scheduler.countCall();
    return new Promise((resolve, reject) => {
      if (process.dead) return;
      if (this.#closed) return reject(new MetaUnavailable('closed'));
      store.options.scheduler.schedule(store.latencyMs(), `${process.name} meta ${label}`, () => {
        // Of a process that was killed meanwhile the request may or may not have left.
        if (process.dead && this.#random.chance(0.5)) return;
        atStore(
          (value) => process.schedule(store.latencyMs(), `meta ${label} answered`, () => resolve(value)),
          (error) => {
            const afterMs = this.#random.chance(0.5) ? store.latencyMs() : store.options.deadlineMs;
            process.schedule(afterMs, `meta ${label} ${error.name}`, () => reject(error));
          },
        );
      });
    });
  }
}

/** Events of one prefix, delivered in order, one batch at a time. */
class WatchStream {
  readonly #store: FakeMetaStore;
  readonly #process: SimProcess;
  readonly #prefix: string;
  readonly #handler: WatchHandler;
  #position: number;
  #busy = false;
  #closed = false;

  constructor(options: {
    readonly store: FakeMetaStore;
    readonly process: SimProcess;
    readonly prefix: string;
    readonly after: number;
    readonly handler: WatchHandler;
  }) {
    this.#store = options.store;
    this.#process = options.process;
    this.#prefix = options.prefix;
    this.#handler = options.handler;
    this.#position = options.after;
  }

  close(): void {
    this.#closed = true;
    this.#store.closeStream(this);
  }

  wake(): void {
    if (this.#busy || this.#closed || this.#store.tellsNothing(this.#process.host) || this.#store.map.revision === this.#position) return;
    this.#busy = true;
    const { random } = this.#store.options;
    const delayMs = random.chance(this.#store.faults.watchDelay) ? random.logBetween(50, 5_000) : this.#store.latencyMs();
    this.#process.schedule(delayMs, `watch ${this.#prefix}`, () => {
      this.#busy = false;
      if (this.#closed || this.#store.tellsNothing(this.#process.host)) return;
      this.#deliver();
      this.wake();
    });
  }

  #deliver(): void {
    const { map, faults, options } = this.#store;
    const fresh = map.eventsAfter(this.#prefix, this.#position);
    if (fresh === undefined || options.random.chance(faults.watchGap)) {
      this.#store.count('watch gap');
      this.#store.note(`watch ${this.#prefix} of ${this.#process.name}: gap`);
      this.close();
      this.#handler.onGap();
      return;
    }
    const upTo = map.revision;
    let events = fresh;
    if (options.random.chance(faults.watchRepeat)) {
      this.#store.count('watch repeat');
      const from = Math.max(map.compactedRevision, this.#position - options.random.integer(1, 10));
      events = map.eventsAfter(this.#prefix, from) ?? fresh;
    }
    this.#position = upTo;
    if (events.length > 0) this.#handler.onEvents(events, upTo);
  }
}

/** Lost when no keepalive was answered for the whole time to live, by the owner's own clock. */
class KeptLease implements MetaLease {
  readonly id: string;
  readonly lost: Promise<void>;
  readonly #store: FakeMetaStore;
  readonly #process: SimProcess;
  readonly #ttlMs: number;
  #deadlineMs: number;
  #ended = false;
  #tellLost: () => void = () => {};

  constructor(store: FakeMetaStore, process: SimProcess, id: string, ttlMs: number) {
    this.#store = store;
    this.#process = process;
    this.id = id;
    this.#ttlMs = ttlMs;
    this.#deadlineMs = store.options.scheduler.nowMs + ttlMs - 2 * store.options.maxLatencyMs;
    this.lost = new Promise((resolve) => (this.#tellLost = resolve));
    this.#tick();
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.#lose();
    this.#store.options.scheduler.schedule(this.#store.latencyMs(), `meta revoke ${this.id}`, () => {
      if (!this.#store.isOutOfReach(this.#process.host)) this.#store.revoke(this.id);
    });
  }

  #tick(): void {
    this.#process.schedule(this.#ttlMs / 4, `keepalive ${this.id}`, () => {
      if (this.#ended) return;
      if (this.#store.options.scheduler.nowMs >= this.#deadlineMs) return this.#lose();
      this.#keepAlive();
      this.#tick();
    });
  }

  #keepAlive(): void {
    const { options, faults } = this.#store;
    const sentAtMs = options.scheduler.nowMs;
    options.scheduler.schedule(this.#store.latencyMs(), `meta keepalive ${this.id}`, () => {
      const { host } = this.#process;
      if (this.#store.isOutOfReach(host) || options.random.chance(faults.keepaliveLost)) return;
      const kept = this.#store.keepAlive(this.id) || options.random.chance(faults.keepaliveLies);
      if (this.#store.isSilentFor(host)) return;
      this.#process.schedule(this.#store.latencyMs(), `keepalive ${this.id} ${kept}`, () => {
        if (this.#ended) return;
        if (kept) this.#deadlineMs = sentAtMs + this.#ttlMs;
        else this.#lose();
      });
    });
  }

  #lose(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tellLost();
  }
}

function describe(txn: MetaTxn, committed: boolean): string {
  const operations = (committed ? txn.then : txn.otherwise) ?? [];
  const text = operations.map((operation) => `${operation.kind} ${operation.key}`).join(', ');
  return `${committed ? 'txn' : 'txn refused'} ${text.length > 160 ? `${text.slice(0, 157)}...` : text}`;
}
