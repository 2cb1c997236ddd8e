/** What the log keeps in mind of one batch while it is appended: its header, parsed once. */
import * as header from './record-batch.ts';

export interface BatchSummary {
  /** In the buffer that was validated. */
  readonly position: number;
  readonly sizeBytes: number;
  readonly baseOffset: number;
  readonly lastOffsetDelta: number;
  readonly recordCount: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly attributes: number;
  readonly leaderEpoch: number;
  /** −1: not idempotent; other negative ids mean the same and are read as −1. */
  readonly producerId: number;
  readonly producerEpoch: number;
  /** −1: none (a coordinator's records). */
  readonly baseSequence: number;
  readonly lastSequence: number;
}

/** The whole header must lie in `buffer`. */
export function summarizeBatch(buffer: Buffer, position: number): BatchSummary {
  const baseSequence = header.baseSequence(buffer, position);
  const lastOffsetDelta = header.lastOffsetDelta(buffer, position);
  return {
    position,
    sizeBytes: header.batchSizeBytes(buffer, position),
    baseOffset: header.baseOffset(buffer, position),
    lastOffsetDelta,
    recordCount: header.recordCount(buffer, position),
    firstTimestamp: header.firstTimestamp(buffer, position),
    maxTimestamp: header.maxTimestamp(buffer, position),
    attributes: header.attributes(buffer, position),
    leaderEpoch: header.leaderEpoch(buffer, position),
    producerId: Math.max(header.noProducerId, header.producerId(buffer, position)),
    producerEpoch: header.producerEpoch(buffer, position),
    baseSequence,
    lastSequence: baseSequence === header.noSequence ? header.noSequence : header.sequenceAfter(baseSequence, lastOffsetDelta),
  };
}

export function isTransactional(batch: BatchSummary): boolean {
  return (batch.attributes & header.transactionalFlag) !== 0;
}

export function isControl(batch: BatchSummary): boolean {
  return (batch.attributes & header.controlFlag) !== 0;
}
