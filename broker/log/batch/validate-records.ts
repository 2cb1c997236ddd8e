/**
 * Validation record by record, as Kafka's LogValidator does for every batch and we only where something asks for it: a
 * compacted topic (keys), another codec than the producer's, a header whose timestamps make no sense.
 */
import { ErrorCodes } from '../../protocol/errors.ts';
import type { RecordError } from '../partition-log.ts';
import { assembleBatch } from './build-batch.ts';
import { summarizeBatch } from './batch-summary.ts';
import { codecs, compress, type CodecName } from './compression.ts';
import * as header from './record-batch.ts';
import { recordsPayload, visitRecords } from './records.ts';
import type { RejectedBatches, ValidationOptions } from './validate-batches.ts';

/** A batch can have millions of bad records; an answer names some. */
const mostRecordErrors = 100;

export type DeepOutcome = { readonly kind: 'ok'; readonly records: Buffer } | RejectedBatches;

/** `batch` is one batch whose header was checked. Answers the batch with the topic's codec and timestamp type. */
export function validateRecordsDeep(batch: Buffer, options: ValidationOptions): DeepOutcome {
  const limits = { maxOutputBytes: options.maxDecompressedBytes };
  const payload = recordsPayload(batch, limits);
  if (payload.kind === 'invalid') return invalidRecord(payload.message);
  const errors = new RecordErrors();
  let maxTimestampMs: number = header.noTimestamp;
  const typeIsWrong = (header.attributes(batch, 0) & header.logAppendTimeFlag) !== 0 && options.config.timestampType === 'LogAppendTime';
  const fault = visitRecords(batch, payload.bytes, (record) => {
    if (options.config.cleanupPolicy.compact && !record.hasKey) errors.add(record.index, 'Compacted topic cannot accept message without key');
    else if (typeIsWrong || timestampIsBad(record.timestampMs, batch, options)) errors.addTimestamp(record.index, timestampText(record.timestampMs, options));
    if (record.timestampMs > maxTimestampMs) maxTimestampMs = record.timestampMs;
    if (record.offsetDelta !== record.index) errors.add(record.index, `Record has offset delta ${record.offsetDelta}, expected ${record.index}`);
  });
  if (fault !== undefined) return invalidRecord(fault.message);
  const rejected = errors.outcome();
  if (rejected !== undefined) return rejected;
  const stamped = options.config.timestampType === 'LogAppendTime' ? options.nowMs : maxTimestampMs;
  return { kind: 'ok', records: inShape(batch, payload.bytes, { maxTimestampMs: stamped, options }) };
}

export function timestampOutOfRange(timestampMs: number, config: ValidationOptions['config'], nowMs: number): boolean {
  if (timestampMs === header.noTimestamp) return false;
  return timestampMs < nowMs - config.timestampBeforeMaxMs || timestampMs > nowMs + config.timestampAfterMaxMs || !Number.isSafeInteger(timestampMs);
}

/** LogAppendTime may only be set by the broker. */
export function invalidTimestampType(recordCount: number): RejectedBatches {
  const errors = new RecordErrors();
  for (let index = 0; index < Math.min(recordCount, mostRecordErrors); index += 1)
    errors.addTimestamp(index, 'Producer should not set timestamp type to LogAppendTime');
  return errors.outcome()!;
}

function timestampIsBad(timestampMs: number, batch: Buffer, { config, nowMs }: ValidationOptions): boolean {
  if (config.timestampType === 'LogAppendTime') return false;
  if (timestampMs === header.noTimestamp) return (header.attributes(batch, 0) & header.logAppendTimeFlag) !== 0;
  return timestampOutOfRange(timestampMs, config, nowMs);
}

function timestampText(timestampMs: number, { config, nowMs }: ValidationOptions): string {
  if (config.timestampType === 'LogAppendTime' || timestampMs === header.noTimestamp) return 'Producer should not set timestamp type to LogAppendTime';
  return `Timestamp ${timestampMs} is out of range. The timestamp should be within [${nowMs - config.timestampBeforeMaxMs}, ${nowMs + config.timestampAfterMaxMs}]`;
}

interface Shape {
  readonly maxTimestampMs: number;
  readonly options: ValidationOptions;
}

function inShape(batch: Buffer, payload: Buffer, { maxTimestampMs, options }: Shape): Buffer {
  const source = header.attributes(batch, 0) & header.compressionMask;
  const target = targetCodec(source, options.config.compressionType);
  const shaped = codecs[target] === source ? batch : recompress(batch, payload, target);
  header.setTimestamps(shaped, 0, { type: options.config.timestampType, maxTimestampMs });
  return shaped;
}

function targetCodec(source: number, wanted: ValidationOptions['config']['compressionType']): CodecName {
  if (wanted !== 'producer') return wanted;
  const names = Object.keys(codecs) as CodecName[];
  return names.find((name) => codecs[name] === source)!;
}

/** The records stay byte for byte what they are. */
function recompress(batch: Buffer, payload: Buffer, target: CodecName): Buffer {
  const summary = summarizeBatch(batch, 0);
  return assembleBatch(compress(target, payload), { ...summary, attributes: (summary.attributes & ~header.compressionMask) | codecs[target] });
}

/** Kafka's rule: one bad timestamp makes the whole answer INVALID_TIMESTAMP, else it is INVALID_RECORD. */
class RecordErrors {
  readonly #errors: RecordError[] = [];
  #anyTimestamp = false;

  add(batchIndex: number, message: string): void {
    if (this.#errors.length < mostRecordErrors) this.#errors.push({ batchIndex, message });
  }

  addTimestamp(batchIndex: number, message: string): void {
    this.#anyTimestamp = true;
    this.add(batchIndex, message);
  }

  outcome(): RejectedBatches | undefined {
    if (this.#errors.length === 0) return undefined;
    const error = this.#anyTimestamp ? ErrorCodes.INVALID_TIMESTAMP : ErrorCodes.INVALID_RECORD;
    const message = this.#anyTimestamp
      ? 'One or more records have been rejected due to invalid timestamp'
      : `One or more records have been rejected due to record errors: ${this.#errors[0]!.message}`;
    return { kind: 'rejected', error, message, recordErrors: this.#errors };
  }
}

function invalidRecord(message: string): RejectedBatches {
  return { kind: 'rejected', error: ErrorCodes.INVALID_RECORD, message };
}
