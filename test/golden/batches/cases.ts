/**
 * Record batches that a producer may send, good and bad, with what Apache Kafka is asked about them
 * (scripts/batch-golden.ts) and what we do with them. Where we differ on purpose the case says why.
 */
import { buildBatch, type NewBatch, type NewRecord } from '../../../broker/log/batch/build-batch.ts';
import { type CodecName, codecs } from '../../../broker/log/batch/compression.ts';
import { defaultTopicLogConfig, type TopicLogConfig } from '../../../broker/log/topic-log-config.ts';
import type { ErrorName } from '../../../broker/protocol/errors.ts';
import { crc32c } from '../../../std/crc32c.ts';

export const nowMs = 1_700_000_000_000;

export interface BatchCase {
  readonly name: string;
  readonly topic: TopicSettings;
  /** Sent one after the other into one log. */
  readonly sent: readonly Buffer[];
  /** Where we do not do as Kafka does: our outcome of the last batch, and why. */
  readonly differs?: { readonly ours: ErrorName | 'appended'; readonly why: string };
}

export type TopicSettings = Partial<
  Pick<TopicLogConfig, 'cleanupPolicy' | 'maxMessageBytes' | 'timestampType' | 'timestampBeforeMaxMs' | 'timestampAfterMaxMs' | 'compressionType'>
>;

const compacted: TopicSettings = { cleanupPolicy: { delete: false, compact: true } };
const opaque = 'records of a topic that asks for nothing stay unread';
const codecNames = Object.keys(codecs) as CodecName[];

/** As Kafka's topic configuration. */
export function kafkaSettings(topic: TopicSettings): string {
  const { cleanupPolicy, maxMessageBytes, timestampType, timestampBeforeMaxMs, timestampAfterMaxMs, compressionType } = { ...defaultTopicLogConfig, ...topic };
  return [
    `cleanup.policy=${cleanupPolicy.compact ? 'compact' : 'delete'}`,
    `max.message.bytes=${maxMessageBytes}`,
    `message.timestamp.type=${timestampType}`,
    `message.timestamp.before.max.ms=${timestampBeforeMaxMs}`,
    `message.timestamp.after.max.ms=${timestampAfterMaxMs}`,
    `compression.type=${compressionType}`,
  ].join(';');
}

function records(count: number, change: Partial<NewRecord> = {}): NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`k${index}`),
    value: Buffer.alloc(20, index),
    timestampMs: nowMs + index,
    ...change,
  }));
}

function batch(change: Partial<NewBatch> = {}): Buffer {
  return buildBatch({ records: records(3), ...change });
}

/** Overwrites bytes and makes the CRC fit again. */
function forged(change: (bytes: Buffer) => void, base = batch()): Buffer {
  change(base);
  base.writeUInt32BE(crc32c(base.subarray(21)), 17);
  return base;
}

/** Overwrites bytes and leaves the CRC. */
function broken(change: (bytes: Buffer) => void): Buffer {
  const base = batch();
  change(base);
  return base;
}

function single(name: string, sent: Buffer, topic: TopicSettings = {}, differs?: BatchCase['differs']): BatchCase {
  return { name, topic, sent: [sent], ...(differs ? { differs } : {}) };
}

export const cases: readonly BatchCase[] = [...frames(), ...headers(), ...timestamps(), ...recordFaults(), ...codecCases(), ...sequences()];

