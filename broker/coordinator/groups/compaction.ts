/**
 * A coordinator compacts its own partition of `__consumer_offsets`, so that opening it takes time bounded by its live keys.
 *
 * What is live below a cut (the log end at the beginning) is appended again, and when all that is durable the log start moves
 * up to the cut. A crash in between leaves values twice, which a replay does not see: of each key the last one counts. Keys
 * that were deleted before the cut need no tombstone: nothing is left of them. The log stays plain Kafka records.
 */
import type { Clock } from '../../../io/clock.ts';
import { batchHeaderBytes } from '../../log/batch/record-batch.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { orAborted } from '../or-aborted.ts';
import type { GroupLog } from './group-log.ts';
import { type GroupRecord, recordBytes } from './group-records.ts';
import type { LiveRecords } from './live-records.ts';

export interface CompactionLimits {
  /** A history that is shorter stays as it is. */
  readonly minHistoryBytes: number;
  /** A history that is at most so many times as long as what is live stays, too. */
  readonly historyFactor: number;
  readonly batchBytes: number;
  /** Rewritten records on their way into the log. */
  readonly maxInFlightBytes: number;
  /** Before a partition of which it failed is tried again. */
  readonly retryMs: number;
}

export interface Compaction {
  readonly log: PartitionLog;
  readonly records: GroupLog;
  readonly live: LiveRecords;
  /** `live` is still what this broker keeps of the partition. */
  readonly isCurrent: () => boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly limits: CompactionLimits;
}

export type CompactionOutcome =
  | { readonly kind: 'compacted'; readonly cut: number; readonly rewrittenBytes: number; readonly droppedBytes: number }
  /** The partition is no longer here, or is loaded anew. */
  | { readonly kind: 'abandoned'; readonly rewrittenBytes: number }
  | { readonly kind: 'failed'; readonly rewrittenBytes: number; readonly reason: string };

export function needsCompaction(live: LiveRecords, { minHistoryBytes, historyFactor }: CompactionLimits): boolean {
  return live.complete && live.historyBytes > Math.max(minHistoryBytes, historyFactor * live.sizeBytes);
}

export async function compact(compaction: Compaction): Promise<CompactionOutcome> {
  const { log, records, live, isCurrent } = compaction;
  const cut = log.logEndOffset;
  live.plan(cut);
  if (!(await records.whenDurableBelow(cut)) || !isCurrent()) return { kind: 'abandoned', rewrittenBytes: 0 };
  if (live.endOffset < cut) return { kind: 'failed', rewrittenBytes: 0, reason: 'the log has records of somebody else' };
  const { failure, rewrittenBytes } = await rewrite(compaction, cut);
  if (!isCurrent()) return { kind: 'abandoned', rewrittenBytes };
  if (failure !== undefined) return { kind: 'failed', rewrittenBytes, reason: failure };
  // Everything that was on its way for a live key counts, too: that key was not written again.
  if (!(await records.whenDurableBelow(log.logEndOffset)) || !isCurrent()) return { kind: 'abandoned', rewrittenBytes };
  if (!live.complete) return { kind: 'failed', rewrittenBytes, reason: 'the log has records of somebody else' };
  // Offsets that an open transaction stages are not live yet: they are in the log only, at or past the last stable offset.
  const error = await orAborted(log.deleteRecordsBefore(Math.min(cut, log.lastStableOffset)), compaction.signal);
  if (error === undefined || !isCurrent()) return { kind: 'abandoned', rewrittenBytes };
  if (error !== ErrorCodes.NONE) return { kind: 'failed', rewrittenBytes, reason: `raising the log start answered ${error}` };
  return { kind: 'compacted', cut, rewrittenBytes, droppedBytes: live.cutOff() };
}

/** Appends what is live below `cut`, except what has a newer value on its way. */
async function rewrite({ log, records, live, isCurrent, clock, limits }: Compaction, cut: number): Promise<{ failure?: string; rewrittenBytes: number }> {
  const below = live.below(cut);
  let rewrittenBytes = 0;
  let inFlightBytes = 0;
  for (;;) {
    // From choosing values to appending them without a pause: nothing newer may come in between.
    const batches = nextBatches(below, records, Math.min(limits.batchBytes, log.config.maxMessageBytes) - batchHeaderBytes);
    if (batches.length === 0) return { rewrittenBytes };
    for (const batch of batches) {
      if (!records.append(batch.records, ignore)) return { rewrittenBytes, failure: 'the log refused records' };
      rewrittenBytes += batch.sizeBytes;
      inFlightBytes += batch.sizeBytes;
    }
    if (inFlightBytes >= limits.maxInFlightBytes) {
      if (!(await records.whenDurableBelow(log.logEndOffset))) return { rewrittenBytes };
      inFlightBytes = 0;
    }
    await new Promise<void>((resolve) => clock.defer(resolve));
    if (!isCurrent()) return { rewrittenBytes };
  }
}

interface Batch {
  readonly records: GroupRecord[];
  sizeBytes: number;
}

/** One batch, or two when a record is so large that it goes alone; none at the end. */
function nextBatches(below: Iterator<GroupRecord>, pending: GroupLog, targetBytes: number): readonly Batch[] {
  const batches: Batch[] = [];
  const onTheirWay = new PendingKeys(pending);
  let batch: Batch = { records: [], sizeBytes: 0 };
  while (batches.length === 0 && batch.sizeBytes < targetBytes) {
    const { value: record, done } = below.next();
    if (done) break;
    if (onTheirWay.has(record)) continue;
    const sizeBytes = recordBytes(record);
    if (batch.records.length > 0 && batch.sizeBytes + sizeBytes > targetBytes) {
      batches.push(batch);
      batch = { records: [], sizeBytes: 0 };
    }
    batch.records.push(record);
    batch.sizeBytes += sizeBytes;
  }
  return batch.records.length > 0 ? [...batches, batch] : batches;
}

/** Whether a key has a newer value on its way. True for as long as nothing is appended. */
class PendingKeys {
  readonly #pending: GroupLog;
  #groupId: string | undefined;
  #keys: ReadonlySet<string> = new Set();

  constructor(pending: GroupLog) {
    this.#pending = pending;
  }

  has(record: GroupRecord): boolean {
    if (!this.#pending.isPending(record.groupId)) return false;
    if (this.#groupId !== record.groupId) {
      this.#groupId = record.groupId;
      this.#keys = new Set(this.#pending.pendingRecords(record.groupId).map(keyInGroup));
    }
    return this.#keys.has(keyInGroup(record));
  }
}

function keyInGroup(record: GroupRecord): string {
  return record.kind === 'group' ? '' : `${record.topic}/${record.partition}`;
}

function ignore(): void {}
