/**
 * ListOffsets: the offset at an end of a partition, or at a time.
 *
 * v1 one offset per partition · v2 isolation level (KIP-98) · v4 leader epochs (KIP-320) · v6 flexible · v7 −3, greatest timestamp (KIP-734) ·
 * v8 −4, earliest local (KIP-405) · v9 −5, latest tiered (KIP-1005) · v10 timeout (KIP-1075) · v11 −6, earliest pending upload (KIP-1023).
 * Nothing is tiered here, so −4 is the log start, and −5 and −6 answer offset −1, as Kafka does for a topic without tiering.
 */
import { type PartitionLog, ReadFailed, type TimestampOffset } from '../../log/partition-log.ts';
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf, RequestContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { doubledKeys } from './doubled-keys.ts';
import { openedWithin, openingAmong } from './opening-wait.ts';
import { accessPartition, leaderEpochError, topicOf } from './partition-access.ts';

type ListOffsetsRequest = RequestOf<typeof ApiKeys.ListOffsets>;
type AskedPartition = ListOffsetsRequest['topics'][number]['partitions'][number];
type PartitionResponse = ResponseInputOf<typeof ApiKeys.ListOffsets>['topics'][number]['partitions'][number];

const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;
/** The first version that knows a special timestamp. */
const firstVersions: ReadonlyMap<number, number> = new Map([
  [LATEST, 1],
  [EARLIEST, 1],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11],
]);
/** Look-ups by time of one request that run at once: each may read from the object store. */
const LOOKUPS_AT_ONCE = 16;

const notFound: TimestampOffset = { offset: -1, timestampMs: -1, leaderEpoch: -1 };

export function listOffsetsHandler(services: Services): HandlerOf<typeof ApiKeys.ListOffsets> {
  return {
    apiKey: ApiKeys.ListOffsets,
    minVersion: 1,
    maxVersion: 11,
    concurrency: 'serial',
    handle: (request, context) => listOffsets(services, request, context),
  };
}

async function listOffsets(services: Services, request: ListOffsetsRequest, context: RequestContext): Promise<ResponseInputOf<typeof ApiKeys.ListOffsets>> {
  const asked = request.topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })));
  await openedWithin(services.io.clock, openingAmong(services, asked), services.config.partitionOpeningWaitMs);
  const lookups: (() => Promise<void>)[] = [];
  const topics = request.topics.map(({ name, partitions }) => {
    const doubled = doubledKeys(partitions.map((asked) => String(asked.partitionIndex)));
    const answers: PartitionResponse[] = [];
    for (const index of doubled) answers.push(refused(Number(index), ErrorCodes.INVALID_REQUEST));
    for (const asked of partitions) {
      if (doubled.has(String(asked.partitionIndex))) continue;
      const answer = answerOf({ services, request, context, topic: name }, asked);
      const at = answers.push(typeof answer === 'function' ? refused(asked.partitionIndex, ErrorCodes.UNKNOWN_SERVER_ERROR) : answer) - 1;
      if (typeof answer === 'function') lookups.push(async () => void (answers[at] = await answer()));
    }
    return { name, partitions: answers };
  });
  await runAll(lookups);
  return { topics };
}

interface Place {
  readonly services: Services;
  readonly request: ListOffsetsRequest;
  readonly context: RequestContext;
  readonly topic: string;
}

function answerOf(place: Place, asked: AskedPartition): PartitionResponse | (() => Promise<PartitionResponse>) {
  const { services, request, context } = place;
  const { partitionIndex, timestamp } = asked;
  const topic = topicOf(services, place.topic, zeroUuid);
  if (request.isolationLevel < 0 || request.isolationLevel > 1) return refused(partitionIndex, ErrorCodes.INVALID_REQUEST);
  if (timestamp < 0 && context.apiVersion < (firstVersions.get(timestamp) ?? Number.POSITIVE_INFINITY))
    return refused(partitionIndex, ErrorCodes.UNSUPPORTED_VERSION);
  if (topic === undefined) return refused(partitionIndex, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  const access = accessPartition(services, topic.topicId, partitionIndex);
  if (access.kind === 'opening') return refused(partitionIndex, ErrorCodes.NOT_LEADER_OR_FOLLOWER);
  if (access.kind === 'error') return refused(partitionIndex, access.error);
  const { log } = access;
  const epochError = leaderEpochError(log, asked.currentLeaderEpoch);
  if (epochError !== ErrorCodes.NONE) return refused(partitionIndex, epochError);
  const bound = boundOf(log, request);
  if (timestamp < 0 && timestamp !== MAX_TIMESTAMP) return found(partitionIndex, atEnd(log, timestamp, bound));
  return async () => {
    try {
      const at = timestamp === MAX_TIMESTAMP ? await log.offsetOfMaxTimestamp() : await log.offsetForTimestamp(timestamp);
      return found(partitionIndex, at === undefined || at.offset >= bound ? notFound : at);
    } catch (error) {
      // "No such record" would send a consumer to the end, past records that it never saw.
      if (error instanceof ReadFailed) return refused(partitionIndex, error.error);
      throw error;
    }
  };
}

/** What is durable, also for a replica id (nobody replicates here, and the rest may never exist); read_committed no further than the first open transaction. */
function boundOf(log: PartitionLog, { isolationLevel }: ListOffsetsRequest): number {
  return isolationLevel === 1 ? log.lastStableOffset : log.highWatermark;
}

function atEnd(log: PartitionLog, timestamp: number, bound: number): TimestampOffset {
  if (timestamp === LATEST) return { offset: bound, timestampMs: -1, leaderEpoch: log.leaderEpoch };
  if (timestamp !== EARLIEST && timestamp !== EARLIEST_LOCAL) return notFound;
  return { offset: log.logStartOffset, timestampMs: -1, leaderEpoch: log.epochAt(log.logStartOffset) };
}

function found(partitionIndex: number, { offset, timestampMs, leaderEpoch }: TimestampOffset): PartitionResponse {
  return { partitionIndex, errorCode: ErrorCodes.NONE, timestamp: timestampMs, offset, leaderEpoch };
}

function refused(partitionIndex: number, errorCode: ErrorCode): PartitionResponse {
  return { partitionIndex, errorCode, timestamp: -1, offset: -1, leaderEpoch: -1 };
}

async function runAll(lookups: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let lookup = lookups[next++]; lookup !== undefined; lookup = lookups[next++]) await lookup();
  };
  await Promise.all(Array.from({ length: Math.min(LOOKUPS_AT_ONCE, lookups.length) }, worker));
}