function frames(): BatchCase[] {
  const whole = batch();
  const lengths = [-(2 ** 31), -12, -1, 0, 13, 14, 40, 48, 49, whole.length - 13, whole.length - 11, 2 ** 31 - 1];
  return [
    single('a batch', whole),
    ...[0, 11, 12, 16, 17, 61, whole.length - 1].map((length) => single(`the first ${length} bytes`, whole.subarray(0, length))),
    ...lengths.map((length) =>
      single(
        `length ${length}`,
        broken((bytes) => bytes.writeInt32BE(length, 8)),
      ),
    ),
    ...[-128, -1, 0, 1, 3, 127].map((magic) =>
      single(
        `magic ${magic}`,
        broken((bytes) => bytes.writeInt8(magic, 16)),
      ),
    ),
    single('two batches', Buffer.concat([whole, whole])),
    single('a batch and part of another', Buffer.concat([whole, whole.subarray(0, 30)])),
    single('a batch and a bad length', Buffer.concat([whole, Buffer.alloc(12)])),
    single('a batch and a bad magic', Buffer.concat([whole, broken((bytes) => bytes.writeInt8(9, 16)).subarray(0, 20)])),
    single('a batch and a byte', Buffer.concat([whole, Buffer.alloc(1)])),
    single(
      'wrong CRC',
      broken((bytes) => bytes.writeUInt32BE(0, 17)),
    ),
    single(
      'a changed record',
      broken((bytes) => bytes.writeUInt8(0xee, 75)),
    ),
    single('as large as max.message.bytes', whole, { maxMessageBytes: whole.length }),
    single('larger than max.message.bytes', whole, { maxMessageBytes: whole.length - 1 }),
    single(
      'too large and a wrong CRC',
      broken((bytes) => bytes.writeUInt32BE(0, 17)),
      { maxMessageBytes: 80 },
    ),
  ];
}

function headers(): BatchCase[] {
  const unknown = 'bits without a meaning today must not be stored: they may mean something tomorrow';
  const counts: [number, number][] = [
    [2, 2],
    [2, 4],
    [2, 0],
    [2, -1],
    [-1, 0],
    [-1, 3],
    [3, 3],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [-(2 ** 31), 3],
  ];
  return [
    single('base offset 5', batch({ baseOffset: 5 })),
    single('base offset −1', batch({ baseOffset: -1 })),
    single('leader epoch 99', batch({ leaderEpoch: 99 })),
    single('a control batch', batch({ control: true })),
    single('a transactional batch without a producer', batch({ transactional: true }), {}, { ours: 'INVALID_RECORD', why: 'no transaction could ever end it' }),
    ...[5, 6, 7].map((codec) =>
      single(
        `codec ${codec}`,
        forged((bytes) => bytes.writeInt16BE(codec, 21)),
      ),
    ),
    ...[0x40, 0x80, 0x100, 0x4000].map((bits) =>
      single(
        `attributes ${bits.toString(16)}`,
        forged((bytes) => bytes.writeUInt16BE(bits, 21)),
        {},
        { ours: 'INVALID_RECORD', why: unknown },
      ),
    ),
    ...counts.map(([delta, count]) =>
      single(
        `last offset delta ${delta}, count ${count}`,
        forged((bytes) => {
          bytes.writeInt32BE(delta, 23);
          bytes.writeInt32BE(count, 57);
        }),
      ),
    ),
    single('a producer without sequence', batch({ producerId: 5, producerEpoch: 0 })),
    single('sequence −5', batch({ producerId: 5, producerEpoch: 0, baseSequence: -5 })),
    single('producer id −7', batch({ producerId: -7, producerEpoch: 0, baseSequence: 0 })),
    single('producer epoch −2', batch({ producerId: 5, producerEpoch: -2, baseSequence: 0 })),
    single(
      'producer epoch −1',
      batch({ producerId: 5, producerEpoch: -1, baseSequence: 0 }),
      {},
      { ours: 'INVALID_PRODUCER_EPOCH', why: 'an epoch that nobody can have' },
    ),
    single(
      'producer id 2^63 − 1',
      forged((bytes) => bytes.writeBigInt64BE(2n ** 63n - 1n, 43), batch({ producerEpoch: 0, baseSequence: 0 })),
      {},
      {
        ours: 'INVALID_RECORD',
        why: 'no producer id past 2^53 was ever given out',
      },
    ),
  ];
}

