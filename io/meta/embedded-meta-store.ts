/**
 * `MetaStore` in this process, for one broker or for tests: the map of meta-map.ts behind a queue, made durable by
 * a journal in a folder (or not at all). Calls run in the order they came; those that wait while an fsync runs
 * share the next one, and nothing is shown, neither answer nor event nor read, before it is durable.
 *
 * When a write fails, what it held is unknown and memory is ahead of the disk: the state is read back and written
 * anew before the next call is answered. Several processes over one folder need a supervising process: the lock refuses them.
 */
import type { Clock } from '../clock.ts';
import { silentLogger, type Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import { EmbeddedLease } from './embedded-lease.ts';
import { FolderLocked, lockFolder, type FolderLock } from './folder-lock.ts';
import { type JournalFailPoint, MetaJournal } from './meta-journal.ts';
import { type MetaCommit, MetaMap } from './meta-map.ts';
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
} from './meta-store.ts';
import { checkTxn } from './txn-limits.ts';

export interface EmbeddedOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Where the state lives; without it, in memory only. */
  readonly folder?: string;
  /** Events that watches can go back. */
  readonly historyEvents?: number;
  readonly historyCharacters?: number;
  /** Calls that may wait; one more is refused as unavailable. */
  readonly waitingCalls?: number;
  /** The file is rewritten when its journal outgrows its snapshot and this. */
  readonly rewriteBytes?: number;
  readonly failPoint?: JournalFailPoint;
}

const callsPerBatch = 256;

