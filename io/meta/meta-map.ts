/**
 * The metadata store's state and rules without any I/O: keys, revisions, transactions, leases and the bounded
 * history that watches read. The embedded store and the simulation's fake are shells around it.
 *
 * Revisions are etcd's: an empty store is at 1, every transaction that changes something is one more, and all
 * its changes carry that number. History older than `compactedRevision` is gone: a watch from before it gets a gap.
 */
import { compareKeys } from './key-order.ts';
import {
  type MetaCompare,
  type MetaEntry,
  type MetaEvent,
  type MetaList,
  type MetaOperation,
  MetaRefused,
  type MetaTxn,
  type MetaTxnResult,
} from './meta-store.ts';
import { SortedKeys } from './sorted-keys.ts';

/** One key's change within a revision; a deletion has no value. */
export interface MetaChange {
  readonly key: string;
  readonly value?: string;
  /** The lease that the key vanishes with. */
  readonly lease?: string;
}

/** Everything that one revision changed: what a journal keeps. */
export interface MetaCommit {
  readonly revision: number;
  readonly changes: readonly MetaChange[];
}

export interface Applied {
  readonly result: MetaTxnResult;
  /** Undefined when nothing changed. */
  readonly commit: MetaCommit | undefined;
}

export interface MetaMapEntry extends MetaEntry {
  readonly lease?: string;
}

export class MetaMap {
  #revision: number;
  #compactedRevision: number;
  readonly #entries = new Map<string, MetaMapEntry>();
  #keys = new SortedKeys();
  /** Ascending by revision. */
  #history: MetaEvent[] = [];
  #historyCharacters = 0;
  readonly #keysOfLease = new Map<string, Set<string>>();

  constructor(revision = 1) {
    this.#revision = revision;
    this.#compactedRevision = revision;
  }