function timestamps(): BatchCase[] {
  const bounds: TopicSettings = { timestampBeforeMaxMs: 1_000, timestampAfterMaxMs: 2_000 };
  const at = (...shifts: number[]) =>
    buildBatch({ records: shifts.map((shift) => ({ key: Buffer.from('k'), value: null, timestampMs: shift === -1 ? -1 : nowMs + shift })) });
  const marked = (base = batch()) => forged((bytes) => bytes.writeInt16BE(bytes.readInt16BE(21) | 8, 21), base);
  const withMax = (max: bigint, base = batch()) => forged((bytes) => bytes.writeBigInt64BE(max, 35), base);
  return [
    single('timestamps at the bounds', at(-1_000, 0, 2_000), bounds),
    single('a timestamp before the bounds', at(-1_001), bounds),
    single('timestamps outside the bounds', at(-1_001, 0, 2_001), bounds),
    single('a timestamp past the bounds in the middle', at(0, 2_001, 1), bounds),
    single('a timestamp before the bounds in the middle', at(0, -1_001, 1), bounds, {
      ours: 'appended',
      why: `${opaque}; the header tells only the first and the greatest timestamp`,
    }),
    single('no timestamp', at(-1), bounds),
    single('default bounds, an hour and a bit ahead', at(3_600_001)),
    single('LogAppendTime', batch(), { timestampType: 'LogAppendTime' }),
    single('LogAppendTime, gzip', batch({ compression: 'gzip' }), { timestampType: 'LogAppendTime' }),
    single('LogAppendTime, timestamps outside the bounds', at(-5_000, 5_000), { ...bounds, timestampType: 'LogAppendTime' }),
    single('LogAppendTime, already marked', marked(), { timestampType: 'LogAppendTime' }),
    single('CreateTime, but marked LogAppendTime', marked()),
    single('CreateTime, but marked LogAppendTime, without timestamp', marked(at(-1))),
    single('CreateTime, but marked LogAppendTime, out of bounds', marked(at(5_000)), bounds),
    single('maximum timestamp −1', withMax(-1n)),
    single('maximum timestamp 0', withMax(0n)),
    single('maximum timestamp 2^62', withMax(2n ** 62n)),
    single('maximum timestamp 0, gzip', withMax(0n, batch({ compression: 'gzip' }))),
    single(
      'maximum timestamp a bit too large',
      withMax(BigInt(nowMs) + 100n),
      {},
      { ours: 'appended', why: 'the header is believed while it makes sense; Kafka corrects it' },
    ),
    ...[2n ** 63n - 1n, -(2n ** 63n)].map((extreme) =>
      single(
        `timestamps ${extreme}`,
        forged((bytes) => {
          bytes.writeBigInt64BE(extreme, 27);
          bytes.writeBigInt64BE(extreme, 35);
        }, at(0)),
      ),
    ),
    single(
      'timestamp −(2^60) without bounds',
      forged((bytes) => {
        bytes.writeBigInt64BE(-(2n ** 60n), 27);
        bytes.writeBigInt64BE(-(2n ** 60n), 35);
      }, at(0)),
    ),
  ];
}

function recordFaults(): BatchCase[] {
  const nullKeys = [0, 1, 2, 3].map((index) => ({ key: index % 2 === 0 ? Buffer.from('k') : null, value: Buffer.from('v'), timestampMs: nowMs }));
  const faults: [string, (bytes: Buffer) => void][] = [
    ['record size too large', (bytes) => bytes.writeUInt8(0x7e, 61)],
    ['record size too small', (bytes) => bytes.writeUInt8(0x10, 61)],
    ['record size negative', (bytes) => bytes.writeUInt8(0x0d, 61)],
    ['record size without end', (bytes) => bytes.fill(0xff, 61, 75)],
    ['key longer than the record', (bytes) => bytes.writeUInt8(0x7e, 65)],
    [
      'more records than said',
      (bytes) => {
        bytes.writeInt32BE(1, 23);
        bytes.writeInt32BE(2, 57);
      },
    ],
    [
      'fewer records than said',
      (bytes) => {
        bytes.writeInt32BE(3, 23);
        bytes.writeInt32BE(4, 57);
      },
    ],
  ];
  const cut = forged(() => {}, Buffer.concat([batch(), Buffer.from([1, 2, 3])]));
  cut.writeInt32BE(cut.length - 12, 8);
  const headerCount = forged((bytes) => bytes.writeUInt8(0x7e, bytes.length - 1));
  const gaps = (compression: CodecName) =>
    forged((bytes) => bytes.writeInt32BE(1, 23), buildBatch({ records: [3, 9].map((offsetDelta) => ({ ...records(1)[0]!, offsetDelta })), compression }));
  return [
    ...codecNames.map((compression) => single(`compacted, without some keys, ${compression}`, buildBatch({ records: nullKeys, compression }), compacted)),
    ...faults.map(([name, change]) => single(`compacted, ${name}`, forged(change), compacted)),
    ...faults.map(([name, change]) => single(name, forged(change), {}, { ours: 'appended', why: opaque })),
    single('compacted, bytes behind the records', cut, compacted),
    single('compacted, header count too large', headerCount, compacted),
    ...(['gzip', 'snappy', 'lz4', 'zstd'] as const).map((codec) =>
      single(
        `compacted, says ${codec} and is not`,
        forged((bytes) => bytes.writeInt16BE(codecs[codec], 21)),
        compacted,
      ),
    ),
    single('compacted, offsets with gaps', gaps('uncompressed'), compacted, {
      ours: 'INVALID_RECORD',
      why: 'Kafka stores records whose offsets belong to later batches',
    }),
    single('compacted, offsets with gaps, gzip', gaps('gzip'), compacted),
    single(
      'offsets with gaps, gzip to lz4',
      gaps('gzip'),
      { compressionType: 'lz4' },
      { ours: 'INVALID_RECORD', why: 'Kafka mends what a client of long ago did to the format before this one' },
    ),
  ];
}

