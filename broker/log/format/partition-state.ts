/**
 * A partition's state as it is stored in checkpoints (full), handovers (full) and state objects (derived: a base
 * and the slices after it; design §5).
 */
import { type ByteReader, FormatError } from '../../../std/byte-reader.ts';
import type { ByteWriter } from '../../../std/byte-writer.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { decodeKeys, encodeKeys } from './key-list.ts';
import type { ObjectKey } from './object-keys.ts';
import { decodeSlices, encodeSlices, type Slice } from './slices.ts';
import { topicIdFromBytes, topicIdToBytes } from './topic-id-bytes.ts';

export type PartitionState = FullState | DerivedState;

export interface FullState {
  readonly kind: 'full';
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly logStartOffset: number;
  /** The next offset to assign. */
  readonly endOffset: number;
  /** First offset of each leader epoch, ascending. */
  readonly epochStarts: readonly EpochStart[];
  /** Ascending, without holes from the first entry's offset to `endOffset`. */
  readonly entries: readonly IndexEntry[];
  /** `ProducerState`'s own encoding, open and aborted transactions included. */
  readonly producers: Buffer;
}

export interface DerivedState {
  readonly kind: 'derived';
  readonly topicId: TopicId;
  readonly partition: number;
  readonly leaderEpoch: number;
  /** The object that holds the state before `slices`; `''`: an empty log. */
  readonly base: ObjectKey | '';
  readonly slices: readonly PlacedSlice[];
}

export interface PlacedSlice {
  readonly object: ObjectKey;
  readonly slice: Slice;
}

export interface EpochStart {
  readonly leaderEpoch: number;
  readonly startOffset: number;
}

/** Where the records of some offsets lie. */
export interface IndexEntry {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly object: ObjectKey;
  readonly position: number;
  readonly length: number;
  readonly maxTimestampMs: number;
}

export function encodeStates(writer: ByteWriter, states: readonly PartitionState[]): void {
  writer.varint(states.length);
  for (const state of states) {
    writer.u8(state.kind === 'full' ? 0 : 1);
    writer.bytes(topicIdToBytes(state.topicId));
    writer.u32(state.partition);
    writer.i32(state.leaderEpoch);
    if (state.kind === 'full') encodeFull(writer, state);
    else encodeDerived(writer, state);
  }
}

export function decodeStates(reader: ByteReader): PartitionState[] {
  const count = reader.count(26);
  const states: PartitionState[] = [];
  for (let i = 0; i < count; i++) {
    const kind = reader.u8();
    if (kind > 1) throw new FormatError(`unknown kind of partition state ${kind}`);
    const identity = { topicId: topicIdFromBytes(reader.bytes(16)), partition: reader.u32(), leaderEpoch: reader.i32() };
    states.push(kind === 0 ? { kind: 'full', ...identity, ...decodeFull(reader) } : { kind: 'derived', ...identity, ...decodeDerived(reader) });
  }
  return states;
}

function encodeFull(writer: ByteWriter, state: FullState): void {
  writer.varint(state.logStartOffset);
  writer.varint(state.endOffset);
  writer.varint(state.epochStarts.length);
  for (const { leaderEpoch, startOffset } of state.epochStarts) {
    writer.signedVarint(leaderEpoch);
    writer.varint(startOffset);
  }
  encodeEntries(writer, state.entries);
  writer.sizedBytes(state.producers);
}

function decodeFull(reader: ByteReader): Omit<FullState, 'kind' | 'topicId' | 'partition' | 'leaderEpoch'> {
  const logStartOffset = reader.varint();
  const endOffset = reader.varint();
  const epochStarts: EpochStart[] = [];
  for (let left = reader.count(2); left > 0; left--) epochStarts.push({ leaderEpoch: reader.signedVarint(), startOffset: reader.varint() });
  const entries = decodeEntries(reader);
  return { logStartOffset, endOffset, epochStarts, entries, producers: Buffer.from(reader.sizedBytes()) };
}

/** Entries follow one another, so offsets are stored as differences; an object's name once per state, 0 stands for the next one in their list. */
function encodeEntries(writer: ByteWriter, entries: readonly IndexEntry[]): void {
  const objects = new Map<ObjectKey, number>();
  const references: number[] = [];
  for (const { object } of entries) {
    const known = objects.get(object);
    references.push(known === undefined ? 0 : known + 1);
    if (known === undefined) objects.set(object, objects.size);
  }
  encodeKeys(writer, [...objects.keys()]);
  writer.varint(entries.length);
  let nextOffset = 0;
  let lastTimestamp = 0;
  for (const [i, entry] of entries.entries()) {
    writer.varint(entry.firstOffset - nextOffset);
    writer.varint(entry.lastOffset - entry.firstOffset);
    writer.varint(references[i] as number);
    writer.varint(entry.position);
    writer.varint(entry.length);
    writer.signedVarint(entry.maxTimestampMs - lastTimestamp);
    nextOffset = entry.lastOffset + 1;
    lastTimestamp = entry.maxTimestampMs;
  }
}

function decodeEntries(reader: ByteReader): IndexEntry[] {
  const objects = decodeKeys(reader);
  const count = reader.count(6);
  const entries: IndexEntry[] = [];
  let nextOffset = 0;
  let lastTimestamp = 0;
  let nextObject = 0;
  for (let i = 0; i < count; i++) {
    const firstOffset = nextOffset + reader.varint();
    const lastOffset = firstOffset + reader.varint();
    const reference = reader.varint();
    const object = objects[reference === 0 ? nextObject++ : reference - 1];
    if (object === undefined) throw new FormatError('index entry names an object that is not listed');
    const position = reader.varint();
    const length = reader.varint();
    const maxTimestampMs = lastTimestamp + reader.signedVarint();
    entries.push({ firstOffset, lastOffset, object, position, length, maxTimestampMs });
    nextOffset = lastOffset + 1;
    lastTimestamp = maxTimestampMs;
  }
  return entries;
}

function encodeDerived(writer: ByteWriter, state: DerivedState): void {
  writer.string(state.base);
  encodeKeys(
    writer,
    state.slices.map(({ object }) => object),
  );
  encodeSlices(
    writer,
    state.slices.map(({ slice }) => slice),
  );
}

function decodeDerived(reader: ByteReader): Pick<DerivedState, 'base' | 'slices'> {
  const base = reader.string() as ObjectKey | '';
  const objects = decodeKeys(reader);
  const slices = decodeSlices(reader);
  if (slices.length !== objects.length) throw new FormatError('state lists another number of slices than of objects');
  return { base, slices: slices.map((slice, i) => ({ object: objects[i] as ObjectKey, slice })) };
}
