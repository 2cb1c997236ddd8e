/**
 * Checks what a producer sent, in the order and with the error codes of Apache Kafka 4 (ProduceRequest, UnifiedLog,
 * LogValidator), and gives the batch its timestamp type. Work per batch, not per record, except where a topic asks for
 * more: compaction needs keys, compression.type another codec.
 *
 * On purpose not as Kafka: attribute bits without a meaning, an unknown codec, a transactional batch without a producer,
 * and a producer id past 2^53 are INVALID_RECORD; records of a topic that asks for nothing stay unread, so their own
 * faults are the reader's to find.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import type { RecordError } from '../partition-log.ts';
import type { TopicLogConfig } from '../topic-log-config.ts';
import { isControl, isTransactional, summarizeBatch, type BatchSummary } from './batch-summary.ts';
import { codecs } from './compression.ts';
import * as header from './record-batch.ts';
import { invalidTimestampType, timestampOutOfRange, validateRecordsDeep } from './validate-records.ts';

export interface ValidationOptions {
  /** `client`: exactly one batch, no control records. `coordinator`: our own records, any number of batches. */
  readonly origin: 'client' | 'coordinator';
  readonly config: Pick<
    TopicLogConfig,
    'cleanupPolicy' | 'maxMessageBytes' | 'timestampType' | 'timestampBeforeMaxMs' | 'timestampAfterMaxMs' | 'compressionType'
  >;
  readonly nowMs: number;
  /** Where records have to be read: a batch that needs more memory than this is refused. */
  readonly maxDecompressedBytes: number;
}

export type ValidationOutcome = ValidBatches | RejectedBatches;

export interface ValidBatches {
  readonly kind: 'ok';
  /** The batches and nothing else: a view of what came in, or a new buffer when a batch was recompressed. */
  readonly records: Buffer;
  readonly batches: readonly BatchSummary[];
}

export interface RejectedBatches {
  readonly kind: 'rejected';
  readonly error: ErrorCode;
  readonly message: string;
  readonly recordErrors?: readonly RecordError[];
}

/** Bytes that are needed to see the magic. */
const bytesUpToMagic = 17;
const smallestRecordBytes = 14;
/** Of magic 2: its length, attributes, both deltas, two lengths and the header count, a byte each. */
const smallestRecordBytesOfBatch = 7;
const knownFlags = header.compressionMask | header.logAppendTimeFlag | header.transactionalFlag | header.controlFlag;

/** Changes timestamp type and maximum timestamp in place where the topic wants it. */
export function validateBatches(records: Buffer, options: ValidationOptions): ValidationOutcome {
  return options.origin === 'client' ? validateClientBatch(records, options) : validateCoordinatorBatches(records, options);
}

/** Whether the first batch says zstd: Produce before version 7 may not (UNSUPPORTED_COMPRESSION_TYPE). */
export function isZstd(records: Buffer): boolean {
  return records.length >= header.batchHeaderBytes && (header.attributes(records, 0) & header.compressionMask) === codecs.zstd;
}

function validateClientBatch(records: Buffer, options: ValidationOptions): ValidationOutcome {
  const first = frameAt(records, 0);
  if (first === 'none') return rejected(ErrorCodes.INVALID_RECORD, 'Produce requests must have at least one record batch per partition');
  if (typeof first !== 'number') return first;
  if (header.magic(records, 0) !== 2) return rejected(ErrorCodes.INVALID_RECORD, 'Produce requests may only contain record batches with magic version 2');
  const second = frameAt(records, first);
  if (typeof second === 'object') return second;
  if (typeof second === 'number') return rejected(ErrorCodes.INVALID_RECORD, 'Produce requests may only contain exactly one record batch per partition');
  // Kafka trims an incomplete batch at the end, too.
  const batch = first === records.length ? records : records.subarray(0, first);
  const offset = header.baseOffset(batch, 0);
  if (offset !== 0) return rejected(ErrorCodes.INVALID_RECORD, `The base offset of the record batch should be 0, but it is ${offset}`);
  const fault = sizeOrCrcFault(batch, 0, batch.length, options.config.maxMessageBytes);
  if (fault !== undefined) return fault;
  const summary = summarizeBatch(batch, 0);
  return headerFault(summary) ?? countFault(summary, batch.length) ?? validateTimestampsAndRecords(batch, summary, options);
}

