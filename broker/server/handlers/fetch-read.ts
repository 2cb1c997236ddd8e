/**
 * One pass over the partitions of a fetch: checks each, reads what is there within the byte limits (at least one batch,
 * however large), in the order given. Records in memory are read at once; those in the object store in parallel, so a pass
 * is synchronous for consumers at the tail.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import type { AbortedTransaction, PartitionLog, ReadOptions, ReadOutcome } from '../../log/partition-log.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import type { Services } from '../services.ts';
import type { FetchTarget } from './fetch-session.ts';
import { accessPartition, leaderEpochError, leaderHint, topicOf, unknownTopicError, type LeaderHint } from './partition-access.ts';

export interface ReadLimits {
  readonly isolation: ReadOptions['isolation'];
  readonly maxBytes: number;
  /** The version of the request names topics by id. */
  readonly topicsById: boolean;
}

/** What the answer says of one partition. */
export interface FetchedPartition {
  readonly target: FetchTarget;
  error: ErrorCode;
  leader: LeaderHint | undefined;
  divergingEpoch: { readonly epoch: number; readonly endOffset: number } | undefined;
  highWatermark: number;
  lastStableOffset: number;
  logStartOffset: number;
  records: readonly Uint8Array[];
  sizeBytes: number;
  abortedTransactions: readonly AbortedTransaction[];
}

export interface ReadPass {
  readonly partitions: readonly FetchedPartition[];
  /** Partitions that can bring news later. */
  readonly logs: readonly PartitionLog[];
  readonly opening: readonly Promise<void>[];
  readonly sizeBytes: number;
  /** Something that the client should hear of at once. */
  readonly urgent: boolean;
  readonly fromStore: boolean;
}

/** `reserve` counts bytes that reads from the object store may bring, until they have. */
export function readPass(
  services: Services,
  targets: readonly FetchTarget[],
  limits: ReadLimits,
  reserve: (bytes: number) => void,
): ReadPass | Promise<ReadPass> {
  return new Pass(services, limits, reserve).run(targets);
}

class Pass {
  private readonly services: Services;
  private readonly limits: ReadLimits;
  private readonly reserve: (bytes: number) => void;
  private readonly partitions: FetchedPartition[] = [];
  private readonly logs: PartitionLog[] = [];
  private readonly opening: Promise<void>[] = [];
  private readonly reads: Promise<void>[] = [];
  private leftBytes: number;
  private sizeBytes = 0;
  private urgent = false;
  /** The topic of the partition before: requests list partitions by topic. */
  private lastName = '';
  private lastId = '';
  private lastTopic: TopicImage | undefined;

  constructor(services: Services, limits: ReadLimits, reserve: (bytes: number) => void) {
    this.services = services;
    this.limits = limits;
    this.reserve = reserve;
    this.leftBytes = limits.maxBytes;
  }

  run(targets: readonly FetchTarget[]): ReadPass | Promise<ReadPass> {
    for (const target of targets) this.partitions.push(this.visit(target));
    if (this.reads.length === 0) return this.result(false);
    return Promise.all(this.reads).then(() => this.result(true));
  }

  private result(fromStore: boolean): ReadPass {
    const { partitions, logs, opening, sizeBytes, urgent } = this;
    return { partitions, logs, opening, sizeBytes, urgent, fromStore };
  }

  private visit(target: FetchTarget): FetchedPartition {
    const fetched = emptyPartition(target);
    const topic = this.topicFor(target);
    if (topic === undefined) return this.refuse(fetched, unknownTopicError(this.limits.topicsById));
    const access = accessPartition(this.services, topic.topicId, target.partition);
    if (access.kind === 'open') this.check(fetched, access.log);
    else if (access.kind === 'opening') {
      this.opening.push(access.ready);
      fetched.error = ErrorCodes.NOT_LEADER_OR_FOLLOWER;
    } else this.refuse(fetched, access.error, access.leader);
    return fetched;
  }

  private topicFor({ topic, topicId }: FetchTarget): TopicImage | undefined {
    if (this.lastTopic === undefined || topic !== this.lastName || topicId !== this.lastId) this.lastTopic = topicOf(this.services, topic, topicId);
    this.lastName = topic;
    this.lastId = topicId;
    return this.lastTopic;
  }

