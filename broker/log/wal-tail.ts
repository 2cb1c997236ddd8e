/**
 * The WAL of an incarnation after a checkpoint, as its footers tell it (design §4, step 2): which slices each partition got
 * under which leader epoch, and what they continue. Recovery reads it before it seals, fsck to know what is needed.
 */
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { type Incarnation, partitionKey } from '../../cluster/identifiers.ts';
import { type CertainReads, naming, untilCertain } from './certain-reads.ts';
import { type ObjectKey, walKey } from './format/object-keys.ts';
import type { DerivedState, PlacedSlice } from './format/partition-state.ts';
import { decodeSeal, type Seal } from './format/seal.ts';
import { decodeSlices } from './format/slices.ts';
import { footerWithin } from './format/stored-object.ts';
import { decodeTrailer, type Trailer, trailerBytes } from './format/trailer.ts';
import { StoredStates } from './stored-states.ts';

export interface WalTailReads extends CertainReads {
  /** WAL objects read at a time. */
  readonly parallel: number;
}

/** Enough for trailer and footer of most groups: one GET instead of two. */
const tailBytes = 64 * 1024;

/** States by partition and leader epoch. */
export type Found = Map<
  string,
  { readonly base: ObjectKey | ''; readonly slices: PlacedSlice[] } & Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch'>
>;

export async function readBase(pointer: ObjectKey | undefined, options: WalTailReads): Promise<Found> {
  const found: Found = new Map();
  if (pointer === undefined) return found;
  const states = new StoredStates({ ...options, maxProducers: Number.MAX_SAFE_INTEGER, producerExpirationMs: Number.MAX_SAFE_INTEGER });
  for (const { topicId, partition, leaderEpoch } of (await states.load(pointer)).values()) {
    found.set(foundKey({ topicId, partition, leaderEpoch }), { topicId, partition, leaderEpoch, base: pointer, slices: [] });
  }
  return found;
}

export type WalTailEnd = { readonly kind: 'missing'; readonly missing: number } | { readonly kind: 'sealed'; readonly number: number; readonly seal: Seal };

/** Reads WAL footers from `first` on, many at a time, up to the first missing number or the seal. */
export async function readForward(dead: Incarnation, first: number, found: Found, options: WalTailReads): Promise<WalTailEnd> {
  for (let number = first; ; number += options.parallel) {
    const numbers = Array.from({ length: options.parallel }, (_, i) => number + i);
    const read = await Promise.all(numbers.map((n) => readFooter(walKey(dead, n), options)));
    for (const [i, object] of read.entries()) {
      if (!object) return { kind: 'missing', missing: number + i };
      const { trailer, footer } = object;
      const key = walKey(dead, number + i);
      if (trailer.kind === 'seal') return { kind: 'sealed', number: number + i, seal: await naming(key, () => decodeSeal(footer)) };
      if (trailer.kind === 'group') await naming(key, () => addSlices(key, footer, found));
    }
  }
}

function addSlices(object: ObjectKey, footer: Buffer, found: Found): void {
  for (const slice of decodeSlices(new ByteReader(footer))) {
    const key = foundKey(slice);
    const state = found.get(key);
    // A checkpoint between the opening and the first slice knows more than the base that the slice names, which may be gone by now.
    if (!state && slice.base !== undefined) {
      const { topicId, partition, leaderEpoch, base } = slice;
      found.set(key, { topicId, partition, leaderEpoch, base, slices: [{ object, slice }] });
      continue;
    }
    if (!state) throw new FormatError(`${object} continues ${key}, of which neither the checkpoint nor an earlier object knows`);
    state.slices.push({ object, slice });
  }
}

export function foundKey({ topicId, partition, leaderEpoch }: Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch'>): string {
  return `${partitionKey(topicId, partition)}@${leaderEpoch}`;
}

/** Trailer and footer; undefined when the object is missing. Bytes that do not fit their CRC are read again before they count as damaged. */
async function readFooter(key: ObjectKey, options: WalTailReads): Promise<{ readonly trailer: Trailer; readonly footer: Buffer } | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      const tail = await untilCertain(options, () => options.objects.readTail(key, tailBytes));
      if (tail.kind === 'missing') return undefined;
      const trailer = decodeTrailer(tail.bytes, tail.sizeBytes);
      const within = footerWithin(trailer, tail.bytes);
      if (within) return { trailer, footer: within };
      const whole = await untilCertain(options, () => options.objects.readTail(key, trailer.footerLength + trailerBytes));
      if (whole.kind === 'missing') return undefined;
      const footer = footerWithin(trailer, whole.bytes);
      if (!footer) throw new FormatError('answered fewer bytes than asked for');
      return { trailer, footer };
    } catch (error) {
      if (error instanceof FormatError && attempt < 3) continue;
      if (error instanceof FormatError) throw new FormatError(`${key}: ${error.message}`);
      throw error;
    }
  }
}
