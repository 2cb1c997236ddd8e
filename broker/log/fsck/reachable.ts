/**
 * What the metadata records reach in the object store, read the way a recovery and an opening would read it: pointers,
 * pages, the WAL after them, states down to their bases, and the entries of every partition (design §5). Read-only.
 */
import type { Clock } from '../../../io/clock.ts';
import type { ByteRange, CallOptions, ObjectStore } from '../../../io/object/object-store.ts';
import type { Random } from '../../../io/random.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import { type Incarnation, type NodeId, partitionKey, type TopicId } from '../../../cluster/identifiers.ts';
import type { ObjectRanges } from '../../../cluster/object-ranges.ts';
import { type ObjectKey, parseKey, walKey } from '../format/object-keys.ts';
import type { FullState } from '../format/partition-state.ts';
import { applySlices, StoredStates } from '../stored-states.ts';
import { type Found, foundKey, isCertain, readBase, readForward, type WalTailEnd } from '../wal-tail.ts';

/** What the metadata store says that concerns stored objects. */
export interface StoredMetadata {
  readonly nodes: readonly { readonly node: NodeId; readonly epoch: number; readonly checkpoint: string | undefined }[];
  readonly recoveries: readonly { readonly incarnation: Incarnation; readonly checkpoint: string | undefined; readonly ended: boolean }[];
  readonly partitions: readonly StoredPartition[];
  /** By node, topic id and partition (`holdKey`): which of the node's objects are held; undefined: any. */
  readonly holds: ReadonlyMap<string, ObjectRanges | undefined>;
  /** Keys whose values do not fit their schema. */
  readonly bad: readonly string[];
}

export function holdKey(node: NodeId, topicId: TopicId, partition: number): string {
  return `${node}/${partitionKey(topicId, partition)}`;
}

export interface StoredPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly owner: Incarnation;
  readonly leaderEpoch: number;
  readonly state: string;
}

export interface Reachable {
  readonly objects: ReadonlyMap<ObjectKey, Need>;
  /** Incarnations that have not ended, and how their WAL ends. */
  readonly open: ReadonlyMap<string, { readonly pointer: number; readonly end: WalTailEnd | undefined }>;
  readonly problems: readonly string[];
}

export interface Need {
  readonly reason: 'the WAL after a checkpoint' | 'a checkpoint or its pages' | 'the state of a partition' | 'records';
  /** So long it must be, besides footer and trailer. */
  contentBytes: number;
  /** Who needs it, the first one. */
  readonly by: string;
}

export interface ReachableOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly parallel: number;
}

export function incarnationKey({ node, epoch }: Incarnation): string {
  return `${node}/${epoch}`;
}

export async function findReachable(metadata: StoredMetadata, options: ReachableOptions): Promise<Reachable> {
  const search = new Search(metadata.holds, options);
  search.problems.push(...metadata.bad.map((key) => `${key} in the metadata store does not fit its schema`));
  const claimed = new Set(metadata.recoveries.map(({ incarnation }) => incarnationKey(incarnation)));
  const living = metadata.nodes
    .filter((node) => !claimed.has(incarnationKey(node)))
    .map(({ node, epoch, checkpoint }) => ({ incarnation: { node, epoch }, checkpoint }));
  for (const { incarnation, checkpoint } of [...living, ...metadata.recoveries.filter(({ ended }) => !ended)])
    await search.readIncarnation(incarnation, checkpoint);
  for (const partition of metadata.partitions) await search.readPartition(partition);
  return { objects: search.needed, open: search.open, problems: search.problems };
}

class Search {
  readonly needed = new Map<ObjectKey, Need>();
  readonly open = new Map<string, { pointer: number; end: WalTailEnd | undefined }>();
  readonly problems: string[] = [];
  readonly #options: ReachableOptions;
  readonly #states: StoredStates;
  readonly #tails = new Map<string, Found>();
  #reading: { readonly reason: Need['reason']; readonly by: string } = { reason: 'the state of a partition', by: '' };

  readonly #holds: StoredMetadata['holds'];

  constructor(holds: StoredMetadata['holds'], options: ReachableOptions) {
    this.#holds = holds;
    this.#options = { ...options, objects: this.#noticing(options.objects) };
    this.#states = new StoredStates({ ...this.#options, maxProducers: Number.MAX_SAFE_INTEGER, producerExpirationMs: Number.MAX_SAFE_INTEGER });
  }

