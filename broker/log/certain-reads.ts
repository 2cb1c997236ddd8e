/**
 * Reads that recovery and opening cannot do without: repeated, with full-jitter backoff, until the store gives a final
 * answer. Throttling slows recovery, it never ends a process (F44).
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { ByteRange, ObjectStore, ReadOutcome } from '../../io/object/object-store.ts';
import { fullJitterMs, type Random } from '../../io/random.ts';
import { FormatError } from '../../std/byte-reader.ts';

export interface CertainReads {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the repetition with an `Interrupted`. */
  readonly signal: AbortSignal;
}

/** The work was given up because its incarnation or process ends. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Not damaged but gone: somebody emptied the bucket, or it is the wrong one. */
export class MissingObject extends FormatError {}

const backoff = { baseBackoffMs: 50, maxBackoffMs: 5_000 };
const readAttempts = 3;

/** Calls until the outcome is final. `unknown` and `refused` are repeated. */
export async function untilCertain<T extends { readonly kind: string }>(
  reads: CertainReads,
  call: () => Promise<T>,
): Promise<Exclude<T, { readonly kind: 'unknown' | 'refused' }>> {
  for (let attempt = 0; ; attempt++) {
    if (reads.signal.aborted) throw new Interrupted('the store did not answer before the end');
    const outcome = await call();
    if (outcome.kind !== 'unknown' && outcome.kind !== 'refused') return outcome as Exclude<T, { readonly kind: 'unknown' | 'refused' }>;
    await sleep(reads.clock, fullJitterMs(reads.random, attempt + 1, backoff), reads.signal);
  }
}

/** A whole object; a missing one is corruption here. */
export async function readWhole(key: string, reads: CertainReads): Promise<Buffer> {
  return present(key, await untilCertain(reads, () => reads.objects.read(key)));
}

export async function readRange(key: string, range: ByteRange, reads: CertainReads): Promise<Buffer> {
  return present(key, await untilCertain(reads, () => reads.objects.read(key, range)));
}

/** Bytes that do not parse may have been damaged on their way only (F36): they are read again before they count as damaged. */
export async function undamaged<T>(readAndParse: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readAndParse();
    } catch (error) {
      if (!(error instanceof FormatError) || attempt === readAttempts) throw error;
    }
  }
}

/** Damage is told with the name of the object: whoever mends the bucket has to find it. */
export async function naming<T>(key: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FormatError && !error.message.includes(key)) throw new FormatError(`${key}: ${error.message}`);
    throw error;
  }
}

function present(key: string, outcome: Exclude<ReadOutcome, { kind: 'unknown' | 'refused' }>): Buffer {
  if (outcome.kind === 'missing') throw new MissingObject(`${key} is missing`);
  return outcome.bytes;
}