function validateCoordinatorBatches(records: Buffer, options: ValidationOptions): ValidationOutcome {
  const batches: BatchSummary[] = [];
  let position = 0;
  for (;;) {
    const size = frameAt(records, position);
    if (size === 'none') break;
    if (typeof size !== 'number') return size;
    if (header.magic(records, position) !== 2) return rejected(ErrorCodes.INVALID_RECORD, 'Record batches must have magic version 2');
    const fault = sizeOrCrcFault(records, position, size, options.config.maxMessageBytes);
    if (fault !== undefined) return fault;
    batches.push(summarizeBatch(records, position));
    position += size;
  }
  if (position !== records.length || batches.length === 0) return rejected(ErrorCodes.CORRUPT_MESSAGE, 'The records do not end with a whole batch');
  return { kind: 'ok', records, batches };
}

/** Size of the batch at `position`; `none` when no whole one is there. */
function frameAt(records: Buffer, position: number): number | 'none' | RejectedBatches {
  const remaining = records.length - position;
  if (remaining < header.batchOverheadBytes) return 'none';
  const sizeBytes = header.batchSizeBytes(records, position);
  if (sizeBytes < header.batchOverheadBytes + smallestRecordBytes) {
    return rejected(
      ErrorCodes.CORRUPT_MESSAGE,
      `Record size ${sizeBytes - header.batchOverheadBytes} is less than the minimum record overhead (${smallestRecordBytes})`,
    );
  }
  if (remaining < bytesUpToMagic) return 'none';
  const magic = header.magic(records, position);
  if (magic < 0 || magic > 2) return rejected(ErrorCodes.CORRUPT_MESSAGE, `Invalid magic found in record: ${magic}`);
  return sizeBytes > remaining ? 'none' : sizeBytes;
}

function sizeOrCrcFault(records: Buffer, position: number, sizeBytes: number, maxMessageBytes: number): RejectedBatches | undefined {
  if (sizeBytes > maxMessageBytes) {
    return rejected(
      ErrorCodes.MESSAGE_TOO_LARGE,
      `The record batch size is ${sizeBytes} bytes which exceeds the maximum configured value of ${maxMessageBytes}`,
    );
  }
  if (sizeBytes < header.batchHeaderBytes) return rejected(ErrorCodes.CORRUPT_MESSAGE, `A record batch of ${sizeBytes} bytes is smaller than its header`);
  if (!header.crcFits(records, position))
    return rejected(ErrorCodes.CORRUPT_MESSAGE, `Record is corrupt (stored crc = ${header.storedCrc(records, position)})`);
  return undefined;
}

function headerFault(batch: BatchSummary): RejectedBatches | undefined {
  const { attributes, lastOffsetDelta, recordCount, producerId } = batch;
  if ((attributes & header.compressionMask) > codecs.zstd) return invalid(`Unknown compression type id: ${attributes & header.compressionMask}`);
  if (lastOffsetDelta < 0) return invalid(`Batch has an invalid offset range: [0, ${lastOffsetDelta}]`);
  if (recordCount <= 0) return invalid(`Invalid reported count for record batch: ${recordCount}`);
  if (recordCount !== lastOffsetDelta + 1) return invalid(`Inconsistent batch offset range [0, ${lastOffsetDelta}] and count of records ${recordCount}`);
  if (isControl(batch)) return invalid('Clients are not allowed to write control records');
  if ((attributes & ~knownFlags) !== 0) return invalid(`Unknown attributes in record batch: ${attributes & 0xffff}`);
  if (producerId > header.noProducerId && batch.baseSequence < 0) {
    return invalid(`Invalid sequence number ${batch.baseSequence} in record batch with producerId ${producerId}`);
  }
  if (producerId > Number.MAX_SAFE_INTEGER) return invalid('The producer id was not given out by this cluster');
  if (producerId <= header.noProducerId && isTransactional(batch)) return invalid('A transactional record batch needs a producer id');
  return undefined;
}

