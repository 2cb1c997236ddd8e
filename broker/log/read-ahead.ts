/**
 * Notices who reads an object from front to back, and says how far ahead to fetch: nothing for the first read, then a
 * window that doubles with every read that goes on where an earlier one ended. Several readers may be in one object.
 */
import { invariant } from '../../std/invariant.ts';

export interface ReadAheadLimits {
  readonly minWindowBytes: number;
  readonly maxWindowBytes: number;
  /** Readers that are remembered; the one that was silent longest is forgotten. */
  readonly maxReaders: number;
}

interface Reader {
  readonly key: string;
  start: number;
  end: number;
  windowBytes: number;
}

export class ReadAhead {
  readonly #limits: ReadAheadLimits;
  readonly #readersOf = new Map<string, Reader[]>();
  /** Longest silent first. */
  readonly #readers = new Set<Reader>();

  constructor(limits: ReadAheadLimits) {
    invariant(limits.minWindowBytes > 0 && limits.maxWindowBytes >= limits.minWindowBytes && limits.maxReaders >= 1, 'read-ahead limits make no sense', {
      ...limits,
    });
    this.#limits = limits;
  }

  /** Someone reads [start, end) of `key`. Answers how many bytes behind `end` are worth having. */
  advance(key: string, start: number, end: number): number {
    const reader = this.#readersOf.get(key)?.find((candidate) => goesOn(candidate, start, end));
    if (reader === undefined) {
      this.#remember({ key, start, end, windowBytes: 0 });
      return 0;
    }
    reader.windowBytes = Math.min(this.#limits.maxWindowBytes, Math.max(this.#limits.minWindowBytes, reader.windowBytes * 2));
    reader.start = start;
    reader.end = end;
    this.#readers.delete(reader);
    this.#readers.add(reader);
    return reader.windowBytes;
  }

  #remember(reader: Reader): void {
    this.#readers.add(reader);
    const others = this.#readersOf.get(reader.key);
    if (others === undefined) this.#readersOf.set(reader.key, [reader]);
    else others.push(reader);
    if (this.#readers.size > this.#limits.maxReaders) for (const silent of this.#readers) return this.#forget(silent);
  }

  #forget(reader: Reader): void {
    this.#readers.delete(reader);
    const others = this.#readersOf.get(reader.key)!.filter((other) => other !== reader);
    if (others.length === 0) this.#readersOf.delete(reader.key);
    else this.#readersOf.set(reader.key, others);
  }
}

/** A reader takes whole batches: its next read begins inside or right behind the last one, and ends behind it. */
function goesOn(reader: Reader, start: number, end: number): boolean {
  return start > reader.start && start <= reader.end && end > reader.end;
}
