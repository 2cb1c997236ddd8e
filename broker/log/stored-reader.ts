/** Reads records that are no longer in the log cache. The index says where they lie. */
import type { IndexEntry } from './format/partition-state.ts';

export interface StoredReader {
  /**
   * Bytes of `entry` from the batch that contains `offset` on: whole batches, up to about `maxBytes`, at least that one.
   * Every batch's CRC has been checked.
   */
  read(entry: IndexEntry, offset: number, maxBytes: number): Promise<StoredRead>;
}

export type StoredRead =
  | { readonly kind: 'found'; readonly bytes: Buffer }
  | { readonly kind: 'missing' }
  | { readonly kind: 'corrupt'; readonly reason: string }
  /** The store did not answer within the bound. */
  | { readonly kind: 'unavailable'; readonly cause: string };
