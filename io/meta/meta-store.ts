/**
 * The metadata store as broker and operator see it: a small, strongly consistent map with revisions,
 * transactions, watches and leases (etcd's model).
 *
 * Reads may be stale (etcd #20418): no decision that opens, closes or deletes rests on one. A
 * transaction whose answer was lost throws `MetaUnknown`: applied, not applied, or applied later;
 * it is settled by another compare-and-set write on the same key.
 */
export interface MetaStore {
  get(key: string): Promise<MetaEntry | undefined>;
  /** All entries whose key begins with `prefix`, ascending by key, at one revision. */
  list(prefix: string): Promise<MetaList>;
  /** All compares hold → `then` is applied and its reads answered; else `otherwise`. At most 128 operations per branch. */
  txn(txn: MetaTxn): Promise<MetaTxnResult>;
  /**
   * Events on keys under `prefix` after revision `after`, in order, without a gap. A store that can no longer
   * serve them (compaction) or lost the stream in a way that may hide events calls `onGap`: list again and watch anew.
   */
  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch;
  /** A lease that is kept alive until it is closed or lost. Keys put with it vanish with it. */
  lease(ttlMs: number): Promise<MetaLease>;
  close(): Promise<void>;
}

export interface MetaEntry {
  readonly key: string;
  readonly value: string;
  /** Revision of the last change of this key; 0 means absent (in compares). */
  readonly modRevision: number;
}

export interface MetaList {
  readonly entries: readonly MetaEntry[];
  readonly revision: number;
}

export type MetaCompare = { readonly key: string; readonly modRevision: number } | { readonly key: string; readonly value: string };

export type MetaOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: MetaLease }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'get'; readonly key: string };

export interface MetaTxn {
  readonly compare: readonly MetaCompare[];
  readonly then: readonly MetaOperation[];
  readonly otherwise?: readonly MetaOperation[];
}

export interface MetaTxnResult {
  readonly committed: boolean;
  /** The store's revision after this transaction. */
  readonly revision: number;
  /** Answers of the branch's `get` operations, in their order. */
  readonly reads: readonly (MetaEntry | undefined)[];
}

export interface WatchHandler {
  onEvents(events: readonly MetaEvent[], revision: number): void;
  onGap(): void;
}

export type MetaEvent =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly modRevision: number }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number };

export interface MetaWatch {
  close(): Promise<void>;
}

export interface MetaLease {
  readonly id: string;
  /** Settles when the lease is gone by our own monotonic deadline or by the store's word; never before. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be reached or did not answer. For reads: nothing happened. */
export class MetaUnavailable extends Error {
  override readonly name = 'MetaUnavailable';
}

/** A transaction's answer is lost: it was applied, was not, or will be. */
export class MetaUnknown extends Error {
  override readonly name = 'MetaUnknown';
}

/** The store refuses for good (permission, quota, NOSPACE); not applied. */
export class MetaRefused extends Error {
  override readonly name = 'MetaRefused';
}
