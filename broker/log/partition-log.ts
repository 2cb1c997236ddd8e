/**
 * One partition's log as request handlers and coordinators see it. The engine behind it knows no
 * socket, request or metadata store.
 *
 * Terms are Kafka's: log start offset, log end offset, high watermark (records below it are durable and
 * visible), last stable offset (first offset of the earliest open transaction, else the high watermark).
 */
import type { TopicId } from '../../cluster/identifiers.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { TopicLogConfig } from './topic-log-config.ts';

export interface PartitionLog {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logEndOffset: number;
  /** Bytes between log start and high watermark. */
  readonly sizeBytes: number;
  readonly config: TopicLogConfig;

  /**
   * Validates and appends record batches; synchronous, so the order of calls is the order of offsets. The buffer's
   * header fields (base offset, leader epoch) are overwritten in place, and the buffer belongs to the log from here on.
   */
  append(records: Buffer, options: AppendOptions): AppendOutcome;

  /** Whole batches from the one that contains `offset` on. Answers at once when the bytes are in memory. */
  read(offset: number, options: ReadOptions): ReadOutcome | Promise<ReadOutcome>;

  /** Calls `listener` whenever the high watermark or last stable offset advanced, or the log was closed. Returns how to stop. */
  subscribe(listener: () => void): () => void;

  /** First record whose timestamp is at or after `timestampMs`. Rejects with a `ReadFailed` when records that may be it cannot be read. */
  offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined>;
  /** The record with the greatest timestamp. Rejects as above. */
  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined>;
  /** End offset (exclusive) of the largest leader epoch ≤ `leaderEpoch` (OffsetForLeaderEpoch, KIP-101): of the current one the high watermark. */
  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number };
  /** Leader epoch of the record at `offset`, −1 when there is none. */
  epochAt(offset: number): number;
  /** Moves the log start offset up to `offset` (DeleteRecords); resolves when this is durable. */
  deleteRecordsBefore(offset: number): Promise<ErrorCode>;
  /** Producers with state in this partition (DescribeProducers). */
  activeProducers(): readonly ActiveProducer[];
}

export interface AppendOptions {
  /** `client`: control batches are refused. `coordinator`: our own records, trusted. */
  readonly origin: 'client' | 'coordinator';
}

export type AppendOutcome =
  | {
      readonly kind: 'appended';
      readonly baseOffset: number;
      readonly lastOffset: number;
      readonly logAppendTimeMs: number;
      readonly durable: Promise<Durability>;
    }
  /** A retry of one of the producer's last five batches: the original offsets; `durable` tells when those count. */
  | {
      readonly kind: 'duplicate';
      readonly baseOffset: number;
      readonly lastOffset: number;
      readonly logAppendTimeMs: number;
      readonly durable: Promise<Durability>;
    }
  /** Never appended. */
  | { readonly kind: 'rejected'; readonly error: ErrorCode; readonly message?: string; readonly recordErrors?: readonly RecordError[] };

export interface RecordError {
  readonly batchIndex: number;
  readonly message: string;
}

/**
 * `durable`: in the object store with everything before it. `not-appended`: provably at or past a seal, or never in a
 * group (NOT_LEADER_OR_FOLLOWER). `unknown`: may be appended (KAFKA_STORAGE_ERROR).
 * One promise is shared by everything that was uploaded together.
 */
export type Durability = 'durable' | 'not-appended' | 'unknown';

export interface ReadOptions {
  readonly maxBytes: number;
  /** `committed`: up to the last stable offset, with the aborted transactions in the range. */
  readonly isolation: 'uncommitted' | 'committed';
}

export type ReadOutcome =
  | {
      readonly kind: 'records';
      /** Whole batches, possibly one larger than `maxBytes`. Views: valid until the answer was written. */
      readonly chunks: readonly Uint8Array[];
      readonly sizeBytes: number;
      readonly abortedTransactions: readonly AbortedTransaction[];
    }
  | { readonly kind: 'out-of-range' }
  | { readonly kind: 'failed'; readonly error: ErrorCode };

/** What was looked for may lie in records that could not be read. */
export class ReadFailed extends Error {
  override readonly name = 'ReadFailed';
  readonly error: ErrorCode;

  constructor(error: ErrorCode) {
    super(`records could not be read: error ${error}`);
    this.error = error;
  }
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface TimestampOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

export interface ActiveProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  readonly currentTransactionFirstOffset: number;
}
