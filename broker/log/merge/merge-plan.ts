/**
 * Which stored slices are worth rewriting, and into what (design §6, docs/design/0001-merge.md). Pure: the merger runs it.
 *
 * Rewriting costs every byte a second write, so only four things are rewritten: runs of small entries of one partition,
 * what is left of objects that are mostly garbage, many small objects, and an index that grows too long. The first and the
 * third go by tiers, each `fanIn` times smaller than the one above: what is merged leaves its tier, so that no byte is
 * rewritten more often than there are tiers.
 */
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { ObjectKey } from '../format/object-keys.ts';
import type { IndexEntry } from '../format/partition-state.ts';

export interface MergePlanLimits {
  /** An entry of this size is worth a GET of its own, and stays where it is. */
  readonly largeEntryBytes: number;
  readonly fanIn: number;
  /** Objects below this size are merged when there are many. */
  readonly smallObjectBytes: number;
  /** A run of this size gets a stream object of its own. */
  readonly streamObjectMinBytes: number;
  readonly maxOutputBytes: number;
  readonly maxSlicesPerOutput: number;
  /** Past it neighbours are joined, large ones, too. */
  readonly maxEntriesPerPartition: number;
  /** Of one plan: the rest waits for the next. */
  readonly maxPlanBytes: number;
}

export interface MergeView extends ObjectFacts {
  readonly partitions: readonly PartitionView[];
}

export interface ObjectFacts {
  /** Known to be damaged: its slices stay where they are, and part their neighbours. */
  readonly isDamaged: (object: ObjectKey) => boolean;
  /** Without footer and trailer; 0: not known. */
  readonly contentBytesOf: (object: ObjectKey) => number;
  /** Mostly garbage, and long enough for that to be more than retention on its way through the partitions. */
  readonly isSparse: (object: ObjectKey, liveBytes: number) => boolean;
}

export interface PartitionView {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly highWatermark: number;
  /** Ascending, without holes. */
  readonly entries: readonly IndexEntry[];
}

/** Of each object what entries cover, and whether all of them are counted: one that is still being placed is left alone. */
export type ObjectTally = Map<ObjectKey, { liveBytes: number; counted: boolean }>;

/** Neighbouring entries that become one. */
export interface MergeRun {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly entries: readonly IndexEntry[];
  readonly sizeBytes: number;
}

export interface MergeOutput {
  readonly kind: 'stream' | 'stream-set';
  readonly runs: readonly MergeRun[];
  readonly sizeBytes: number;
}

export interface MergePlan {
  readonly outputs: readonly MergeOutput[];
  /** The limit of one plan was met: there is more to do. */
  readonly more: boolean;
}

/** Entries and objects below this size are all in the lowest tier. */
const lowestTierBytes = 1024;

export function planMerge(view: MergeView, limits: MergePlanLimits): MergePlan {
  const tally: ObjectTally = new Map();
  for (const partition of view.partitions) tallyObjects(partition, tally);
  const rewritten = objectsToRewrite(tally, view, limits);
  return packRuns(
    view.partitions.flatMap((partition) => selectRuns(partition, rewritten, view, limits)),
    limits,
  );
}

export function isMostlyGarbage({ contentBytes, liveBytes }: { readonly contentBytes: number; readonly liveBytes: number }): boolean {
  return liveBytes * 2 < contentBytes;
}

export function tallyObjects({ entries, highWatermark }: PartitionView, tally: ObjectTally): void {
  for (const { object, length, lastOffset } of entries) {
    const counted = lastOffset < highWatermark;
    const known = tally.get(object);
    if (!known) {
      tally.set(object, { liveBytes: length, counted });
      continue;
    }
    known.liveBytes += length;
    known.counted &&= counted;
  }
}

/** Objects of which everything is moved elsewhere: sparse ones, and small ones where there are many. */
export function objectsToRewrite(tally: ObjectTally, { isDamaged, contentBytesOf, isSparse }: ObjectFacts, limits: MergePlanLimits): ReadonlySet<ObjectKey> {
  const chosen = new Set<ObjectKey>();
  let small: { readonly key: ObjectKey; readonly liveBytes: number }[] = [];
  for (const [key, { liveBytes, counted }] of tally) {
    if (!counted || isDamaged(key)) continue;
    if (isSparse(key, liveBytes)) chosen.add(key);
    else if (Math.max(contentBytesOf(key), liveBytes) < limits.smallObjectBytes) small.push({ key, liveBytes });
  }
  // By live bytes: footers and trailers vanish in a merge, and what is left would not leave its tier.
  for (const boundBytes of tiers(limits.smallObjectBytes, limits.fanIn)) {
    small = small.filter(({ liveBytes }) => liveBytes < boundBytes);
    if (small.length < 2 || sumOf(small) < boundBytes) continue;
    for (const { key } of small) chosen.add(key);
    break;
  }
  return chosen;
}

