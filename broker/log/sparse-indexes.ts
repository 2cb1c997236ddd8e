/**
 * Sparse indexes out of the footers of stored objects, kept within a budget of bytes. They only shorten a search: without
 * one (it cannot be read, it is damaged) the search begins at the slice's first batch, and the batches' own CRCs decide.
 */
import type { ObjectStore } from '../../io/object/object-store.ts';
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { LruByBytes } from '../../std/lru-by-bytes.ts';
import type { ObjectKey } from './format/object-keys.ts';
import type { IndexEntry } from './format/partition-state.ts';
import { decodeSlices } from './format/slices.ts';
import { noMarks, type SparseMark } from './format/sparse-index.ts';
import { footerWithin } from './format/stored-object.ts';
import { decodeTrailer, trailerBytes } from './format/trailer.ts';

export interface SparseIndexesOptions {
  readonly objects: ObjectStore;
  readonly budgetBytes: number;
  /** A longer footer is not read. */
  readonly maxFooterBytes: number;
}

/** Marks by the position of their slice. */
type ObjectMarks = ReadonlyMap<number, readonly SparseMark[]>;

/** Trailer and footer of most objects: one GET instead of two. */
const tailBytes = 16 * 1024;
const bytesPerMark = 64;
const bytesPerObject = 200;
const nothing: ObjectMarks = new Map();

export class SparseIndexes {
  readonly #options: SparseIndexesOptions;
  readonly #kept: LruByBytes<ObjectKey, ObjectMarks>;
  readonly #loading = new Map<ObjectKey, Promise<ObjectMarks>>();

  constructor(options: SparseIndexesOptions) {
    this.#options = options;
    this.#kept = new LruByBytes({ budgetBytes: options.budgetBytes });
  }

  async marksOf(entry: IndexEntry): Promise<readonly SparseMark[]> {
    const { object } = entry;
    const kept = this.#kept.get(object);
    if (kept) return kept.get(entry.position) ?? noMarks;
    let loading = this.#loading.get(object);
    if (!loading) {
      loading = this.#load(object).finally(() => this.#loading.delete(object));
      this.#loading.set(object, loading);
    }
    return (await loading).get(entry.position) ?? noMarks;
  }

  async #load(object: ObjectKey): Promise<ObjectMarks> {
    const footer = await this.#readFooter(object);
    const marks = footer === undefined ? nothing : marksIn(footer);
    if (footer === undefined) return marks;
    let sizeBytes = bytesPerObject;
    for (const { length } of marks.values()) sizeBytes += length * bytesPerMark;
    this.#kept.set(object, marks, sizeBytes);
    return marks;
  }

  async #readFooter(object: ObjectKey): Promise<Buffer | undefined> {
    try {
      const { objects, maxFooterBytes } = this.#options;
      const tail = await objects.readTail(object, tailBytes);
      if (tail.kind !== 'found') return undefined;
      const trailer = decodeTrailer(tail.bytes, tail.sizeBytes);
      if (trailer.footerLength > maxFooterBytes) return undefined;
      const within = footerWithin(trailer, tail.bytes);
      if (within) return within;
      const whole = await objects.readTail(object, trailer.footerLength + trailerBytes);
      return whole.kind === 'found' ? footerWithin(trailer, whole.bytes) : undefined;
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }
}

function marksIn(footer: Buffer): ObjectMarks {
  try {
    return new Map(decodeSlices(new ByteReader(footer)).flatMap(({ position, marks }) => (marks.length > 0 ? [[position, marks] as const] : [])));
  } catch (error) {
    if (error instanceof FormatError) return nothing;
    throw error;
  }
}
