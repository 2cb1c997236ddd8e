/**
 * Whether an object store keeps its word (design §4): of many creates that race for a key exactly one wins, a second create is refused, what is
 * missing is called missing, and reads return what was written. Everything after rests on this; some stores passed when asked one call after
 * the other and failed in a race.
 */
import type { Clock } from '../../io/clock.ts';
import { type ObjectBody, type ObjectStore, objectBody } from '../../io/object/object-store.ts';
import { retryDelete, type RetryOptions, retryUnknown } from '../../io/object/retry.ts';
import type { Random } from '../../io/random.ts';

export interface ProofOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Attempts at each call before the store counts as unreachable. */
  readonly attempts?: number;
}

/**
 * `unfit`: the store answered wrongly; it must not be used. `unreachable`: it did not answer, or refused us; nothing is known about it. `text` says
 * what is wrong and what to do.
 */
export type ProofOutcome = { readonly kind: 'fit' } | { readonly kind: 'unfit' | 'unreachable'; readonly text: string };

const rounds = 20;
const racers = 16;
/** Most rounds race small bodies, some bigger ones, which stores treat differently. */
const bodySizes = [64, 64, 64, 40_000];
const defaultAttempts = 8;
const useAnother =
  'Two brokers could both believe that they own a partition, and acknowledged records would be lost: use another store, or a newer version of this one';

/** The full proof: once per bucket, and for `automq storage check`. Leaves nothing behind. */
export async function proveStore(options: ProofOptions): Promise<ProofOutcome> {
  const prefix = `probe/${options.random.bytes(12).toString('hex')}`;
  const retry = retryOptions(options);
  const keys: string[] = [];
  const key = (name: string) => {
    keys.push(`${prefix}/${name}`);
    return `${prefix}/${name}`;
  };
  try {
    const absent = await proveMissing(options.objects, key('absent'), retry);
    if (absent.kind !== 'fit') return absent;
    for (let round = 0; round < rounds; round++) {
      const raced = await proveRace(options, key(`race-${round}`), bodySizes[round % bodySizes.length] ?? 64, retry);
      if (raced.kind !== 'fit') return raced;
    }
    return await proveReads(options, key('reads'), retry);
  } finally {
    await retryDelete(options.objects, keys, { ...retry, attempts: 3 });
  }
}

/** The cheap check of every start: `existing` is there and holds these bytes; sending them again changes nothing even if the store obeys. */
export async function checkStore(options: ProofOptions, existing: string, bytes: Buffer): Promise<ProofOutcome> {
  const retry = retryOptions(options);
  const absent = await proveMissing(options.objects, `probe/${options.random.bytes(12).toString('hex')}`, retry);
  if (absent.kind !== 'fit') return absent;
  const again = await createUntilKnown(options.objects, existing, objectBody([bytes]), retry);
  return again.kind === 'exists' ? { kind: 'fit' } : again.kind === 'created' ? overwrites() : unreachable(again.cause);
}

async function proveMissing(objects: ObjectStore, key: string, retry: RetryOptions): Promise<ProofOutcome> {
  const head = await retryUnknown(retry, (call) => objects.head(key, call));
  if (head.kind === 'missing') return { kind: 'fit' };
  if (head.kind === 'found') return { kind: 'unfit', text: `the store says that an object exists which nobody wrote (${key}). ${useAnother}.` };
  const denied =
    head.kind === 'refused' ? ' A store that denies access to what is missing hides where the log ends: on AWS the permission s3:ListBucket is needed.' : '';
  return unreachable(`${head.cause}.${denied}`);
}

