/**
 * Idempotent and transactional producers of one partition (KIP-98, KIP-360): what each wrote last, so that a retry is
 * answered with the offsets of the first time, and a gap or an old epoch is refused. Rules are those of Kafka's
 * ProducerAppendInfo and ProducerStateEntry.
 *
 * `check` decides and changes nothing that counts; `apply` is called for each batch that entered the log and is never
 * undone: an append that does not become durable ends the incarnation, and its successor rebuilds the state from what did.
 */
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import { ErrorCodes, type ErrorCode } from '../protocol/errors.ts';
import { isControl, isTransactional, type BatchSummary } from './batch/batch-summary.ts';
import type { ProducerBatch } from './format/slices.ts';
import type { AbortedTransaction, ActiveProducer } from './partition-log.ts';
import { TransactionState } from './transaction-state.ts';

export interface ProducerStateOptions {
  /** The least recently active go first; those with an open transaction stay. */
  readonly maxProducers: number;
  /** producer.id.expiration.ms */
  readonly expirationMs: number;
  readonly onEvicted?: (producers: number) => void;
}

export type ProducerVerdict =
  | { readonly kind: 'accept' }
  | {
      readonly kind: 'duplicate';
      readonly firstOffset: number;
      readonly lastOffset: number;
      readonly timestampMs: number;
      /** What `apply` was given, while the batch does not count yet; undefined when it is durable. */
      readonly ticket: unknown;
    }
  | { readonly kind: 'reject'; readonly error: ErrorCode; readonly message: string };

/** A producer may have five requests in flight, so that many may come again. */
const rememberedBatches = 5;
const lastSequenceOfAll = 2 ** 31 - 1;
const none = -1;
const formatVersion = 1;
const accept: ProducerVerdict = { kind: 'accept' };

interface Producer {
  readonly producerId: number;
  epoch: number;
  /** The last ones of this epoch that have sequences, oldest first. */
  batches: Remembered[];
  lastTimestampMs: number;
  /** By our clock, not by the records' timestamps: those may be years old. */
  lastActiveMs: number;
  /** −1: no transaction is open. */
  transactionFirstOffset: number;
}

interface Remembered {
  readonly batch: ProducerBatch;
  ticket: unknown;
}

export class ProducerState {
  readonly #options: ProducerStateOptions;
  readonly #producers = new Map<number, Producer>();
  readonly #transactions = new TransactionState();
  /** Batches with a ticket, in log order; those before `#pendingStart` count. */
  #pending: Remembered[] = [];
  #pendingStart = 0;

  constructor(options: ProducerStateOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#producers.size;
  }

  /** Where the first transaction begins that is open, or whose marker does not count yet. */
  get firstOpenTransactionOffset(): number | undefined {
    return this.#transactions.firstUnstableOffset;
  }

  /** Whether a batch may enter the log. For batches that have a producer id. */
  check(batch: BatchSummary, nowMs: number): ProducerVerdict {
    const { producerId, producerEpoch } = batch;
    const producer = this.#producers.get(producerId);
    if (producer === undefined) return producerEpoch < 0 ? oldEpoch(producerId, producerEpoch, none) : accept;
    const duplicate = batch.baseSequence >= 0 && producerEpoch === producer.epoch ? findDuplicate(producer, batch) : undefined;
    if (duplicate !== undefined) {
      producer.lastActiveMs = nowMs;
      const { firstOffset, lastOffset, timestampMs } = duplicate.batch;
      return { kind: 'duplicate', firstOffset, lastOffset, timestampMs, ticket: duplicate.ticket };
    }
    if (producerEpoch < producer.epoch) return oldEpoch(producerId, producerEpoch, producer.epoch);
    if (isControl(batch)) return accept;
    if (batch.baseSequence >= 0 && !continues(producer, batch)) return outOfOrder(producer, batch);
    if (producer.transactionFirstOffset !== none && !isTransactional(batch)) {
      return { kind: 'reject', error: ErrorCodes.INVALID_TXN_STATE, message: `Expected transactional write from producer ${producerId}` };
    }
    return accept;
  }

