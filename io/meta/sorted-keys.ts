/** Keys in their order (key-order.ts), in blocks: one more of a hundred thousand moves a few hundred others, not all that follow. */
import { compareKeys, lowerBound } from './key-order.ts';

const mostInBlock = 512;

export class SortedKeys {
  /** None is empty. */
  readonly #blocks: string[][] = [];

  /** Different ones, in any order. */
  constructor(keys: Iterable<string> = []) {
    const sorted = [...keys].sort(compareKeys);
    for (let i = 0; i < sorted.length; i += mostInBlock / 2) this.#blocks.push(sorted.slice(i, i + mostInBlock / 2));
  }

  /** One that is not there yet. */
  add(key: string): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at];
    if (!block) {
      this.#blocks.push([key]);
      return;
    }
    block.splice(lowerBound(block, key), 0, key);
    if (block.length > mostInBlock) this.#blocks.splice(at + 1, 0, block.splice(mostInBlock / 2));
  }

  delete(key: string): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at];
    if (!block) return;
    const place = lowerBound(block, key);
    if (block[place] !== key) return;
    block.splice(place, 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  /** All that begin with `prefix`. */
  *withPrefix(prefix: string): Generator<string> {
    for (let at = this.#blockOf(prefix), first = true; at < this.#blocks.length; at++, first = false) {
      const block = this.#blocks[at] as string[];
      for (let i = first ? lowerBound(block, prefix) : 0; i < block.length; i++) {
        const key = block[i] as string;
        if (!key.startsWith(prefix)) return;
        yield key;
      }
    }
  }

  /** The last block that begins at or before `key`, else the first. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#blocks[middle]?.[0] as string, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}
