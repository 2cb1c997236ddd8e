/**
 * What a group coordinator writes into its partition of `__consumer_offsets`: one batch per append, settled in log order.
 * Who asked is told once: when it is durable, when it was refused, when waiting took too long, or when nobody will know.
 */
import type { Clock } from '../../../io/clock.ts';
import { buildBatch } from '../../log/batch/build-batch.ts';
import type { Durability, PartitionLog } from '../../log/partition-log.ts';
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import type { Deadlines, Due } from '../deadlines.ts';
import { encodeGroupRecord, type GroupRecord, type OffsetRecord } from './group-records.ts';

export interface GroupLogOptions {
  readonly log: PartitionLog;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** offsets.commit.timeout.ms: how long anybody waits for an append. */
  readonly appendTimeoutMs: number;
  /** Records on their way into the log; past it appends are refused (COORDINATOR_NOT_AVAILABLE). */
  readonly maxPendingBytes: number;
  readonly onDurable: (append: DurableAppend) => void;
  /** An append and everything behind it is not or may not be in the log. */
  readonly onLost: (durability: 'not-appended' | 'unknown') => void;
}

/** NONE: durable. */
export type AppendDone = (error: ErrorCode) => void;

export interface DurableAppend {
  readonly records: readonly GroupRecord[];
  readonly baseOffset: number;
  readonly sizeBytes: number;
}

interface Append extends Due, DurableAppend {
  done: AppendDone | undefined;
  durability: Durability | undefined;
}

export class GroupLog {
  readonly #options: GroupLogOptions;
  /** In log order. */
  #appends: Append[] = [];
  #pendingBytes = 0;
  readonly #pendingOfGroup = new Map<string, Set<Append>>();
  #waiting: { readonly offset: number; readonly resolve: (applied: boolean) => void }[] = [];

