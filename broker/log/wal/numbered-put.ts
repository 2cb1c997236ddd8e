/**
 * One numbered PUT: one number, one byte string, for ever (design §3). Repeats the same bytes until the store's
 * answer is final, and reads what stands there when something does.
 */
import { sleep, type Clock } from '../../../io/clock.ts';
import type { CreateOutcome, ObjectStore, ReadOutcome } from '../../../io/object/object-store.ts';
import { fullJitterMs, type Random } from '../../../io/random.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import type { AssembledObject } from '../format/stored-object.ts';
import { assembleObject, isSameObject } from '../format/stored-object.ts';
import { decodeTrailer, trailerBytes } from '../format/trailer.ts';
import type { Mutants } from '../mutants.ts';

export type PutResult =
  | { readonly kind: 'durable' }
  /** A seal stands under this number. */
  | { readonly kind: 'fenced' }
  /** Something exists under our number that we did not write, or it was deleted under us: nothing of this incarnation can be trusted. */
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'aborted' };

export interface NumberedPutOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Full-jitter backoff between attempts: up to `baseBackoffMs · 2^n`, at most `maxBackoffMs`. */
  readonly baseBackoffMs: number;
  readonly maxBackoffMs: number;
  /** An identical second attempt starts when the first one has not answered after this long; undefined: never. */
  readonly hedgeAfterMs?: () => number | undefined;
  /** A second attempt begins (false) or has ended (true). */
  readonly onHedged?: (ended: boolean) => void;
  /** An attempt uses the object's bytes from `true` on, until `false`: an attempt may outlast the answer of another. */
  readonly onUse?: (begins: boolean) => void;
  readonly signal: AbortSignal;
  /** Each attempt that did not end it: the store is unreachable (`unknown`) or will not take it soon (`refused`). */
  readonly onTrouble: (kind: 'unknown' | 'refused', cause: string, attempt: number) => void;
  /** Our own earlier attempt had been applied although its answer was lost. */
  readonly onOwnObjectFound: () => void;
  readonly mutants?: Mutants;
}

const readAttempts = 3;

export async function numberedPut(key: string, assembled: AssembledObject, options: NumberedPutOptions): Promise<PutResult> {
  let object = assembled;
  for (let attempt = 1; ; attempt++) {
    if (attempt > 1 && options.mutants?.has('send-other-bytes')) object = withoutContent(object);
    const outcome = await createHedged(key, object, options);
    if (outcome.kind === 'created') return { kind: 'durable' };
    if (outcome.kind === 'exists') {
      if (options.mutants?.has('any-412-is-success')) return { kind: 'durable' };
      const settled = await settleExisting(key, object, options);
      if (settled) return settled;
      return { kind: 'aborted' };
    }
    if (options.signal.aborted) return { kind: 'aborted' };
    options.onTrouble(outcome.kind, outcome.cause, attempt);
    await backOff(attempt, options);
    if (options.signal.aborted) return { kind: 'aborted' };
  }
}

/**
 * Two identical attempts at most: the second is safe because the bytes are the same. The first final answer decides;
 * `unknown` only when both are.
 */
async function createHedged(key: string, object: AssembledObject, options: NumberedPutOptions) {
  const first = attempt(key, object, options);
  const hedgeAfterMs = options.hedgeAfterMs?.();
  if (hedgeAfterMs === undefined) return first;
  const timer = new AbortController();
  const early = await Promise.race([first, sleep(options.clock, hedgeAfterMs, timer.signal)]);
  timer.abort();
  if (early || options.signal.aborted || options.hedgeAfterMs?.() === undefined) return early ?? first;
  options.onHedged?.(false);
  const second = attempt(key, object, options);
  void second.then(() => options.onHedged?.(true));
  const either = await Promise.race([first, second]);
  if (either.kind === 'created' || either.kind === 'exists') return either;
  const [a, b] = await Promise.all([first, second]);
  return a.kind === 'created' || a.kind === 'exists' ? a : b;
}

function attempt(key: string, object: AssembledObject, { objects, onUse }: NumberedPutOptions): Promise<CreateOutcome> {
  onUse?.(true);
  const outcome = objects.create(key, object.body);
  const ended = () => onUse?.(false);
  outcome.then(ended, ended);
  return outcome;
}

async function settleExisting(key: string, object: AssembledObject, options: NumberedPutOptions): Promise<PutResult | undefined> {
  for (let attempt = 1; ; attempt++) {
    const outcome: ReadOutcome = await options.objects.readTail(key, trailerBytes);
    if (outcome.kind === 'missing') return { kind: 'lost', reason: `${key} exists and is missing at once: deleted under us` };
    if (outcome.kind === 'found') {
      const compared = compare(key, object, outcome.bytes, outcome.sizeBytes, options);
      // The bytes may have been damaged on their way only.
      if (compared.kind !== 'unreadable') return compared;
      if (attempt >= readAttempts) return { kind: 'lost', reason: `${key} holds something that is no object of ours: ${compared.reason}` };
    } else options.onTrouble(outcome.kind, outcome.cause, attempt);
    if (options.signal.aborted) return undefined;
    await backOff(attempt, options);
    if (options.signal.aborted) return undefined;
  }
}

function compare(
  key: string,
  object: AssembledObject,
  tail: Buffer,
  sizeBytes: number,
  options: NumberedPutOptions,
): PutResult | { readonly kind: 'unreadable'; readonly reason: string } {
  try {
    const stored = decodeTrailer(tail, sizeBytes);
    if (stored.kind === 'seal') return { kind: 'fenced' };
    if (isSameObject(object.trailer, tail, sizeBytes)) {
      options.onOwnObjectFound();
      return { kind: 'durable' };
    }
    return { kind: 'lost', reason: `${key} holds other bytes, written as ${stored.kind} by node ${stored.incarnation.node} epoch ${stored.incarnation.epoch}` };
  } catch (error) {
    if (error instanceof FormatError) return { kind: 'unreadable', reason: error.message };
    throw error;
  }
}

/** Of the mutant: what a repeated attempt would send if the buffers of a group were given up when its first one timed out. */
function withoutContent({ body, trailer }: AssembledObject): AssembledObject {
  return trailer.kind === 'group' ? assembleObject({ ...trailer, content: [], contentBytes: 0, contentCrc: 0, footer: Buffer.alloc(1) }) : { body, trailer };
}

function backOff(attempt: number, options: NumberedPutOptions): Promise<void> {
  return sleep(options.clock, fullJitterMs(options.random, attempt, options), options.signal);
}
