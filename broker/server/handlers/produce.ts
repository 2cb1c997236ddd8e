/**
 * Produce: appends batches, answers when they are durable.
 *
 * v3 transactional id, magic 2 (KIP-98) · v5 log start offset · v7 zstd (KIP-110) · v8 errors per record (KIP-467) · v9 flexible ·
 * v10 current leader in the answer (KIP-951) · v11, v12 transactions v2 (KIP-890) · v13 topic ids (KIP-516).
 * Versions 0–2 are advertised because librdkafka otherwise stops compressing; sending one closes the connection, as with Kafka 4.
 * Transactional batches are refused until transactions exist.
 *
 * Everything that fixes the order happens in the first stage: all partitions are appended before `handle` returns. What is
 * uploaded together shares one promise, so the second stage waits for few of them whatever the number of partitions.
 */
import type { TopicImage } from '../../../cluster/cluster-image.ts';
import { isZstd } from '../../log/batch/validate-batches.ts';
import type { AppendOutcome } from '../../log/partition-log.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import { closeConnection, noAnswer, type HandlerOf, type Outcome, type RequestContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { whenOpened } from './opening-wait.ts';
import { accessPartition, leaderHint, nodeEndpoints, topicOf, unknownTopicError, type LeaderHint, type PartitionAccess } from './partition-access.ts';
import { ProduceWait, type Settlement } from './produce-wait.ts';

type ProduceRequest = RequestOf<typeof ApiKeys.Produce>;
type ProduceResponse = ResponseInputOf<typeof ApiKeys.Produce>;

/** The answer for one partition, filled in as things become known. */
interface PartitionAnswer {
  /** Not sent: who leads is looked up with it. */
  readonly topic: TopicImage | undefined;
  readonly index: number;
  errorCode: ErrorCode;
  baseOffset: number;
  logAppendTimeMs: number;
  logStartOffset: number;
  recordErrors: readonly { readonly batchIndex: number; readonly batchIndexErrorMessage: string }[];
  errorMessage: string | null;
  currentLeader: LeaderHint | undefined;
}

/** Kafka's own tools may write to internal topics under this name. */
const ADMIN_CLIENT_ID = '__admin_client';
const ATTRIBUTES_POSITION = 21;
const TRANSACTIONAL_FLAG = 0x10;
const noErrors: readonly never[] = [];
const UNANSWERED_WAIT_MS = 30_000;
const FIRST_VERSION_WITH_TOPIC_IDS = 13;

export function produceHandler(services: Services): HandlerOf<typeof ApiKeys.Produce> {
  return {
    apiKey: ApiKeys.Produce,
    minVersion: 3,
    maxVersion: 13,
    advertisedMinVersion: 0,
    concurrency: 'pipelined',
    handle: (request, context) => produce(services, request, context),
    failed: (request) => allFailed(request, ErrorCodes.KAFKA_STORAGE_ERROR, 'The broker failed while it handled this request.'),
  };
}

function produce(services: Services, request: ProduceRequest, context: RequestContext): Outcome<ProduceResponse> | Promise<Outcome<ProduceResponse>> {
  if (request.acks < -1 || request.acks > 1) return allFailed(request, ErrorCodes.INVALID_REQUIRED_ACKS, null);
  const wait = new ProduceWait<PartitionAnswer>(services.io.clock, (answer, settlement) => settleAnswer(services, answer, settlement));
  const topics = request.topicData.map((topicData) => {
    const topic = topicOf(services, topicData.name, topicData.topicId);
    const partitionResponses = topicData.partitionData.map(({ index, records }) => {
      const answer = emptyAnswer(index, topic);
      if (topic === undefined) answer.errorCode = unknownTopicError(context.apiVersion >= FIRST_VERSION_WITH_TOPIC_IDS);
      else appendTo({ services, context, wait, topic }, answer, records);
      return answer;
    });
    return { name: topicData.name, topicId: topicData.topicId, partitionResponses };
  });
  const answerOf = () => (request.acks === 0 ? silentAnswer(topics) : { responses: topics, nodeEndpoints: endpointsOf(services, topics) });
  if (wait.isDone || (request.acks === 0 && hasError(topics))) return answerOf();
  // Nobody waits for an answer to acks = 0; the request stays in memory until it is stored, so that its sender is slowed down like others.
  return wait.untilDone(request.acks === 0 ? UNANSWERED_WAIT_MS : request.timeoutMs).then(answerOf);
}

interface AppendPlace {
  readonly services: Services;
  readonly context: RequestContext;
  readonly wait: ProduceWait<PartitionAnswer>;
  readonly topic: TopicImage;
}

function appendTo(place: AppendPlace, answer: PartitionAnswer, records: Buffer | null): void {
  const { services, context, wait, topic } = place;
  const refusal = refusalOf(topic, context, records);
  if (records === null || refusal !== undefined) {
    fail(answer, refusal?.error ?? ErrorCodes.INVALID_RECORD, refusal?.message ?? `Record data for partition ${answer.index} is null`);
    return;
  }
  const access = accessPartition(services, topic.topicId, answer.index);
  if (access.kind !== 'opening') {
    appendNow(place, answer, records, access);
    return;
  }
  wait.beginOpening(answer);
  whenOpened(services, topic.topicId, answer.index, services.config.partitionOpeningWaitMs, (now) => {
    if (!wait.endOpening(answer)) return;
    appendNow(place, answer, records, now);
    wait.look();
  });
}

