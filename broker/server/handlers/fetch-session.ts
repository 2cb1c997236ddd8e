/**
 * Incremental fetch sessions (KIP-227): the broker remembers which partitions a client follows, the client sends only
 * changes, and an answer holds only partitions with news. The cache is bounded; who may push out whom is Kafka's rule.
 */
import type { Clock } from '../../../io/clock.ts';
import type { Random } from '../../../io/random.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import type { ApiKeys, RequestOf } from '../../protocol/messages.gen.ts';

type FetchRequest = RequestOf<typeof ApiKeys.Fetch>;

/** One partition of a fetch: what the client asked for, and what it was told last. */
export interface FetchTarget {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  currentLeaderEpoch: number;
  fetchOffset: number;
  lastFetchedEpoch: number;
  maxBytes: number;
  /** −1: nothing was told, or an error. */
  toldHighWatermark: number;
  toldLogStartOffset: number;
}

export interface FetchSession {
  readonly id: number;
  /** Topics by id (version 13 and later) or by name; a session cannot change. */
  readonly usesTopicIds: boolean;
  /** In the order in which they are read: whoever got records goes to the end. */
  readonly targets: Map<string, FetchTarget>;
  /** The epoch that the next request must carry. */
  epoch: number;
  readonly createdAtMs: number;
  lastUsedMs: number;
}

/** What one request fetches, and in which session. */
export type FetchContext =
  | { readonly kind: 'sessionless'; readonly targets: readonly FetchTarget[] }
  /** Answers all partitions and begins a session, if there is room for one. */
  | { readonly kind: 'full'; readonly targets: readonly FetchTarget[]; readonly session: FetchSession | undefined }
  | { readonly kind: 'incremental'; readonly targets: readonly FetchTarget[]; readonly session: FetchSession }
  | { readonly kind: 'error'; readonly error: ErrorCode };

export interface FetchSessionsOptions {
  readonly maxSessions: number;
  /** Partitions of all sessions together. */
  readonly maxTargets: number;
  readonly clock: Clock;
  readonly random: Random;
}

const NO_SESSION = 0;
const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;
const FIRST_VERSION_WITH_SESSIONS = 7;
const FIRST_VERSION_WITH_TOPIC_IDS = 13;
/** Kafka's min.incremental.fetch.session.eviction.ms. */
const EVICTION_MS = 120_000;
const MAX_INT = 0x7fff_ffff;

export class FetchSessions {
  private readonly options: FetchSessionsOptions;
  /** Least recently used first. */
  private readonly sessions = new Map<number, FetchSession>();
  private targetCount = 0;

  constructor(options: FetchSessionsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.sessions.size;
  }

  get partitionCount(): number {
    return this.targetCount;
  }

  open(request: FetchRequest, version: number): FetchContext {
    const { sessionId, sessionEpoch } = request;
    if (version < FIRST_VERSION_WITH_SESSIONS) return { kind: 'sessionless', targets: [...targetsOf(request).values()] };
    if (sessionEpoch !== INITIAL_EPOCH && sessionEpoch !== FINAL_EPOCH) return this.resume(request, version);
    if (sessionId !== NO_SESSION) this.remove(sessionId);
    const targets = targetsOf(request);
    const asked = [...targets.values()];
    if (sessionEpoch === FINAL_EPOCH) return { kind: 'sessionless', targets: asked };
    return { kind: 'full', targets: asked, session: this.create(targets, version >= FIRST_VERSION_WITH_TOPIC_IDS) };
  }

  private resume(request: FetchRequest, version: number): FetchContext {
    const session = this.sessions.get(request.sessionId);
    if (session === undefined) return { kind: 'error', error: ErrorCodes.FETCH_SESSION_ID_NOT_FOUND };
    if (session.usesTopicIds !== version >= FIRST_VERSION_WITH_TOPIC_IDS) return { kind: 'error', error: ErrorCodes.FETCH_SESSION_TOPIC_ID_ERROR };
    if (session.epoch !== request.sessionEpoch) return { kind: 'error', error: ErrorCodes.INVALID_FETCH_SESSION_EPOCH };
    this.update(session, request);
    if (session.targets.size === 0) {
      this.remove(session.id);
      return { kind: 'sessionless', targets: [] };
    }
    session.epoch = session.epoch === MAX_INT ? 1 : session.epoch + 1;
    session.lastUsedMs = this.options.clock.monotonicMs();
    this.sessions.delete(session.id);
    this.sessions.set(session.id, session);
    return { kind: 'incremental', targets: [...session.targets.values()], session };
  }

