/**
 * The merge (design §6): rewrites what `merge-plan.ts` finds worth it into stream objects and stream set objects, one
 * object after the other, and puts the new places into the indexes. Nothing else of a partition is touched. Inputs go
 * when a checkpoint that no longer names them is proven, as everything that the catalog releases.
 */
import { type Clock, sleep } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { Counter, Metrics } from '../../../io/metrics.ts';
import type { ObjectStore } from '../../../io/object/object-store.ts';
import type { Random } from '../../../io/random.ts';
import { crc32cCombine } from '../../../std/crc32c.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import { invariant } from '../../../std/invariant.ts';
import type { Incarnation, TopicId } from '../../../cluster/identifiers.ts';
import { dataKey, type ObjectKey } from '../format/object-keys.ts';
import type { IndexEntry } from '../format/partition-state.ts';
import { encodeSlices, type Slice } from '../format/slices.ts';
import { SparseIndexBuilder } from '../format/sparse-index.ts';
import { assembleObject } from '../format/stored-object.ts';
import type { ObjectCatalog } from '../object-catalog.ts';
import { epochAt } from '../partition-index.ts';
import type { Partition } from '../partition.ts';
import { numberedPut } from '../wal/numbered-put.ts';
import {
  isMostlyGarbage,
  type MergeOutput,
  type MergePlan,
  type MergePlanLimits,
  type MergeRun,
  type ObjectTally,
  objectsToRewrite,
  packRuns,
  selectRuns,
  tallyObjects,
} from './merge-plan.ts';
import { cachedContent, fetchSlices, type SliceContent, type WantedSlice } from './slice-contents.ts';

export interface MergeLimits extends MergePlanLimits {
  /** A merge is due when so many bytes of WAL groups were written since the last one, … */
  readonly thresholdBytes: number;
  /** … or so many objects, … */
  readonly thresholdObjects: number;
  /** … or when the first of them is this old. */
  readonly intervalMs: number;
  /** Of all partitions together: with many of them each gets fewer than `maxEntriesPerPartition`. */
  readonly maxIndexEntries: number;
  /** An object is sparse when it was mostly garbage for so long. */
  readonly sparseDelayMs: number;
  readonly concurrentReads: number;
  readonly readAttempts: number;
  readonly baseBackoffMs: number;
  readonly maxBackoffMs: number;
}

export interface MergerOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly incarnation: Incarnation;
  readonly limits: MergeLimits;
  readonly catalog: ObjectCatalog;
  readonly partitions: () => Iterable<Partition>;
  readonly find: (topicId: TopicId, partition: number) => Partition | undefined;
  /** An object is durable and the catalog knows it. */
  readonly onWritten: (sizeBytes: number) => void;
}

/** However many partitions there are. */
const leastEntriesPerPartition = 64;
/** Entries that are looked at between two pauses. */
const entriesPerPause = 2_000;
/** A merge that is not behind rests so many times as long as it worked. */
const restFactor = 3;
const longestRestMs = 1_000;
/** Damaged objects that are remembered, and left alone until the next life. */
const maxDamaged = 10_000;

interface AssembledRun {
  readonly partition: Partition;
  readonly run: MergeRun;
  readonly slice: Slice;
}

export class Merger {
  readonly #options: MergerOptions;
  readonly #abort = new AbortController();
  readonly #outputs: Counter;
  readonly #inputBytes: Counter;
  readonly #sparseSince = new Map<ObjectKey, number>();
  readonly #damaged = new Set<ObjectKey>();
  #running: Promise<void> | undefined;
  #nextNumber = 1;
  #waitingBytes = 0;
  #waitingObjects = 0;
  #dueAtMs: number | undefined;