  private check(fetched: FetchedPartition, log: PartitionLog): void {
    const { target } = fetched;
    const epochError = leaderEpochError(log, target.currentLeaderEpoch);
    if (epochError !== ErrorCodes.NONE) {
      // A client that knows of a later epoch than this broker learns nothing from it.
      const isBehind = epochError === ErrorCodes.FENCED_LEADER_EPOCH;
      this.refuse(fetched, epochError, isBehind ? { leaderId: this.services.node, leaderEpoch: log.leaderEpoch } : undefined);
      return;
    }
    this.describe(fetched, log);
    const beforeStart = target.fetchOffset < log.logStartOffset;
    // A client past the end learns where its epoch ended; only without an epoch is it out of range.
    if (target.lastFetchedEpoch >= 0 && !beforeStart && this.diverges(fetched, log)) return;
    if (beforeStart || target.fetchOffset > log.logEndOffset) {
      this.refuse(fetched, ErrorCodes.OFFSET_OUT_OF_RANGE);
      return;
    }
    this.logs.push(log);
    const bound = this.limits.isolation === 'committed' ? log.lastStableOffset : log.highWatermark;
    const nothingYet = this.sizeBytes === 0 && this.reads.length === 0;
    const maxBytes = Math.min(target.maxBytes, this.leftBytes);
    if (target.fetchOffset < bound && (maxBytes > 0 || nothingYet)) this.read(fetched, log, Math.max(0, maxBytes));
  }

  /** The client's last epoch ended earlier here than it believes: it has to truncate (KIP-320, KIP-595). */
  private diverges(fetched: FetchedPartition, log: PartitionLog): boolean {
    const { lastFetchedEpoch, fetchOffset } = fetched.target;
    const end = log.endOffsetForEpoch(lastFetchedEpoch);
    if (end.leaderEpoch < 0 || end.endOffset < 0) {
      this.refuse(fetched, ErrorCodes.OFFSET_OUT_OF_RANGE);
      return true;
    }
    if (end.leaderEpoch >= lastFetchedEpoch && end.endOffset >= fetchOffset) return false;
    fetched.divergingEpoch = { epoch: end.leaderEpoch, endOffset: end.endOffset };
    this.urgent = true;
    return true;
  }

  private read(fetched: FetchedPartition, log: PartitionLog, maxBytes: number): void {
    const outcome = log.read(fetched.target.fetchOffset, { maxBytes, isolation: this.limits.isolation });
    if (!(outcome instanceof Promise)) {
      this.take(fetched, log, outcome);
      this.leftBytes -= fetched.sizeBytes;
      return;
    }
    this.leftBytes -= maxBytes;
    this.reserve(maxBytes);
    const taken = outcome.then(
      (late) => this.take(fetched, log, late),
      () => void this.refuse(fetched, ErrorCodes.KAFKA_STORAGE_ERROR),
    );
    this.reads.push(taken.finally(() => this.reserve(-maxBytes)));
  }

  private take(fetched: FetchedPartition, log: PartitionLog, outcome: ReadOutcome): void {
    if (outcome.kind === 'failed') {
      const hasMoved = outcome.error === ErrorCodes.NOT_LEADER_OR_FOLLOWER;
      this.refuse(fetched, outcome.error, hasMoved ? leaderHint(this.services, log.topicId, log.partition) : undefined);
    } else if (outcome.kind === 'out-of-range') this.refuse(fetched, ErrorCodes.OFFSET_OUT_OF_RANGE);
    else {
      this.describe(fetched, log);
      fetched.records = outcome.chunks;
      fetched.sizeBytes = outcome.sizeBytes;
      fetched.abortedTransactions = outcome.abortedTransactions;
      this.sizeBytes += outcome.sizeBytes;
    }
  }

  private describe(fetched: FetchedPartition, log: PartitionLog): void {
    fetched.highWatermark = log.highWatermark;
    fetched.lastStableOffset = log.lastStableOffset;
    fetched.logStartOffset = log.logStartOffset;
  }

  private refuse(fetched: FetchedPartition, error: ErrorCode, leader?: LeaderHint): FetchedPartition {
    fetched.error = error;
    fetched.leader = leader;
    fetched.highWatermark = -1;
    fetched.lastStableOffset = -1;
    fetched.logStartOffset = -1;
    this.urgent = true;
    return fetched;
  }
}

const noChunks: readonly Uint8Array[] = [];
const noneAborted: readonly AbortedTransaction[] = [];

function emptyPartition(target: FetchTarget): FetchedPartition {
  return {
    target,
    error: ErrorCodes.NONE,
    leader: undefined,
    divergingEpoch: undefined,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    records: noChunks,
    sizeBytes: 0,
    abortedTransactions: noneAborted,
  };
}