  constructor(options: GroupLogOptions) {
    this.#options = options;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The group has records on their way. */
  isPending(groupId: string): boolean {
    return this.#pendingOfGroup.has(groupId);
  }

  pendingOffsets(groupId: string): OffsetRecord[] {
    return this.pendingRecords(groupId).filter((record) => record.kind === 'offset');
  }

  pendingRecords(groupId: string): GroupRecord[] {
    const found: GroupRecord[] = [];
    for (const { records } of this.#pendingOfGroup.get(groupId) ?? []) for (const record of records) if (record.groupId === groupId) found.push(record);
    return found;
  }

  /** True once all appends below `offset` are durable and were handed to `onDurable`; false when they were lost or given up. */
  whenDurableBelow(offset: number): Promise<boolean> {
    if (this.#isDurableBelow(offset)) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiting.push({ offset, resolve }));
  }

  /** One batch: all records count together or not at all. False when it was refused; `done` is called then, too, and never before this returns. */
  append(records: readonly GroupRecord[], done: AppendDone): boolean {
    const { log, clock, deadlines, maxPendingBytes, appendTimeoutMs } = this.#options;
    const nowMs = clock.wallMs();
    const batch = buildBatch({ records: records.map((record) => encodeGroupRecord(record, nowMs)) });
    const sizeBytes = batch.length;
    if (sizeBytes > log.config.maxMessageBytes) return this.#refuse(ErrorCodes.MESSAGE_TOO_LARGE, done);
    if (this.#pendingBytes + sizeBytes > maxPendingBytes) return this.#refuse(ErrorCodes.COORDINATOR_NOT_AVAILABLE, done);
    const outcome = log.append(batch, { origin: 'coordinator' });
    if (outcome.kind === 'rejected') return this.#refuse(coordinatorError(outcome.error), done);
    const { baseOffset } = outcome;
    const append: Append = { records, baseOffset, sizeBytes, done, durability: undefined, due: () => tell(append, ErrorCodes.COORDINATOR_NOT_AVAILABLE) };
    this.#appends.push(append);
    this.#pendingBytes += sizeBytes;
    for (const { groupId } of records) {
      const pending = this.#pendingOfGroup.get(groupId);
      if (pending) pending.add(append);
      else this.#pendingOfGroup.set(groupId, new Set([append]));
    }
    deadlines.set(append, clock.monotonicMs() + appendTimeoutMs);
    void outcome.durable.then((durability) => {
      append.durability = durability;
      this.#settle();
    });
    return true;
  }

  /** At least one record, in batches of at most `perBatch`; `done` tells of the last batch, or of the one that was refused. */
  appendInBatches(records: readonly GroupRecord[], perBatch: number, done: AppendDone): boolean {
    const lastStart = Math.floor((records.length - 1) / perBatch) * perBatch;
    for (let start = 0; start < lastStart; start += perBatch) {
      const accepted: boolean = this.append(records.slice(start, start + perBatch), (error) => {
        if (!accepted) done(error);
      });
      if (!accepted) return false;
    }
    return this.append(records.slice(lastStart), done);
  }

  /** `done` once all that the group has on its way is durable, or waiting took too long. */
  whenDurable(groupId: string, done: AppendDone): void {
    const last = this.#appends.findLast(({ records }) => records.some((record) => record.groupId === groupId));
    if (!last) return done(ErrorCodes.NONE);
    const { deadlines, clock, appendTimeoutMs } = this.#options;
    const { done: earlier } = last;
    const timeout: Due = { due: () => once(ErrorCodes.COORDINATOR_NOT_AVAILABLE) };
    let waits = true;
    const once: AppendDone = (error) => {
      if (!waits) return;
      waits = false;
      deadlines.set(timeout, undefined);
      done(error);
    };
    deadlines.set(timeout, clock.monotonicMs() + appendTimeoutMs);
    last.done = (error) => {
      earlier?.(error);
      once(error);
    };
  }

  /** Nobody waits any longer: all get `error`, and what becomes of the appends is not looked at. */
  abandon(error: ErrorCode): void {
    const appends = this.#appends;
    this.#appends = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const append of appends) this.#forget(append);
    for (const append of appends) tell(append, error);
    for (const { resolve } of waiting) resolve(false);
  }

  #refuse(error: ErrorCode, done: AppendDone): false {
    this.#options.clock.defer(() => done(error));
    return false;
  }

  #settle(): void {
    for (;;) {
      const append = this.#appends[0];
      if (append?.durability === undefined) return;
      if (append.durability !== 'durable') return this.#options.onLost(append.durability);
      this.#appends.shift();
      this.#forget(append);
      this.#options.onDurable(append);
      tell(append, ErrorCodes.NONE);
      this.#tellWaiting();
    }
  }

  #isDurableBelow(offset: number): boolean {
    const first = this.#appends[0];
    return !first || first.baseOffset >= offset;
  }

  #tellWaiting(): void {
    const reached = this.#waiting.filter(({ offset }) => this.#isDurableBelow(offset));
    if (reached.length === 0) return;
    this.#waiting = this.#waiting.filter(({ offset }) => !this.#isDurableBelow(offset));
    for (const { resolve } of reached) resolve(true);
  }

  #forget(append: Append): void {
    this.#pendingBytes -= append.sizeBytes;
    this.#options.deadlines.set(append, undefined);
    for (const { groupId } of append.records) {
      const pending = this.#pendingOfGroup.get(groupId);
      if (pending?.delete(append) && pending.size === 0) this.#pendingOfGroup.delete(groupId);
    }
  }
}

function tell(append: Append, error: ErrorCode): void {
  const { done } = append;
  append.done = undefined;
  done?.(error);
}

/** What a client of the coordinator makes of an error of its log: look for the coordinator again, wait, or give up. */
function coordinatorError(error: ErrorCode): ErrorCode {
  switch (error) {
    case ErrorCodes.NOT_LEADER_OR_FOLLOWER:
    case ErrorCodes.KAFKA_STORAGE_ERROR:
      return ErrorCodes.NOT_COORDINATOR;
    case ErrorCodes.MESSAGE_TOO_LARGE:
    case ErrorCodes.RECORD_LIST_TOO_LARGE:
      return ErrorCodes.MESSAGE_TOO_LARGE;
    default:
      return ErrorCodes.COORDINATOR_NOT_AVAILABLE;
  }
}