  constructor(options: MergerOptions) {
    this.#options = options;
    this.#outputs = options.metrics.counter('automq_merge_objects_total', 'Objects that merging wrote', ['kind']);
    this.#inputBytes = options.metrics.counter('automq_merge_input_bytes_total', 'Bytes of slices that merging rewrote', ['from']);
    // What was inherited may be worth a merge, too.
    this.#dueAtMs = options.clock.monotonicMs() + options.limits.intervalMs;
  }

  /** A WAL group was written. */
  groupPlaced(sizeBytes: number): void {
    this.#waitingBytes += sizeBytes;
    this.#waitingObjects += 1;
    this.#dueAtMs ??= this.#options.clock.monotonicMs() + this.#options.limits.intervalMs;
  }

  runIfDue(): void {
    const { limits, clock, logger } = this.#options;
    const due =
      this.#waitingBytes >= limits.thresholdBytes ||
      this.#waitingObjects >= limits.thresholdObjects ||
      (this.#dueAtMs !== undefined && clock.monotonicMs() >= this.#dueAtMs);
    if (!due || this.#running || this.#abort.signal.aborted) return;
    this.run().catch((error: unknown) => logger.error('merge failed', { error: String(error) }));
  }

  /** One pass over all partitions; one at a time. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Nothing is changed any more. An upload on its way is not waited for: what becomes of it is garbage by name. */
  close(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const { clock, limits } = this.#options;
    this.#waitingBytes = 0;
    this.#waitingObjects = 0;
    this.#dueAtMs = undefined;
    const plan = await this.#plan();
    for (const output of plan.outputs) {
      if (this.#abort.signal.aborted) return;
      const startedMs = clock.monotonicMs();
      await this.#merge(output);
      await this.#giveWay(clock.monotonicMs() - startedMs);
    }
    const againMs = plan.more ? 0 : this.#sparseSince.size > 0 ? limits.sparseDelayMs : undefined;
    if (againMs !== undefined) this.#dueAtMs = Math.min(this.#dueAtMs ?? Infinity, clock.monotonicMs() + againMs);
  }

  async #plan(): Promise<MergePlan> {
    const { catalog } = this.#options;
    const tally: ObjectTally = new Map();
    await this.#eachPartition((partition) => tallyObjects(viewOf(partition), tally));
    this.#noticeSparse(tally);
    const facts = {
      isDamaged: (key: ObjectKey) => this.#damaged.has(key),
      contentBytesOf: (key: ObjectKey) => catalog.get(key)?.contentBytes ?? 0,
      isSparse: (key: ObjectKey) => this.#isSparse(key),
    };
    const limits = this.#limitsNow();
    const rewritten = objectsToRewrite(tally, facts, limits);
    const runs: MergeRun[] = [];
    await this.#eachPartition((partition) => {
      for (const run of selectRuns(viewOf(partition), rewritten, facts, limits)) runs.push(run);
    });
    return packRuns(runs, limits);
  }