function appendNow({ services, wait }: AppendPlace, answer: PartitionAnswer, records: Buffer, access: PartitionAccess): void {
  if (access.kind === 'error') {
    fail(answer, access.error, null);
    answer.currentLeader = access.leader;
  } else if (access.kind === 'opening') fail(answer, ErrorCodes.NOT_LEADER_OR_FOLLOWER, 'The partition did not open in time.');
  else {
    const outcome = access.log.append(records, { origin: 'client' });
    answer.logStartOffset = access.log.logStartOffset;
    fillIn(services, answer, outcome);
    if (outcome.kind !== 'rejected') wait.add(answer, outcome.durable);
  }
}

function refusalOf(topic: TopicImage, context: RequestContext, records: Buffer | null): { readonly error: ErrorCode; readonly message: string } | undefined {
  if (topic.internal && context.clientId !== ADMIN_CLIENT_ID)
    return { error: ErrorCodes.INVALID_TOPIC_EXCEPTION, message: `Cannot append to internal topic ${topic.name}` };
  if (records === null || records.length <= ATTRIBUTES_POSITION + 1) return undefined;
  if (context.apiVersion < 7 && isZstd(records)) {
    return {
      error: ErrorCodes.UNSUPPORTED_COMPRESSION_TYPE,
      message: `Produce requests with version ${context.apiVersion} are not allowed to use ZStandard compression`,
    };
  }
  if ((records[ATTRIBUTES_POSITION + 1]! & TRANSACTIONAL_FLAG) !== 0) {
    return { error: ErrorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, message: 'This broker does not serve transactions yet.' };
  }
  return undefined;
}

function fillIn(services: Services, answer: PartitionAnswer, outcome: AppendOutcome): void {
  if (outcome.kind === 'rejected') {
    fail(answer, outcome.error, outcome.message ?? null);
    answer.recordErrors = outcome.recordErrors?.map(({ batchIndex, message }) => ({ batchIndex, batchIndexErrorMessage: message })) ?? [];
    if (outcome.error === ErrorCodes.NOT_LEADER_OR_FOLLOWER) hintLeader(services, answer);
    return;
  }
  answer.baseOffset = outcome.baseOffset;
  answer.logAppendTimeMs = outcome.logAppendTimeMs;
}

/** What became of a batch. Never UNKNOWN_SERVER_ERROR: a client would send it twice (KAFKA-14034). */
function settleAnswer(services: Services, answer: PartitionAnswer, settlement: Settlement): void {
  switch (settlement) {
    case 'durable':
      return;
    case 'not-appended':
      fail(answer, ErrorCodes.NOT_LEADER_OR_FOLLOWER, null);
      hintLeader(services, answer);
      return;
    case 'not-opened':
      fail(answer, ErrorCodes.NOT_LEADER_OR_FOLLOWER, 'The partition did not open in time.');
      return;
    case 'unknown':
      fail(answer, ErrorCodes.KAFKA_STORAGE_ERROR, null);
      return;
    case 'timeout':
      fail(answer, ErrorCodes.REQUEST_TIMED_OUT, null);
  }
}

function hintLeader(services: Services, answer: PartitionAnswer): void {
  if (answer.topic !== undefined) answer.currentLeader = leaderHint(services, answer.topic.topicId, answer.index);
}

function fail(answer: PartitionAnswer, error: ErrorCode, message: string | null): void {
  answer.errorCode = error;
  answer.errorMessage = message;
  answer.baseOffset = -1;
  answer.logAppendTimeMs = -1;
  answer.logStartOffset = -1;
}

function emptyAnswer(index: number, topic: TopicImage | undefined): PartitionAnswer {
  return {
    topic,
    index,
    errorCode: ErrorCodes.NONE,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: noErrors,
    errorMessage: null,
    currentLeader: undefined,
  };
}

function allFailed(request: ProduceRequest, error: ErrorCode, message: string | null): ProduceResponse {
  return {
    responses: request.topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ ...emptyAnswer(index, undefined), errorCode: error, errorMessage: message })),
    })),
  };
}

type TopicAnswers = readonly { readonly partitionResponses: readonly PartitionAnswer[] }[];

/** Kafka closes the connection when something failed, so that the producer looks at its metadata again. */
function silentAnswer(topics: TopicAnswers): typeof noAnswer | typeof closeConnection {
  return hasError(topics) ? closeConnection : noAnswer;
}

function hasError(topics: TopicAnswers): boolean {
  return topics.some((topic) => topic.partitionResponses.some((answer) => answer.errorCode !== ErrorCodes.NONE));
}

function endpointsOf(services: Services, topics: TopicAnswers): ReturnType<typeof nodeEndpoints> {
  const leaders = new Set<number>();
  for (const topic of topics) for (const { currentLeader } of topic.partitionResponses) if (currentLeader !== undefined) leaders.add(currentLeader.leaderId);
  return nodeEndpoints(services, leaders);
}
