/** One range of a stored object, with a bounded number of attempts: reads may be repeated, whatever became of the last one. */
import { sleep, type Clock } from '../../io/clock.ts';
import type { ByteRange, ObjectStore } from '../../io/object/object-store.ts';
import { fullJitterMs, type Random } from '../../io/random.ts';

export interface RangedReadOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly retry: RetryLimits;
  readonly signal: AbortSignal;
}

export interface RetryLimits {
  readonly attempts: number;
  readonly baseBackoffMs: number;
  readonly maxBackoffMs: number;
}

export type RangedRead =
  /** Fewer bytes than asked for only where the object ends. */
  | { readonly kind: 'found'; readonly bytes: Buffer; readonly sizeBytes: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unavailable'; readonly cause: string };

export async function readRange(key: string, range: ByteRange, options: RangedReadOptions): Promise<RangedRead> {
  const { objects, clock, random, retry, signal } = options;
  let cause = '';
  for (let attempt = 1; attempt <= retry.attempts; attempt += 1) {
    if (signal.aborted) return { kind: 'unavailable', cause: 'closed' };
    const outcome = await objects.read(key, range, { signal });
    switch (outcome.kind) {
      case 'found': {
        const expectedBytes = Math.max(0, Math.min(range.end, outcome.sizeBytes) - range.start);
        if (outcome.bytes.length === expectedBytes) return outcome;
        cause = `${outcome.bytes.length} bytes instead of ${expectedBytes}`;
        break;
      }
      case 'missing':
        return outcome;
      case 'refused':
        return { kind: 'unavailable', cause: outcome.cause };
      case 'unknown':
        cause = outcome.cause;
    }
    if (attempt < retry.attempts) await sleep(clock, fullJitterMs(random, attempt, retry), signal);
  }
  return { kind: 'unavailable', cause };
}
