/**
 * A list of stored objects as ranges of numbers: `wal/0/000000000001/000000000017` or `wal/0/000000000001/000000000017-000000000095`.
 * Holds (docs/design/0004-many-brokers.md) name hundreds of objects in a value of a metadata store that takes little: neighbours become
 * one range, and when that is not enough small gaps are bridged, so that a few objects more are held than need be.
 */
const name = /^(.*\/)(\d{12})$/;
const item = /^(.*\/)(\d{12})(?:-(\d{12}))?$/;

interface Range {
  readonly first: number;
  last: number;
}

/** Ranges that hold all of `keys`, `most` of them or one for each prefix. Keys that are no numbered names stay as they are. */
export function objectRanges(keys: Iterable<string>, most: number): string[] {
  const byPrefix = new Map<string, number[]>();
  const others: string[] = [];
  for (const key of keys) {
    const [, prefix, number] = name.exec(key) ?? [];
    if (prefix === undefined) others.push(key);
    else {
      const numbers = byPrefix.get(prefix);
      if (numbers) numbers.push(Number(number));
      else byPrefix.set(prefix, [Number(number)]);
    }
  }
  for (const numbers of byPrefix.values()) numbers.sort((a, b) => a - b);
  for (let gap = 1; ; gap *= 2) {
    const ranges = [...byPrefix].flatMap(([prefix, numbers]) => joined(numbers, gap).map((range) => textOf(prefix, range)));
    if (ranges.length + others.length <= most || ranges.length <= byPrefix.size) return [...ranges, ...others].sort();
  }
}

/** Objects that `objectRanges` named. */
export class ObjectRanges {
  readonly #ranges = new Map<string, Range[]>();
  readonly #others = new Set<string>();

  constructor(items: Iterable<string>) {
    for (const each of items) {
      const [, prefix, first, last] = item.exec(each) ?? [];
      if (prefix === undefined) {
        this.#others.add(each);
        continue;
      }
      const range = { first: Number(first), last: Number(last ?? first) };
      const ranges = this.#ranges.get(prefix);
      if (ranges) ranges.push(range);
      else this.#ranges.set(prefix, [range]);
    }
  }

  /** How many objects they may be. */
  get count(): number {
    let count = this.#others.size;
    for (const ranges of this.#ranges.values()) for (const { first, last } of ranges) count += last - first + 1;
    return count;
  }

  has(key: string): boolean {
    const [, prefix, text] = name.exec(key) ?? [];
    if (prefix === undefined) return this.#others.has(key);
    const number = Number(text);
    return this.#ranges.get(prefix)?.some(({ first, last }) => first <= number && number <= last) === true;
  }
}

function joined(numbers: readonly number[], gap: number): Range[] {
  const ranges: Range[] = [];
  for (const number of numbers) {
    const open = ranges.at(-1);
    if (open && number - open.last <= gap) open.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges;
}

function textOf(prefix: string, { first, last }: Range): string {
  return first === last ? `${prefix}${pad(first)}` : `${prefix}${pad(first)}-${pad(last)}`;
}

function pad(number: number): string {
  return String(number).padStart(12, '0');
}