function codecCases(): BatchCase[] {
  const mixed = codecNames.flatMap((from) =>
    codecNames.map((to) => single(`${from} to ${to}`, batch({ compression: from, producerId: 9, producerEpoch: 1, baseSequence: 3 }), { compressionType: to })),
  );
  const growing = buildBatch({ records: [{ key: null, value: Buffer.alloc(5_000), timestampMs: nowMs }], compression: 'gzip' });
  return [
    ...codecNames.map((compression) => single(`compacted, ${compression}`, batch({ compression }), compacted)),
    ...codecNames.map((compression) => single(`compacted, 200 records, ${compression}`, buildBatch({ records: records(200), compression }), compacted)),
    ...mixed,
    single('too large when decompressed', growing, { compressionType: 'uncompressed', maxMessageBytes: 4_000 }),
  ];
}

interface Step {
  readonly epoch?: number;
  readonly sequence: number;
  readonly count?: number;
  readonly transactional?: boolean;
  readonly producerId?: number;
}

function sequences(): BatchCase[] {
  const wrap = 2 ** 31 - 1;
  const log = (name: string, ...steps: Step[]): BatchCase => ({
    name: `sequences: ${name}`,
    topic: {},
    sent: steps.map(({ epoch = 0, sequence, count = 1, transactional = false, producerId = 7 }) =>
      buildBatch({ records: records(count), producerId, producerEpoch: epoch, baseSequence: sequence, transactional }),
    ),
  });
  return [
    log('without gaps', { sequence: 0, count: 3 }, { sequence: 3 }, { sequence: 4, count: 2 }),
    log('a gap', { sequence: 0 }, { sequence: 2 }),
    log('again', { sequence: 0, count: 2 }, { sequence: 0, count: 2 }),
    log('again, but shorter', { sequence: 0, count: 2 }, { sequence: 0 }),
    log('the fifth last again', ...[0, 1, 2, 3, 4].map((sequence) => ({ sequence })), { sequence: 0 }),
    log('the sixth last again', ...[0, 1, 2, 3, 4, 5].map((sequence) => ({ sequence })), { sequence: 0 }),
    log('unknown producer in the middle', { sequence: 400 }, { sequence: 401 }),
    log('around 2^31, inside a batch', { sequence: wrap - 1 }, { sequence: wrap, count: 3 }, { sequence: 2 }, { sequence: wrap, count: 3 }),
    log('around 2^31, between batches', { sequence: wrap }, { sequence: 0 }),
    log('around 2^31, a gap', { sequence: wrap }, { sequence: 1 }),
    log('a new epoch', { sequence: 0 }, { epoch: 1, sequence: 0 }, { epoch: 1, sequence: 0 }, { epoch: 0, sequence: 1 }),
    log('a new epoch in the middle', { sequence: 0 }, { epoch: 1, sequence: 1 }),
    log('an old epoch again', { epoch: 4, sequence: 0 }, { epoch: 5, sequence: 0 }, { epoch: 4, sequence: 0 }),
    log('not transactional inside a transaction', { sequence: 0, transactional: true }, { sequence: 1 }),
    log('not transactional inside a transaction, out of order', { sequence: 0, transactional: true }, { sequence: 5 }),
    log('two producers', { sequence: 0 }, { producerId: 8, sequence: 0 }, { sequence: 1 }, { producerId: 8, sequence: 2 }),
  ];
}