  private update(session: FetchSession, request: FetchRequest): void {
    for (const topic of request.topics) {
      for (const asked of topic.partitions) {
        const key = targetKey(topic.topic, topic.topicId, asked.partition);
        const known = session.targets.get(key);
        if (known !== undefined) {
          known.currentLeaderEpoch = asked.currentLeaderEpoch;
          known.fetchOffset = asked.fetchOffset;
          known.lastFetchedEpoch = asked.lastFetchedEpoch;
          known.maxBytes = asked.partitionMaxBytes;
        } else if (this.targetCount < this.options.maxTargets) {
          session.targets.set(key, newTarget(topic, asked));
          this.targetCount++;
        }
      }
    }
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) if (session.targets.delete(targetKey(topic, topicId, partition))) this.targetCount--;
    }
  }

  private create(targets: Map<string, FetchTarget>, usesTopicIds: boolean): FetchSession | undefined {
    const nowMs = this.options.clock.monotonicMs();
    if (!this.makeRoom(targets.size, nowMs)) return undefined;
    const session: FetchSession = { id: this.newId(), usesTopicIds, targets, epoch: 1, createdAtMs: nowMs, lastUsedMs: nowMs };
    this.sessions.set(session.id, session);
    this.targetCount += session.targets.size;
    return session;
  }

  /** A session that nobody used for two minutes goes; else the smallest one of that age, if the new one is larger. */
  private makeRoom(targetCount: number, nowMs: number): boolean {
    const { maxSessions, maxTargets } = this.options;
    while (this.sessions.size >= maxSessions || this.targetCount + targetCount > maxTargets) {
      const victim = this.evictable(targetCount, nowMs);
      if (victim === undefined) return false;
      this.remove(victim.id);
    }
    return true;
  }

  private evictable(targetCount: number, nowMs: number): FetchSession | undefined {
    const [oldest] = this.sessions.values();
    if (oldest === undefined || nowMs - oldest.lastUsedMs > EVICTION_MS) return oldest;
    let smallest: FetchSession | undefined;
    for (const session of this.sessions.values()) {
      if (nowMs - session.createdAtMs > EVICTION_MS && session.targets.size < (smallest?.targets.size ?? targetCount)) smallest = session;
    }
    return smallest;
  }

  private remove(id: number): void {
    const session = this.sessions.get(id);
    if (session === undefined) return;
    this.sessions.delete(id);
    this.targetCount -= session.targets.size;
  }

  private newId(): number {
    for (;;) {
      const id = 1 + this.options.random.below(MAX_INT);
      if (!this.sessions.has(id)) return id;
    }
  }
}

/** Records were told: others come first next time, so that a full answer does not always hold the same partitions. */
export function moveToEnd(session: FetchSession, target: FetchTarget): void {
  const key = targetKey(target.topic, target.topicId, target.partition);
  if (session.targets.get(key) !== target) return;
  session.targets.delete(key);
  session.targets.set(key, target);
}

/** A partition that is named twice counts as it was named last. */
function targetsOf(request: FetchRequest): Map<string, FetchTarget> {
  const targets = new Map<string, FetchTarget>();
  for (const topic of request.topics) {
    for (const asked of topic.partitions) targets.set(targetKey(topic.topic, topic.topicId, asked.partition), newTarget(topic, asked));
  }
  return targets;
}

function newTarget(topic: FetchRequest['topics'][number], asked: FetchRequest['topics'][number]['partitions'][number]): FetchTarget {
  return {
    topic: topic.topic,
    topicId: topic.topicId,
    partition: asked.partition,
    currentLeaderEpoch: asked.currentLeaderEpoch,
    fetchOffset: asked.fetchOffset,
    lastFetchedEpoch: asked.lastFetchedEpoch,
    maxBytes: asked.partitionMaxBytes,
    toldHighWatermark: -1,
    toldLogStartOffset: -1,
  };
}

function targetKey(topic: string, topicId: string, partition: number): string {
  return topic === '' ? `${topicId}/${partition}` : `${partition}/${topic}`;
}