  async readIncarnation(incarnation: Incarnation, checkpoint: string | undefined): Promise<void> {
    const name = `node ${incarnation.node}, epoch ${incarnation.epoch}`;
    const pointer = checkpoint === undefined ? 0 : (parseKey(checkpoint)?.number ?? 0);
    const open: { pointer: number; end: WalTailEnd | undefined } = { pointer, end: undefined };
    this.open.set(incarnationKey(incarnation), open);
    try {
      this.#reading = { reason: 'a checkpoint or its pages', by: name };
      const found = await readBase(checkpoint as ObjectKey | undefined, this.#options);
      open.end = await readForward(incarnation, pointer + 1, found, this.#options);
      this.#tails.set(incarnationKey(incarnation), found);
      for (const reason of found.damaged.values()) this.problems.push(`${name}: ${reason}`);
      const end = open.end.kind === 'missing' ? open.end.missing : open.end.number;
      for (let number = pointer + 1; number < end; number++) this.#need(walKey(incarnation, number), 0, { reason: 'the WAL after a checkpoint', by: name });
      if (open.end.kind === 'sealed') await this.#states.load(open.end.seal.state);
    } catch (error) {
      this.#problem(`${name}: `, error);
    }
  }

  async readPartition(partition: StoredPartition): Promise<void> {
    const by = partitionKey(partition.topicId, partition.partition);
    this.#reading = { reason: 'the state of a partition', by };
    try {
      if (!this.open.has(incarnationKey(partition.owner)))
        this.problems.push(`${by} belongs to node ${partition.owner.node}, epoch ${partition.owner.epoch}, which has ended`);
      const state = await this.#stateOf(partition);
      if (!state) throw new FormatError(`${partition.state} does not know the partition`);
      for (const { object, position, length } of state.entries) this.#need(object, position + length, { reason: 'records', by });
      const unheld = new Set(state.entries.map(({ object }) => object).filter((object) => !this.#isSafe(object, partition)));
      for (const object of unheld) this.problems.push(`${by} needs ${object}, which another incarnation wrote, and does not hold it`);
      const hole = holeIn(state);
      if (hole) this.problems.push(`${by}: ${hole}`);
    } catch (error) {
      this.#problem(`${by}: `, error);
    }
  }

  /** Of its very owner, or under a hold: what is neither may be collected. */
  #isSafe(object: ObjectKey, { owner, topicId, partition }: StoredPartition): boolean {
    const writer = parseKey(object)?.incarnation;
    if (writer === undefined || incarnationKey(writer) === incarnationKey(owner)) return true;
    const key = holdKey(writer.node, topicId, partition);
    return this.#holds.has(key) && (this.#holds.get(key)?.has(object) ?? true);
  }

  /** As a recovery would: the owner's checkpoint and WAL if they know the leader epoch, else the record's pointer (design §5). */
  async #stateOf(partition: StoredPartition): Promise<FullState | undefined> {
    const tail = this.#tails.get(incarnationKey(partition.owner));
    const found = tail?.states.get(foundKey(partition));
    if (tail && tail.damaged.size > 0 && !(found && isCertain(found, tail)))
      throw new FormatError(`may have records in ${[...tail.damaged.keys()].join(', ')}`);
    const base = await this.#states.resolve(found ? found.base : (partition.state as ObjectKey | ''), partition);
    if (!found || !base) return base;
    return applySlices(base, partition.leaderEpoch, found.slices, {
      clock: this.#options.clock,
      maxProducers: 0,
      producerExpirationMs: 0,
      forgetProducers: true,
    });
  }

  #need(object: ObjectKey, contentBytes: number, by: Omit<Need, 'contentBytes'>): void {
    const known = this.needed.get(object);
    if (!known) this.needed.set(object, { ...by, contentBytes });
    else if (known.contentBytes < contentBytes) known.contentBytes = contentBytes;
  }

  #problem(what: string, error: unknown): void {
    if (!(error instanceof FormatError)) throw error;
    this.problems.push(`${what}${error.message}`);
  }

  /** Whatever checkpoints and states are read from is needed. */
  #noticing(objects: ObjectStore): ObjectStore {
    const read = (key: string, range?: ByteRange, options?: CallOptions) => {
      this.#need(key as ObjectKey, range?.end ?? 0, this.#reading);
      return objects.read(key, range, options);
    };
    return new Proxy(objects, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        return name === 'read' ? read : typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
  }
}

function holeIn({ entries, logStartOffset, endOffset }: FullState): string | undefined {
  let next = entries[0]?.firstOffset ?? endOffset;
  if (next > logStartOffset) return `offsets ${logStartOffset} to ${next - 1} are in no object`;
  for (const { firstOffset, lastOffset } of entries) {
    if (firstOffset !== next) return `offsets ${next} to ${firstOffset - 1} are in no object`;
    next = lastOffset + 1;
  }
  return next === endOffset ? undefined : `offsets ${next} to ${endOffset - 1} are in no object`;
}
