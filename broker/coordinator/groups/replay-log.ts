/**
 * Reads a coordinator's partition from its start to its end, record by record, in bounded pieces and with pauses, so that
 * loading a large partition delays nobody. Every batch is checked by its CRC before it is believed.
 */
import type { Clock } from '../../../io/clock.ts';
import { attributes, batchHeaderBytes, batchSizeBytes, controlFlag, crcFits, lastOffset, transactionalFlag } from '../../log/batch/record-batch.ts';
import { orAborted } from '../or-aborted.ts';
import { forEachRecord } from '../../log/batch/records.ts';
import type { PartitionLog } from '../../log/partition-log.ts';

export interface ReplayOptions {
  readonly clock: Clock;
  /** Of one read. */
  readonly chunkBytes: number;
  /** A batch that is larger decompressed is refused. */
  readonly maxBatchBytes: number;
  /** Looked at after every pause. */
  readonly signal: AbortSignal;
}

export type ReplayOutcome =
  | { readonly kind: 'replayed'; readonly endOffset: number; readonly sizeBytes: number }
  | { readonly kind: 'aborted' }
  /** Try again: storage did not answer, or what it answered is damaged. */
  | { readonly kind: 'failed'; readonly reason: string };

/** Throws on what it cannot read. Key and value are views. */
export type VisitRecord = (key: Buffer, value: Buffer | null, offset: number) => void;

export async function replayLog(log: PartitionLog, visit: VisitRecord, options: ReplayOptions): Promise<ReplayOutcome> {
  let offset = log.logStartOffset;
  let sizeBytes = 0;
  while (offset < log.highWatermark) {
    const answer = log.read(offset, { maxBytes: options.chunkBytes, isolation: 'uncommitted' });
    const read = answer instanceof Promise ? await orAborted(answer, options.signal) : answer;
    if (!read || options.signal.aborted) return { kind: 'aborted' };
    if (read.kind === 'out-of-range' && log.logStartOffset > offset) {
      offset = log.logStartOffset;
      continue;
    }
    if (read.kind !== 'records')
      return { kind: 'failed', reason: read.kind === 'failed' ? `reading offset ${offset} answered ${read.error}` : `offset ${offset} is out of range` };
    const bytes = joined(read.chunks);
    const next = replayBatches(bytes, offset, visit, options);
    if (typeof next === 'string') return { kind: 'failed', reason: next };
    if (next === offset) return { kind: 'failed', reason: `nothing could be read at offset ${offset}` };
    offset = next;
    sizeBytes += bytes.length;
    await new Promise<void>((resolve) => options.clock.defer(resolve));
    if (options.signal.aborted) return { kind: 'aborted' };
  }
  return { kind: 'replayed', endOffset: offset, sizeBytes };
}

/** The offset to go on with, or what is wrong. */
function replayBatches(bytes: Buffer, startOffset: number, visit: VisitRecord, options: ReplayOptions): number | string {
  let next = startOffset;
  for (let position = 0; position < bytes.length; ) {
    const sizeBytes = bytes.length - position < batchHeaderBytes ? 0 : batchSizeBytes(bytes, position);
    if (sizeBytes < batchHeaderBytes || position + sizeBytes > bytes.length) return `the batch after offset ${next} is cut off`;
    if (!crcFits(bytes, position)) return `the batch at offset ${next} is damaged: its CRC does not fit`;
    const fault = visitBatch(bytes.subarray(position, position + sizeBytes), startOffset, visit, options);
    if (fault !== undefined) return fault;
    next = Math.max(next, lastOffset(bytes, position) + 1);
    position += sizeBytes;
  }
  return next;
}

function visitBatch(batch: Buffer, startOffset: number, visit: VisitRecord, options: ReplayOptions): string | undefined {
  let offset = startOffset;
  // Nothing writes offsets in transactions yet; taking them for committed could skip records of an aborted one.
  if ((attributes(batch, 0) & (controlFlag | transactionalFlag)) !== 0) return `the batch after offset ${startOffset} belongs to a transaction`;
  try {
    const fault = forEachRecord(batch, { maxOutputBytes: options.maxBatchBytes }, (record) => {
      ({ offset } = record);
      const key = record.key();
      if (offset >= startOffset && key != null) visit(key, record.value(), offset);
    });
    return fault && `the batch with offset ${offset} cannot be read: ${fault.message}`;
  } catch (cause) {
    return `the record at offset ${offset} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

function joined(chunks: readonly Uint8Array[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && only ? Buffer.from(only.buffer, only.byteOffset, only.byteLength) : Buffer.concat(chunks);
}
