/** B49–B51: fetches from nowhere, of nothing, of too much, and with sessions that are not theirs. */
import { ApiKeys, type RequestInputOf, type ResponseOf } from '../../../broker/protocol/messages.gen.ts';
import { ask, type BadInput, type Frame, type FrameOrNext, type Place } from '../bad-input.ts';
import { errorName } from '../observation.ts';
import { batch } from './batches.ts';
import { produce } from './produce-requests.ts';

const { Fetch } = ApiKeys;
type FetchBody = RequestInputOf<typeof Fetch>;
type Asked = FetchBody['topics'][number]['partitions'][number];

export const fetchCases: readonly BadInput[] = [...offsets(), ...limits(), ...who(), ...epochs(), ...many(), ...sessions()];

const nowhere = 'x'.repeat(21).concat('A');

interface FetchFields {
  readonly version?: number;
  readonly partition?: Partial<Asked>;
  readonly request?: Partial<FetchBody>;
}

/** One partition of the case's topic, with what the case changes; answered without waiting. */
function fetch(place: Place, { version = 12, partition = {}, request = {} }: FetchFields = {}): Frame {
  const asked: Asked = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20, ...partition };
  return ask(
    Fetch,
    version,
    {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1 << 20,
      topics: [{ topic: place.topic, topicId: place.topicId, partitions: [asked] }],
      forgottenTopicsData: [],
      ...request,
    },
    fetched,
  );
}

function fetched({ sessionId, responses }: ResponseOf<typeof Fetch>): string {
  const partitions = responses.flatMap(({ partitions }) => partitions);
  const bytes = partitions.reduce((sum, { records }) => sum + (records?.length ?? 0), 0);
  const ends = partitions.slice(0, 4).map(({ highWatermark, logStartOffset }) => `${logStartOffset}…${highWatermark}`);
  return `${partitions.length} partitions ${ends.join(', ')}, ${bytes} bytes, ${sessionId === 0 ? 'no session' : 'a session'}`.replaceAll('  ', ' ');
}

/** Three records are there: offsets 0, 1, 2. */
function one(row: string, name: string, fields: FetchFields): BadInput {
  return { row, name, frames: (place) => [produce(place), fetch(place, fields)] };
}

function offsets(): BadInput[] {
  return [
    ...[-1, -2, 4, 2 ** 53 - 1, 2 ** 63].map((fetchOffset) => one('B49', `offset ${fetchOffset}`, { partition: { fetchOffset } })),
    one('B49', 'the end', { partition: { fetchOffset: 3 } }),
    one('B49', 'the middle of a batch', { partition: { fetchOffset: 1 } }),
    one('B49', 'log start offset of a client', { partition: { logStartOffset: 2 ** 53 - 1 } }),
    ...[4, 13].map((version) => one('B49', `offset 5 in v${version}`, { version, partition: { fetchOffset: 5 } })),
  ];
}

function limits(): BadInput[] {
  return [
    ...[0, -1, 1, 2 ** 31 - 1].map((maxBytes) => one('B49', `max bytes ${maxBytes}`, { request: { maxBytes } })),
    ...[0, -1, 1, 2 ** 31 - 1].map((partitionMaxBytes) => one('B49', `partition max bytes ${partitionMaxBytes}`, { partition: { partitionMaxBytes } })),
    one('B49', 'max bytes and partition max bytes 0', { partition: { partitionMaxBytes: 0 }, request: { maxBytes: 0 } }),
    one('B49', 'max wait −1', { request: { maxWaitMs: -1, minBytes: 1_000_000 } }),
    one('B49', 'max wait 2^31−1 with enough bytes', { request: { maxWaitMs: 2 ** 31 - 1, minBytes: 1 } }),
    one('B49', 'min bytes 2^31−1', { request: { maxWaitMs: 100, minBytes: 2 ** 31 - 1 } }),
    one('B49', 'min bytes −1', { request: { maxWaitMs: 2_000, minBytes: -1 } }),
    one('B49', 'an error does not wait for min bytes', { partition: { fetchOffset: 99 }, request: { maxWaitMs: 60_000, minBytes: 1_000_000 } }),
    {
      row: 'B49',
      name: 'two partitions, one byte',
      topic: { partitions: 2 },
      frames: (place) => [produce(place), produce(place, { partition: 1 }), fetchBoth(place, 1)],
    },
    {
      row: 'B49',
      name: 'two partitions, max bytes 0',
      topic: { partitions: 2 },
      frames: (place) => [produce(place), produce(place, { partition: 1 }), fetchBoth(place, 0)],
    },
  ];
}

function fetchBoth(place: Place, maxBytes: number): Frame {
  const partitions = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }));
  return fetch(place, { request: { maxBytes, topics: [{ topic: place.topic, partitions }] } });
}

function who(): BadInput[] {
  return [
    ...[0, 5, -2, -3].map((replicaId) => one('B50', `replica id ${replicaId}`, { request: { replicaId } })),
    one('B50', 'replica id 5 in v15', { version: 15, request: { replicaState: { replicaId: 5, replicaEpoch: -1 } } }),
    ...[2, 7, -1].map((isolationLevel) => one('B50', `isolation level ${isolationLevel}`, { request: { isolationLevel } })),
    one('B50', 'a rack that nobody has', { request: { rackId: 'nowhere' } }),
    one('B50', 'another cluster id', { request: { clusterId: 'another' } }),
  ];
}

