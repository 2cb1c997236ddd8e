/**
 * Fetch: reads records for consumers.
 *
 * v4 isolation level, aborted transactions (KIP-98) · v5 log start offset · v7 incremental sessions (KIP-227) · v9 leader epoch of the
 * client (KIP-320) · v10 zstd (KIP-110) · v11 rack (KIP-392) · v12 flexible, diverging epochs (KIP-595) · v13 topic ids (KIP-516) ·
 * v15 replica state (KIP-903) · v16 current leader with address (KIP-951) · v17, v18 for followers only.
 * There are no followers here: a replica id is refused. No preferred read replica is named.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import { noAnswer, type HandlerOf, type Outcome, type RequestContext } from '../handler.ts';
import type { ResponseMemory } from '../response-memory.ts';
import type { Services } from '../services.ts';
import { readPass, type FetchedPartition, type ReadPass } from './fetch-read.ts';
import { FetchSessions, moveToEnd, type FetchContext } from './fetch-session.ts';
import { fetchWhenReady } from './fetch-wait.ts';
import { nodeEndpoints } from './partition-access.ts';

type FetchRequest = RequestOf<typeof ApiKeys.Fetch>;
type FetchResponse = ResponseInputOf<typeof ApiKeys.Fetch>;
type TopicResponse = FetchResponse['responses'][number];

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
const CONSUMER_REPLICA_ID = -1;
/** Kafka's DEBUGGING_CONSUMER_ID, used by tools. */
const DEBUGGING_REPLICA_ID = -2;
/** Longest long poll; clients ask for half a second. */
const MAX_WAIT_MS = 300_000;
const FIRST_VERSION_WITH_TOPIC_IDS = 13;
const FIRST_VERSION_WITH_LEADERS = 16;
const MAX_SESSION_PARTITIONS = 1_000_000;

type OpenContext = Exclude<FetchContext, { readonly kind: 'error' }>;

export function fetchHandler(services: Services, responseMemory: ResponseMemory): HandlerOf<typeof ApiKeys.Fetch> {
  const { clock, random, metrics } = services.io;
  const sessions = new FetchSessions({ maxSessions: services.config.maxIncrementalFetchSessionCacheSlots, maxTargets: MAX_SESSION_PARTITIONS, clock, random });
  metrics.observedGauge('automq_fetch_sessions', 'Incremental fetch sessions', () => sessions.size);
  metrics.observedGauge('automq_fetch_session_partitions', 'Partitions in incremental fetch sessions', () => sessions.partitionCount);
  return {
    apiKey: ApiKeys.Fetch,
    minVersion: 4,
    maxVersion: 18,
    concurrency: 'serial',
    longPoll: true,
    handle: (request, context) => fetch(services, sessions, responseMemory, request, context),
    failed: () => ({ errorCode: ErrorCodes.UNKNOWN_SERVER_ERROR, responses: [] }),
  };
}

function fetch(
  services: Services,
  sessions: FetchSessions,
  memory: ResponseMemory,
  request: FetchRequest,
  context: RequestContext,
): Outcome<FetchResponse> | Promise<Outcome<FetchResponse>> {
  const refusal = refusalOf(request, context.apiVersion);
  if (refusal !== ErrorCodes.NONE) return refused(request, refusal);
  const opened = sessions.open(request, context.apiVersion);
  if (opened.kind === 'error') return { errorCode: opened.error, responses: [] };
  const maxBytes = Math.max(0, Math.min(request.maxBytes, services.config.fetchMaxBytes, memory.freeBytes));
  const isolation = request.isolationLevel === READ_COMMITTED ? 'committed' : 'uncommitted';
  const limits = { isolation, maxBytes, topicsById: context.apiVersion >= FIRST_VERSION_WITH_TOPIC_IDS } as const;
  const pass = fetchWhenReady({
    clock: services.io.clock,
    connection: context.connection,
    minBytes: Math.min(request.minBytes, maxBytes),
    maxWaitMs: Math.min(request.maxWaitMs, MAX_WAIT_MS),
    openingWaitMs: services.config.partitionOpeningWaitMs,
    read: () => readPass(services, opened.targets, limits, (bytes) => memory.change(0, bytes)),
  });
  const answer = (done: ReadPass | undefined) =>
    done === undefined ? noAnswer : answerOf(services, opened, done, { isolation, apiVersion: context.apiVersion });
  return pass instanceof Promise ? pass.then(answer) : answer(pass);
}