/** Without reading the records: more than could be there would use up offsets by the billion. */
function countFault({ attributes, recordCount }: BatchSummary, sizeBytes: number): RejectedBatches | undefined {
  const isCompressed = (attributes & header.compressionMask) !== codecs.uncompressed;
  if (isCompressed || recordCount * smallestRecordBytesOfBatch <= sizeBytes - header.batchHeaderBytes) return undefined;
  return invalid(`A record batch of ${sizeBytes} bytes cannot hold ${recordCount} records`);
}

function validateTimestampsAndRecords(records: Buffer, batch: BatchSummary, options: ValidationOptions): ValidationOutcome {
  const { config, nowMs } = options;
  if (needsRecords(batch, options)) {
    const deep = validateRecordsDeep(records, options);
    if (deep.kind === 'rejected') return deep;
    if (deep.records.length > config.maxMessageBytes) {
      return rejected(
        ErrorCodes.MESSAGE_TOO_LARGE,
        `After recompression the record batch size is ${deep.records.length} bytes which exceeds the maximum configured value of ${config.maxMessageBytes}`,
      );
    }
    return { kind: 'ok', records: deep.records, batches: [summarizeBatch(deep.records, 0)] };
  }
  const fault = timestampTypeFault(batch, config.timestampType);
  if (fault !== undefined) return fault;
  const maxTimestampMs = config.timestampType === 'LogAppendTime' ? nowMs : batch.maxTimestamp;
  const marked = (batch.attributes & header.logAppendTimeFlag) !== 0;
  if (marked !== (config.timestampType === 'LogAppendTime') || maxTimestampMs !== batch.maxTimestamp) {
    header.setTimestamps(records, 0, { type: config.timestampType, maxTimestampMs });
    return { kind: 'ok', records, batches: [summarizeBatch(records, 0)] };
  }
  return { kind: 'ok', records, batches: [batch] };
}

/**
 * Kafka looks at the timestamp of each record and corrects the header's maximum. Here the header is believed while it
 * makes sense; when it does not, the records decide.
 */
function needsRecords(batch: BatchSummary, { config, nowMs }: ValidationOptions): boolean {
  if (config.cleanupPolicy.compact) return true;
  if (config.compressionType !== 'producer' && codecs[config.compressionType] !== (batch.attributes & header.compressionMask)) return true;
  if (config.timestampType === 'LogAppendTime') return false;
  return (
    batch.maxTimestamp < batch.firstTimestamp ||
    timestampOutOfRange(batch.firstTimestamp, config, nowMs) ||
    timestampOutOfRange(batch.maxTimestamp, config, nowMs)
  );
}

/** LogAppendTime is the broker's to set. Kafka lets it pass where it means a valid timestamp and the topic wants CreateTime. */
function timestampTypeFault(batch: BatchSummary, wanted: TopicLogConfig['timestampType']): RejectedBatches | undefined {
  if ((batch.attributes & header.logAppendTimeFlag) === 0) return undefined;
  if (wanted === 'CreateTime' && batch.maxTimestamp !== header.noTimestamp) return undefined;
  return invalidTimestampType(batch.recordCount);
}

function invalid(message: string): RejectedBatches {
  return rejected(ErrorCodes.INVALID_RECORD, message);
}

function rejected(error: ErrorCode, message: string): RejectedBatches {
  return { kind: 'rejected', error, message };
}