function epochs(): BadInput[] {
  return [
    ...[999, 2 ** 31 - 1, -2, -1].map((currentLeaderEpoch) => one('B51', `current leader epoch ${currentLeaderEpoch}`, { partition: { currentLeaderEpoch } })),
    ...[999, -2].map((lastFetchedEpoch) => one('B51', `last fetched epoch ${lastFetchedEpoch}`, { partition: { lastFetchedEpoch } })),
    one('B51', 'last fetched epoch 0 past the end', { partition: { lastFetchedEpoch: 0, fetchOffset: 99 } }),
  ];
}

function many(): BadInput[] {
  const partition = (index: number) => ({ partition: index, fetchOffset: 0, partitionMaxBytes: 1 << 20 });
  return [
    { row: 'B50', name: 'unknown topic', frames: (place) => [fetch({ ...place, topic: place.unknown })] },
    { row: 'B50', name: 'unknown topic id', frames: (place) => [fetch({ ...place, topicId: nowhere }, { version: 13 })] },
    { row: 'B50', name: 'zero topic id', frames: (place) => [fetch({ ...place, topicId: 'A'.repeat(22) }, { version: 13 })] },
    ...['..', '', 'a b'].map((topic): BadInput => ({ row: 'B50', name: `topic name "${topic}"`, frames: (place) => [fetch({ ...place, topic })] })),
    ...[-1, 7, 2 ** 31 - 1].map((index) => one('B50', `partition ${index}`, { partition: { partition: index } })),
    {
      row: 'B50',
      name: 'one partition three times',
      frames: (place) => [produce(place), fetch(place, { request: { topics: [{ topic: place.topic, partitions: [0, 0, 0].map(partition) }] } })],
    },
    {
      row: 'B50',
      name: '100,000 unknown partitions',
      frames: (place) => [
        fetch(place, { request: { topics: [{ topic: place.topic, partitions: Array.from({ length: 100_000 }, (_, index) => partition(index + 1)) }] } }),
      ],
    },
    { row: 'B50', name: 'no topics', frames: (place) => [fetch(place, { request: { topics: [] } })] },
    { row: 'B50', name: 'a topic without partitions', frames: (place) => [fetch(place, { request: { topics: [{ topic: place.topic, partitions: [] }] } })] },
    {
      row: 'B50',
      name: 'one byte batch limit with a larger batch',
      frames: (place) => [
        produce(place, { records: batch({ records: [{ key: null, value: Buffer.alloc(5_000), timestampMs: 1 }] }) }),
        fetch(place, { request: { maxBytes: 10 } }),
      ],
    },
  ];
}

function sessions(): BadInput[] {
  const session = (name: string, version: number, ...steps: readonly ((place: Place, answers: readonly unknown[]) => Frame)[]): BadInput => ({
    row: 'B50',
    name: `session: ${name}, v${version}`,
    frames: (place): FrameOrNext[] => [produce(place), ...steps.map((step) => (answers: readonly unknown[]) => withCode(step(place, answers)))],
  });
  const idOf = (answers: readonly unknown[], at = 1) => (answers[at] as ResponseOf<typeof Fetch>).sessionId;
  const open = (version: number) => (place: Place) => fetch(place, { version, request: { sessionEpoch: 0 } });
  const next =
    (version: number, sessionEpoch: number, request: Partial<FetchBody> = {}) =>
    (place: Place, answers: readonly unknown[]) =>
      fetch(place, { version, request: { sessionId: idOf(answers), sessionEpoch, topics: [], ...request } });
  const bare = (version: number, sessionId: number, sessionEpoch: number) => (place: Place) => fetch(place, { version, request: { sessionId, sessionEpoch } });
  return [7, 12, 17].flatMap((version) => [
    session('unknown id', version, bare(version, 123_456, 1)),
    session('unknown id, epoch 0', version, bare(version, 123_456, 0)),
    session('unknown id, epoch −1', version, bare(version, 123_456, -1)),
    session('no id, epoch 1', version, bare(version, 0, 1)),
    session('no id, epoch −5', version, bare(version, 0, -5)),
    session('id −1, epoch 1', version, bare(version, -1, 1)),
    session('the next epoch', version, open(version), next(version, 1)),
    session('an epoch left out', version, open(version), next(version, 2)),
    session('an epoch twice', version, open(version), next(version, 1), next(version, 1)),
    session('epoch −5', version, open(version), next(version, -5)),
    session('closed, then used', version, open(version), next(version, -1), next(version, 1)),
    session('forgets what it has not', version, open(version), (place, answers) =>
      next(version, 1, { forgottenTopicsData: [{ topic: place.unknown, topicId: nowhere, partitions: [0, 7, -1] }] })(place, answers),
    ),
    session('forgets all', version, open(version), (place, answers) =>
      next(version, 1, { forgottenTopicsData: [{ topic: place.topic, topicId: place.topicId, partitions: [0] }] })(place, answers),
    ),
    session('adds an unknown topic', version, open(version), (place, answers) =>
      next(version, 1, { topics: [{ topic: place.unknown, topicId: nowhere, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }] }] })(
        place,
        answers,
      ),
    ),
  ]);
}

/** Errors of a session are those of the whole answer. */
function withCode(frame: Frame): Frame {
  return { ...frame, also: (body: ResponseOf<typeof Fetch>) => `${errorName(body.errorCode)}: ${fetched(body)}` };
}
