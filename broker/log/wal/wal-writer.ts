/**
 * The write-ahead log of one incarnation: adaptive group commit over numbered objects (design §3).
 *
 * A group is closed when it is full or when an upload slot is free, so an idle broker answers after one PUT and a
 * busy one's groups grow by themselves. Several uploads are in flight; object n *counts* only when every object
 * before it is durable (the prefix rule). Checkpoints, handovers and state objects take numbers of the same sequence.
 */
import type { Clock, Timer } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { Metrics } from '../../../io/metrics.ts';
import type { ObjectStore } from '../../../io/object/object-store.ts';
import type { Random } from '../../../io/random.ts';
import { invariant } from '../../../std/invariant.ts';
import type { Incarnation } from '../../../cluster/identifiers.ts';
import { supportedStorage } from '../../../cluster/storage-versions.ts';
import { type ObjectKey, walKey } from '../format/object-keys.ts';
import { type AssembledObject, assembleObject } from '../format/stored-object.ts';
import { formatVersionAt, type ObjectKind } from '../format/trailer.ts';
import { numberedPut, type PutResult } from './numbered-put.ts';
import { type AppendedBatch, OpenGroup, type SliceBuilder, type SliceOwner } from './open-group.ts';
import { RecentLatency } from './recent-latency.ts';
import { PutBudget } from './put-budget.ts';
import { createWalMetrics, type WalMetrics } from './wal-metrics.ts';
import type { Mutants } from '../mutants.ts';

export interface WalLimits {
  /** A group is closed at this size. */
  readonly maxGroupBytes: number;
  /** Groups in flight at most. */
  readonly maxUploads: number;
  /** Groups in flight at which a small group waits to grow. */
  readonly idleUploads: number;
  /** From this size on a group is no longer small. */
  readonly smallGroupBytes: number;
  /** Bytes that wait for the store at most; beyond it appends are refused before anything happened. */
  readonly maxPendingBytes: number;
  /** Group uploads a second (token bucket); 0: no limit. */
  readonly putsPerSecond: number;
  readonly putBurst: number;
  readonly baseBackoffMs: number;
  readonly maxBackoffMs: number;
  /** An upload that takes three times the 99th percentile, and at least this long, is sent a second time beside the first; 0: never. */
  readonly hedgeMinMs: number;
  /** After a seal was met: how long uploads below it may take to settle. */
  readonly settleMs: number;
}

export interface WalWriterOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly incarnation: Incarnation;
  readonly limits: WalLimits;
  /** Called for each group when it counts, after its partitions have been told. */
  readonly onGroupCounted: (group: OpenGroup) => void;
  /** An object got its number, and its slices their places. */
  readonly onPlaced: (key: ObjectKey, object: AssembledObject) => void;
  /** Once, when no write of this incarnation can ever count again. Everything waiting has been answered. */
  readonly onEnd: (end: WalEnd) => void;
  /** The finalized one, asked for each object; without it the newest. */
  readonly storageVersion?: () => number;
  readonly mutants?: Mutants;
}

export type WalEnd = { readonly kind: 'fenced'; readonly number: number } | { readonly kind: 'lost'; readonly reason: string };

/** Something that takes a number of its own: a checkpoint, a handover, a state object. */
export interface WalItem {
  readonly kind: ObjectKind;
  readonly content: readonly Uint8Array[];
  readonly contentBytes: number;
  readonly footer: Buffer;
}

interface Upload {
  readonly number: number;
  readonly key: ObjectKey;
  readonly group: OpenGroup | undefined;
  readonly sizeBytes: number;
  readonly startedAtMs: number;
  /** Settles when the object counts (true) or never will (false). */
  readonly counted: (counts: boolean) => void;
  durable: boolean;
}

type State = 'open' | 'ending' | 'ended';

export class WalWriter {
  readonly #options: WalWriterOptions;
  readonly #limits: WalLimits;
  readonly #metrics: WalMetrics;
  readonly #abort = new AbortController();
  readonly #budget: PutBudget;
  readonly #latency = new RecentLatency();
  /** Keyed by number; every number from `#nextToCount` to `#nextNumber − 1` is here. */
  readonly #uploads = new Map<number, Upload>();
  /** Groups that are full and wait for a slot. */
  readonly #full: OpenGroup[] = [];
  #open = new OpenGroup();
  #nextNumber = 1;
  #nextToCount = 1;
  #groupsInFlight = 0;
  #hedges = 0;
  #pendingBytes = 0;
  #refusing = false;
  #state: State = 'open';
  #fencedAt: number | undefined;
  #dispatchDeferred = false;
  #budgetTimer: Timer | undefined;
  #settleTimer: Timer | undefined;

