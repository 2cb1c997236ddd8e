/**
 * What may happen to one call of the object store, as rates per call (faults.md §2.2). All zero is a store that
 * only takes its time.
 */
import type { SimRandom } from './sim-random.ts';

export interface ObjectStoreFaults {
  /** Not applied; 503, 409, a reset before it was sent, or nothing until the deadline (F23–F25, F29). */
  readonly failBefore: number;
  /** Applied, answer lost (F26). */
  readonly answerLost: number;
  /** The answer is lost and it is applied later than that (F28): after a while, after somebody was told 404, or after a retry. */
  readonly appliedLate: number;
  /** Applied or not, the answer takes seconds (F34). */
  readonly slow: number;
  /** The body is cut on its way; whoever implements `ObjectStore` notices and says `unknown` (F35). */
  readonly shortRead: number;
  /** One bit of an answer is wrong; the object is not (F36). */
  readonly bitFlip: number;
  /** Some keys of a delete are left (F42). */
  readonly partialDelete: number;
  /** LIST leaves out, doubles, unsorts, cuts (F38). */
  readonly listLies: number;
}

export const noObjectStoreFaults: ObjectStoreFaults = {
  failBefore: 0,
  answerLost: 0,
  appliedLate: 0,
  slow: 0,
  shortRead: 0,
  bitFlip: 0,
  partialDelete: 0,
  listLies: 0,
};

/** The whole store at one time: it works, does not answer (F43), throttles everything (F24), or refuses writes (F39, F66). */
export type StoreCondition = 'healthy' | 'outage' | 'throttled' | 'refusing';

/** What one call meets. `late` waits for its trigger, at most `lateMs`. */
export type Fate =
  | { readonly kind: 'normal' }
  | { readonly kind: 'slow'; readonly extraMs: number }
  | { readonly kind: 'fail'; readonly cause: string; readonly quick: boolean }
  | { readonly kind: 'refused'; readonly cause: string }
  | { readonly kind: 'lost'; readonly quick: boolean }
  | { readonly kind: 'late'; readonly quick: boolean; readonly lateMs: number; readonly trigger: LateTrigger };

/** `missing`: after somebody was told that the name is free; `applied`: after another create of the name was applied (a retry, a seal). */
export type LateTrigger = 'time' | 'missing' | 'applied';

const causes = ['503 SlowDown', '500 InternalError', '409 ConditionalRequestConflict', 'ECONNRESET', 'timeout'];

export function drawFate(random: SimRandom, faults: ObjectStoreFaults, condition: StoreCondition, write: boolean): Fate {
  if (condition === 'outage') return { kind: 'fail', cause: 'outage', quick: random.chance(0.3) };
  if (condition === 'throttled') return { kind: 'fail', cause: '503 SlowDown', quick: true };
  if (condition === 'refusing' && write) return { kind: 'refused', cause: random.pick(['403 ExpiredToken', 'EROFS', 'ENOSPC']) };
  if (random.chance(faults.failBefore)) {
    const cause = random.pick(causes);
    return { kind: 'fail', cause, quick: cause !== 'timeout' };
  }
  if (random.chance(faults.answerLost)) return { kind: 'lost', quick: random.chance(0.5) };
  if (random.chance(faults.appliedLate)) {
    return { kind: 'late', quick: random.chance(0.5), lateMs: random.logBetween(5, 120_000), trigger: random.pick(['time', 'missing', 'applied'] as const) };
  }
  if (random.chance(faults.slow)) return { kind: 'slow', extraMs: random.logBetween(200, 8_000) };
  return { kind: 'normal' };
}