async function proveRace({ objects, random }: ProofOptions, key: string, size: number, retry: RetryOptions): Promise<ProofOutcome> {
  const bodies = Array.from({ length: racers }, (_, racer) => objectBody([Buffer.concat([random.bytes(16), Buffer.alloc(size, racer)])]));
  const outcomes = await Promise.all(bodies.map((body) => createUntilKnown(objects, key, body, retry)));
  const winners = outcomes.flatMap((outcome, racer) => (outcome.kind === 'created' ? [racer] : []));
  const failed = outcomes.find((outcome) => outcome.kind === 'unknown' || outcome.kind === 'refused');
  if (winners.length > 1)
    return {
      kind: 'unfit',
      text: `of ${racers} conditional creates of one key that raced ${winners.length} succeeded: the store’s If-None-Match is not atomic. ${useAnother}.`,
    };
  if (failed && 'cause' in failed) return unreachable(failed.cause);
  const read = await retryUnknown(retry, (call) => objects.read(key, undefined, call));
  if (read.kind === 'missing')
    return { kind: 'unfit', text: `an object that was just created is missing: the store’s reads lag behind its writes. ${useAnother}.` };
  if (read.kind !== 'found') return unreachable(read.cause);
  // Without a winner an attempt whose answer was lost must have won.
  const candidates = winners.length === 1 ? winners : outcomes.flatMap((outcome, racer) => (outcome.kind === 'exists' && outcome.unsure ? [racer] : []));
  if (candidates.some((racer) => holds(bodies[racer]!, read.bytes))) return { kind: 'fit' };
  if (winners.length === 0)
    return { kind: 'unfit', text: `of ${racers} conditional creates of one key that raced none succeeded, yet an object is there. ${useAnother}.` };
  return { kind: 'unfit', text: `a conditional create succeeded, but the object holds other bytes: a loser overwrote it. ${useAnother}.` };
}

async function proveReads({ objects, random }: ProofOptions, key: string, retry: RetryOptions): Promise<ProofOutcome> {
  const bytes = random.bytes(10_000);
  const first = await createUntilKnown(objects, key, objectBody([bytes]), retry);
  if ('cause' in first) return unreachable(first.cause);
  const second = await createUntilKnown(objects, key, objectBody([random.bytes(10_000)]), retry);
  if ('cause' in second) return unreachable(second.cause);
  if (second.kind === 'created') return overwrites();
  for (const [what, expected, read] of [
    ['a whole read', bytes, await retryUnknown(retry, (call) => objects.read(key, undefined, call))],
    ['a read of a range', bytes.subarray(1234, 5678), await retryUnknown(retry, (call) => objects.read(key, { start: 1234, end: 5678 }, call))],
    ['a read of the end', bytes.subarray(-48), await retryUnknown(retry, (call) => objects.readTail(key, 48, call))],
  ] as const) {
    if (read.kind === 'unknown' || read.kind === 'refused') return unreachable(read.cause);
    if (read.kind === 'missing' || read.sizeBytes !== bytes.length || !read.bytes.equals(expected))
      return { kind: 'unfit', text: `${what} did not return what was written. ${useAnother}.` };
  }
  return { kind: 'fit' };
}

type Created =
  | { readonly kind: 'created' }
  | { readonly kind: 'exists'; readonly unsure: boolean }
  | { readonly kind: 'unknown' | 'refused'; readonly cause: string };

/** The same bytes again until the store commits itself; `unsure` when an attempt before may have made the object. */
async function createUntilKnown(objects: ObjectStore, key: string, body: ObjectBody, retry: RetryOptions): Promise<Created> {
  let attempts = 0;
  const outcome = await retryUnknown(retry, (call) => {
    attempts++;
    return objects.create(key, body, call);
  });
  return outcome.kind === 'exists' ? { kind: 'exists', unsure: attempts > 1 } : outcome;
}

function holds(body: ObjectBody, bytes: Buffer): boolean {
  return bytes.equals(Buffer.concat(body.chunks));
}

function overwrites(): ProofOutcome {
  return { kind: 'unfit', text: `the store overwrote an existing object although it was told not to (it ignores If-None-Match: *). ${useAnother}.` };
}

function unreachable(cause: string): ProofOutcome {
  return { kind: 'unreachable', text: `the object store could not be tested: ${cause}` };
}

function retryOptions({ clock, random, attempts = defaultAttempts }: ProofOptions): RetryOptions {
  return { clock, random, attempts };
}
