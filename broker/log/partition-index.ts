/** One partition's index: where each offset lies, log start, leader epochs (design §5). Pure data; objects are counted in the catalog. */
import { invariant } from '../../std/invariant.ts';
import type { EpochStart, FullState, IndexEntry } from './format/partition-state.ts';
import type { ObjectKey } from './format/object-keys.ts';
import type { Slice } from './format/slices.ts';
import type { ObjectCatalog } from './object-catalog.ts';

export class PartitionIndex {
  readonly #catalog: ObjectCatalog;
  #entries: IndexEntry[];
  readonly #epochStarts: EpochStart[];
  #logStartOffset: number;
  /** End of what has its place in an object. */
  #endOffset: number;
  #sizeBytes = 0;

  constructor(state: Pick<FullState, 'entries' | 'epochStarts' | 'logStartOffset' | 'endOffset'>, catalog: ObjectCatalog) {
    this.#catalog = catalog;
    this.#entries = [...state.entries];
    this.#epochStarts = [...state.epochStarts];
    this.#logStartOffset = state.logStartOffset;
    this.#endOffset = state.endOffset;
    for (const entry of this.#entries) this.#hold(entry);
  }

  get entries(): readonly IndexEntry[] {
    return this.#entries;
  }

  get epochStarts(): readonly EpochStart[] {
    return this.#epochStarts;
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  get endOffset(): number {
    return this.#endOffset;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds a slice that has its place. */
  add(object: ObjectKey, slice: Slice): void {
    invariant(slice.firstOffset === this.#endOffset, 'slice does not continue the log', { object, first: slice.firstOffset, end: this.#endOffset });
    const lastEpoch = this.#epochStarts.at(-1);
    if (slice.length > 0 && (!lastEpoch || lastEpoch.leaderEpoch < slice.leaderEpoch)) {
      this.#epochStarts.push({ leaderEpoch: slice.leaderEpoch, startOffset: slice.firstOffset });
    }
    if (slice.length === 0) return;
    const { firstOffset, lastOffset, position, length, maxTimestampMs } = slice;
    const entry = { firstOffset, lastOffset, object, position, length, maxTimestampMs };
    this.#entries.push(entry);
    this.#endOffset = lastOffset + 1;
    this.#hold(entry);
  }

  /** Moves the log start up and drops the entries below it. */
  trim(logStartOffset: number): void {
    if (logStartOffset <= this.#logStartOffset) return;
    invariant(logStartOffset <= this.#endOffset, 'log start past the end', { logStartOffset, end: this.#endOffset });
    this.#logStartOffset = logStartOffset;
    let drop = 0;
    while (drop < this.#entries.length && (this.#entries[drop] as IndexEntry).lastOffset < logStartOffset) drop++;
    for (const entry of this.#entries.splice(0, drop)) this.#letGo(entry);
    while (this.#epochStarts.length > 1 && (this.#epochStarts[1] as EpochStart).startOffset <= logStartOffset) this.#epochStarts.shift();
  }

  /**
   * Puts `replacement` where `replaced` (neighbours, ascending) stood; false when they are not all there any more
   * (retention or another merge was faster).
   */
  replace(replaced: readonly IndexEntry[], replacement: readonly IndexEntry[]): boolean {
    const first = replaced[0];
    if (!first) return false;
    const at = this.#entries.indexOf(first);
    if (at < 0 || replaced.some((entry, i) => this.#entries[at + i] !== entry)) return false;
    for (const entry of replacement) this.#hold(entry);
    this.#entries.splice(at, replaced.length, ...replacement);
    for (const entry of replaced) this.#letGo(entry);
    return true;
  }

  /** Lets go of every object: the partition was deleted. */
  clear(): void {
    for (const entry of this.#entries.splice(0)) this.#letGo(entry);
  }

  /** Position in `entries` of the one that holds `offset`; −1 when none does. */
  find(offset: number): number {
    let low = 0;
    let high = this.#entries.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle] as IndexEntry;
      if (offset < entry.firstOffset) high = middle - 1;
      else if (offset > entry.lastOffset) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  #hold(entry: IndexEntry): void {
    this.#catalog.retain(entry.object, entry.length);
    this.#sizeBytes += entry.length;
  }

  #letGo(entry: IndexEntry): void {
    this.#catalog.release(entry.object, entry.length);
    this.#sizeBytes -= entry.length;
  }
}

/** Leader epoch of the record at `offset`; −1 when no epoch began at or before it. */
export function epochAt(starts: readonly EpochStart[], offset: number): number {
  let epoch = -1;
  for (const start of starts) if (start.startOffset <= offset) epoch = start.leaderEpoch;
  return epoch;
}

/** The largest leader epoch ≤ `leaderEpoch` and where it ended (KIP-101); −1 and −1 for an epoch that has not begun. */
export function endOffsetForEpoch(
  starts: readonly EpochStart[],
  leaderEpoch: number,
  current: { readonly leaderEpoch: number; readonly endOffset: number },
): { readonly leaderEpoch: number; readonly endOffset: number } {
  if (leaderEpoch === current.leaderEpoch) return current;
  if (leaderEpoch > current.leaderEpoch) return { leaderEpoch: -1, endOffset: -1 };
  let found: EpochStart | undefined;
  for (const start of starts) {
    if (start.leaderEpoch <= leaderEpoch) found = start;
    else return { leaderEpoch: found?.leaderEpoch ?? leaderEpoch, endOffset: start.startOffset };
  }
  return { leaderEpoch: found?.leaderEpoch ?? leaderEpoch, endOffset: current.endOffset };
}
