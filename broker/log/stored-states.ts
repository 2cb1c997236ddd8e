/**
 * Reads partition states out of checkpoints, handovers and state objects, and resolves derived ones down to their base
 * (design §5). One instance serves one opening of many partitions: every object is read once.
 */
import type { Clock } from '../../io/clock.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { crc32c } from '../../std/crc32c.ts';
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { partitionKey, type TopicId } from '../../cluster/identifiers.ts';
import { decodePageTable, type PageReference } from './format/checkpoint.ts';
import { decodeDoubts } from './format/doubts.ts';
import type { ObjectKey } from './format/object-keys.ts';
import { decodeStates, type EpochStart, type FullState, type IndexEntry, type PartitionState } from './format/partition-state.ts';
import { footerWithin, parseWholeObject } from './format/stored-object.ts';
import type { Slice } from './format/slices.ts';
import { decodeTrailer, type ObjectKind } from './format/trailer.ts';
import { ProducerState } from './producer-state.ts';
import { naming, readRange, readWhole, undamaged } from './certain-reads.ts';

export interface StoredStatesOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Objects read at a time. */
  readonly parallel: number;
  readonly maxProducers: number;
  readonly producerExpirationMs: number;
  readonly forgetProducers?: boolean;
}

export interface StoredObjectStates {
  /** The newest of each partition. */
  readonly states: ReadonlyMap<string, PartitionState>;
  /** Pages of a checkpoint that are missing or damaged, and why: a partition that is not in `states` may be there. */
  readonly damagedPages: readonly string[];
  /** Of a state object: what could not be read when it was written. A partition that it does not list may be there. */
  readonly doubts: readonly ObjectKey[];
}

/** A base may be derived itself, when incarnations died before their first checkpoint; longer chains than this are corruption. */
const noProducers = Buffer.alloc(0);
const maxBaseDepth = 10_000;

export class StoredStates {
  readonly #options: StoredStatesOptions;
  readonly #objects = new Map<ObjectKey, Promise<StoredObjectStates>>();

  constructor(options: StoredStatesOptions) {
    this.#options = options;
  }

  /** All states that the object carries or, for a checkpoint, reaches, of what can be read. Throws a `FormatError` when the object itself is missing or damaged. */
  async load(key: ObjectKey): Promise<ReadonlyMap<string, PartitionState>> {
    return (await this.loadAll(key)).states;
  }

