/**
 * The log of one incarnation: its WAL, the partitions that it has open, their checkpoints, retention and collection.
 * Knows no socket, request or metadata store; `ownership/` tells it what to open and writes its checkpoint pointer.
 */
import { type Clock, sleep, type Timer } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { Counter, Metrics } from '../../io/metrics.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import { invariant } from '../../std/invariant.ts';
import { type Incarnation, partitionKey, type TopicId } from '../../cluster/identifiers.ts';
import { Checkpointer } from './checkpointer.ts';
import { Collection } from './collection.ts';
import { dataPrefix, type ObjectKey, walPrefix } from './format/object-keys.ts';
import { encodeStates, type FullState } from './format/partition-state.ts';
import type { AssembledObject } from './format/stored-object.ts';
import { LogCache } from './log-cache.ts';
import { type MergeLimits, Merger } from './merge/merger.ts';
import type { Mutants } from './mutants.ts';
import { type Fate, ObjectCatalog } from './object-catalog.ts';
import { Partition } from './partition.ts';
import { retainedFrom } from './retention.ts';
import type { StoredReader } from './stored-reader.ts';
import type { TopicLogConfig } from './topic-log-config.ts';
import { type WalEnd, type WalLimits, WalWriter } from './wal/wal-writer.ts';

export interface LogLimits {
  readonly wal: WalLimits;
  readonly merge: MergeLimits;
  readonly logCacheBytes: number;
  /** A checkpoint is written when this many bytes were appended since the last one, … */
  readonly checkpointBytes: number;
  /** … or so many WAL objects, or slices in them, were written: a recovery reads each of them … */
  readonly checkpointObjects: number;
  readonly checkpointSlices: number;
  /** … or when something changed and the last one is this old. */
  readonly checkpointIntervalMs: number;
  readonly retentionIntervalMs: number;
  /** How often the log looks whether any of its background work is due. */
  readonly tickMs: number;
  readonly collectionDelayMs: number;
  readonly maxProducersPerPartition: number;
  readonly producerExpirationMs: number;
  readonly maxDecompressedBytes: number;
}

export interface LogOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly incarnation: Incarnation;
  readonly limits: LogLimits;
  readonly stored: StoredReader;
  /**
   * Writes the checkpoint pointer, comparing that nobody claimed this incarnation; resolves with whether it stands
   * *for certain* ("proven"). A refusal means that this incarnation is being taken over.
   */
  readonly provePointer: (checkpoint: ObjectKey) => Promise<PointerProof>;
  /** Which of the objects other brokers' partitions hold (see `CollectionOptions`). */
  readonly heldOf: (keys: readonly ObjectKey[], notOlderThan: number) => Promise<ReadonlySet<ObjectKey> | undefined>;
  /** Told of each checkpoint: what partitions reach when it is built, and when it is proven. */
  readonly checkpoints?: CheckpointListener;
  readonly onEnd: (end: WalEnd) => void;
  /** The finalized storage version; without it the newest. */
  readonly storageVersion?: () => number;
  readonly mutants?: Mutants;
}

export type PointerProof = { readonly kind: 'proven'; readonly revision: number } | { readonly kind: 'refused' } | { readonly kind: 'given up' };

export interface CheckpointListener {
  /** A checkpoint would let something be done. */
  readonly wanted: () => boolean;
  /** In the turn in which the checkpoint's states are taken. */
  readonly built: () => void;
  readonly proven: () => void;
}

/** The final states of partitions that move away, in one object. What they reach stays until `release`. */
export interface Handover {
  readonly key: ObjectKey;
  readonly counted: Promise<boolean>;
  /** The stored objects that each partition's state names, in the order of the partitions. */
  readonly reached: readonly ReadonlySet<ObjectKey>[];
  readonly release: () => void;
}

export interface OpenPartition {
  readonly topicId: TopicId;
  readonly topic: () => string;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly state: FullState;
  readonly base: ObjectKey | '';
  readonly config: () => TopicLogConfig;
}