  /** A batch entered the log. `ticket` comes back with a retry until the high watermark has passed the batch. */
  apply(batch: ProducerBatch, nowMs: number, ticket?: unknown): void {
    const producer = this.#producers.get(batch.producerId) ?? this.#admit(batch);
    if (producer.epoch !== batch.producerEpoch) {
      producer.epoch = batch.producerEpoch;
      producer.batches = [];
    }
    producer.lastTimestampMs = batch.timestampMs;
    producer.lastActiveMs = nowMs;
    if (batch.firstSequence >= 0) this.#remember(producer, batch, ticket);
    switch (batch.kind) {
      case 'idempotent':
        return;
      case 'transactional':
        if (producer.transactionFirstOffset !== none) return;
        producer.transactionFirstOffset = batch.firstOffset;
        this.#transactions.begin(batch.producerId, batch.firstOffset);
        return;
      case 'commit':
      case 'abort':
        if (producer.transactionFirstOffset === none) return;
        this.#transactions.end({ firstOffset: producer.transactionFirstOffset, markerOffset: batch.firstOffset, outcome: batch.kind });
        producer.transactionFirstOffset = none;
    }
  }

  /** Everything before `highWatermark` counts: its tickets are let go. */
  highWatermarkAdvanced(highWatermark: number): void {
    this.#transactions.highWatermarkAdvanced(highWatermark);
    const pending = this.#pending;
    let start = this.#pendingStart;
    for (; start < pending.length && pending[start]!.batch.lastOffset < highWatermark; start += 1) pending[start]!.ticket = undefined;
    this.#pendingStart = start;
    if (start === pending.length) {
      if (start > 0) this.#pending = [];
      this.#pendingStart = 0;
    } else if (start >= 64 && start * 2 >= pending.length) {
      this.#pending = pending.slice(start);
      this.#pendingStart = 0;
    }
  }

  logStartAdvanced(logStartOffset: number): void {
    this.#transactions.trim(logStartOffset);
  }

  /** What a reader of committed records in [fromOffset, endOffset) has to leave out. */
  abortedTransactions(fromOffset: number, endOffset: number): AbortedTransaction[] {
    return this.#transactions.abortedTransactions(fromOffset, endOffset);
  }

