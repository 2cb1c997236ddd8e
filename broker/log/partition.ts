/**
 * One partition of this broker: appends into the WAL's open group, knows its index, serves reads.
 *
 * Everything that a write changes (offset, sequence, index) is derived from the same slice: producer states change when
 * the batch enters the group, index and epochs when the slice gets its place, high watermark and log start when it counts.
 */
import type { Clock } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { TopicId } from '../../cluster/identifiers.ts';
import { type ErrorCode, ErrorCodes } from '../protocol/errors.ts';
import { type BatchSummary, isControl, isTransactional } from './batch/batch-summary.ts';
import { markerKind } from './batch/control-record.ts';
import { assignOffsetAndEpoch, noProducerId } from './batch/record-batch.ts';
import { type ValidBatches, validateBatches } from './batch/validate-batches.ts';
import { walkBatches } from './batch/walk-batches.ts';
import { CollectedBatches } from './collected-batches.ts';
import type { ObjectKey } from './format/object-keys.ts';
import type { FullState, IndexEntry } from './format/partition-state.ts';
import type { ProducerBatch, Slice } from './format/slices.ts';
import type { ObjectCatalog } from './object-catalog.ts';
import { indexedTimestamp } from './indexed-timestamp.ts';
import { firstRecordAtOrAfter } from './offset-by-time.ts';
import { endOffsetForEpoch, epochAt, PartitionIndex } from './partition-index.ts';
import {
  type ActiveProducer,
  type AppendOptions,
  type AppendOutcome,
  type PartitionLog,
  type ReadOptions,
  type ReadOutcome,
  type TimestampOffset,
  ReadFailed,
} from './partition-log.ts';
import { ProducerState } from './producer-state.ts';
import { findChunk, findSlice } from './slice-search.ts';
import type { StoredReader } from './stored-reader.ts';
import type { TopicLogConfig } from './topic-log-config.ts';
import type { OpenGroup, SliceBuilder, SliceOwner } from './wal/open-group.ts';
import type { WalWriter } from './wal/wal-writer.ts';

export interface PartitionOptions {
  /** The topic's name, for logs and tools; the id is what counts. */
  readonly topic: () => string;
  readonly leaderEpoch: number;
  /** What the opening found. */
  readonly state: Omit<FullState, 'kind' | 'leaderEpoch'>;
  /** The object that `state` was read from; `''`: a new, empty log. The first slice names it. */
  readonly base: ObjectKey | '';
  readonly wal: WalWriter;
  readonly stored: StoredReader;
  readonly catalog: ObjectCatalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: () => TopicLogConfig;
  readonly producerExpirationMs: number;
  readonly maxProducers: number;
  readonly maxDecompressedBytes: number;
  /** The state changed: it belongs into the next checkpoint. */
  readonly onDirty: (partition: Partition) => void;
}

export class Partition implements PartitionLog, SliceOwner {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly index: PartitionIndex;
  readonly #options: PartitionOptions;
  readonly #producers: ProducerState;
  readonly #listeners = new Set<() => void>();
  /** Counted slices in the log cache, ascending. */
  readonly #tail: SliceBuilder[] = [];
  #current: SliceBuilder | undefined;
  #base: ObjectKey | '' | undefined;
  #logEndOffset: number;
  #highWatermark: number;
  #nextLogStartOffset: number;
  #closed: 'moved' | 'deleted' | 'ended' | undefined;
  #damage: string | undefined;
  #movesAway = false;

  constructor(options: PartitionOptions) {
    const { state } = options;
    this.#options = options;
    this.topicId = state.topicId;
    this.partition = state.partition;
    this.leaderEpoch = options.leaderEpoch;
    this.index = new PartitionIndex(state, options.catalog);
    this.#producers = ProducerState.decode(state.producers, { maxProducers: options.maxProducers, expirationMs: options.producerExpirationMs });
    this.#base = options.base;
    this.#logEndOffset = state.endOffset;
    this.#highWatermark = state.endOffset;
    this.#nextLogStartOffset = state.logStartOffset;
  }

  get topic(): string {
    return this.#options.topic();
  }

  get logStartOffset(): number {
    return this.index.logStartOffset;
  }

