/**
 * Chance in the simulation: one root seed, one forked stream per actor, so that a change in how often one
 * actor draws does not shift everybody else's luck.
 */
import type { Random } from '../../io/random.ts';
import { SeededRandom } from '../../io/seeded-random.ts';

export class SimRandom implements Random {
  readonly #stream: SeededRandom;

  constructor(seed: number | string | SeededRandom) {
    this.#stream = seed instanceof SeededRandom ? seed : new SeededRandom(seed);
  }

  fork(label: string): SimRandom {
    return new SimRandom(this.#stream.fork(label));
  }

  float(): number {
    return this.#stream.float();
  }

  below(bound: number): number {
    return this.#stream.below(bound);
  }

  bytes(length: number): Buffer {
    return this.#stream.bytes(length);
  }

  /** True with probability `p`. Draws nothing when p is 0: a fault that is off costs no luck. */
  chance(p: number): boolean {
    return p > 0 && this.float() < p;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.float() * (high - low);
  }

  /** Integer in [low, high], both inclusive. */
  integer(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('pick from nothing');
    return items[this.below(items.length)] as T;
  }

  /** Spread evenly over orders of magnitude: as often 1–10 as 1,000–10,000. */
  logBetween(low: number, high: number): number {
    return Math.exp(this.between(Math.log(low), Math.log(high)));
  }
}