export class Log {
  readonly wal: WalWriter;
  readonly catalog = new ObjectCatalog();
  readonly #options: LogOptions;
  readonly #partitions = new Map<string, Partition>();
  readonly #checkpointer = new Checkpointer(this.catalog);
  readonly #collection: Collection;
  readonly #merger: Merger;
  readonly #storedBytes: Counter;
  readonly #stateObjects = new Set<ObjectKey>();
  /** Prefixes of the objects of ended incarnations that are collected here. */
  readonly #adopted = new Set<string>();
  /** Released before a checkpoint that was placed, but of which no proof came so far. */
  readonly #unproven: ObjectKey[] = [];
  readonly #cache: LogCache;
  #tick: Timer | undefined;
  #bytesSinceCheckpoint = 0;
  #objectsSinceCheckpoint = 0;
  #slicesSinceCheckpoint = 0;
  #checkpointedAtMs: number;
  #retentionAtMs: number;
  #checkpointing: Promise<boolean> | undefined;
  #collectable: () => 'nothing' | 'own' | 'everything' = () => 'nothing';
  #state: 'open' | 'closing' | 'closed' = 'open';

  constructor(options: LogOptions) {
    const { objects, clock, random, logger, metrics, incarnation, limits } = options;
    this.#options = options;
    this.#cache = new LogCache({ budgetBytes: limits.logCacheBytes, metrics });
    this.wal = new WalWriter({
      objects,
      clock,
      random,
      logger,
      metrics,
      incarnation,
      limits: limits.wal,
      onGroupCounted: (group) => {
        this.#cache.add(group);
        this.#bytesSinceCheckpoint += group.sizeBytes;
        this.#objectsSinceCheckpoint++;
        this.#slicesSinceCheckpoint += group.slices.length;
      },
      onPlaced: (key, object) => this.#placed(key, object),
      onEnd: (end) => this.#end(end),
      ...(options.storageVersion ? { storageVersion: options.storageVersion } : {}),
      ...(options.mutants ? { mutants: options.mutants } : {}),
    });
    this.#storedBytes = metrics.counter('automq_stored_bytes_total', 'Bytes given to the object store; all kinds divided by wal is the write amplification', [
      'kind',
    ]);
    this.#merger = new Merger({
      objects,
      clock,
      random,
      logger,
      metrics,
      incarnation,
      limits: limits.merge,
      catalog: this.catalog,
      partitions: () => this.#partitions.values(),
      find: (topicId, partition) => this.find(topicId, partition),
      onWritten: (sizeBytes) => this.#storedBytes.add(sizeBytes, 'merge'),
    });
    this.#collection = new Collection({
      objects,
      clock,
      logger,
      metrics,
      delayMs: limits.collectionDelayMs,
      batchSize: 1000,
      isReached: (key) => this.catalog.has(key),
      heldOf: options.heldOf,
    });
    this.#checkpointedAtMs = clock.monotonicMs();
    this.#retentionAtMs = clock.monotonicMs();
    this.#scheduleTick();
  }

  get partitions(): Iterable<Partition> {
    return this.#partitions.values();
  }

  get partitionCount(): number {
    return this.#partitions.size;
  }

  find(topicId: TopicId, partition: number): Partition | undefined {
    return this.#partitions.get(partitionKey(topicId, partition));
  }

  open(opened: OpenPartition): Partition {
    const { limits, clock, stored, logger } = this.#options;
    const partition = new Partition({
      topic: opened.topic,
      leaderEpoch: opened.leaderEpoch,
      state: opened.state,
      base: opened.base,
      wal: this.wal,
      stored,
      catalog: this.catalog,
      clock,
      logger,
      config: opened.config,
      producerExpirationMs: limits.producerExpirationMs,
      maxProducers: limits.maxProducersPerPartition,
      maxDecompressedBytes: limits.maxDecompressedBytes,
      onDirty: (changed) => this.#checkpointer.markDirty(changed),
    });
    const key = partitionKey(opened.topicId, opened.partition);
    invariant(!this.#partitions.has(key), 'partition is open already', { key });
    this.#partitions.set(key, partition);
    this.#checkpointer.add(partition);
    return partition;
  }

  close(topicId: TopicId, partition: number, reason: 'moved' | 'deleted'): void {
    const key = partitionKey(topicId, partition);
    const open = this.#partitions.get(key);
    if (!open) return;
    this.#partitions.delete(key);
    this.#checkpointer.remove(open);
    open.close(reason);
  }

  /** Writes a checkpoint and its pointer; true when the pointer is proven. One at a time; a call during one waits for the next. */
  async checkpoint(): Promise<boolean> {
    while (this.#checkpointing) await this.#checkpointing;
    if (this.wal.refusal === 'ended') return false;
    this.#checkpointing = this.#checkpoint().finally(() => {
      this.#checkpointing = undefined;
    });
    return this.#checkpointing;
  }

  async #checkpoint(): Promise<boolean> {
    this.#bytesSinceCheckpoint = 0;
    this.#objectsSinceCheckpoint = 0;
    this.#slicesSinceCheckpoint = 0;
    this.#checkpointedAtMs = this.#options.clock.monotonicMs();
    const { checkpoints } = this.#options;
    const { key, counted } = this.wal.put((placed) => {
      const item = this.#checkpointer.build(placed);
      checkpoints?.built();
      for (const object of this.catalog.takeReleased((released) => this.#fateOf(released))) this.#unproven.push(object);
      return item;
    });
    if (this.#options.mutants?.has('collect-too-early')) this.#collection.add(this.#unproven, 0);
    if (!(await counted)) return false;
    const proof = await this.#options.provePointer(key);
    if (proof.kind !== 'proven') {
      // What was released stays: an older pointer may be the one that a recoverer got.
      this.#options.logger.warn('checkpoint pointer not written', { key, proof: proof.kind });
      if (proof.kind === 'refused') this.retire();
      return false;
    }
    this.#collection.add(this.#unproven.splice(0), proof.revision);
    checkpoints?.proven();
    return true;
  }

  /**
   * Stores the final states of partitions that move away, right behind what is in flight (design §5). They take no appends any more.
   * Undefined when this incarnation has ended.
   */
  handOver(partitions: readonly Partition[]): Handover | undefined {
    if (this.wal.refusal === 'ended') return undefined;
    const reached: ReadonlySet<ObjectKey>[] = [];
    const { key, counted } = this.wal.put((placed) => {
      const states = partitions.map((partition) => partition.snapshot());
      const writer = new ByteWriter(64 + states.length * 256);
      encodeStates(writer, states);
      const content = writer.finish();
      for (const { entries } of states) reached.push(new Set(entries.map(({ object }) => object)));
      for (const object of [...reached.flatMap((objects) => [...objects]), placed]) this.catalog.retain(object, 0);
      return { kind: 'handover', content: [content], contentBytes: content.length, footer: Buffer.alloc(0) };
    });
    const held = [...reached.flatMap((objects) => [...objects]), key];
    const release = () => {
      for (const object of held.splice(0)) this.catalog.release(object, 0);
    };
    return { key, counted, reached, release };
  }

  /** Waits for collection, until a checkpoint is proven or until nobody holds it. */
  isGoing(key: ObjectKey): boolean {
    return this.#collection.has(key) || this.#unproven.includes(key);
  }

  /** No takeover of this process is under way: what its state objects say is in records and under holds. */
  releaseStateObjects(): void {
    for (const key of this.#stateObjects) this.catalog.release(key, 0);
    this.#stateObjects.clear();
  }

  #placed(key: ObjectKey, { trailer, body }: AssembledObject): void {
    // Partition records and seals will name it, not only what the catalog counts.
    if (trailer.kind === 'state') {
      this.#stateObjects.add(key);
      this.catalog.retain(key, 0);
    }
    this.catalog.add(key, trailer.footerPosition);
    this.#storedBytes.add(body.sizeBytes, trailer.kind === 'group' ? 'wal' : trailer.kind);
    if (trailer.kind === 'group') this.#merger.groupPlaced(body.sizeBytes);
  }

  /**
   * Nothing is collected before this: what a takeover has yet to open may need objects that nothing reaches so far.
   * `own`: some partitions could not be opened; what they may need (state objects, earlier incarnations' objects) stays.
   * Asked anew for each checkpoint.
   */
  allowCollection(collectable: () => 'own' | 'everything'): void {
    this.#collectable = collectable;
  }

  /** Its objects are collected here from now on: it has ended, and is of this node or of a node that is gone. */
  adopt(ended: Incarnation): void {
    for (const prefix of [walPrefix(ended), dataPrefix(ended)]) this.#adopted.add(prefix);
  }

  #fateOf(key: ObjectKey): Fate {
    const collectable = this.#collectable();
    if (collectable === 'nothing') return 'keep';
    const { incarnation } = this.#options;
    const isOwn = key.startsWith(walPrefix(incarnation)) || key.startsWith(dataPrefix(incarnation));
    if (collectable === 'own') return isOwn && !this.#stateObjects.has(key) ? 'take' : 'keep';
    // What another incarnation wrote others may need; who collects it asks them.
    return isOwn || this.#adopted.has(key.slice(0, key.lastIndexOf('/') + 1)) ? 'take' : 'leave';
  }

  /** Runs a merge now, whether or not one is due. */
  merge(): Promise<void> {
    return this.#merger.run();
  }

  #scheduleTick(): void {
    this.#tick = this.#options.clock.setTimer(this.#options.limits.tickMs, () => {
      if (this.#state !== 'open') return;
      this.#runDue();
      this.#scheduleTick();
    });
  }

  #runDue(): void {
    const now = this.#options.clock.monotonicMs();
    const { limits, logger } = this.#options;
    if (now - this.#retentionAtMs >= limits.retentionIntervalMs) {
      this.#retentionAtMs = now;
      this.#applyRetention();
    }
    const due =
      this.#bytesSinceCheckpoint >= limits.checkpointBytes ||
      this.#objectsSinceCheckpoint >= limits.checkpointObjects ||
      this.#slicesSinceCheckpoint >= limits.checkpointSlices ||
      (now - this.#checkpointedAtMs >= limits.checkpointIntervalMs && this.#checkpointSaysMore());
    if (due && !this.#checkpointing) this.checkpoint().catch((error: unknown) => logger.error('checkpoint failed', { error: String(error) }));
    this.#merger.runIfDue();
    this.#collection.run().catch((error: unknown) => logger.error('collection failed', { error: String(error) }));
  }

  /** Something changed, or waits for a checkpoint to be collected. */
  #checkpointSaysMore(): boolean {
    return (
      this.#checkpointer.dirty ||
      this.#options.checkpoints?.wanted() === true ||
      this.catalog.hasReleased(`${this.#collectable()} ${this.#adopted.size}`, (key) => this.#fateOf(key))
    );
  }

  #applyRetention(): void {
    const nowMs = this.#options.clock.wallMs();
    for (const partition of this.#partitions.values()) {
      partition.expireProducers(nowMs);
      const from = retainedFrom(
        { entries: partition.index.entries, logStartOffset: partition.logStartOffset, highWatermark: partition.highWatermark, sizeBytes: partition.sizeBytes },
        partition.config,
        nowMs,
      );
      if (from > partition.nextLogStartOffset) void partition.raiseLogStart(from);
    }
  }

  #end(end: WalEnd): void {
    if (this.#state === 'closed') return;
    this.#merger.close();
    for (const partition of this.#partitions.values()) partition.close('ended');
    this.#options.onEnd(end);
  }

  /** Another process takes over: nothing more is served; what was sent settles, then `onEnd` is called. */
  retire(): void {
    for (const partition of this.#partitions.values()) partition.close('ended');
    this.wal.retire();
  }

  /** `graceful`: what was appended is stored and a last checkpoint makes the next start quick, as far as `withinMs` suffices. */
  async shutDown(options: { readonly graceful: boolean; readonly withinMs: number }): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#tick?.cancel();
    this.#merger.close();
    if (options.graceful && this.wal.refusal === undefined) {
      const stopWaiting = new AbortController();
      await Promise.race([this.#storeAll(), sleep(this.#options.clock, options.withinMs, stopWaiting.signal)]);
      stopWaiting.abort();
    }
    this.#state = 'closed';
    for (const partition of this.#partitions.values()) partition.close('ended');
    await this.wal.close();
    await this.#collection.close();
  }

  async #storeAll(): Promise<void> {
    await this.wal.flush();
    if (!this.#checkpointer.dirty) return;
    // Without it the next start takes longer, and loses nothing.
    await this.checkpoint().catch((error: unknown) => this.#options.logger.warn('no last checkpoint', { error: String(error) }));
  }
}
