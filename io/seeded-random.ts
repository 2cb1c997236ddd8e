/**
 * Chance that a seed replays, for tests and the simulation: Chris Doty-Humphrey's sfc32 (PractRand), keyed by
 * a hash of the seed's text. `fork` makes the stream of one actor; it depends on the seed and the label
 * only, never on how much was drawn before, so that a new draw in one actor leaves the others as they were.
 */
import type { Random } from './random.ts';

export class SeededRandom implements Random {
  /** What `new SeededRandom` needs to make this very stream again. */
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string | number) {
    this.seed = String(seed);
    this.#a = hash32(this.seed, 0x9e3779b9);
    this.#b = hash32(this.seed, 0x243f6a88);
    this.#c = hash32(this.seed, 0xb7e15162);
    // The first outputs of nearby states resemble each other.
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** The stream of the actor `label`. */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`);
  }

  float(): number {
    return ((this.#next() >>> 5) * 0x400_0000 + (this.#next() >>> 6)) / 2 ** 53;
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4) {
      let word = this.#next();
      for (let i = at; i < at + 4 && i < length; i++) {
        bytes[i] = word & 0xff;
        word >>>= 8;
      }
    }
    return bytes;
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

/** FNV-1a over the UTF-16 units, then murmur3's finalizer, so that every bit of the text reaches every bit of the key. */
function hash32(text: string, key: number): number {
  let hash = key | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