  constructor(options: WalWriterOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#metrics = createWalMetrics(options.metrics);
    this.#budget = new PutBudget({ clock: options.clock, perSecond: options.limits.putsPerSecond, burst: options.limits.putBurst });
  }

  /** Why nothing can be appended now; undefined when it can. */
  get refusal(): 'ended' | 'store refuses' | 'too many bytes wait' | undefined {
    if (this.#state !== 'open') return 'ended';
    if (this.#refusing) return 'store refuses';
    if (this.#pendingBytes >= this.#limits.maxPendingBytes) return 'too many bytes wait';
    return undefined;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** What may be written now. It never becomes less. */
  get storageVersion(): number {
    return this.#options.storageVersion?.() ?? supportedStorage.max;
  }

  /** The lowest number that does not count yet. */
  get nextToCount(): number {
    return this.#nextToCount;
  }

  /** A slice of the open group for `owner`; `current` is reused when it still belongs to it. */
  slice(owner: SliceOwner, current: SliceBuilder | undefined, firstOffset: number): SliceBuilder {
    if (current && current.group === this.#open) return current;
    return this.#open.addSlice(owner, firstOffset, owner.takeBase());
  }

  /** Adds one batch to a slice of the open group. */
  append(slice: SliceBuilder, batch: AppendedBatch): void {
    invariant(this.#state === 'open' && slice.group === this.#open, 'append to a closed group');
    slice.append(batch);
    this.#open.sizeBytes += batch.bytes.length;
    this.#pendingBytes += batch.bytes.length;
  }

  /** To be called after the last batch that belongs together: closes the group when it is full and sees to its upload. */
  appended(): void {
    if (this.#open.sizeBytes >= this.#limits.maxGroupBytes) {
      this.#full.push(this.#open);
      this.#open = new OpenGroup();
    }
    this.#deferDispatch();
  }

  /**
   * Uploads an item under the next number, right behind everything appended so far; it waits for no slot and no
   * budget. `build` is called at once, when all earlier slices have their places. Resolves with whether it counts.
   */
  put(build: (key: ObjectKey) => WalItem): { readonly key: ObjectKey; readonly counted: Promise<boolean> } {
    invariant(this.#state === 'open', 'put into an ended WAL');
    this.#closeAll();
    const key = walKey(this.#options.incarnation, this.#nextNumber);
    const item = build(key);
    const object = this.#assemble(item.kind, item.content, item.contentBytes, undefined, item.footer);
    return { key, counted: new Promise((resolve) => this.#upload(object, undefined, resolve)) };
  }

  /** Uploads what is open and resolves when it counts (or never will). */
  async flush(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#closeAll();
    const last = this.#nextNumber - 1;
    while (!this.#ended() && this.#nextToCount <= last) await new Promise<void>((resolve) => this.#flushWaiters.push(resolve));
  }
  readonly #flushWaiters: (() => void)[] = [];

  /** Somebody else has taken over: takes nothing more, settles what was sent, then ends. */
  retire(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    for (const group of [...this.#full.splice(0), this.#takeOpen()]) group.settle('not-appended');
    this.#settleTimer = this.#options.clock.setTimer(this.#limits.settleMs, () =>
      this.#end('unknown', { kind: 'lost', reason: 'taken over by another process' }),
    );
    this.#countPrefix();
  }

  /** Ends at once: what waits is answered `unknown`. */
  async close(): Promise<void> {
    this.#end('unknown', undefined);
  }

  #deferDispatch(): void {
    if (this.#dispatchDeferred) return;
    this.#dispatchDeferred = true;
    this.#options.clock.defer(() => {
      this.#dispatchDeferred = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#state === 'open' && this.#mayStart()) {
      const waitMs = this.#budget.take();
      if (waitMs > 0) {
        this.#budgetTimer ??= this.#options.clock.setTimer(waitMs, () => {
          this.#budgetTimer = undefined;
          this.#dispatch();
        });
        return;
      }
      this.#uploadGroup(this.#full.shift() ?? this.#takeOpen());
    }
  }

  #mayStart(): boolean {
    if (this.#groupsInFlight >= this.#limits.maxUploads) return false;
    if (this.#full.length > 0) return true;
    if (this.#open.slices.length === 0) return false;
    return this.#groupsInFlight < this.#limits.idleUploads || this.#open.sizeBytes >= this.#limits.smallGroupBytes;
  }

  #takeOpen(): OpenGroup {
    const group = this.#open;
    this.#open = new OpenGroup();
    return group;
  }

  #closeAll(): void {
    for (const group of this.#full.splice(0)) this.#uploadGroup(group);
    if (this.#open.slices.length > 0) this.#uploadGroup(this.#takeOpen());
  }

  #uploadGroup(group: OpenGroup): void {
    const { content, contentBytes, contentCrc, footer } = group.place(walKey(this.#options.incarnation, this.#nextNumber));
    const object = this.#assemble('group', content, contentBytes, contentCrc, footer);
    this.#groupsInFlight++;
    this.#metrics.groupBytes.observe(contentBytes);
    this.#upload(object, group, () => {});
  }

  #assemble(kind: ObjectKind, content: readonly Uint8Array[], contentBytes: number, contentCrc: number | undefined, footer: Buffer): AssembledObject {
    return assembleObject({
      kind,
      version: formatVersionAt(kind, this.storageVersion),
      incarnation: this.#options.incarnation,
      number: this.#nextNumber,
      putId: this.#options.random.bytes(16),
      content,
      contentBytes,
      footer,
      ...(contentCrc === undefined ? {} : { contentCrc }),
    });
  }

  #upload(object: AssembledObject, group: OpenGroup | undefined, counted: (counts: boolean) => void): void {
    const { clock, random, objects, incarnation } = this.#options;
    const number = this.#nextNumber++;
    const upload: Upload = {
      number,
      key: walKey(incarnation, number),
      group,
      sizeBytes: object.body.sizeBytes,
      startedAtMs: clock.monotonicMs(),
      counted,
      durable: false,
    };
    this.#uploads.set(number, upload);
    this.#options.onPlaced(upload.key, object);
    this.#metrics.inFlight.set(this.#uploads.size);
    if (this.#options.mutants?.has('ack-before-durable')) group?.settle('durable');
    numberedPut(upload.key, object, {
      objects,
      clock,
      random,
      baseBackoffMs: this.#limits.baseBackoffMs,
      maxBackoffMs: this.#limits.maxBackoffMs,
      signal: this.#abort.signal,
      hedgeAfterMs: () => this.#hedgeAfterMs(),
      onUse: (begins) => (begins ? group?.hold() : group?.release()),
      onHedged: (ended) => {
        this.#hedges += ended ? -1 : 1;
        if (!ended) this.#metrics.hedged.add(1);
      },
      onTrouble: (kind, cause, attempt) => this.#onTrouble(upload, kind, cause, attempt),
      onOwnObjectFound: () => this.#metrics.ownObjectFound.add(1),
      ...(this.#options.mutants ? { mutants: this.#options.mutants } : {}),
    }).then(
      (result) => this.#onPutResult(upload, result),
      (error: unknown) => this.#onPutResult(upload, { kind: 'lost', reason: `bug while uploading ${upload.key}: ${String(error)}` }),
    );
  }

  /** One second attempt at a time: hedging is for a store's slow tail, not for a store that is slow. */
  #hedgeAfterMs(): number | undefined {
    const { hedgeMinMs } = this.#limits;
    const { p99 } = this.#latency;
    return hedgeMinMs === 0 || p99 === undefined || this.#hedges > 0 ? undefined : Math.max(hedgeMinMs, p99 * 3);
  }

  #onTrouble(upload: Upload, kind: 'unknown' | 'refused', cause: string, attempt: number): void {
    this.#metrics.trouble.add(1, kind);
    if (attempt === 1 || attempt % 20 === 0)
      this.#options.logger.warn('WAL upload not confirmed, sending the same bytes again', { key: upload.key, attempt, kind, cause });
    if (kind !== 'refused') return;
    if (!this.#refusing)
      this.#options.logger.error('the object store refuses writes: produce is refused until it accepts them again', { key: upload.key, cause });
    this.#refusing = true;
    for (const waiting of this.#uploads.values()) waiting.group?.settle('unknown');
  }

  #onPutResult(upload: Upload, result: PutResult): void {
    if (this.#state === 'ended') return;
    switch (result.kind) {
      case 'durable':
        if (this.#refusing) this.#options.logger.info('the object store accepts writes again', { key: upload.key });
        this.#refusing = false;
        upload.durable = true;
        this.#latency.add(this.#options.clock.monotonicMs() - upload.startedAtMs);
        this.#metrics.uploadSeconds.observe((this.#options.clock.monotonicMs() - upload.startedAtMs) / 1000);
        this.#metrics.uploadedBytes.add(upload.sizeBytes);
        if (upload.group && !this.#fenced(upload.number)) this.#groupsInFlight--;
        this.#countPrefix();
        this.#dispatch();
        return;
      case 'fenced':
        this.#meetSeal(upload.number);
        return;
      case 'lost':
        this.#options.logger.error('the WAL cannot be trusted any more, nothing further is acknowledged', { key: upload.key, reason: result.reason });
        this.#end('unknown', { kind: 'lost', reason: result.reason });
        return;
      case 'aborted':
        return;
    }
  }

  #ended(): boolean {
    return this.#state === 'ended';
  }

  #fenced(number: number): boolean {
    return this.#fencedAt !== undefined && number >= this.#fencedAt;
  }

  #countPrefix(): void {
    for (;;) {
      const upload = this.#uploads.get(this.#nextToCount);
      if (!upload?.durable || this.#fenced(upload.number)) break;
      this.#uploads.delete(upload.number);
      this.#nextToCount++;
      this.#count(upload);
    }
    if (this.#options.mutants?.has('ack-out-of-order')) for (const upload of this.#uploads.values()) if (upload.durable) upload.group?.settle('durable');
    this.#metrics.inFlight.set(this.#uploads.size);
    for (const resolve of this.#flushWaiters.splice(0)) resolve();
    if (this.#state === 'ending' && this.#fencedAt === undefined && this.#uploads.size === 0)
      this.#end('unknown', { kind: 'lost', reason: 'taken over by another process' });
    if (this.#fencedAt !== undefined && this.#nextToCount >= this.#fencedAt) this.#end('not-appended', { kind: 'fenced', number: this.#fencedAt });
  }

  #count(upload: Upload): void {
    const { group } = upload;
    if (group) {
      this.#pendingBytes -= group.sizeBytes;
      for (const slice of group.slices) slice.owner.sliceCounted(slice);
      this.#options.onGroupCounted(group);
      group.settle('durable');
    }
    upload.counted(true);
  }

  /** A seal stands at `number`: what lies below it settles, what lies at or past it was never appended. */
  #meetSeal(number: number): void {
    if (this.#fencedAt !== undefined && number >= this.#fencedAt) return;
    this.#options.logger.warn('this incarnation was sealed by another broker', { number });
    this.#fencedAt = number;
    this.#state = 'ending';
    this.#settleTimer ??= this.#options.clock.setTimer(this.#limits.settleMs, () =>
      this.#end('not-appended', { kind: 'fenced', number: this.#fencedAt ?? number }),
    );
    this.#countPrefix();
  }

  /** `past` is the answer for what lies at or past a seal; below it, or without one, the outcome is unknown. */
  #end(past: Durability, end: WalEnd | undefined): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#abort.abort();
    this.#budgetTimer?.cancel();
    this.#settleTimer?.cancel();
    for (const upload of this.#uploads.values()) {
      upload.group?.settle(past === 'not-appended' && this.#fenced(upload.number) ? 'not-appended' : 'unknown');
      upload.counted(false);
    }
    // Never sent: not appended, whatever ended us.
    for (const group of [...this.#full.splice(0), this.#takeOpen()]) group.settle('not-appended');
    this.#uploads.clear();
    for (const resolve of this.#flushWaiters.splice(0)) resolve();
    if (end) this.#options.onEnd(end);
  }
}

type Durability = Parameters<OpenGroup['settle']>[0];
