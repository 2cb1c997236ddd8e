/**
 * One partition of `__consumer_offsets` on the broker that owns it: the groups and committed offsets that live in it.
 *
 * Loaded by reading the log from start to end; after that every change goes into the log first. Offsets show only what is
 * durable; groups decide ahead of the log and tell members nothing that matters before it is durable. When the fate of an append is
 * unknown, memory and log may differ: everything is dropped and read again once the log has settled.
 */
import { type Clock, sleep } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import type { Deadlines } from '../deadlines.ts';
import type { CommittedOffsets } from './committed-offsets.ts';
import { compact, type CompactionLimits, type CompactionOutcome, needsCompaction } from './compaction.ts';
import {
  createGroup,
  type Group,
  type GroupEffect,
  type GroupLimits,
  type GroupSnapshot,
  isBlank,
  type JoinAnswer,
  type SyncAnswer,
  type Waiter,
} from './group.ts';
import { restoreGroup } from './group-snapshot.ts';
import { type AppendDone, type DurableAppend, GroupLog } from './group-log.ts';
import { decodeGroupRecord, type GroupRecord, type OffsetRecord } from './group-records.ts';
import { type GroupHost, HostedGroup } from './hosted-group.ts';
import { LiveRecords } from './live-records.ts';
import { expiredOffsets } from './offset-retention.ts';
import { replayLog } from './replay-log.ts';

export interface GroupPartitionOptions {
  readonly log: PartitionLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deadlines: Deadlines;
  readonly limits: GroupLimits;
  readonly storage: GroupStorageLimits;
  readonly answerJoin: (waiter: Waiter, answer: JoinAnswer) => void;
  readonly answerSync: (waiter: Waiter, answer: SyncAnswer) => void;
  readonly phaseChanged: (group: Group, effect: PhaseEffect) => void;
  readonly loaded: (outcome: 'loaded' | 'failed') => void;
  /** Its history became long: `compact` when it is its turn. */
  readonly compactable: (partition: GroupPartition) => void;
}

export interface GroupStorageLimits {
  /** A read of the log while loading, and the largest batch that is believed. */
  readonly loadChunkBytes: number;
  readonly maxBatchBytes: number;
  /** First pause before loading is tried again; it doubles up to `maxLoadRetryMs`. */
  readonly minLoadRetryMs: number;
  readonly maxLoadRetryMs: number;
  /** offsets.commit.timeout.ms: how long anybody waits for an append. */
  readonly appendTimeoutMs: number;
  /** Records on their way into one partition; past it appends are refused (COORDINATOR_NOT_AVAILABLE). */
  readonly maxPendingBytes: number;
  readonly maxTombstonesPerBatch: number;
  readonly compaction: CompactionLimits;
}

type PhaseEffect = Extract<GroupEffect, { kind: 'phase' }>;

export class GroupPartition implements GroupHost {
  readonly log: PartitionLog;
  readonly limits: GroupLimits;
  readonly #options: GroupPartitionOptions;
  readonly #records: GroupLog;
  readonly #abort = new AbortController();
  readonly #loading: Promise<void>;
  #groups = new Map<string, HostedGroup>();
  #live: LiveRecords;
  #unavailable: ErrorCode = ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS;
  #wake: (() => void) | undefined;
  /** Topics that were deleted while the groups were not loaded. */
  #deletedMeanwhile: (() => void)[] = [];
  /** Infinite while it is being compacted. */
  #compactAfterMs = Number.NEGATIVE_INFINITY;

