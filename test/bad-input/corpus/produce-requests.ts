/** B33, B42, B45, B47 and what else a Produce request can have wrong around its batches. */
import { ApiKeys, type RequestInputOf, type ResponseOf } from '../../../broker/protocol/messages.gen.ts';
import { ask, type BadInput, type Frame, type FrameOrNext, type Place } from '../bad-input.ts';
import { requestFrame } from '../frames.ts';
import { batch, broken, crcPosition } from './batches.ts';

const { Produce, InitProducerId } = ApiKeys;
type ProduceBody = RequestInputOf<typeof Produce>;

export const produceRequestCases: readonly BadInput[] = [...acks(), ...topics(), ...partitions(), ...versions(), ...sequences()];

interface ProduceFields {
  readonly version?: number;
  readonly acks?: number;
  readonly timeoutMs?: number;
  readonly name?: string;
  readonly topicId?: string;
  readonly partition?: number;
  readonly records?: Buffer | null;
  readonly transactionalId?: string | null;
}

/** One batch for the case's topic, with what the case changes. */
export function produce(place: Place, fields: ProduceFields = {}): Frame {
  return ask(Produce, fields.version ?? 9, bodyOf(place, fields), baseOffsets);
}

/** Where the good batches went. */
export function baseOffsets({ responses }: ResponseOf<typeof Produce>): string {
  const offsets = responses.flatMap(({ partitionResponses }) => partitionResponses.map(({ baseOffset }) => baseOffset));
  return `base offset ${offsets.slice(0, 8).join(', ')}`;
}

function unanswered(place: Place, fields: ProduceFields): Frame {
  return { bytes: requestFrame(Produce, fields.version ?? 9, bodyOf(place, { ...fields, acks: 0 })) };
}

function bodyOf(place: Place, fields: ProduceFields): ProduceBody {
  return {
    transactionalId: fields.transactionalId ?? null,
    acks: fields.acks ?? -1,
    timeoutMs: fields.timeoutMs ?? 10_000,
    topicData: [
      {
        name: fields.name ?? place.topic,
        topicId: fields.topicId ?? place.topicId,
        partitionData: [{ index: fields.partition ?? 0, records: fields.records === undefined ? batch() : fields.records }],
      },
    ],
  };
}

function one(row: string, name: string, frame: (place: Place) => Frame): BadInput {
  return { row, name, frames: (place) => [frame(place)] };
}

function acks(): BadInput[] {
  const badCrc = broken((bytes) => bytes.writeUInt32BE(0, crcPosition));
  return [
    ...[2, -2, 32_767].map((value) => one('B33', `acks ${value}`, (place) => produce(place, { acks: value }))),
    one('B33', 'acks 0', (place) => unanswered(place, {})),
    one('B33', 'acks 0, unknown topic', (place) => unanswered(place, { name: place.unknown })),
    one('B33', 'acks 0, unknown partition', (place) => unanswered(place, { partition: 7 })),
    one('B33', 'acks 0, wrong CRC', (place) => unanswered(place, { records: badCrc })),
    one('B33', 'acks 0, null records', (place) => unanswered(place, { records: null })),
    one('B33', 'acks 0, no topics', () => ({ bytes: requestFrame(Produce, 9, { acks: 0, timeoutMs: 1, topicData: [] }) })),
    ...[-1, 0, 2 ** 31 - 1].map((timeoutMs) => one('B33', `timeout ${timeoutMs}, acks 1`, (place) => produce(place, { timeoutMs, acks: 1 }))),
    one('B33', 'timeout −1, acks −1', (place) => produce(place, { timeoutMs: -1 })),
  ];
}

function topics(): BadInput[] {
  const names = {
    'a path': '../..',
    '250 characters': 'a'.repeat(250),
    'a dot': '.',
    'no name': '',
    'a blank': 'a b',
    __consumer_offsets: '__consumer_offsets',
  };
  return [
    ...Object.entries(names).map(([what, name]) => one('B45', `topic: ${what}`, (place) => produce(place, { name }))),
    one('B45', 'topic: __transaction_state', (place) => produce(place, { name: '__transaction_state' })),
    one('B45', 'unknown topic', (place) => produce(place, { name: place.unknown })),
    ...[1, -1, 1_000_000_000, -(2 ** 31)].map((partition) => one('B45', `partition ${partition}`, (place) => produce(place, { partition }))),
    one('B45', 'v13, unknown topic id', (place) => produce(place, { version: 13, topicId: 'x'.repeat(21).concat('A') })),
    one('B45', 'v13, zero topic id', (place) => produce(place, { version: 13, topicId: 'A'.repeat(22) })),
    one('B45', 'v13, partition 7', (place) => produce(place, { version: 13, partition: 7 })),
  ];
}