  active(): ActiveProducer[] {
    return [...this.#producers.values()].map((producer) => ({
      producerId: producer.producerId,
      producerEpoch: producer.epoch,
      lastSequence: producer.batches.at(-1)?.batch.lastSequence ?? none,
      lastTimestampMs: producer.lastTimestampMs,
      currentTransactionFirstOffset: producer.transactionFirstOffset,
    }));
  }

  expire(nowMs: number): void {
    for (const producer of this.#producers.values()) {
      if (producer.transactionFirstOffset === none && nowMs - producer.lastActiveMs >= this.#options.expirationMs) this.#producers.delete(producer.producerId);
    }
  }

  /** Empty when there is nothing to say. */
  encode(): Buffer {
    if (this.#producers.size === 0 && this.#transactions.isEmpty) return Buffer.alloc(0);
    const writer = new ByteWriter(64 + this.#producers.size * 64);
    writer.u8(formatVersion);
    writer.varint(this.#producers.size);
    for (const producer of this.#producers.values()) encodeProducer(writer, producer);
    this.#transactions.encodeAborted(writer);
    return writer.finish();
  }

  static decode(bytes: Buffer, options: ProducerStateOptions): ProducerState {
    const state = new ProducerState(options);
    if (bytes.length === 0) return state;
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== formatVersion) throw new FormatError(`unknown version of producer state: ${version}`);
    for (let left = reader.count(6); left > 0; left -= 1) {
      const producer = decodeProducer(reader);
      state.#producers.set(producer.producerId, producer);
    }
    const open = [...state.#producers.values()].filter(({ transactionFirstOffset }) => transactionFirstOffset !== none);
    open.sort((a, b) => a.transactionFirstOffset - b.transactionFirstOffset);
    for (const { producerId, transactionFirstOffset } of open) state.#transactions.begin(producerId, transactionFirstOffset);
    state.#transactions.decodeAborted(reader);
    if (reader.remaining !== 0) throw new FormatError(`${reader.remaining} bytes too many in a producer state`);
    return state;
  }

  #remember(producer: Producer, batch: ProducerBatch, ticket: unknown): void {
    const remembered = { batch, ticket };
    producer.batches.push(remembered);
    if (producer.batches.length > rememberedBatches) producer.batches.shift();
    if (ticket !== undefined) this.#pending.push(remembered);
  }

  #admit({ producerId, producerEpoch }: ProducerBatch): Producer {
    if (this.#producers.size >= this.#options.maxProducers) this.#evict();
    const producer: Producer = { producerId, epoch: producerEpoch, batches: [], lastTimestampMs: none, lastActiveMs: 0, transactionFirstOffset: none };
    this.#producers.set(producerId, producer);
    return producer;
  }

  /** Many at once, so that a flood of new producers does not search the oldest for each of them. */
  #evict(): void {
    const idle = [...this.#producers.values()].filter(({ transactionFirstOffset }) => transactionFirstOffset === none);
    idle.sort((a, b) => a.lastActiveMs - b.lastActiveMs);
    const evicted = idle.slice(0, Math.ceil(this.#options.maxProducers / 8));
    for (const { producerId } of evicted) this.#producers.delete(producerId);
    this.#options.onEvicted?.(evicted.length);
  }
}

function findDuplicate(producer: Producer, batch: BatchSummary): Remembered | undefined {
  for (const remembered of producer.batches) {
    if (remembered.batch.firstSequence === batch.baseSequence && remembered.batch.lastSequence === batch.lastSequence) return remembered;
  }
  return undefined;
}

/** A new epoch begins at 0; the same one goes on without a gap. */
function continues(producer: Producer, batch: BatchSummary): boolean {
  const last = producer.batches.at(-1);
  if (batch.producerEpoch !== producer.epoch || last === undefined) return batch.baseSequence === 0;
  const { lastSequence } = last.batch;
  return batch.baseSequence === (lastSequence === lastSequenceOfAll ? 0 : lastSequence + 1);
}

function outOfOrder(producer: Producer, batch: BatchSummary): ProducerVerdict {
  const last = batch.producerEpoch === producer.epoch ? (producer.batches.at(-1)?.batch.lastSequence ?? none) : none;
  const message = `Out of order sequence number for producer ${producer.producerId}: ${batch.baseSequence} (incoming seq. number), ${last} (current end sequence number)`;
  return { kind: 'reject', error: ErrorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, message };
}

function oldEpoch(producerId: number, epoch: number, current: number): ProducerVerdict {
  return {
    kind: 'reject',
    error: ErrorCodes.INVALID_PRODUCER_EPOCH,
    message: `Epoch of producer ${producerId} is ${epoch}, which is smaller than the last seen epoch ${current}`,
  };
}

function encodeProducer(writer: ByteWriter, producer: Producer): void {
  writer.varint(producer.producerId);
  writer.signedVarint(producer.epoch);
  writer.signedVarint(producer.lastTimestampMs);
  writer.signedVarint(Math.trunc(producer.lastActiveMs));
  writer.varint(producer.transactionFirstOffset + 1);
  writer.varint(producer.batches.length);
  for (const { batch } of producer.batches) {
    writer.varint(batch.firstSequence);
    writer.varint(batch.lastSequence);
    writer.varint(batch.firstOffset);
    writer.varint(batch.lastOffset - batch.firstOffset);
    writer.signedVarint(batch.timestampMs);
    writer.u8(batch.kind === 'transactional' ? 1 : 0);
  }
}

function decodeProducer(reader: ByteReader): Producer {
  const producerId = reader.varint();
  const epoch = reader.signedVarint();
  const lastTimestampMs = reader.signedVarint();
  const lastActiveMs = reader.signedVarint();
  const transactionFirstOffset = reader.varint() - 1;
  const batches: Remembered[] = [];
  for (let left = reader.count(6); left > 0; left -= 1) {
    const firstSequence = reader.varint();
    const lastSequence = reader.varint();
    const firstOffset = reader.varint();
    const lastOffset = firstOffset + reader.varint();
    const timestampMs = reader.signedVarint();
    const kind = reader.u8() === 1 ? 'transactional' : 'idempotent';
    batches.push({ batch: { producerId, producerEpoch: epoch, firstSequence, lastSequence, firstOffset, lastOffset, timestampMs, kind }, ticket: undefined });
  }
  if (batches.length > rememberedBatches) throw new FormatError(`${batches.length} batches of one producer`);
  return { producerId, epoch, batches, lastTimestampMs, lastActiveMs, transactionFirstOffset };
}
