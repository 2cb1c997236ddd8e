/** Finding an offset among slices in memory, and among the chunks of one. */
import type { SliceBuilder } from './wal/open-group.ts';

/** Place of the slice that holds `offset`; −1 when none does. */
export function findSlice(slices: readonly SliceBuilder[], offset: number): number {
  let low = 0;
  let high = slices.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const slice = slices[middle] as SliceBuilder;
    if (offset < slice.firstOffset) high = middle - 1;
    else if (offset > slice.lastOffset) low = middle + 1;
    else return middle;
  }
  return -1;
}

/** Place of the chunk in which the batch with `offset` begins. */
export function findChunk(firstOffsets: readonly number[], offset: number): number {
  let low = 0;
  let high = firstOffsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((firstOffsets[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
