/**
 * The WAL of an incarnation after a checkpoint, as its footers tell it (design §4, step 2): which slices each partition got
 * under which leader epoch, and what they continue. Recovery reads it before it seals, fsck to know what is needed.
 * What is damaged is told, and which partitions are certain all the same (docs/design/0005-damage.md).
 */
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { type Incarnation, partitionKey } from '../../cluster/identifiers.ts';
import { type CertainReads, MissingObject, naming, untilCertain } from './certain-reads.ts';
import { type ObjectKey, walKey } from './format/object-keys.ts';
import type { DerivedState, PlacedSlice } from './format/partition-state.ts';
import { decodeSeal, maxSealBytes, type Seal } from './format/seal.ts';
import { decodeSlices, type Slice } from './format/slices.ts';
import { footerWithin } from './format/stored-object.ts';
import { decodeTrailer, type ObjectKind, trailerBytes } from './format/trailer.ts';
import { type StoredObjectStates, StoredStates } from './stored-states.ts';

export interface WalTailReads extends CertainReads {
  /** WAL objects read at a time. */
  readonly parallel: number;
}

/** Enough for trailer and footer of most groups: one GET instead of two. */
const tailBytes = 64 * 1024;

export interface Found {
  /** By partition and leader epoch. */
  readonly states: Map<string, FoundState>;
  /** What is there and cannot be read, and why. */
  readonly damaged: Map<ObjectKey, string>;
  /** Some of it are pages of the checkpoint. */
  damagedPages: boolean;
  /** Partitions and leader epochs that are known to have lost something. */
  readonly lost: Set<string>;
  /** The last group that cannot be read; 0: none. */
  damagedNumber: number;
}

interface FoundState extends Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch' | 'base'> {
  readonly slices: PlacedSlice[];
  /** Nothing of it can be in a page of the checkpoint that cannot be read. */
  readonly certainBase: boolean;
  /** The end of the log after `slices`. */
  endOffset: number;
  /** The group that told of it last: it continued the log, so no damaged one before it had anything of this partition. */
  lastNumber: number;
}

export async function readBase(pointer: ObjectKey | undefined, options: WalTailReads): Promise<Found> {
  const found: Found = { states: new Map(), damaged: new Map(), damagedPages: false, lost: new Set(), damagedNumber: 0 };
  if (pointer === undefined) return found;
  const { states, damagedPages } = await loadCheckpoint(pointer, options);
  if (damagedPages[0] !== undefined) {
    found.damaged.set(pointer, damagedPages[0]);
    found.damagedPages = true;
  }
  for (const state of states.values()) {
    if (state.kind !== 'full') throw new FormatError(`${pointer} is no checkpoint`);
    const { topicId, partition, leaderEpoch, endOffset } = state;
    found.states.set(foundKey(state), { topicId, partition, leaderEpoch, base: pointer, slices: [], certainBase: true, endOffset, lastNumber: 0 });
  }
  return found;
}

/** A checkpoint that is damaged as a whole is one of which no page can be read. A missing one is no damage but another bucket (F37). */
async function loadCheckpoint(pointer: ObjectKey, options: WalTailReads): Promise<StoredObjectStates> {
  const states = new StoredStates({ ...options, maxProducers: Number.MAX_SAFE_INTEGER, producerExpirationMs: Number.MAX_SAFE_INTEGER });
  try {
    return await states.loadAll(pointer);
  } catch (error) {
    if (!(error instanceof FormatError) || error instanceof MissingObject) throw error;
    return { states: new Map(), damagedPages: [error.message], doubts: [] };
  }
}

/** Whether the state is whole, whatever the damaged objects hold. */
export function isCertain({ certainBase, lastNumber }: FoundState, { damagedNumber }: Found): boolean {
  return certainBase && (damagedNumber === 0 || lastNumber > damagedNumber);
}

export type WalTailEnd = { readonly kind: 'missing'; readonly missing: number } | { readonly kind: 'sealed'; readonly number: number; readonly seal: Seal };

