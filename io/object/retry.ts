/**
 * Repeats store calls whose outcome was `unknown`, with full jitter (M. Brooker, "Exponential Backoff and Jitter"). A store makes one attempt per
 * call; whoever may repeat asks here. Not for numbered WAL objects: the log repeats those itself (design §3).
 */
import { type Clock, sleep } from '../clock.ts';
import { fullJitterMs, type Random } from '../random.ts';
import type {
  ByteRange,
  CallOptions,
  CreateOutcome,
  DeleteOutcome,
  HeadOutcome,
  ListOutcome,
  ObjectBody,
  ObjectStore,
  ReadOutcome,
  Refused,
  Unknown,
} from './object-store.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Attempts in all; after the last the unknown outcome is the answer. */
  readonly attempts: number;
  /** No attempt begins later than this after the first. */
  readonly withinMs?: number;
  /** The first pause is at most this, each next at most twice the one before, up to `longestPauseMs`. */
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
  readonly into?: Buffer;
}

/** How to tell whether what lies under a name is ours, when a create answered `exists`. */
export interface OwnObject {
  /** How much of the object's end is needed. */
  readonly tailBytes: number;
  isOwn(tail: Buffer, sizeBytes: number): boolean;
}

const defaultFirstPauseMs = 50;
const defaultLongestPauseMs = 5_000;

/** All of `range`: a shorter answer is repeated, too, and unknown in the end (F35). */
export function retryRead(store: ObjectStore, key: string, range: ByteRange | undefined, options: RetryOptions): Promise<ReadOutcome> {
  return retryUnknown(options, async (call) => {
    const outcome = await store.read(key, range, call);
    return outcome.kind === 'found' ? checkLength(outcome, range ? range.end - range.start : outcome.sizeBytes) : outcome;
  });
}

export function retryReadTail(store: ObjectStore, key: string, length: number, options: RetryOptions): Promise<ReadOutcome> {
  return retryUnknown(options, async (call) => {
    const outcome = await store.readTail(key, length, call);
    return outcome.kind === 'found' ? checkLength(outcome, Math.min(length, outcome.sizeBytes)) : outcome;
  });
}

export function retryHead(store: ObjectStore, key: string, options: RetryOptions): Promise<HeadOutcome> {
  return retryUnknown(options, (call) => store.head(key, call));
}

export function retryList(store: ObjectStore, prefix: string, after: string | undefined, options: RetryOptions): Promise<ListOutcome> {
  return retryUnknown(options, (call) => store.list(prefix, after, call));
}

/** Until all are gone: what an attempt left is deleted again (F42). */
export async function retryDelete(store: ObjectStore, keys: readonly string[], options: RetryOptions): Promise<DeleteOutcome> {
  let left = keys;
  const outcome = await retryUnknown<DeleteOutcome>(options, async (call) => {
    const attempt = await store.delete(left, call);
    if (attempt.kind !== 'partial') return attempt;
    left = attempt.left;
    return { kind: 'unknown', cause: `${left.length} keys are left` };
  });
  const deletedSome = left.length < keys.length;
  return outcome.kind === 'unknown' && deletedSome ? { kind: 'partial', left } : outcome;
}

/**
 * Creates an object whose name is unique, so that whatever lies there is ours unless something is badly wrong. `exists` is never taken for
 * either: an earlier attempt whose answer was lost may have made it, and even a first attempt may have been sent twice (F30).
 */
export async function retryCreate(store: ObjectStore, key: string, body: ObjectBody, own: OwnObject, options: RetryOptions): Promise<CreateOutcome> {
  const outcome = await retryUnknown(options, (call) => store.create(key, body, call));
  if (outcome.kind !== 'exists') return outcome;
  const found = await retryReadTail(store, key, own.tailBytes, options);
  if (found.kind === 'found') return found.sizeBytes === body.sizeBytes && own.isOwn(found.bytes, found.sizeBytes) ? { kind: 'created' } : { kind: 'exists' };
  if (found.kind === 'missing') return { kind: 'unknown', cause: `${key} exists, but cannot be read: somebody deleted it` };
  return { kind: 'unknown', cause: `${key} exists, whose it is could not be read: ${found.cause}` };
}

/** Any call, until its outcome is known or the attempts are used up. */
export async function retryUnknown<Outcome extends { readonly kind: string }>(
  options: RetryOptions,
  attempt: (call: CallOptions) => Promise<Outcome | Unknown | Refused>,
): Promise<Outcome | Unknown | Refused> {
  const { clock, random, signal } = options;
  const startMs = clock.monotonicMs();
  const call = callOptions(options);
  const backoff = { baseBackoffMs: options.firstPauseMs ?? defaultFirstPauseMs, maxBackoffMs: options.longestPauseMs ?? defaultLongestPauseMs };
  for (let made = 1; ; made++) {
    const outcome = await attempt(call);
    if (outcome.kind !== 'unknown' || made >= options.attempts || signal?.aborted) return outcome;
    const pauseMs = fullJitterMs(random, made, backoff);
    if (options.withinMs !== undefined && clock.monotonicMs() + pauseMs - startMs > options.withinMs) return outcome;
    await sleep(clock, pauseMs, signal);
    if (signal?.aborted) return outcome;
  }
}

function callOptions({ deadlineMs, signal, into }: RetryOptions): CallOptions {
  return { ...(deadlineMs === undefined ? {} : { deadlineMs }), ...(signal ? { signal } : {}), ...(into ? { into } : {}) };
}

function checkLength(found: ReadOutcome & { readonly kind: 'found' }, length: number): ReadOutcome {
  if (found.bytes.length === length) return found;
  return { kind: 'unknown', cause: `${found.bytes.length} bytes of ${length}, from an object of ${found.sizeBytes}` };
}
