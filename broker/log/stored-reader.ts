/** Reads records that are no longer in the log cache. The index says where they lie. */
import type { IndexEntry } from './format/partition-state.ts';

export interface StoredReader {
  /**
   * Bytes of `entry` from the batch that contains `offset` on: whole batches, up to about `maxBytes`, at least that one.
   * Every batch has been checked: its CRC, and what the CRC does not cover (base offset, leader epoch) against the index.
   */
  read(entry: IndexEntry, offset: number, maxBytes: number, around?: Around): Promise<StoredRead>;
  /** An offset of `entry` from which a search for the first record at or after `timestampMs` may begin. */
  seekTimestamp(entry: IndexEntry, timestampMs: number): Promise<number>;
}

/** What the index knows around the entry that is read. */
export interface Around {
  /** The entry that comes `steps` (1, 2, …) after it: what a reader that goes on will want. */
  readonly following?: (steps: number) => IndexEntry | undefined;
  /** The leader epoch of the record at an offset. */
  readonly epochAt?: (offset: number) => number;
}

export type StoredRead =
  /** Views, each of whole batches, in order. */
  | { readonly kind: 'found'; readonly chunks: readonly Buffer[] }
  | { readonly kind: 'missing' }
  | { readonly kind: 'corrupt'; readonly reason: string }
  /** The store did not answer within the bound. */
  | { readonly kind: 'unavailable'; readonly cause: string };
