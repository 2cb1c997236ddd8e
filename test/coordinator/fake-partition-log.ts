/** A partition's log in memory, whose durability a test decides: at once, or when and as the test says. */
import type { TopicId } from '../../cluster/identifiers.ts';
import { assignOffsetAndEpoch, baseOffset, lastOffset, lastOffsetDelta } from '../../broker/log/batch/record-batch.ts';
import { walkBatches } from '../../broker/log/batch/walk-batches.ts';
import type {
  ActiveProducer,
  AppendOptions,
  AppendOutcome,
  Durability,
  PartitionLog,
  ReadOptions,
  ReadOutcome,
  TimestampOffset,
} from '../../broker/log/partition-log.ts';
import { defaultTopicLogConfig, type TopicLogConfig } from '../../broker/log/topic-log-config.ts';
import { type ErrorCode, ErrorCodes } from '../../broker/protocol/errors.ts';

interface Upload {
  readonly endOffset: number;
  /** The log start moves there. */
  readonly startOffset: number;
  readonly settle: (durability: Durability) => void;
}

export class FakePartitionLog implements PartitionLog {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partition: number;
  leaderEpoch = 0;
  logStartOffset = 0;
  highWatermark = 0;
  logEndOffset = 0;
  config: TopicLogConfig = { ...defaultTopicLogConfig, cleanupPolicy: { delete: false, compact: true } };
  /** Appends wait for `upload` instead of being durable at once. */
  held = false;
  /** What the next appends are refused with. */
  refusal: ErrorCode | undefined;
  /** What the next reads fail with. */
  readError: ErrorCode | undefined;
  /** Reads answer in pieces of this many bytes, cut anywhere. */
  chunkBytes = Number.POSITIVE_INFINITY;
  batches: Buffer[] = [];
  /** All that was ever appended and not lost, whatever the log start. */
  history: Buffer[] = [];
  readonly #uploads: Upload[] = [];
  readonly #listeners = new Set<() => void>();
  #unsettledStart = 0;

  constructor(options: { readonly topic: string; readonly topicId: TopicId; readonly partition: number }) {
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
  }

  get lastStableOffset(): number {
    return this.highWatermark;
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  get waitingUploads(): number {
    return this.#uploads.length;
  }

  append(records: Buffer, _options: AppendOptions): AppendOutcome {
    if (this.refusal !== undefined) return { kind: 'rejected', error: this.refusal };
    const first = this.logEndOffset;
    for (const { position, sizeBytes } of walkBatches(records)) {
      const batch = records.subarray(position, position + sizeBytes);
      assignOffsetAndEpoch(batch, 0, this.logEndOffset, this.leaderEpoch);
      this.logEndOffset += lastOffsetDelta(batch, 0) + 1;
      this.batches.push(batch);
      this.history.push(batch);
    }
    const endOffset = this.logEndOffset;
    const durable = this.#waitForUpload(0);
    return { kind: 'appended', baseOffset: first, lastOffset: endOffset - 1, logAppendTimeMs: -1, durable };
  }

  /** The oldest `count` appends end as `durability`. */
  upload(count = Number.POSITIVE_INFINITY, durability: Durability = 'durable'): void {
    for (let left = count; left > 0; left -= 1) {
      const upload = this.#uploads.shift();
      if (!upload) return;
      if (durability === 'durable') this.#count(upload);
      else this.#unsettledStart = Math.max(this.#unsettledStart, upload.startOffset);
      upload.settle(durability);
      for (const listener of this.#listeners) listener();
    }
  }

  /** What was not durable never will be, and nobody hears of it. */
  crash(): void {
    this.#uploads.length = 0;
    this.logEndOffset = this.highWatermark;
    const isDurable = (batch: Buffer) => lastOffset(batch, 0) < this.highWatermark;
    this.batches = this.batches.filter(isDurable);
    this.history = this.history.filter(isDurable);
  }

  /** What nobody acknowledged turns out to be in the log after all. */
  settleUnknown(): void {
    this.#count({ endOffset: this.logEndOffset, startOffset: this.#unsettledStart });
    for (const listener of this.#listeners) listener();
  }

  read(offset: number, { maxBytes }: ReadOptions): ReadOutcome | Promise<ReadOutcome> {
    if (this.readError !== undefined) return { kind: 'failed', error: this.readError };
    if (offset < this.logStartOffset || offset > this.logEndOffset) return { kind: 'out-of-range' };
    const found: Buffer[] = [];
    let sizeBytes = 0;
    for (const batch of this.batches) {
      if (lastOffset(batch, 0) < offset || lastOffset(batch, 0) >= this.highWatermark) continue;
      if (found.length > 0 && sizeBytes + batch.length > maxBytes) break;
      found.push(batch);
      sizeBytes += batch.length;
    }
    return { kind: 'records', chunks: this.#cut(found), sizeBytes, abortedTransactions: [] };
  }

  /** Keeps of the batches what a test chooses, as compaction and retention do. */
  keep(which: (batch: Buffer) => boolean): void {
    this.batches = this.batches.filter(which);
    const first = this.batches[0];
    if (first) this.logStartOffset = baseOffset(first, 0);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  offsetForTimestamp(): Promise<TimestampOffset | undefined> {
    return Promise.resolve(undefined);
  }

  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    return Promise.resolve(undefined);
  }

  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number } {
    return { leaderEpoch, endOffset: this.logEndOffset };
  }

  epochAt(): number {
    return this.leaderEpoch;
  }

  async deleteRecordsBefore(offset: number): Promise<ErrorCode> {
    if (this.refusal !== undefined) return this.refusal;
    if (offset > this.highWatermark) return ErrorCodes.OFFSET_OUT_OF_RANGE;
    const durability = await this.#waitForUpload(offset);
    if (durability === 'durable') return ErrorCodes.NONE;
    return durability === 'not-appended' ? ErrorCodes.NOT_LEADER_OR_FOLLOWER : ErrorCodes.REQUEST_TIMED_OUT;
  }

  activeProducers(): readonly ActiveProducer[] {
    return [];
  }

  #waitForUpload(startOffset: number): Promise<Durability> {
    const settled = new Promise<Durability>((settle) => this.#uploads.push({ endOffset: this.logEndOffset, startOffset, settle }));
    if (!this.held) this.upload();
    return settled;
  }

  #count({ endOffset, startOffset }: Pick<Upload, 'endOffset' | 'startOffset'>): void {
    this.highWatermark = Math.max(this.highWatermark, endOffset);
    this.logStartOffset = Math.max(this.logStartOffset, startOffset);
    this.batches = this.batches.filter((batch) => lastOffset(batch, 0) >= this.logStartOffset);
  }

  #cut(batches: readonly Buffer[]): readonly Uint8Array[] {
    if (this.chunkBytes === Number.POSITIVE_INFINITY) return batches;
    const all = Buffer.concat(batches);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += this.chunkBytes) chunks.push(all.subarray(at, at + this.chunkBytes));
    return chunks;
  }
}