/** Opens the store; rejects with `MetaRefused` when the folder is in use or damaged. */
export async function openEmbeddedMetaStore(options: EmbeddedOptions): Promise<MetaStore> {
  if (options.folder === undefined) return new EmbeddedMetaStore(options, undefined, undefined, new MetaMap());
  const lock = await lockFolder(options.folder, options).catch((error: unknown) => {
    throw error instanceof FolderLocked ? new MetaRefused(error.message, { cause: error }) : error;
  });
  try {
    const journal = new MetaJournal(options.folder, options.failPoint);
    const map = await journal.load();
    // Leases lived in the process that held them, and the lock says that it is gone.
    const expired = map.revoke(map.leases());
    if (expired) await journal.append([expired]);
    return new EmbeddedMetaStore(options, journal, lock, map);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

interface Call {
  /** Runs on the map, in turn; what it returns is answered once all that it saw is durable. */
  readonly run: (map: MetaMap) => Outcome;
  readonly isWrite: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Outcome {
  readonly value: unknown;
  readonly commit?: MetaCommit | undefined;
}

interface Watcher {
  readonly prefix: string;
  readonly handler: WatchHandler;
  /** Everything up to this revision was delivered. */
  at: number;
}

class EmbeddedMetaStore implements MetaStore {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #historyLimit: { readonly events: number; readonly characters: number };
  readonly #waitingCalls: number;
  readonly #rewriteBytes: number;
  readonly #journal: MetaJournal | undefined;
  readonly #lock: FolderLock | undefined;
  #map: MetaMap;
  #durableRevision: number;
  #isBroken = false;
  #queue: Call[] = [];
  #working: Promise<void> | undefined;
  readonly #watchers = new Set<Watcher>();
  #isDeliveryDue = false;
  readonly #leases = new Set<EmbeddedLease>();
  #leaseCount = 0;
  #isClosing = false;
  #closed: Promise<void> | undefined;

  constructor(options: EmbeddedOptions, journal: MetaJournal | undefined, lock: FolderLock | undefined, map: MetaMap) {
    this.#clock = options.clock;
    this.#logger = options.logger ?? silentLogger;
    this.#historyLimit = { events: options.historyEvents ?? 40_000, characters: options.historyCharacters ?? 32 * 1024 * 1024 };
    this.#waitingCalls = options.waitingCalls ?? 10_000;
    this.#rewriteBytes = options.rewriteBytes ?? 4 * 1024 * 1024;
    this.#journal = journal;
    this.#lock = lock;
    this.#map = map;
    this.#durableRevision = map.revision;
  }

  get(key: string): Promise<MetaEntry | undefined> {
    return this.#call(false, (map) => ({ value: map.get(key) })) as Promise<MetaEntry | undefined>;
  }

  list(prefix: string): Promise<MetaList> {
    return this.#call(false, (map) => ({ value: map.list(prefix) })) as Promise<MetaList>;
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkTxn(txn);
    const value = await this.#call(true, (map) => {
      const { result, commit } = map.apply(txn);
      return { value: result, commit };
    });
    return value as MetaTxnResult;
  }

  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch {
    const watcher: Watcher = { prefix, handler, at: after };
    this.#watchers.add(watcher);
    this.#scheduleDelivery();
    return {
      close: async () => {
        this.#watchers.delete(watcher);
      },
    };
  }

  async lease(ttlMs: number): Promise<MetaLease> {
    const id = `lease-${++this.#leaseCount}`;
    await this.#call(false, (map) => {
      map.grant(id);
      return { value: undefined };
    });
    const lease = new EmbeddedLease(id, { clock: this.#clock, ttlMs, revoke: () => this.#revoke(id), onEnd: () => this.#leases.delete(lease) });
    this.#leases.add(lease);
    return lease;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#leases].map((lease) => lease.close()));
    this.#isClosing = true;
    this.#watchers.clear();
    await this.#working;
    await this.#journal?.close();
    await this.#lock?.release();
  }

  async #revoke(id: string): Promise<void> {
    await this.#call(true, (map) => ({ value: undefined, commit: map.revoke([id]) }));
  }

  #call(isWrite: boolean, run: (map: MetaMap) => Outcome): Promise<unknown> {
    if (this.#isClosing) return Promise.reject(new MetaUnavailable('the metadata store is closed'));
    if (this.#queue.length >= this.#waitingCalls) return Promise.reject(new MetaUnavailable(`${this.#queue.length} calls wait for the metadata store already`));
    return new Promise((resolve, reject) => {
      this.#queue.push({ run, isWrite, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** The only one to touch the map's future: batches run one after the other. */
  async #work(): Promise<void> {
    // Calls made in this same turn share the batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, callsPerBatch);
      if (this.#isBroken && !(await this.#repair(batch))) continue;
      await this.#runBatch(batch);
    }
    this.#working = undefined;
  }

  async #runBatch(batch: readonly Call[]): Promise<void> {
    const commits: MetaCommit[] = [];
    const answers: (() => void)[] = [];
    for (const { run, resolve, reject } of batch) {
      try {
        const { value, commit } = run(this.#map);
        if (commit) commits.push(commit);
        answers.push(() => resolve(value));
      } catch (error) {
        answers.push(() => reject(error as Error));
      }
    }
    if (commits.length > 0) {
      try {
        await this.#journal?.append(commits);
      } catch (error) {
        this.#fail(batch, error as Error);
        return;
      }
      this.#durableRevision = this.#map.revision;
      this.#scheduleDelivery();
    }
    for (const answer of answers) answer();
    if (commits.length > 0) await this.#rewriteWhenDue();
  }

  #fail(batch: readonly Call[], cause: Error): void {
    this.#isBroken = true;
    this.#logger.error('the metadata file cannot be written, its state will be read back', { error: cause });
    for (const { isWrite, reject } of batch) {
      const text = `the metadata file cannot be written: ${cause.message}`;
      reject(isWrite ? new MetaUnknown(text, { cause }) : new MetaUnavailable(text, { cause }));
    }
  }

  /** False when it did not work; the batch was answered then. Writing everything anew is what makes the read state durable: a failed fsync leaves pages that only look written. */
  async #repair(batch: readonly Call[]): Promise<boolean> {
    const journal = this.#journal as MetaJournal;
    try {
      const map = await journal.load();
      const alive = new Set([...this.#leases].map(({ id }) => id));
      for (const id of alive) map.grant(id);
      map.revoke(map.leases().filter((id) => !alive.has(id)));
      await journal.rewrite(map);
      this.#map = map;
      this.#durableRevision = map.revision;
      this.#isBroken = false;
      this.#scheduleDelivery();
      this.#logger.info('the metadata file was read back and written anew', { revision: map.revision });
      return true;
    } catch (error) {
      const cause = error as Error;
      for (const { isWrite, reject } of batch) {
        const text = `the metadata file cannot be written: ${cause.message}`;
        reject(isWrite ? new MetaRefused(text, { cause }) : new MetaUnavailable(text, { cause }));
      }
      return false;
    }
  }

  async #rewriteWhenDue(): Promise<void> {
    const journal = this.#journal;
    if (!journal || journal.committedBytes <= Math.max(this.#rewriteBytes, journal.snapshotBytes)) return;
    try {
      await journal.rewrite(this.#map);
    } catch (error) {
      // Whether the new name is on disk is not known, so the old file must not be written on.
      this.#isBroken = true;
      this.#logger.error('the metadata file cannot be rewritten, its state will be read back', { error });
    }
  }

  #scheduleDelivery(): void {
    if (this.#isDeliveryDue) return;
    this.#isDeliveryDue = true;
    this.#clock.defer(() => {
      this.#isDeliveryDue = false;
      for (const watcher of this.#watchers) this.#deliver(watcher);
      this.#map.trimHistory(this.#historyLimit);
    });
  }

  #deliver(watcher: Watcher): void {
    const { prefix, handler, at } = watcher;
    const upTo = this.#durableRevision;
    if (at === upTo) return;
    const events = at > upTo ? undefined : this.#map.eventsAfter(prefix, at, upTo);
    if (!events) {
      this.#watchers.delete(watcher);
      handler.onGap();
      return;
    }
    watcher.at = upTo;
    if (events.length > 0) handler.onEvents(events, upTo);
  }
}
