/**
 * Taking over a dead (or suspected) incarnation's log (design §4, steps 2 and 3): reads its checkpoint and the WAL
 * footers after it, writes what was found as a state object, and ends the WAL with a seal that names it.
 * The claim before and the reassignment after are `ownership/`'s. Rules and what each of them prevents: the model in docs/design.
 */
import type { Logger } from '../../io/logger.ts';
import { FormatError } from '../../std/byte-reader.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { Interrupted, MissingObject, untilCertain } from './certain-reads.ts';
import { doubtsSince, encodeDoubts } from './format/doubts.ts';
import { type ObjectKey, parseKey, walKey } from './format/object-keys.ts';
import { type DerivedState, encodeStates } from './format/partition-state.ts';
import { encodeSeal, type Seal } from './format/seal.ts';
import { assembleObject, isSameObject } from './format/stored-object.ts';
import { trailerBytes } from './format/trailer.ts';
import type { Mutants } from './mutants.ts';
import type { WalWriter } from './wal/wal-writer.ts';
import { StoredStates } from './stored-states.ts';
import { type Found, isCertain, readBase, readForward, type WalTailReads } from './wal-tail.ts';

export interface RecoveryOptions extends WalTailReads {
  readonly logger: Logger;
  /** Who recovers; writes the state object into `wal`. */
  readonly self: Incarnation;
  readonly wal: WalWriter;
  /**
   * Damaged checkpoint pages and WAL footers (docs/design/0005-damage.md). `refuse`, the default: nothing is sealed. `doubt`: the state
   * object lists what is certain and says that the rest is not (`StoredStates.doubtsOf`); the caller leaves the rest's records alone.
   */
  readonly damage?: 'refuse' | 'doubt';
  readonly mutants?: Mutants;
}

/**
 * Seals `dead` after everything that it made durable. `pointer` is the checkpoint that the claim's transaction answered
 * (undefined: it never wrote one). Answers the state object, ours or an earlier recoverer's. Throws a `FormatError` when
 * the checkpoint is missing, when a seal may have been damaged, or (`damage`) anything else: nothing is sealed over it.
 */
export async function sealIncarnation(dead: Incarnation, pointer: ObjectKey | undefined, options: RecoveryOptions): Promise<ObjectKey> {
  const found = await readBase(pointer, options);
  let number = (pointer === undefined ? 0 : numberOf(pointer)) + 1;
  let state: { readonly key: ObjectKey; readonly upTo: number } | undefined;
  for (;;) {
    const end = await readForward(dead, number, found, options);
    const [damage] = found.damaged.values();
    // A broker of storage version 1 would not see the doubts, and open what is in doubt from an old state.
    if (damage !== undefined && (options.damage !== 'doubt' || options.wal.storageVersion < doubtsSince)) throw new FormatError(damage);
    if (end.kind === 'sealed') return settledState(end.seal.state, found, options);
    number = end.missing;
    if (state?.upTo !== number) state = { key: await writeState(found, options), upTo: number };
    if (options.mutants?.has('skip-seal')) return state.key;
    const placed = await placeSeal(dead, number, { sealedBy: options.self, state: state.key }, options);
    if (placed) return state.key;
    // Something appeared under the number: an object of the incarnation, or another recoverer's seal. Read on.
  }
}

/** What the seal names, if it knows as much as we do; else what can be read now: somebody may have mended something. Records that were reassigned by it name the incarnation no more. */
async function settledState(named: ObjectKey, found: Found, options: RecoveryOptions): Promise<ObjectKey> {
  const states = new StoredStates({ ...options, maxProducers: Number.MAX_SAFE_INTEGER, producerExpirationMs: Number.MAX_SAFE_INTEGER });
  try {
    const doubts = await states.doubtsOf(named);
    if (doubts.length === 0 || (doubts.length === found.damaged.size && doubts.every((key) => found.damaged.has(key)))) return named;
  } catch (error) {
    if (!(error instanceof FormatError) || error instanceof MissingObject) throw error;
    options.logger.error('the state object that a seal names is damaged, making it anew', { key: named, reason: error.message });
  }
  return writeState(found, options);
}

async function writeState(found: Found, { wal, logger }: RecoveryOptions): Promise<ObjectKey> {
  const states = [...found.states.values()]
    .filter((state) => isCertain(state, found))
    .map(({ topicId, partition, leaderEpoch, base, slices }): DerivedState => ({ kind: 'derived', topicId, partition, leaderEpoch, base, slices }));
  const damaged = [...found.damaged.keys()];
  if (damaged.length > 0) {
    const advice = 'partitions that may have records in them stay closed, nothing is deleted; put whole objects there and restart';
    logger.error(`stored objects are damaged: ${advice}`, { objects: damaged.slice(0, 20), count: damaged.length, certain: states.length });
  }
  const writer = new ByteWriter(64 + states.length * 128);
  encodeStates(writer, states);
  const content = writer.finish();
  if (wal.refusal === 'ended') throw new Interrupted('this incarnation ended while it recovered another');
  const { key, counted } = wal.put(() => ({ kind: 'state', content: [content], contentBytes: content.length, footer: encodeDoubts(damaged) }));
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
