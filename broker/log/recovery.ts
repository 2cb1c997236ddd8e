/**
 * Taking over a dead (or suspected) incarnation's log (design §4, steps 2 and 3): reads its checkpoint and the WAL
 * footers after it, writes what was found as a state object, and ends the WAL with a seal that names it.
 * The claim before and the reassignment after are `ownership/`'s. Rules and what each of them prevents: the model in docs/design.
 */
import type { Logger } from '../../io/logger.ts';
import { FormatError, ByteReader } from '../../std/byte-reader.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import { type Incarnation, partitionKey } from '../../cluster/identifiers.ts';
import { type CertainReads, Interrupted, untilCertain } from './certain-reads.ts';
import { type ObjectKey, parseKey, walKey } from './format/object-keys.ts';
import { type DerivedState, encodeStates, type PlacedSlice } from './format/partition-state.ts';
import { decodeSeal, encodeSeal, type Seal } from './format/seal.ts';
import { decodeSlices } from './format/slices.ts';
import { assembleObject, footerWithin, isSameObject } from './format/stored-object.ts';
import { decodeTrailer, type Trailer, trailerBytes } from './format/trailer.ts';
import { StoredStates } from './stored-states.ts';
import type { WalWriter } from './wal/wal-writer.ts';

export interface RecoveryOptions extends CertainReads {
  readonly logger: Logger;
  /** Who recovers; writes the state object into `wal`. */
  readonly self: Incarnation;
  readonly wal: WalWriter;
  /** WAL objects read at a time. */
  readonly parallel: number;
}

/** Enough for trailer and footer of most groups: one GET instead of two. */
const tailBytes = 64 * 1024;

/**
 * Seals `dead` after everything that it made durable. `pointer` is the checkpoint that the claim's transaction answered
 * (undefined: it never wrote one). Answers the state object, ours or an earlier recoverer's. Throws a `FormatError` when
 * something below the pointer is missing or damaged: that is corruption, and nothing is sealed over it.
 */
export async function sealIncarnation(dead: Incarnation, pointer: ObjectKey | undefined, options: RecoveryOptions): Promise<ObjectKey> {
  const found = await readBase(pointer, options);
  let number = (pointer === undefined ? 0 : numberOf(pointer)) + 1;
  let state: { readonly key: ObjectKey; readonly upTo: number } | undefined;
  for (;;) {
    const end = await readForward(dead, number, found, options);
    if (end.kind === 'sealed') return end.seal.state;
    number = end.missing;
    if (state?.upTo !== number) state = { key: await writeState(found, options), upTo: number };
    const placed = await placeSeal(dead, number, { sealedBy: options.self, state: state.key }, options);
    if (placed) return state.key;
    // Something appeared under the number: an object of the incarnation, or another recoverer's seal. Read on.
  }
}

/** States by partition and leader epoch. */
type Found = Map<string, { readonly base: ObjectKey | ''; readonly slices: PlacedSlice[] } & Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch'>>;

async function readBase(pointer: ObjectKey | undefined, options: RecoveryOptions): Promise<Found> {
  const found: Found = new Map();
  if (pointer === undefined) return found;
  const states = new StoredStates({ ...options, maxProducers: Number.MAX_SAFE_INTEGER, producerExpirationMs: Number.MAX_SAFE_INTEGER });
  for (const { topicId, partition, leaderEpoch } of (await states.load(pointer)).values()) {
    found.set(foundKey({ topicId, partition, leaderEpoch }), { topicId, partition, leaderEpoch, base: pointer, slices: [] });
  }
  return found;
}

type End = { readonly kind: 'missing'; readonly missing: number } | { readonly kind: 'sealed'; readonly seal: Seal };

/** Reads WAL footers from `first` on, many at a time, up to the first missing number or the seal. */
async function readForward(dead: Incarnation, first: number, found: Found, options: RecoveryOptions): Promise<End> {
  for (let number = first; ; number += options.parallel) {
    const numbers = Array.from({ length: options.parallel }, (_, i) => number + i);
    const read = await Promise.all(numbers.map((n) => readFooter(walKey(dead, n), options)));
    for (const [i, object] of read.entries()) {
      if (!object) return { kind: 'missing', missing: number + i };
      const { trailer, footer } = object;
      if (trailer.kind === 'seal') return { kind: 'sealed', seal: decodeSeal(footer) };
      if (trailer.kind === 'group') addSlices(walKey(dead, number + i), footer, found);
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

function foundKey({ topicId, partition, leaderEpoch }: Pick<DerivedState, 'topicId' | 'partition' | 'leaderEpoch'>): string {
  return `${partitionKey(topicId, partition)}@${leaderEpoch}`;
}

/** Trailer and footer; undefined when the object is missing. Bytes that do not fit their CRC are read again before they count as damaged. */
async function readFooter(key: ObjectKey, options: RecoveryOptions): Promise<{ readonly trailer: Trailer; readonly footer: Buffer } | undefined> {
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

async function writeState(found: Found, { wal }: RecoveryOptions): Promise<ObjectKey> {
  const states = [...found.values()].map((state): DerivedState => ({ kind: 'derived', ...state }));
  const writer = new ByteWriter(64 + states.length * 128);
  encodeStates(writer, states);
  const content = writer.finish();
  if (wal.refusal === 'ended') throw new Interrupted('this incarnation ended while it recovered another');
  const { key, counted } = wal.put(() => ({ kind: 'state', content: [content], contentBytes: content.length, footer: Buffer.alloc(0) }));
  if (!(await counted)) throw new Interrupted('this incarnation ended while it recovered another');
  return key;
}

/** Whether our seal stands at `number`; false when something else does. */
async function placeSeal(dead: Incarnation, number: number, seal: Seal, options: RecoveryOptions): Promise<boolean> {
  const key = walKey(dead, number);
  const object = assembleObject({
    kind: 'seal',
    incarnation: dead,
    number,
    putId: options.random.bytes(16),
    content: [],
    contentBytes: 0,
    footer: encodeSeal(seal),
  });
  const outcome = await untilCertain(options, () => options.objects.create(key, object.body));
  if (outcome.kind === 'created') return true;
  const tail = await untilCertain(options, () => options.objects.readTail(key, trailerBytes));
  if (tail.kind === 'missing') throw new FormatError(`${key} exists and is missing at once`);
  const ours = isSameObject(object.trailer, tail.bytes, tail.sizeBytes);
  if (!ours) options.logger.info('something stands where the seal should be, reading on', { key });
  return ours;
}

function numberOf(key: ObjectKey): number {
  const parsed = parseKey(key);
  if (!parsed) throw new FormatError(`checkpoint pointer names ${key}, which is no WAL object`);
  return parsed.number;
}
