/** Reads records that are no longer in the log cache. The index says where they lie. */
import type { IndexEntry } from './format/partition-state.ts';

export interface StoredReader {
  /**
   * Bytes of `entry` from the batch that contains `offset` on: whole batches, up to about `maxBytes`, at least that one.
   * Every batch's CRC has been checked. `following` tells what a reader that goes on will want next.
   */
  read(entry: IndexEntry, offset: number, maxBytes: number, following?: Following): Promise<StoredRead>;
  /** An offset of `entry` from which a search for the first record at or after `timestampMs` may begin. */
  seekTimestamp(entry: IndexEntry, timestampMs: number): Promise<number>;
}

/** The entry that comes `steps` (1, 2, …) after the one that is read. */
export type Following = (steps: number) => IndexEntry | undefined;

export type StoredRead =
  /** Views, each of whole batches, in order. */
  | { readonly kind: 'found'; readonly chunks: readonly Buffer[] }
  | { readonly kind: 'missing' }
  | { readonly kind: 'corrupt'; readonly reason: string }
  /** The store did not answer within the bound. */
  | { readonly kind: 'unavailable'; readonly cause: string };