  #limitsNow(): MergePlanLimits {
    const { limits, partitions } = this.#options;
    const share = Math.floor(limits.maxIndexEntries / Math.max(1, [...partitions()].length));
    return { ...limits, maxEntriesPerPartition: Math.min(limits.maxEntriesPerPartition, Math.max(leastEntriesPerPartition, share)) };
  }

  async #eachPartition(visit: (partition: Partition) => void): Promise<void> {
    let seen = 0;
    for (const partition of [...this.#options.partitions()]) {
      if (this.#abort.signal.aborted) return;
      if (partition.closed) continue;
      visit(partition);
      seen += partition.index.entries.length + 1;
      if (seen < entriesPerPause) continue;
      seen = 0;
      await this.#pause();
    }
  }

  #noticeSparse(tally: ObjectTally): void {
    const now = this.#options.clock.monotonicMs();
    for (const key of this.#sparseSince.keys()) if (!tally.has(key)) this.#sparseSince.delete(key);
    for (const [key, { liveBytes }] of tally) {
      if (!isMostlyGarbage({ contentBytes: this.#options.catalog.get(key)?.contentBytes ?? 0, liveBytes })) this.#sparseSince.delete(key);
      else if (!this.#sparseSince.has(key)) this.#sparseSince.set(key, now);
    }
  }

  #isSparse(key: ObjectKey): boolean {
    const since = this.#sparseSince.get(key);
    return since !== undefined && this.#options.clock.monotonicMs() - since >= this.#options.limits.sparseDelayMs;
  }

  async #merge(output: MergeOutput): Promise<void> {
    const runs = output.runs.filter((run) => this.#stillThere(run));
    if (runs.length === 0) return;
    const contents = await this.#contentsOf(runs);
    if (!contents || this.#abort.signal.aborted) return;
    const assembled = await this.#assemble(runs, contents);
    if (assembled.length === 0) return;
    const number = this.#nextNumber++;
    const key = dataKey(this.#options.incarnation, number);
    const object = this.#objectOf(output.kind, number, assembled, contents);
    const put = await this.#put(key, object);
    if (put !== 'durable' || this.#abort.signal.aborted) return;
    this.#outputs.add(1, output.kind);
    for (const { partition, run, slice } of assembled) {
      const { firstOffset, lastOffset, position, length, maxTimestampMs } = slice;
      partition.replaceEntries(run.entries, { firstOffset, lastOffset, object: key, position, length, maxTimestampMs });
    }
    // After the indexes took hold of it: when none did it counts as released.
    this.#options.catalog.add(key, object.trailer.footerPosition);
    this.#options.onWritten(object.body.sizeBytes);
  }

  #stillThere({ topicId, partition, entries }: MergeRun): boolean {
    const { index } = this.#options.find(topicId, partition) ?? {};
    const first = entries[0] as IndexEntry;
    return index?.entries[index.find(first.firstOffset)] === first;
  }

  async #contentsOf(runs: readonly MergeRun[]): Promise<ReadonlyMap<IndexEntry, SliceContent> | undefined> {
    const { limits, logger, find } = this.#options;
    const contents = new Map<IndexEntry, SliceContent>();
    const stored: WantedSlice[] = [];
    for (const { topicId, partition, entries } of runs) {
      const open = find(topicId, partition);
      if (!open) continue;
      const { epochStarts } = open.index;
      for (const entry of entries) {
        const cached = open.cachedSlice(entry);
        if (cached) contents.set(entry, cachedContent(cached));
        else stored.push({ entry, epochAt: (offset) => epochAt(epochStarts, offset) });
        this.#inputBytes.add(entry.length, cached ? 'cache' : 'store');
      }
    }
    const fetched = await fetchSlices(stored, {
      ...this.#options,
      signal: this.#abort.signal,
      retry: { attempts: limits.readAttempts, baseBackoffMs: limits.baseBackoffMs, maxBackoffMs: limits.maxBackoffMs },
      concurrentReads: limits.concurrentReads,
      pause: () => this.#pause(),
    });
    if (fetched.kind === 'found') return new Map([...contents, ...fetched.contents]);
    if (fetched.kind === 'unavailable') logger.warn('merge gives up an object: its inputs cannot be read now', { cause: fetched.cause });
    else if (runs.some((run) => run.entries.some(({ object }) => object === fetched.object) && this.#stillThere(run))) {
      logger.error('merge leaves a damaged object alone', { object: fetched.object, reason: fetched.reason });
      if (this.#damaged.size < maxDamaged) this.#damaged.add(fetched.object);
    }
    return undefined;
  }

  /** Slices side by side, of what is still there. */
  async #assemble(runs: readonly MergeRun[], contents: ReadonlyMap<IndexEntry, SliceContent>): Promise<AssembledRun[]> {
    const assembled: AssembledRun[] = [];
    let position = 0;
    for (const run of runs) {
      const partition = this.#options.find(run.topicId, run.partition);
      if (!partition || !this.#stillThere(run)) continue;
      const slice = sliceOf(partition, run, contents, position);
      position += slice.length;
      assembled.push({ partition, run, slice });
      await this.#pause();
    }
    return assembled;
  }

  #objectOf(kind: MergeOutput['kind'], number: number, assembled: readonly AssembledRun[], contents: ReadonlyMap<IndexEntry, SliceContent>) {
    const slices = assembled.map(({ slice }) => slice);
    const footer = new ByteWriter(64 + slices.length * 64);
    encodeSlices(footer, slices);
    return assembleObject({
      kind,
      incarnation: this.#options.incarnation,
      number,
      putId: this.#options.random.bytes(16),
      content: assembled.flatMap(({ run }) => run.entries.flatMap((entry) => contents.get(entry)?.chunks ?? [])),
      contentBytes: slices.reduce((sum, { length }) => sum + length, 0),
      contentCrc: slices.reduce((crc, slice) => crc32cCombine(crc, slice.crc, slice.length), 0),
      footer: footer.finish(),
    });
  }

  async #put(key: ObjectKey, object: ReturnType<typeof assembleObject>): Promise<'durable' | 'not'> {
    const { objects, clock, random, logger, limits } = this.#options;
    const result = await numberedPut(key, object, {
      objects,
      clock,
      random,
      baseBackoffMs: limits.baseBackoffMs,
      maxBackoffMs: limits.maxBackoffMs,
      signal: this.#abort.signal,
      onTrouble: (kind, cause, attempt) => {
        if (attempt === 1 || attempt % 20 === 0) logger.warn('merge upload not confirmed, sending the same bytes again', { key, attempt, kind, cause });
      },
      onOwnObjectFound: () => {},
    });
    if (result.kind === 'durable') return 'durable';
    if (result.kind === 'aborted') return 'not';
    // A name of this incarnation that somebody else uses: nothing more is written under such names.
    logger.error('merging ends: another writer uses the names of this incarnation', { key, reason: result.kind === 'lost' ? result.reason : 'a seal' });
    this.close();
    return 'not';
  }

  /** After a peak a merge has time: what is left to rewrite must not delay acknowledgements. While as much comes in as is merged it has none. */
  async #giveWay(tookMs: number): Promise<void> {
    const { clock, limits } = this.#options;
    if (this.#waitingBytes >= limits.thresholdBytes) return this.#pause();
    await sleep(clock, Math.min(longestRestMs, tookMs * restFactor), this.#abort.signal);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.defer(resolve));
  }
}

function viewOf({ topicId, partition, highWatermark, index }: Partition) {
  return { topicId, partition, highWatermark, entries: index.entries };
}

/** The footer's record of a run. Producers and bases stay with the index's checkpoints: nobody recovers from these objects. */
function sliceOf(partition: Partition, { entries }: MergeRun, contents: ReadonlyMap<IndexEntry, SliceContent>, position: number): Slice {
  const [first, last] = [entries[0] as IndexEntry, entries.at(-1) as IndexEntry];
  const sparse = new SparseIndexBuilder();
  let length = 0;
  let crc = 0;
  let maxTimestampMs = -1;
  for (const entry of entries) {
    const content = contents.get(entry);
    invariant(content, 'a slice to be merged was not read', { object: entry.object, position: entry.position });
    sparse.addAll(content.sparse, entry.firstOffset);
    crc = crc32cCombine(crc, content.crc, entry.length);
    length += entry.length;
    maxTimestampMs = Math.max(maxTimestampMs, entry.maxTimestampMs);
  }
  return {
    topicId: partition.topicId,
    partition: partition.partition,
    leaderEpoch: epochAt(partition.index.epochStarts, first.firstOffset),
    firstOffset: first.firstOffset,
    lastOffset: last.lastOffset,
    logStartOffset: partition.logStartOffset,
    position,
    length,
    maxTimestampMs,
    crc,
    base: undefined,
    producers: [],
    marks: sparse.marks,
  };
}
