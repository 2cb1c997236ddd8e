/** A `PartitionLog` in memory: a record is whatever buffer was appended; nothing is durable before the test says so. */
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { ActiveProducer, AppendOutcome, Durability, PartitionLog, ReadOptions, ReadOutcome, TimestampOffset } from '../../log/partition-log.ts';
import { defaultTopicLogConfig, type TopicLogConfig } from '../../log/topic-log-config.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';

interface Batch {
  readonly offset: number;
  readonly bytes: Buffer;
  readonly timestampMs: number;
}

/** One upload of all logs of a fake broker: batches appended since the last one become durable together. */
export class FakeUpload {
  readonly durable: Promise<Durability>;
  private settle: (durability: Durability) => void = () => {};
  private readonly onSettled: ((durability: Durability) => void)[] = [];

  constructor() {
    this.durable = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  then(listener: (durability: Durability) => void): void {
    this.onSettled.push(listener);
  }

  end(durability: Durability): void {
    for (const listener of this.onSettled) listener(durability);
    this.settle(durability);
  }
}

export class FakePartitionLog implements PartitionLog {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  leaderEpoch = 3;
  logStartOffset = 0;
  highWatermark = 0;
  logEndOffset = 0;
  firstOpenTransaction: number | undefined;
  config: TopicLogConfig = defaultTopicLogConfig;
  /** The next appends are refused with this. */
  rejection: Extract<AppendOutcome, { kind: 'rejected' }> | undefined;
  /** Reads are answered by a promise, as from the object store. */
  slowReads = false;
  readCount = 0;
  producers: ActiveProducer[] = [];
  readonly appended: Buffer[] = [];
  readonly listeners = new Set<() => void>();
  private readonly batches: Batch[] = [];
  private readonly openUpload: () => FakeUpload;

  constructor(place: { readonly topicId: TopicId; readonly topic: string; readonly partition: number }, openUpload: () => FakeUpload) {
    this.topicId = place.topicId;
    this.topic = place.topic;
    this.partition = place.partition;
    this.openUpload = openUpload;
  }

  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.firstOpenTransaction ?? this.highWatermark);
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  }

  append(records: Buffer): AppendOutcome {
    if (this.rejection !== undefined) return this.rejection;
    const upload = this.openUpload();
    const offset = this.logEndOffset++;
    this.appended.push(records);
    this.batches.push({ offset, bytes: records, timestampMs: offset * 1000 });
    upload.then((durability) => {
      if (durability !== 'durable') return;
      this.highWatermark = Math.max(this.highWatermark, offset + 1);
      this.notify();
    });
    return { kind: 'appended', baseOffset: offset, lastOffset: offset, logAppendTimeMs: -1, durable: upload.durable };
  }

  /** Durable batches of `sizeBytes` each, as if they had always been there. */
  fill(count: number, sizeBytes = 100): void {
    for (let i = 0; i < count; i++)
      this.batches.push({ offset: this.logEndOffset++, bytes: Buffer.alloc(sizeBytes, this.partition), timestampMs: this.logEndOffset * 1000 - 1000 });
    this.highWatermark = this.logEndOffset;
    this.notify();
  }

  notify(): void {
    for (const listener of this.listeners) listener();
  }

  read(offset: number, options: ReadOptions): ReadOutcome | Promise<ReadOutcome> {
    this.readCount++;
    const bound = options.isolation === 'committed' ? this.lastStableOffset : this.highWatermark;
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for (const batch of this.batches) {
      if (batch.offset < offset || batch.offset >= bound) continue;
      if (sizeBytes > 0 && sizeBytes + batch.bytes.length > options.maxBytes) break;
      chunks.push(batch.bytes);
      sizeBytes += batch.bytes.length;
    }
    const outcome: ReadOutcome = { kind: 'records', chunks, sizeBytes, abortedTransactions: [] };
    return this.slowReads ? Promise.resolve(outcome) : outcome;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined> {
    const batch = this.batches.find((candidate) => candidate.timestampMs >= timestampMs);
    return Promise.resolve(batch && { offset: batch.offset, timestampMs: batch.timestampMs, leaderEpoch: this.leaderEpoch });
  }

  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    const batch = this.batches.at(-1);
    return Promise.resolve(batch && { offset: batch.offset, timestampMs: batch.timestampMs, leaderEpoch: this.leaderEpoch });
  }

  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number } {
    return leaderEpoch > this.leaderEpoch
      ? { leaderEpoch: -1, endOffset: -1 }
      : { leaderEpoch, endOffset: leaderEpoch === this.leaderEpoch ? this.highWatermark : 2 };
  }

  epochAt(): number {
    return this.leaderEpoch;
  }

  deleteRecordsBefore(offset: number): Promise<ErrorCode> {
    this.logStartOffset = offset;
    return Promise.resolve(ErrorCodes.NONE);
  }

  activeProducers(): readonly ActiveProducer[] {
    return this.producers;
  }
}
