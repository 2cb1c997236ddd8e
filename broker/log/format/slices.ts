/**
 * Slices: consecutive record batches of one partition inside one object, and the footer that lists them.
 * WAL groups and stream set objects share this footer; it alone is enough to rebuild indexes and producer
 * states, so recovery never reads records (design §3).
 */
import { type ByteReader, FormatError } from '../../../std/byte-reader.ts';
import type { ByteWriter } from '../../../std/byte-writer.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { ObjectKey } from './object-keys.ts';
import { decodeMarks, encodeMarks, type SparseMark } from './sparse-index.ts';
import { topicIdFromBytes, topicIdToBytes } from './topic-id-bytes.ts';

export interface Slice {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly firstOffset: number;
  /** firstOffset − 1 for a slice without records: it only carries a new log start offset. */
  readonly lastOffset: number;
  readonly logStartOffset: number;
  readonly position: number;
  readonly length: number;
  readonly maxTimestampMs: number;
  readonly crc: number;
  /**
   * On the first slice after an opening: the object whose state of this partition it continues (`''`: an empty log).
   * So the WAL alone tells what belongs to what (design §5).
   */
  readonly base: ObjectKey | '' | undefined;
  /** Idempotent and transactional batches and control markers, oldest first. */
  readonly producers: readonly ProducerBatch[];
  /** Sparse index: none in a slice that is one block. */
  readonly marks: readonly SparseMark[];
}

/** What one batch does to its producer's state. */
export interface ProducerBatch {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** −1 on control markers. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly timestampMs: number;
  readonly kind: 'idempotent' | 'transactional' | 'commit' | 'abort';
}

const batchKinds = ['idempotent', 'transactional', 'commit', 'abort'] as const;
const minSliceBytes = 37;
const minProducerBatchBytes = 8;

export function encodeSlices(writer: ByteWriter, slices: readonly Slice[]): void {
  writer.varint(slices.length);
  for (const slice of slices) encodeSlice(writer, slice);
}

export function decodeSlices(reader: ByteReader): Slice[] {
  const count = reader.count(minSliceBytes);
  const slices: Slice[] = [];
  for (let i = 0; i < count; i++) slices.push(decodeSlice(reader));
  return slices;
}

function encodeSlice(writer: ByteWriter, slice: Slice): void {
  writer.bytes(topicIdToBytes(slice.topicId));
  writer.u32(slice.partition);
  writer.i32(slice.leaderEpoch);
  writer.varint(slice.firstOffset);
  writer.varint(slice.lastOffset + 1 - slice.firstOffset);
  writer.varint(slice.logStartOffset);
  writer.varint(slice.position);
  writer.varint(slice.length);
  writer.signedVarint(slice.maxTimestampMs);
  writer.u32(slice.crc);
  writer.u8(slice.base === undefined ? 0 : 1);
  if (slice.base !== undefined) writer.string(slice.base);
  writer.varint(slice.producers.length);
  for (const batch of slice.producers) encodeProducerBatch(writer, batch, slice.firstOffset);
  encodeMarks(writer, slice.marks, slice.firstOffset);
}

function decodeSlice(reader: ByteReader): Slice {
  const topicId = topicIdFromBytes(reader.bytes(16));
  const partition = reader.u32();
  const leaderEpoch = reader.i32();
  const firstOffset = reader.varint();
  const lastOffset = firstOffset + reader.varint() - 1;
  const logStartOffset = reader.varint();
  const position = reader.varint();
  const length = reader.varint();
  const maxTimestampMs = reader.signedVarint();
  const crc = reader.u32();
  const base = reader.u8() === 0 ? undefined : (reader.string() as ObjectKey | '');
  const count = reader.count(minProducerBatchBytes);
  const producers: ProducerBatch[] = [];
  for (let i = 0; i < count; i++) producers.push(decodeProducerBatch(reader, { firstOffset, lastOffset }));
  if (!Number.isSafeInteger(lastOffset) || !Number.isSafeInteger(position + length)) throw new FormatError('slice bounds out of range');
  const marks = decodeMarks(reader, { firstOffset, lastOffset, length });
  return { topicId, partition, leaderEpoch, firstOffset, lastOffset, logStartOffset, position, length, maxTimestampMs, crc, base, producers, marks };
}

function encodeProducerBatch(writer: ByteWriter, batch: ProducerBatch, sliceFirstOffset: number): void {
  writer.u8(batchKinds.indexOf(batch.kind));
  writer.varint(batch.producerId);
  writer.u16(batch.producerEpoch);
  writer.signedVarint(batch.firstSequence);
  writer.signedVarint(batch.lastSequence);
  writer.varint(batch.firstOffset - sliceFirstOffset);
  writer.varint(batch.lastOffset - batch.firstOffset);
  writer.signedVarint(batch.timestampMs);
}

function decodeProducerBatch(reader: ByteReader, slice: Pick<Slice, 'firstOffset' | 'lastOffset'>): ProducerBatch {
  const kind = batchKinds[reader.u8()];
  if (!kind) throw new FormatError('unknown kind of producer batch');
  const producerId = reader.varint();
  const producerEpoch = reader.u16();
  const firstSequence = reader.signedVarint();
  const lastSequence = reader.signedVarint();
  const firstOffset = slice.firstOffset + reader.varint();
  const lastOffset = firstOffset + reader.varint();
  if (lastOffset > slice.lastOffset) throw new FormatError('producer batch lies outside its slice');
  // Markers have none.
  if ((kind === 'idempotent' || kind === 'transactional') && (firstSequence < 0 || lastSequence < 0)) throw new FormatError('negative sequence number');
  return { kind, producerId, producerEpoch, firstSequence, lastSequence, firstOffset, lastOffset, timestampMs: reader.signedVarint() };
}