function refusalOf(request: FetchRequest, apiVersion: number): ErrorCode {
  const replicaId = apiVersion >= 15 ? request.replicaState.replicaId : request.replicaId;
  if (replicaId !== CONSUMER_REPLICA_ID && replicaId !== DEBUGGING_REPLICA_ID) return ErrorCodes.INVALID_REQUEST;
  return request.isolationLevel === READ_UNCOMMITTED || request.isolationLevel === READ_COMMITTED ? ErrorCodes.NONE : ErrorCodes.INVALID_REQUEST;
}

/** Before version 7 an answer has errors only per partition. */
function refused(request: FetchRequest, error: ErrorCode): FetchResponse {
  const partition = (partitionIndex: number) => ({ partitionIndex, errorCode: error, highWatermark: -1, abortedTransactions: [], records: [] });
  return {
    errorCode: error,
    responses: request.topics.map(({ topic, topicId, partitions }) => ({ topic, topicId, partitions: partitions.map((asked) => partition(asked.partition)) })),
  };
}

interface AnswerStyle {
  readonly isolation: 'committed' | 'uncommitted';
  readonly apiVersion: number;
}

function answerOf(services: Services, context: OpenContext, pass: ReadPass, style: AnswerStyle): FetchResponse {
  const responses: (TopicResponse & { partitions: TopicResponse['partitions'][number][] })[] = [];
  const leaders = new Set<number>();
  const session = context.kind === 'sessionless' ? undefined : context.session;
  for (const fetched of pass.partitions) {
    const { target } = fetched;
    const hasNews = session === undefined || tellsNews(fetched);
    if (context.kind === 'incremental' && !hasNews) continue;
    if (session !== undefined && fetched.sizeBytes > 0) moveToEnd(session, target);
    const withLeader = fetched.leader !== undefined && style.apiVersion >= FIRST_VERSION_WITH_LEADERS;
    if (withLeader) leaders.add(fetched.leader!.leaderId);
    const partition = partitionOf(fetched, style, withLeader);
    const last = responses.at(-1);
    if (last !== undefined && last.topic === target.topic && last.topicId === target.topicId) last.partitions.push(partition);
    else responses.push({ topic: target.topic, topicId: target.topicId, partitions: [partition] });
  }
  return { errorCode: ErrorCodes.NONE, sessionId: session?.id ?? 0, responses, nodeEndpoints: nodeEndpoints(services, leaders) };
}

function partitionOf(fetched: FetchedPartition, { isolation }: AnswerStyle, withLeader: boolean): TopicResponse['partitions'][number] {
  const { target, error, highWatermark, lastStableOffset, logStartOffset, records, divergingEpoch, leader } = fetched;
  return {
    partitionIndex: target.partition,
    errorCode: error,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    abortedTransactions: isolation === 'committed' ? fetched.abortedTransactions : null,
    records,
    divergingEpoch,
    currentLeader: withLeader ? leader : undefined,
  };
}

/** Does an incremental answer have to name this partition? Remembers what the client is told. */
function tellsNews(fetched: FetchedPartition): boolean {
  const { target, highWatermark, logStartOffset } = fetched;
  const changed = target.toldHighWatermark !== highWatermark || target.toldLogStartOffset !== logStartOffset;
  target.toldHighWatermark = fetched.error === ErrorCodes.NONE ? highWatermark : -1;
  target.toldLogStartOffset = logStartOffset;
  return changed || fetched.sizeBytes > 0 || fetched.error !== ErrorCodes.NONE || fetched.divergingEpoch !== undefined;
}