  /** As `load`, with what is damaged or in doubt. */
  loadAll(key: ObjectKey): Promise<StoredObjectStates> {
    let loading = this.#objects.get(key);
    if (!loading) {
      loading = naming(key, () => this.#load(key));
      this.#objects.set(key, loading);
    }
    return loading;
  }

  /** What could not be read when the state object was written. If anything: a partition that it does not list must be given no owner, for its old pointer may be too old. */
  async doubtsOf(key: ObjectKey): Promise<readonly ObjectKey[]> {
    return (await this.loadAll(key)).doubts;
  }

  /** The full state of a partition as `key` tells it for `leaderEpoch` (undefined: whichever it has); undefined when it has none. */
  async resolve(
    key: ObjectKey | '',
    partition: { readonly topicId: TopicId; readonly partition: number },
    leaderEpoch?: number,
  ): Promise<FullState | undefined> {
    if (key === '') return emptyState(partition);
    const chain: PartitionState[] = [];
    let at: ObjectKey | '' = key;
    while (at !== '') {
      const { states, damagedPages }: StoredObjectStates = await this.loadAll(at);
      const state: PartitionState | undefined = states.get(partitionKey(partition.topicId, partition.partition));
      if (!state && damagedPages[0] !== undefined) throw new FormatError(damagedPages[0]);
      if (chain.length === 0 && (!state || (leaderEpoch !== undefined && state.leaderEpoch !== leaderEpoch))) return undefined;
      if (!state) throw new FormatError(`${at} is named as base of ${partition.topicId}/${partition.partition} and does not know it`);
      chain.push(state);
      if (chain.length > maxBaseDepth) throw new FormatError(`bases of ${partition.topicId}/${partition.partition} do not end`);
      at = state.kind === 'full' ? '' : state.base;
    }
    const last = chain.at(-1) as PartitionState;
    let full = last.kind === 'full' ? last : emptyState(partition);
    for (const state of chain.reverse()) {
      if (state.kind === 'derived') full = applySlices(full, state.leaderEpoch, state.slices, this.#options);
    }
    return full;
  }

  /** Lets go of everything that was read. */
  forget(): void {
    this.#objects.clear();
  }

  async #load(key: ObjectKey): Promise<StoredObjectStates> {
    const { kind, content, footer } = await undamaged(async () => readParts(await readWhole(key, this.#options)));
    const states = new Map<string, PartitionState>();
    const add = (state: PartitionState) => {
      const id = partitionKey(state.topicId, state.partition);
      // A partition that moved away and came back is there with each of its leader epochs: the newest is its state.
      if ((states.get(id)?.leaderEpoch ?? -1) < state.leaderEpoch) states.set(id, state);
    };
    if (kind === 'state' || kind === 'handover') {
      decodeStates(new ByteReader(content)).forEach(add);
      return { states, damagedPages: [], doubts: kind === 'state' ? decodeDoubts(footer) : [] };
    }
    if (kind !== 'checkpoint') throw new FormatError(`${key} is no checkpoint, handover or state object but a ${kind}`);
    const damagedPages: string[] = [];
    const pages = decodePageTable(footer);
    for (let i = 0; i < pages.length; i += this.#options.parallel) {
      const some = pages.slice(i, i + this.#options.parallel);
      const read = await Promise.all(some.map((page) => this.#statesOfPage(page, key, content)));
      for (const page of read) {
        if (page instanceof FormatError) damagedPages.push(page.message);
        else page.forEach(add);
      }
    }
    return { states, damagedPages, doubts: [] };
  }

  /** Damage of one page is told, not thrown: the partitions of the others are none the worse for it (F36). */
  async #statesOfPage(page: PageReference, inside: ObjectKey, content: Buffer): Promise<PartitionState[] | FormatError> {
    try {
      return await naming(page.object, async () => decodeStates(new ByteReader(await this.#readPage(page, inside, content))));
    } catch (error) {
      if (error instanceof FormatError) return error;
      throw error;
    }
  }

  async #readPage(page: PageReference, inside: ObjectKey, content: Buffer): Promise<Buffer> {
    const range = { start: page.position, end: page.position + page.length };
    let known = page.object === inside ? content.subarray(range.start, range.end) : undefined;
    return undamaged(async () => {
      const bytes = known ?? (await readRange(page.object, range, this.#options));
      known = undefined;
      if (crc32c(bytes) !== page.crc) throw new FormatError(`page ${page.page} in ${page.object}: CRC does not match`);
      return bytes;
    });
  }
}

/** Of a checkpoint only the footer is checked here: each page has a CRC of its own. */
function readParts(bytes: Buffer): { readonly kind: ObjectKind; readonly content: Buffer; readonly footer: Buffer } {
  const trailer = decodeTrailer(bytes, bytes.length);
  if (trailer.kind !== 'checkpoint') return { kind: trailer.kind, ...parseWholeObject(bytes) };
  const footer = footerWithin(trailer, bytes);
  if (!footer) throw new FormatError('footer lies outside the object');
  return { kind: trailer.kind, content: bytes.subarray(0, trailer.footerPosition), footer };
}

function emptyState({ topicId, partition }: { readonly topicId: TopicId; readonly partition: number }): FullState {
  return { kind: 'full', topicId, partition, leaderEpoch: 0, logStartOffset: 0, endOffset: 0, epochStarts: [], entries: [], producers: noProducers };
}

/**
 * What the log is after these slices, each taken only where it continues the log. One that begins past the log's end means
 * that something before it is lost: that is corruption, and the records after the hole must not be given up silently.
 */
export function applySlices(
  base: FullState,
  leaderEpoch: number,
  placed: readonly { readonly object: ObjectKey; readonly slice: Slice }[],
  options: Pick<StoredStatesOptions, 'clock' | 'maxProducers' | 'producerExpirationMs' | 'forgetProducers'>,
): FullState {
  const entries: IndexEntry[] = [...base.entries];
  const epochStarts: EpochStart[] = [...base.epochStarts];
  const producers = ProducerState.decode(options.forgetProducers ? noProducers : base.producers, {
    maxProducers: options.maxProducers,
    expirationMs: options.producerExpirationMs,
  });
  // Timestamps are the client's and may be years old: a producer whose state was rebuilt counts as active now.
  const nowMs = options.clock.wallMs();
  let { logStartOffset, endOffset } = base;
  for (const { object, slice } of placed) {
    if (slice.leaderEpoch !== leaderEpoch || slice.firstOffset < endOffset) continue;
    if (slice.firstOffset > endOffset)
      throw new FormatError(`${object} continues ${slice.topicId}/${slice.partition} at ${slice.firstOffset}, but the log before it ends at ${endOffset}`);
    logStartOffset = Math.max(logStartOffset, slice.logStartOffset);
    if (slice.length === 0) continue;
    if ((epochStarts.at(-1)?.leaderEpoch ?? -1) < leaderEpoch) epochStarts.push({ leaderEpoch, startOffset: slice.firstOffset });
    const { firstOffset, lastOffset, position, length, maxTimestampMs } = slice;
    entries.push({ firstOffset, lastOffset, object, position, length, maxTimestampMs });
    endOffset = lastOffset + 1;
    if (!options.forgetProducers) for (const batch of slice.producers) producers.apply(batch, nowMs);
  }
  const kept = entries.filter((entry) => entry.lastOffset >= logStartOffset);
  return { ...base, leaderEpoch, logStartOffset, endOffset, epochStarts, entries: kept, producers: producers.encode() };
}
