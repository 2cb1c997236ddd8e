/**
 * Whether a batch that was read is the one that was stored. Its CRC covers what comes after its first 21 bytes: a bit that
 * flipped in front of that would renumber records, so that offset and leader epoch are compared with what the index knows.
 */
import { baseOffset, crcFits, leaderEpoch, magic } from './record-batch.ts';

export type StoredBatchFault = 'the magic' | 'the base offset' | 'the leader epoch' | 'the CRC';

/** Leader epoch of the record at an offset; −1 where it is not known. */
export type LeaderEpochAt = (offset: number) => number;

/** What is wrong with the whole batch at `at`. */
export function storedBatchFault(bytes: Buffer, at: number, expectedOffset: number, epochAt: LeaderEpochAt | undefined): StoredBatchFault | undefined {
  if (magic(bytes, at) !== 2) return 'the magic';
  if (baseOffset(bytes, at) !== expectedOffset) return 'the base offset';
  const epoch = epochAt?.(expectedOffset) ?? -1;
  if (epoch >= 0 && leaderEpoch(bytes, at) !== epoch) return 'the leader epoch';
  return crcFits(bytes, at) ? undefined : 'the CRC';
}