/** Reads WAL footers from `first` on, many at a time, up to the first missing number or the seal. */
export async function readForward(dead: Incarnation, first: number, found: Found, options: WalTailReads): Promise<WalTailEnd> {
  for (let number = first; ; number += options.parallel) {
    const numbers = Array.from({ length: options.parallel }, (_, i) => number + i);
    const read = await Promise.all(numbers.map((n) => readFooter(walKey(dead, n), options)));
    for (const [i, object] of read.entries()) {
      const key = walKey(dead, number + i);
      if (object.kind === 'missing') return { kind: 'missing', missing: number + i };
      // Behind a seal lies what was never part of the log: nobody may read on past one that cannot be read.
      if (object.kind === 'damaged' && object.maybeSeal) throw new FormatError(object.reason);
      if (object.kind === 'damaged') addDamage(key, number + i, object.reason, found);
      else if (object.kind === 'seal') return { kind: 'sealed', number: number + i, seal: await naming(key, () => decodeSeal(object.footer)) };
      else if (object.kind === 'group') await addGroup(key, number + i, object.footer, found);
    }
  }
}

function addDamage(key: ObjectKey, number: number, reason: string, found: Found): void {
  found.damaged.set(key, reason);
  found.damagedNumber = number;
}

async function addGroup(object: ObjectKey, number: number, footer: Buffer, found: Found): Promise<void> {
  let slices: Slice[];
  try {
    slices = await naming(object, () => decodeSlices(new ByteReader(footer)));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return addDamage(object, number, error.message, found);
  }
  for (const slice of slices) addSlice(object, number, slice, found);
}

function addSlice(object: ObjectKey, number: number, slice: Slice, found: Found): void {
  const key = foundKey(slice);
  if (found.lost.has(key)) return;
  const state = found.states.get(key);
  const endOffset = slice.length === 0 ? slice.firstOffset : slice.lastOffset + 1;
  // A checkpoint between the opening and the first slice knows more than the base that the slice names, which may be gone by now.
  if (!state && slice.base !== undefined) {
    const { topicId, partition, leaderEpoch, base } = slice;
    // That of a new partition can be in no page with more than nothing.
    const certainBase = base === '' || !found.damagedPages;
    found.states.set(key, { topicId, partition, leaderEpoch, base, slices: [{ object, slice }], certainBase, endOffset, lastNumber: number });
    return;
  }
  const inDoubt = found.damaged.size > 0;
  if (!state && !inDoubt) throw new FormatError(`${object} continues ${key}, of which neither the checkpoint nor an earlier object knows`);
  if (!state || (inDoubt && slice.firstOffset > state.endOffset)) {
    found.lost.add(key);
    found.states.delete(key);
    return;
  }
  state.slices.push({ object, slice });
  if (slice.firstOffset < state.endOffset) return;
  state.endOffset = endOffset;
  state.lastNumber = number;
}

export function foundKey({ topicId, partition, leaderEpoch }: Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch'>): string {
  return `${partitionKey(topicId, partition)}@${leaderEpoch}`;
}

type WalFooter =
  | { readonly kind: ObjectKind; readonly footer: Buffer }
  | { readonly kind: 'missing' }
  /** A group, or nobody knows what. */
  | { readonly kind: 'damaged'; readonly reason: string; readonly maybeSeal: boolean };

/** Bytes that do not fit their CRC are read again before they count as damaged. */
async function readFooter(key: ObjectKey, options: WalTailReads): Promise<WalFooter> {
  const seen: { kind?: ObjectKind; sizeBytes?: number } = {};
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryFooter(key, seen, options);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (attempt < 3) continue;
      const { kind, sizeBytes = 0 } = seen;
      // Nobody recovers from the footers of the others: whoever needs them reads them again.
      if (kind !== undefined && kind !== 'group' && kind !== 'seal') return { kind, footer: Buffer.alloc(0) };
      return { kind: 'damaged', reason: `${key}: ${error.message}`, maybeSeal: kind === 'seal' || (kind === undefined && sizeBytes <= maxSealBytes) };
    }
  }
}

async function tryFooter(key: ObjectKey, seen: { kind?: ObjectKind; sizeBytes?: number }, options: WalTailReads): Promise<WalFooter> {
  const tail = await untilCertain(options, () => options.objects.readTail(key, tailBytes));
  if (tail.kind === 'missing') return { kind: 'missing' };
  seen.sizeBytes = tail.sizeBytes;
  const trailer = decodeTrailer(tail.bytes, tail.sizeBytes);
  const { kind } = trailer;
  seen.kind = kind;
  const within = footerWithin(trailer, tail.bytes);
  if (within) return { kind, footer: within };
  const whole = await untilCertain(options, () => options.objects.readTail(key, trailer.footerLength + trailerBytes));
  if (whole.kind === 'missing') return { kind: 'missing' };
  const footer = footerWithin(trailer, whole.bytes);
  if (!footer) throw new FormatError('answered fewer bytes than asked for');
  return { kind, footer };
}