function partitions(): BadInput[] {
  const twice = (index: number, place: Place) => ({ name: place.topic, partitionData: [{ index, records: batch() }] });
  return [
    one('B45', 'no topics', () => ask(Produce, 9, { acks: -1, timeoutMs: 1000, topicData: [] }, baseOffsets)),
    one('B45', 'a topic without partitions', (place) =>
      ask(Produce, 9, { acks: -1, timeoutMs: 1000, topicData: [{ name: place.topic, partitionData: [] }] }, baseOffsets),
    ),
    one('B45', 'one partition twice', (place) =>
      ask(
        Produce,
        9,
        { acks: -1, timeoutMs: 1000, topicData: [{ name: place.topic, partitionData: [0, 0].map((index) => ({ index, records: batch() })) }] },
        ({ responses }) => `${responses.flatMap(({ partitionResponses }) => partitionResponses).length} answers`,
      ),
    ),
    one('B45', 'one topic twice', (place) =>
      ask(Produce, 9, { acks: -1, timeoutMs: 1000, topicData: [twice(0, place), twice(0, place)] }, ({ responses }) => `${responses.length} answers`),
    ),
    {
      row: 'B45',
      name: 'good and bad partitions together',
      topic: { partitions: 2 },
      frames: (place) => [
        ask(Produce, 9, {
          acks: -1,
          timeoutMs: 10_000,
          topicData: [
            { name: place.topic, partitionData: [0, 1, 2].map((index) => ({ index, records: index === 1 ? null : batch() })) },
            { name: place.unknown, partitionData: [{ index: 0, records: batch() }] },
          ],
        }),
      ],
    },
  ];
}

function versions(): BadInput[] {
  const zstd = batch({ compression: 'zstd' });
  return [
    ...[3, 6, 7].map((version) => one('B42', `zstd in v${version}`, (place) => produce(place, { version, records: zstd }))),
    ...[3, 5, 7, 8, 9, 11, 12, 13].map((version) =>
      one('B28', `wrong CRC in v${version}`, (place) => produce(place, { version, records: broken((bytes) => bytes.writeUInt32BE(0, crcPosition)) })),
    ),
    one('B46', 'transactional id without a transactional batch', (place) => produce(place, { transactionalId: 'some-id' })),
    one('B46', 'empty transactional id', (place) => produce(place, { transactionalId: '' })),
  ];
}

interface Step {
  readonly sequence: number;
  readonly count?: number;
  readonly epochChange?: number;
}

/** With a producer id that the broker gave. */
function sequences(): BadInput[] {
  const record = { key: null, value: Buffer.from('v'), timestampMs: 1_700_000_000_000 };
  const send = (name: string, ...steps: readonly Step[]): BadInput => ({
    row: 'B47',
    name,
    frames: (place): FrameOrNext[] => [
      ask(InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 60_000 }),
      ...steps.map(({ sequence, count = 1, epochChange = 0 }) => (answers: readonly unknown[]) => {
        const { producerId, producerEpoch } = answers[0] as ResponseOf<typeof InitProducerId>;
        const records = Array.from({ length: count }, () => record);
        return produce(place, { records: batch({ records, producerId, producerEpoch: producerEpoch + epochChange, baseSequence: sequence }) });
      }),
    ],
  });
  return [
    send('in sequence', { sequence: 0, count: 3 }, { sequence: 3 }),
    send('a gap', { sequence: 0 }, { sequence: 2 }, { sequence: 1 }),
    send('the same again', { sequence: 0, count: 2 }, { sequence: 2 }, { sequence: 0, count: 2 }),
    send('the same, but shorter', { sequence: 0, count: 2 }, { sequence: 0 }),
    send('older than what is remembered', ...[0, 1, 2, 3, 4, 5].map((sequence) => ({ sequence })), { sequence: 0 }),
    send('begins in the middle', { sequence: 400 }, { sequence: 401 }),
    send('an old epoch', { sequence: 0, epochChange: 2 }, { sequence: 1 }),
    send('a new epoch, not from 0', { sequence: 0 }, { sequence: 1, epochChange: 1 }),
    send('a new epoch, from 0', { sequence: 0 }, { sequence: 0, epochChange: 1 }, { sequence: 1, epochChange: 1 }),
    send('back to 0', { sequence: 0 }, { sequence: 1 }, { sequence: 0, count: 5 }),
  ];
}