  constructor(options: GroupPartitionOptions) {
    const { log, clock, deadlines, storage } = options;
    this.#options = options;
    this.log = log;
    this.limits = options.limits;
    this.#live = new LiveRecords(log.logStartOffset);
    this.#records = new GroupLog({
      log,
      clock,
      deadlines,
      appendTimeoutMs: storage.appendTimeoutMs,
      maxPendingBytes: storage.maxPendingBytes,
      onDurable: (append) => this.#applyDurable(append),
      onLost: (durability) => this.#lost(durability),
    });
    this.#loading = this.#keepLoaded();
  }

  /** What requests get; NONE while its groups are loaded. */
  get unavailable(): ErrorCode {
    return this.#unavailable;
  }

  /** What is durable. */
  get offsets(): CommittedOffsets {
    return this.#live.offsets;
  }

  /** What a load would make of the log as far as it is durable. */
  get live(): LiveRecords {
    return this.#live;
  }

  get pendingBytes(): number {
    return this.#records.pendingBytes;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  groups(): IterableIterator<HostedGroup> {
    return this.#groups.values();
  }

  find(groupId: string): HostedGroup | undefined {
    return this.#groups.get(groupId);
  }

  findOrCreate(groupId: string): HostedGroup {
    const found = this.#groups.get(groupId);
    if (found) return found;
    const created = new HostedGroup(createGroup(groupId, this.#options.clock.wallMs()), this);
    this.#groups.set(groupId, created);
    return created;
  }

  /** A group that was only asked about leaves no trace. */
  forgetIfBlank(groupId: string): void {
    const hosted = this.#groups.get(groupId);
    if (!hosted || !isBlank(hosted.group) || this.#records.isPending(groupId) || this.offsets.ofGroup(groupId).size > 0) return;
    this.#options.deadlines.set(hosted, undefined);
    this.#groups.delete(groupId);
  }

  /** All records are one batch. False when it was refused; `done` is called once in any case, and never before this returns. */
  append(records: readonly GroupRecord[], done: AppendDone): boolean {
    return this.#records.append(records, done);
  }

  /** `done` once all that the group has on its way is durable. */
  whenDurable(groupId: string, done: AppendDone): void {
    this.#records.whenDurable(groupId, done);
  }

  /** Removes an empty group from memory at once, and it and its offsets from the log. */
  deleteGroup(groupId: string, done: AppendDone): void {
    const records: GroupRecord[] = this.tombstones(groupId);
    records.push({ kind: 'group', groupId, value: null });
    if (!this.#records.appendInBatches(records, this.#options.storage.maxTombstonesPerBatch, done)) return;
    this.#groups.get(groupId)?.step({ kind: 'unload', error: ErrorCodes.UNKNOWN_MEMBER_ID });
    this.#groups.delete(groupId);
  }

  /** One for every partition that the group has an offset for, durable or on its way. */
  tombstones(groupId: string): OffsetRecord[] {
    const found = new Map<string, OffsetRecord>();
    const add = (topic: string, partition: number) => found.set(`${topic}/${partition}`, { kind: 'offset', groupId, topic, partition, value: null });
    for (const [topic, partitions] of this.offsets.ofGroup(groupId)) for (const partition of partitions.keys()) add(topic, partition);
    for (const { topic, partition } of this.#records.pendingOffsets(groupId)) add(topic, partition);
    return [...found.values()];
  }

  /** Appends tombstones, as many batches as they need. */
  remove(tombstones: readonly OffsetRecord[], done: AppendDone): void {
    this.#records.appendInBatches(tombstones, this.#options.storage.maxTombstonesPerBatch, done);
  }

  /** Removes what is too old (offset-retention.ts), and empty groups that have no offsets. */
  cleanUp(retentionMs: number): void {
    if (this.#unavailable !== ErrorCodes.NONE) return;
    const expired: OffsetRecord[] = [];
    for (const { group } of this.#groups.values()) {
      if (this.#records.isPending(group.groupId)) continue;
      const { records, all } = expiredOffsets(group, this.offsets.ofGroup(group.groupId), this.now(), retentionMs);
      if (all && group.phase === 'Empty' && group.pendingMembers.size === 0) this.deleteGroup(group.groupId, ignore);
      else expired.push(...records);
    }
    if (expired.length > 0) this.remove(expired, ignore);
    this.#offerCompaction();
  }

  async compact(): Promise<CompactionOutcome> {
    const { log } = this;
    const { clock, storage } = this.#options;
    const { signal } = this.#abort;
    const live = this.#live;
    const isCurrent = () => this.#live === live && this.#unavailable === ErrorCodes.NONE;
    if (!isCurrent()) return { kind: 'abandoned', rewrittenBytes: 0 };
    this.#compactAfterMs = Number.POSITIVE_INFINITY;
    let failed = true;
    try {
      const outcome = await compact({ log, records: this.#records, live, isCurrent, signal, clock, limits: storage.compaction });
      failed = outcome.kind === 'failed';
      return outcome;
    } finally {
      this.#compactAfterMs = failed ? clock.monotonicMs() + storage.compaction.retryMs : Number.NEGATIVE_INFINITY;
    }
  }

  /** Removes the offsets of a deleted topic; `isSame` tells by id whether they are that topic's. */
  topicDeleted(topic: string, isSame: (topicId: string) => boolean): void {
    if (this.#unavailable !== ErrorCodes.NONE) {
      this.#deletedMeanwhile.push(() => this.topicDeleted(topic, isSame));
      return;
    }
    const gone: OffsetRecord[] = [];
    for (const groupId of this.offsets.groupIds()) {
      for (const [partition, value] of this.offsets.ofGroup(groupId).get(topic) ?? [])
        if (isSame(value.topicId)) gone.push({ kind: 'offset', groupId, topic, partition, value: null });
    }
    if (gone.length > 0) this.remove(gone, ignore);
  }

  /** This broker is no longer the coordinator of these groups. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#unload(ErrorCodes.NOT_COORDINATOR, ErrorCodes.NOT_COORDINATOR);
    await this.#loading;
  }

  now(): { readonly monotonicMs: number; readonly wallMs: number } {
    const { clock } = this.#options;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  answerJoin(waiter: Waiter, answer: JoinAnswer): void {
    this.#options.answerJoin(waiter, answer);
  }

  answerSync(waiter: Waiter, answer: SyncAnswer): void {
    this.#options.answerSync(waiter, answer);
  }

  appendSnapshot(groupId: string, snapshot: GroupSnapshot, done: AppendDone): void {
    // A group whose metadata does not fit one record cannot work: Kafka says so in this way.
    this.append([{ kind: 'group', groupId, value: snapshot }], (error) =>
      done(error === ErrorCodes.MESSAGE_TOO_LARGE ? ErrorCodes.UNKNOWN_SERVER_ERROR : error),
    );
  }

  schedule(group: HostedGroup, deadlineMs: number | undefined): void {
    this.#options.deadlines.set(group, deadlineMs);
  }

  phaseChanged(group: Group, effect: PhaseEffect): void {
    this.#options.phaseChanged(group, effect);
  }

  #applyDurable({ records, baseOffset, sizeBytes }: DurableAppend): void {
    this.#live.applyBatch(records, baseOffset, sizeBytes);
    for (const { groupId, value } of records) if (value == null) this.forgetIfBlank(groupId);
    this.#offerCompaction();
  }

  #offerCompaction(): void {
    const { clock, storage, compactable } = this.#options;
    if (needsCompaction(this.#live, storage.compaction) && clock.monotonicMs() >= this.#compactAfterMs) compactable(this);
  }

  #lost(durability: 'not-appended' | 'unknown'): void {
    const { logger } = this.#options;
    if (durability === 'not-appended') {
      logger.warn('the log of these groups was fenced: their coordinator is elsewhere', this.#fields());
      return this.#unload(ErrorCodes.NOT_COORDINATOR, ErrorCodes.NOT_COORDINATOR);
    }
    logger.warn('whether records of these groups are stored is unknown: they are loaded again', this.#fields());
    this.#unload(ErrorCodes.COORDINATOR_NOT_AVAILABLE, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  }

  #unload(waiting: ErrorCode, fromNowOn: ErrorCode): void {
    this.#unavailable = fromNowOn;
    const groups = this.#groups;
    this.#groups = new Map();
    this.#live = new LiveRecords(this.log.logStartOffset);
    for (const hosted of groups.values()) hosted.step({ kind: 'unload', error: waiting });
    this.#records.abandon(waiting);
    this.#wake?.();
  }

  /** Loads, and loads again each time that the fate of an append became unknown, until closed. */
  async #keepLoaded(): Promise<void> {
    const { clock, storage } = this.#options;
    const { signal } = this.#abort;
    let retryMs = storage.minLoadRetryMs;
    while (!signal.aborted) {
      if (this.#unavailable !== ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (this.log.highWatermark < this.log.logEndOffset) {
        // What was appended by a former life of this coordinator is still on its way, and will count or not.
        await sleep(clock, storage.minLoadRetryMs, signal);
      } else if (await this.#load()) {
        retryMs = storage.minLoadRetryMs;
      } else {
        await sleep(clock, retryMs, signal);
        retryMs = Math.min(retryMs * 2, storage.maxLoadRetryMs);
      }
    }
  }

  async #load(): Promise<boolean> {
    const { clock, logger, storage } = this.#options;
    const { log } = this;
    const { signal } = this.#abort;
    const startedMs = clock.monotonicMs();
    const live = new LiveRecords(log.logStartOffset);
    let skipped = 0;
    const visit = (key: Buffer, value: Buffer | null, offset: number) => {
      const record = decodeGroupRecord(key, value);
      if (record) live.apply(record, offset);
      else skipped += 1;
    };
    const outcome = await replayLog(log, visit, { clock, chunkBytes: storage.loadChunkBytes, maxBatchBytes: storage.maxBatchBytes, signal });
    if (outcome.kind === 'aborted' || signal.aborted) return false;
    this.#options.loaded(outcome.kind === 'replayed' ? 'loaded' : 'failed');
    if (outcome.kind === 'failed') {
      logger.error('groups cannot be loaded, trying again', { ...this.#fields(), reason: outcome.reason });
      return false;
    }
    live.replayed(outcome.endOffset, outcome.sizeBytes, skipped);
    this.#become(live);
    const ms = Math.round(clock.monotonicMs() - startedMs);
    const fields = { ...this.#fields(), groups: this.#groups.size, offsets: live.offsets.size, bytes: outcome.sizeBytes, skipped, ms };
    // Fifty empty partitions are no news.
    if (log.logEndOffset === 0) logger.debug('groups are loaded', fields);
    else logger.info('groups are loaded', fields);
    return true;
  }

  #become(live: LiveRecords): void {
    this.#live = live;
    this.#unavailable = ErrorCodes.NONE;
    for (const [groupId, { value }] of live.snapshots()) this.#groups.set(groupId, new HostedGroup(restoreGroup(groupId, value), this));
    for (const groupId of live.offsets.groupIds()) this.findOrCreate(groupId);
    for (const hosted of this.#groups.values()) hosted.step({ kind: 'loaded' });
    const deleted = this.#deletedMeanwhile;
    this.#deletedMeanwhile = [];
    for (const remove of deleted) remove();
    this.#offerCompaction();
  }

  #fields(): { readonly topic: string; readonly partition: number; readonly leaderEpoch: number } {
    return { topic: this.log.topic, partition: this.log.partition, leaderEpoch: this.log.leaderEpoch };
  }
}

function ignore(): void {}