/** The runs of one partition that are worth a rewrite; never anything at or past the high watermark. */
export function selectRuns(
  partition: PartitionView,
  rewritten: ReadonlySet<ObjectKey>,
  { isDamaged }: Pick<ObjectFacts, 'isDamaged'>,
  limits: MergePlanLimits,
): MergeRun[] {
  const entries = countedEntries(partition);
  const lengths = entries.map(({ object, length }) => (isDamaged(object) ? Infinity : length));
  const joined = entries.length > limits.maxEntriesPerPartition ? joinLarge(lengths, limits) : [];
  const chosen = entries.map(({ object }, i) => rewritten.has(object) && (lengths[i] as number) <= limits.maxOutputBytes);
  markSmall(lengths, 0, lengths.length, limits.largeEntryBytes, limits, chosen);
  const runs: MergeRun[] = [];
  const add = (start: number, end: number) => {
    const run = entries.slice(start, end);
    // What a cut left alone moves only if its object shall go.
    if (run.length === 1 && !rewritten.has((run[0] as IndexEntry).object)) return;
    if (run.length > 0) runs.push({ topicId: partition.topicId, partition: partition.partition, entries: run, sizeBytes: lengthOf(run) });
  };
  let next = 0;
  for (const { start, end } of [...joined, { start: entries.length, end: entries.length }]) {
    addChosen(lengths, next, start, chosen, limits.maxOutputBytes, add);
    add(start, end);
    next = end;
  }
  return runs;
}

/** Large runs get an object each, the others share objects, slices of one partition side by side. */
export function packRuns(runs: readonly MergeRun[], limits: MergePlanLimits): MergePlan {
  const outputs: MergeOutput[] = [];
  let plannedBytes = 0;
  let open: MergeRun[] = [];
  let openBytes = 0;
  const closeOpen = () => {
    if (open.length > 0) outputs.push({ kind: 'stream-set', runs: open, sizeBytes: openBytes });
    open = [];
    openBytes = 0;
  };
  let more = false;
  for (const run of [...runs].sort(byPlace)) {
    if (plannedBytes > 0 && plannedBytes + run.sizeBytes > limits.maxPlanBytes) {
      more = true;
      break;
    }
    plannedBytes += run.sizeBytes;
    if (run.sizeBytes >= limits.streamObjectMinBytes) {
      outputs.push({ kind: 'stream', runs: [run], sizeBytes: run.sizeBytes });
      continue;
    }
    if (openBytes + run.sizeBytes > limits.maxOutputBytes || open.length >= limits.maxSlicesPerOutput) closeOpen();
    open.push(run);
    openBytes += run.sizeBytes;
  }
  closeOpen();
  return { outputs, more };
}

function* tiers(largestBytes: number, fanIn: number): Generator<number> {
  for (let boundBytes = largestBytes; ; boundBytes /= fanIn) {
    yield Math.max(boundBytes, lowestTierBytes);
    if (boundBytes <= lowestTierBytes) return;
  }
}

function countedEntries({ entries, highWatermark }: PartitionView): readonly IndexEntry[] {
  let end = entries.length;
  while (end > 0 && (entries[end - 1] as IndexEntry).lastOffset >= highWatermark) end--;
  return end === entries.length ? entries : entries.slice(0, end);
}

/** Stretches of entries below the tier's bound: all of them when together they leave the tier, else the tier below looks inside. */
function markSmall(lengths: readonly number[], from: number, to: number, boundBytes: number, limits: MergePlanLimits, chosen: boolean[]): void {
  for (let start = from; start < to; start++) {
    let end = start;
    let sumBytes = 0;
    for (; end < to && (lengths[end] as number) < boundBytes; end++) sumBytes += lengths[end] as number;
    if (end - start >= 2) {
      if (sumBytes >= boundBytes) chosen.fill(true, start, end);
      else if (boundBytes > lowestTierBytes) markSmall(lengths, start, end, Math.max(boundBytes / limits.fanIn, lowestTierBytes), limits, chosen);
    }
    start = end;
  }
}

/** From the oldest on, neighbours that together nearly fill an object, until the index is three quarters of its limit. */
function joinLarge(
  lengths: readonly number[],
  { maxEntriesPerPartition, maxOutputBytes }: MergePlanLimits,
): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = [];
  let surplus = lengths.length - Math.floor(maxEntriesPerPartition * 0.75);
  let start = 0;
  let sumBytes = 0;
  for (let i = 0; i <= lengths.length && surplus > 0; i++) {
    const length = lengths[i] ?? Infinity;
    if (length < maxOutputBytes / 2 && sumBytes + length <= maxOutputBytes) {
      sumBytes += length;
      continue;
    }
    if (sumBytes >= maxOutputBytes / 2 && i - start >= 2) {
      found.push({ start, end: i });
      surplus -= i - start - 1;
    }
    const again = length < maxOutputBytes / 2;
    start = again ? i : i + 1;
    sumBytes = again ? length : 0;
  }
  return found;
}

function addChosen(
  lengths: readonly number[],
  from: number,
  to: number,
  chosen: readonly boolean[],
  maxBytes: number,
  add: (start: number, end: number) => void,
): void {
  let start = from;
  let sumBytes = 0;
  for (let i = from; i < to; i++) {
    const length = lengths[i] as number;
    if (!chosen[i] || sumBytes + length > maxBytes) {
      add(start, i);
      start = chosen[i] ? i : i + 1;
      sumBytes = 0;
    }
    if (chosen[i]) sumBytes += length;
  }
  add(start, to);
}

function byPlace(a: MergeRun, b: MergeRun): number {
  if (a.topicId !== b.topicId) return a.topicId < b.topicId ? -1 : 1;
  if (a.partition !== b.partition) return a.partition - b.partition;
  return (a.entries[0] as IndexEntry).firstOffset - (b.entries[0] as IndexEntry).firstOffset;
}

function lengthOf(entries: readonly IndexEntry[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0);
}

function sumOf(objects: readonly { readonly liveBytes: number }[]): number {
  return objects.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
}