  /** A map with these entries, as a snapshot at `revision` held them; leases that entries name are alive. */
  static restore(revision: number, entries: readonly MetaMapEntry[]): MetaMap {
    const map = new MetaMap(revision);
    for (const entry of entries) {
      map.#entries.set(entry.key, entry);
      if (entry.lease !== undefined) map.#attach(entry.lease, entry.key);
    }
    map.#keys = new SortedKeys(map.#entries.keys());
    return map;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Events at or before this revision are no longer known. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  get(key: string): MetaEntry | undefined {
    const entry = this.#entries.get(key);
    return entry && { key, value: entry.value, modRevision: entry.modRevision };
  }

  list(prefix: string): MetaList {
    const entries: MetaEntry[] = [];
    for (const key of this.#keys.withPrefix(prefix)) entries.push(this.get(key) as MetaEntry);
    return { entries, revision: this.#revision };
  }

  /** All entries with their leases, ascending by key. */
  entries(): readonly MetaMapEntry[] {
    return Array.from(this.#keys.withPrefix(''), (key) => this.#entries.get(key) as MetaMapEntry);
  }

  /** Throws `MetaRefused`, with nothing applied, when a put names a lease that is gone. */
  apply(txn: MetaTxn): Applied {
    const committed = txn.compare.every((compare) => this.#holds(compare));
    const operations = committed ? txn.then : (txn.otherwise ?? []);
    for (const operation of operations) this.#checkLease(operation);

    const reads: (MetaEntry | undefined)[] = [];
    const changes: MetaChange[] = [];
    const revision = this.#revision + 1;
    for (const operation of operations) {
      if (operation.kind === 'get') {
        reads.push(this.get(operation.key));
        continue;
      }
      const change = changeOf(operation);
      if (this.#change(change, revision)) changes.push(change);
    }
    if (changes.length > 0) this.#revision = revision;
    return { result: { committed, revision: this.#revision, reads }, commit: changes.length > 0 ? { revision, changes } : undefined };
  }

  /** Applies what another map committed, next in order. */
  replay(commit: MetaCommit): void {
    if (commit.revision !== this.#revision + 1) throw new Error(`revision ${commit.revision} cannot follow ${this.#revision}`);
    for (const change of commit.changes) this.#change(change, commit.revision);
    this.#revision = commit.revision;
  }

  grant(lease: string): void {
    if (!this.#keysOfLease.has(lease)) this.#keysOfLease.set(lease, new Set());
  }

  hasLease(lease: string): boolean {
    return this.#keysOfLease.has(lease);
  }

  leases(): readonly string[] {
    return [...this.#keysOfLease.keys()];
  }

  /** Ends leases and deletes their keys, in one revision. Unknown ones are no error. */
  revoke(leases: readonly string[]): MetaCommit | undefined {
    const revision = this.#revision + 1;
    const changes: MetaChange[] = [];
    for (const lease of leases) {
      for (const key of [...(this.#keysOfLease.get(lease) ?? [])].sort(compareKeys)) {
        this.#change({ key }, revision);
        changes.push({ key });
      }
      this.#keysOfLease.delete(lease);
    }
    if (changes.length === 0) return undefined;
    this.#revision = revision;
    return { revision, changes };
  }

  /** Events under `prefix` with revisions in (after, upTo]; undefined when some are no longer known, or `after` is of a future that this map never saw. */
  eventsAfter(prefix: string, after: number, upTo = this.#revision): MetaEvent[] | undefined {
    if (after < this.#compactedRevision || after > this.#revision) return undefined;
    const events: MetaEvent[] = [];
    for (let at = this.#firstEventAfter(after); at < this.#history.length; at++) {
      const event = this.#history[at] as MetaEvent;
      if (event.modRevision > upTo) break;
      if (event.key.startsWith(prefix)) events.push(event);
    }
    return events;
  }

  /** Forgets events up to and including `revision`. */
  compact(revision: number): void {
    if (revision <= this.#compactedRevision) return;
    this.#compactedRevision = Math.min(revision, this.#revision);
    for (const event of this.#history.splice(0, this.#firstEventAfter(this.#compactedRevision))) this.#historyCharacters -= charactersOf(event);
  }

  /** Forgets the oldest revisions when history is over a limit, down to half of it, so that trimming costs little per event. */
  trimHistory(limit: { readonly events: number; readonly characters: number }): void {
    if (this.#history.length <= limit.events && this.#historyCharacters <= limit.characters) return;
    let events = this.#history.length;
    let characters = this.#historyCharacters;
    let at = 0;
    for (; at < this.#history.length && (events > limit.events / 2 || characters > limit.characters / 2); at++) {
      events--;
      characters -= charactersOf(this.#history[at] as MetaEvent);
    }
    this.compact((this.#history[at - 1] as MetaEvent).modRevision);
  }

  #holds(compare: MetaCompare): boolean {
    const entry = this.#entries.get(compare.key);
    return 'value' in compare ? entry?.value === compare.value : (entry?.modRevision ?? 0) === compare.modRevision;
  }

  #checkLease(operation: MetaOperation): void {
    if (operation.kind === 'put' && operation.lease && !this.#keysOfLease.has(operation.lease.id))
      throw new MetaRefused(`the lease ${operation.lease.id} is gone`);
  }

  /** False when there was nothing to delete. */
  #change({ key, value, lease }: MetaChange, modRevision: number): boolean {
    const before = this.#entries.get(key);
    if (value === undefined && !before) return false;
    if (before?.lease !== undefined) this.#keysOfLease.get(before.lease)?.delete(key);
    if (value === undefined) {
      this.#entries.delete(key);
      this.#keys.delete(key);
      this.#remember({ kind: 'delete', key, modRevision });
      return true;
    }
    if (!before) this.#keys.add(key);
    this.#entries.set(key, lease === undefined ? { key, value, modRevision } : { key, value, modRevision, lease });
    if (lease !== undefined) this.#attach(lease, key);
    this.#remember({ kind: 'put', key, value, modRevision });
    return true;
  }

  #remember(event: MetaEvent): void {
    this.#history.push(event);
    this.#historyCharacters += charactersOf(event);
  }

  #attach(lease: string, key: string): void {
    this.grant(lease);
    this.#keysOfLease.get(lease)?.add(key);
  }

  #firstEventAfter(revision: number): number {
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#history[middle] as MetaEvent).modRevision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function charactersOf(event: MetaEvent): number {
  return event.key.length + (event.kind === 'put' ? event.value.length : 0);
}

function changeOf(operation: Exclude<MetaOperation, { kind: 'get' }>): MetaChange {
  if (operation.kind === 'delete') return { key: operation.key };
  const { key, value, lease } = operation;
  return lease ? { key, value, lease: lease.id } : { key, value };
}