  get nextLogStartOffset(): number {
    return this.#nextLogStartOffset;
  }

  get highWatermark(): number {
    return this.#highWatermark;
  }

  get lastStableOffset(): number {
    return Math.min(this.#highWatermark, this.#producers.firstOpenTransactionOffset ?? this.#highWatermark);
  }

  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  get sizeBytes(): number {
    return this.index.sizeBytes;
  }

  get config(): TopicLogConfig {
    return this.#options.config();
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** The slice behind `entry` while the log cache holds it. */
  cachedSlice(entry: IndexEntry): SliceBuilder | undefined {
    const slice = this.#tail[findSlice(this.#tail, entry.firstOffset)];
    return slice?.firstOffset === entry.firstOffset && slice.lastOffset === entry.lastOffset && slice.length === entry.length ? slice : undefined;
  }

  /** Puts one entry where neighbours stood; false when they are not all there any more. */
  replaceEntries(replaced: readonly IndexEntry[], replacement: IndexEntry): boolean {
    if (this.#closed || !this.index.replace(replaced, [replacement])) return false;
    this.#options.onDirty(this);
    return true;
  }

  append(records: Buffer, options: AppendOptions): AppendOutcome {
    if (this.#closed || this.#movesAway) return { kind: 'rejected', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER };
    if (this.#damage) return { kind: 'rejected', error: ErrorCodes.NOT_ENOUGH_REPLICAS, message: this.#damage };
    const { wal, clock } = this.#options;
    const refusal = wal.refusal;
    if (refusal === 'ended') return { kind: 'rejected', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER };
    if (refusal) return { kind: 'rejected', error: ErrorCodes.NOT_ENOUGH_REPLICAS, message: `nothing can be stored now: ${refusal}` };
    const nowMs = clock.wallMs();
    const { config } = this;
    const valid = validateBatches(records, { origin: options.origin, config, nowMs, maxDecompressedBytes: this.#options.maxDecompressedBytes });
    if (valid.kind === 'rejected') return valid;
    return this.#appendValid(valid, config, nowMs);
  }

  #appendValid(valid: ValidBatches, config: TopicLogConfig, nowMs: number): AppendOutcome {
    const logAppendTimeMs = config.timestampType === 'LogAppendTime' ? nowMs : -1;
    for (const batch of valid.batches) {
      if (batch.producerId === noProducerId) continue;
      const checked = this.#producers.check(batch, nowMs);
      if (checked.kind === 'reject') return { kind: 'rejected', error: checked.error, message: checked.message };
      if (checked.kind === 'duplicate') {
        const { firstOffset, lastOffset, timestampMs, ticket } = checked;
        const durable = ticket ? (ticket as OpenGroup).durability() : alreadyDurable;
        return { kind: 'duplicate', baseOffset: firstOffset, lastOffset, logAppendTimeMs: logAppendTimeMs < 0 ? -1 : timestampMs, durable };
      }
    }
    const { wal } = this.#options;
    const baseOffset = this.#logEndOffset;
    const slice = wal.slice(this, this.#current, baseOffset);
    this.#current = slice;
    for (const batch of valid.batches) this.#appendBatch(slice, valid.records, batch, nowMs);
    wal.appended();
    return { kind: 'appended', baseOffset, lastOffset: this.#logEndOffset - 1, logAppendTimeMs, durable: slice.group.durability() };
  }

  #appendBatch(slice: SliceBuilder, records: Buffer, batch: BatchSummary, nowMs: number): void {
    const firstOffset = this.#logEndOffset;
    const lastOffset = firstOffset + batch.lastOffsetDelta;
    assignOffsetAndEpoch(records, batch.position, firstOffset, this.leaderEpoch);
    const bytes = batch.position === 0 && batch.sizeBytes === records.length ? records : records.subarray(batch.position, batch.position + batch.sizeBytes);
    const maxTimestampMs = indexedTimestamp(batch.maxTimestamp);
    let producer: ProducerBatch | undefined;
    if (batch.producerId !== noProducerId) {
      producer = producerBatch(batch, bytes, { firstOffset, lastOffset, timestampMs: maxTimestampMs });
      this.#producers.apply(producer, nowMs, slice.group);
    }
    this.#options.wal.append(slice, { bytes, firstOffset, lastOffset, maxTimestampMs, producer });
    this.#logEndOffset = lastOffset + 1;
  }

  takeBase(): ObjectKey | '' | undefined {
    const base = this.#base;
    this.#base = undefined;
    return base;
  }

  slicePlaced(object: ObjectKey, slice: Slice): void {
    // The topic is gone, or another broker's: what was still on its way is held by nobody.
    if (this.#closed === 'deleted' || this.#closed === 'moved') return;
    this.index.add(object, slice);
    this.#options.onDirty(this);
  }

  sliceCounted(slice: SliceBuilder): void {
    if (this.#closed) return;
    this.#highWatermark = Math.max(this.#highWatermark, slice.lastOffset + 1);
    this.#producers.highWatermarkAdvanced(this.#highWatermark);
    if (slice.length > 0) this.#tail.push(slice);
    if (slice.logStartOffset > this.logStartOffset) {
      this.index.trim(slice.logStartOffset);
      this.#producers.logStartAdvanced(slice.logStartOffset);
    }
    this.#notify();
  }

  sliceEvicted(slice: SliceBuilder): void {
    if (this.#tail[0] === slice) this.#tail.shift();
  }

  read(offset: number, options: ReadOptions): ReadOutcome | Promise<ReadOutcome> {
    if (this.#closed) return { kind: 'failed', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER };
    if (offset < this.logStartOffset || offset > this.#logEndOffset) return { kind: 'out-of-range' };
    const bound = options.isolation === 'committed' ? this.lastStableOffset : this.#highWatermark;
    if (offset >= bound) return nothing;
    const first = this.#tail[0];
    if (first && offset >= first.firstOffset) {
      const collected = new CollectedBatches(options.maxBytes);
      this.#readTail(offset, bound, collected);
      return this.#answer(offset, collected, options);
    }
    return this.#readStored(offset, bound, options);
  }

  #readTail(offset: number, bound: number, into: CollectedBatches): void {
    let next = offset;
    for (let i = findSlice(this.#tail, offset); i >= 0 && i < this.#tail.length && next < bound; i++) {
      const slice = this.#tail[i] as SliceBuilder;
      for (let c = findChunk(slice.chunkFirstOffsets, next); c < slice.chunks.length; c++) {
        if (into.full) return;
        const chunk = slice.chunks[c] as Buffer;
        const endOffset = slice.chunkFirstOffsets[c + 1] ?? slice.lastOffset + 1;
        const whole = next === slice.chunkFirstOffsets[c] && endOffset <= bound && into.addWhole(chunk, endOffset);
        next = whole ? endOffset : into.add(chunk, next, bound);
        if (next < 0) return;
      }
    }
  }

  async #readStored(offset: number, bound: number, options: ReadOptions): Promise<ReadOutcome> {
    const collected = new CollectedBatches(options.maxBytes);
    let next = offset;
    while (!collected.full && next >= 0 && next < bound) {
      const firstInMemory = this.#tail[0];
      if (firstInMemory && next >= firstInMemory.firstOffset) {
        this.#readTail(next, bound, collected);
        break;
      }
      const at = this.index.find(next);
      const entry = this.index.entries[at];
      if (!entry) {
        if (collected.sizeBytes > 0) break;
        return next < this.logStartOffset ? { kind: 'out-of-range' } : this.#damaged(`no object holds offset ${next}`);
      }
      const found = await this.#options.stored.read(entry, next, options.maxBytes - collected.sizeBytes, {
        following: (steps) => this.#storedEntry(at + steps, entry.lastOffset),
        epochAt: (inEntry) => epochAt(this.index.epochStarts, inEntry),
      });
      if (this.#closed) return { kind: 'failed', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER };
      if (found.kind === 'missing' && this.index.entries[this.index.find(next)] !== entry) continue;
      if (found.kind !== 'found') {
        if (collected.sizeBytes > 0) break;
        if (found.kind === 'unavailable') return { kind: 'failed', error: ErrorCodes.KAFKA_STORAGE_ERROR };
        return this.#damaged(found.kind === 'missing' ? `${entry.object} is missing` : `${entry.object}: ${found.reason}`);
      }
      for (const chunk of found.chunks) {
        if (next >= 0) next = collected.add(chunk, next, bound);
      }
    }
    return this.#answer(offset, collected, options);
  }

  /** An entry behind `lastOffset` that is not in memory. */
  #storedEntry(at: number, lastOffset: number): IndexEntry | undefined {
    const entry = this.index.entries[at];
    const inMemory = this.#tail[0]?.firstOffset ?? this.#highWatermark;
    return entry && entry.firstOffset > lastOffset && entry.firstOffset < inMemory ? entry : undefined;
  }

  /** Refused with an alarm; never served, never healed by deleting (contract C15). */
  #damaged(reason: string): ReadOutcome {
    this.#options.logger.error('stored records are damaged, reads of them are refused', { topic: this.topic, partition: this.partition, reason });
    return { kind: 'failed', error: ErrorCodes.KAFKA_STORAGE_ERROR };
  }

  #answer(offset: number, collected: CollectedBatches, options: ReadOptions): ReadOutcome {
    const { chunks, sizeBytes, nextOffset } = collected;
    const abortedTransactions = options.isolation === 'committed' && sizeBytes > 0 ? this.#producers.abortedTransactions(offset, nextOffset) : [];
    return { kind: 'records', chunks, sizeBytes, abortedTransactions };
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined> {
    for (let entry = this.#visibleEntry(this.logStartOffset, timestampMs); entry; entry = this.#visibleEntry(entry.lastOffset + 1, timestampMs)) {
      const found = await this.#searchEntry(entry, timestampMs);
      if (found) return found;
    }
    return undefined;
  }

  async offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    let newest: IndexEntry | undefined;
    for (const entry of this.index.entries) {
      if (entry.lastOffset < this.#highWatermark && entry.maxTimestampMs >= 0 && (!newest || entry.maxTimestampMs > newest.maxTimestampMs)) newest = entry;
    }
    return newest && this.#searchEntry(newest, newest.maxTimestampMs);
  }

  /** The first entry with records at or past `offset` that may have one at or after `timestampMs`. */
  #visibleEntry(offset: number, timestampMs: number): IndexEntry | undefined {
    const { entries } = this.index;
    for (let at = Math.max(0, this.index.find(offset)); at < entries.length; at++) {
      const entry = entries[at] as IndexEntry;
      if (entry.firstOffset >= this.#highWatermark) return undefined;
      if (entry.lastOffset >= offset && entry.maxTimestampMs >= timestampMs) return entry;
    }
    return undefined;
  }

  async #searchEntry(entry: IndexEntry, timestampMs: number): Promise<TimestampOffset | undefined> {
    const inMemory = this.#tail[0] !== undefined && entry.firstOffset >= this.#tail[0].firstOffset;
    const from = inMemory ? entry.firstOffset : await this.#options.stored.seekTimestamp(entry, timestampMs);
    for await (const batch of this.#batchesBetween(Math.max(from, this.logStartOffset), entry.lastOffset)) {
      if (batch.maxTimestamp < timestampMs) continue;
      const found = this.#recordAtOrAfter(batch.bytes, timestampMs);
      if (found) return found;
    }
    return undefined;
  }

  #recordAtOrAfter(batch: Buffer, timestampMs: number): TimestampOffset | undefined {
    return firstRecordAtOrAfter(batch, timestampMs, { minOffset: this.logStartOffset, maxDecompressedBytes: this.#options.maxDecompressedBytes });
  }

  /** Visible batches of these offsets; what was deleted meanwhile is passed over. Nothing may be skipped that cannot be read: a later record would be taken for the first. */
  async *#batchesBetween(firstOffset: number, lastOffset: number): AsyncGenerator<{ readonly bytes: Buffer; readonly maxTimestamp: number }> {
    let offset = firstOffset;
    while (offset <= lastOffset && offset < this.#highWatermark) {
      const outcome = await this.read(offset, { maxBytes: 1 << 20, isolation: 'uncommitted' });
      if (outcome.kind === 'out-of-range') return;
      if (outcome.kind === 'failed' || outcome.sizeBytes === 0)
        throw new ReadFailed(outcome.kind === 'failed' ? outcome.error : ErrorCodes.KAFKA_STORAGE_ERROR);
      for (const chunk of outcome.chunks) {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        for (const batch of walkBatches(bytes)) {
          if (batch.baseOffset > lastOffset) return;
          offset = batch.lastOffset + 1;
          yield { bytes: bytes.subarray(batch.position, batch.position + batch.sizeBytes), maxTimestamp: batch.maxTimestamp };
        }
      }
    }
  }

  /** What is not durable yet may never exist: nobody is told of it. */
  endOffsetForEpoch(leaderEpoch: number): { readonly leaderEpoch: number; readonly endOffset: number } {
    return endOffsetForEpoch(this.index.epochStarts, leaderEpoch, { leaderEpoch: this.leaderEpoch, endOffset: this.#highWatermark });
  }

  epochAt(offset: number): number {
    return offset >= this.index.endOffset ? this.leaderEpoch : epochAt(this.index.epochStarts, offset);
  }

  async deleteRecordsBefore(offset: number): Promise<ErrorCode> {
    if (this.#closed) return ErrorCodes.NOT_LEADER_OR_FOLLOWER;
    if (offset > this.#highWatermark || offset < 0) return ErrorCodes.OFFSET_OUT_OF_RANGE;
    if (offset <= this.logStartOffset) return ErrorCodes.NONE;
    const durability = await this.raiseLogStart(offset);
    if (durability === 'durable') return ErrorCodes.NONE;
    return durability === 'not-appended' ? ErrorCodes.NOT_LEADER_OR_FOLLOWER : ErrorCodes.REQUEST_TIMED_OUT;
  }

  /** Stores a new log start in the next slice; readers see it when that counts. */
  raiseLogStart(offset: number) {
    const { wal } = this.#options;
    if (this.#closed || this.#movesAway || wal.refusal) return Promise.resolve('not-appended' as const);
    this.#nextLogStartOffset = Math.max(this.#nextLogStartOffset, offset);
    const slice = wal.slice(this, this.#current, this.#logEndOffset);
    this.#current = slice;
    wal.appended();
    return slice.group.durability();
  }

  activeProducers(): readonly ActiveProducer[] {
    return this.#producers.active();
  }

  expireProducers(nowMs: number): void {
    this.#producers.expire(nowMs);
  }

  /**
   * The whole state, for a checkpoint or a handover. Everything appended must have its place. The log start is the one
   * that was placed: whoever reads this state reads no slice before it, so that one on its way would be forgotten.
   */
  snapshot(): FullState {
    const logStartOffset = this.#nextLogStartOffset;
    const { entries } = this.index;
    return {
      kind: 'full',
      topicId: this.topicId,
      partition: this.partition,
      leaderEpoch: this.leaderEpoch,
      logStartOffset,
      endOffset: this.index.endOffset,
      epochStarts: this.index.epochStarts,
      entries: logStartOffset === this.logStartOffset ? entries : entries.filter((entry) => entry.lastOffset >= logStartOffset),
      producers: this.#producers.encode(),
    };
  }

  /** From here on nothing is appended: its final state is handed to another broker. */
  setMovesAway(movesAway: boolean): void {
    this.#movesAway = movesAway;
  }

  /** `ended`: this incarnation is over. Waiting fetches look again and find out. */
  close(reason: 'moved' | 'deleted' | 'ended'): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#tail.length = 0;
    if (reason !== 'ended') this.index.clear();
    this.#notify();
    this.#listeners.clear();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

const nothing: ReadOutcome = { kind: 'records', chunks: [], sizeBytes: 0, abortedTransactions: [] };
const alreadyDurable = Promise.resolve('durable' as const);

function producerBatch(
  batch: BatchSummary,
  bytes: Buffer,
  placed: { readonly firstOffset: number; readonly lastOffset: number; readonly timestampMs: number },
): ProducerBatch {
  const identity = {
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    firstSequence: batch.baseSequence,
    lastSequence: batch.lastSequence,
    ...placed,
  };
  if (isControl(batch)) return { ...identity, kind: markerKind(bytes) ?? 'idempotent' };
  return { ...identity, kind: isTransactional(batch) ? 'transactional' : 'idempotent' };
}
