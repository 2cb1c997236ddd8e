/** B28–B44: record batches that lie, are cut, or are bombs. What Kafka's own log says about many more is in test/golden/batches. */
import { deflateRawSync, gzipSync } from 'node:zlib';
import { type CodecName, codecs } from '../../../broker/log/batch/compression.ts';
import type { BadInput, TopicNeeds } from '../bad-input.ts';
import { hex } from '../frames.ts';
import {
  around,
  attributesPosition,
  batch,
  broken,
  crcPosition,
  firstTimestampPosition,
  forged,
  headerBytes,
  lastOffsetDeltaPosition,
  legacyMessage,
  maxTimestampPosition,
  mended,
  producerIdPosition,
  recordCountPosition,
  records,
} from './batches.ts';
import { produce } from './produce-requests.ts';

const compacted: TopicNeeds = { configs: { 'cleanup.policy': 'compact' } };
const MIB = 1_048_576;

export const produceBatchCases: readonly BadInput[] = [
  ...integrity(),
  ...counts(),
  ...flags(),
  ...times(),
  ...producers(),
  ...compression(),
  ...recordFaults(),
];

function one(row: string, name: string, records: Buffer | null, topic?: TopicNeeds): BadInput {
  return { row, name, ...(topic ? { topic } : {}), frames: (place) => [produce(place, { records })] };
}

function integrity(): BadInput[] {
  const whole = batch();
  const value = Buffer.from('value');
  return [
    one(
      'B28',
      'a changed record',
      broken((bytes) => bytes.writeUInt8(0xee, headerBytes + 10)),
    ),
    one(
      'B28',
      'a changed attribute',
      broken((bytes) => bytes.writeInt16BE(8, attributesPosition)),
    ),
    one('B29', 'a message of magic 0', legacyMessage(0, value)),
    one('B29', 'a message of magic 1', legacyMessage(1, value)),
    ...[-1, 3, 127].map((magic) =>
      one(
        'B29',
        `magic ${magic}`,
        broken((bytes) => bytes.writeInt8(magic, 16)),
      ),
    ),
    one('B29', 'two batches', Buffer.concat([whole, whole])),
    one('B29', 'no batch', Buffer.alloc(0)),
    one('B29', 'null records', null),
    one('B29', 'a batch and a message of magic 1', Buffer.concat([whole, legacyMessage(1, value)])),
    one('B29', 'a batch and a few bytes', Buffer.concat([whole, Buffer.alloc(5)])),
    one('B29', 'a batch and 100 bytes', Buffer.concat([whole, Buffer.alloc(100)])),
    ...[-(2 ** 31), -12, -1, 0, 14, 48, whole.length - 13, whole.length - 11, 2 ** 31 - 1].map((length) =>
      one(
        'B30',
        `batch length ${length}`,
        broken((bytes) => bytes.writeInt32BE(length, 8)),
      ),
    ),
    ...[1, 11, 12, 17, 60, 61, whole.length - 1].map((length) => one('B30', `the first ${length} bytes of a batch`, whole.subarray(0, length))),
    one('B32', 'larger than max.message.bytes of the topic', batch({ records: records(100) }), { configs: { 'max.message.bytes': '1000' } }),
    one('B32', 'larger than message.max.bytes', batch({ records: [{ key: null, value: Buffer.alloc(MIB), timestampMs: 1 }] })),
    one('B32', 'larger than max.message.bytes, wrong CRC', largeAndBroken(), { configs: { 'max.message.bytes': '1000' } }),
    one('B32', 'larger than max.message.bytes before compression', batch({ records: records(300), compression: 'gzip' }), {
      configs: { 'max.message.bytes': '6000' },
    }),
  ];
}

function largeAndBroken(): Buffer {
  const large = batch({ records: records(100) });
  large.writeUInt32BE(0, crcPosition);
  return large;
}

function counts(): BadInput[] {
  const pairs: readonly [number, number][] = [
    [2, -1],
    [2, 0],
    [2, 2],
    [2, 4],
    [3, 4],
    [1, 2],
    [-1, 0],
    [-1, 3],
    [0, 3],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 31 - 2, 2 ** 31 - 1],
    [-(2 ** 31), 3],
    [999_999, 1_000_000],
  ];
  return pairs.map(([delta, count]) =>
    one(
      'B31',
      `last offset delta ${delta}, count ${count}`,
      forged((bytes) => {
        bytes.writeInt32BE(delta, lastOffsetDeltaPosition);
        bytes.writeInt32BE(count, recordCountPosition);
      }),
    ),
  );
}

function flags(): BadInput[] {
  return [
    one('B34', 'a control batch', batch({ control: true })),
    one('B34', 'a transactional batch without transaction', batch({ transactional: true, producerId: 4_000_000, producerEpoch: 0, baseSequence: 0 })),
    one('B34', 'a transactional batch without producer', batch({ transactional: true })),
    ...[0x40, 0x80, 0x100, 0x4000, 0x8000].map((bits) =>
      one(
        'B34',
        `attributes ${bits.toString(16)}`,
        forged((bytes) => bytes.writeUInt16BE(bits, attributesPosition)),
      ),
    ),
    one('B36', 'base offset 5', batch({ baseOffset: 5 })),
    one('B36', 'base offset −1', batch({ baseOffset: -1 })),
    one('B36', 'leader epoch 99', batch({ leaderEpoch: 99 })),
    ...[5, 6, 7].map((codec) =>
      one(
        'B42',
        `codec ${codec}`,
        forged((bytes) => bytes.writeInt16BE(codec, attributesPosition)),
      ),
    ),
    ...[5, 6, 7].map((codec) =>
      one(
        'B42',
        `codec ${codec}, compacted`,
        forged((bytes) => bytes.writeInt16BE(codec, attributesPosition)),
        compacted,
      ),
    ),
  ];
}

function times(): BadInput[] {
  const bounds: TopicNeeds = { configs: { 'message.timestamp.before.max.ms': '3600000', 'message.timestamp.after.max.ms': '3600000' } };
  const at = (timestampMs: number) => batch({ records: [{ key: Buffer.from('k'), value: null, timestampMs }] });
  const extreme = (timestamp: bigint) =>
    forged((bytes) => {
      bytes.writeBigInt64BE(timestamp, firstTimestampPosition);
      bytes.writeBigInt64BE(timestamp, maxTimestampPosition);
    }, at(0));
  const farAhead = 4_000_000_000_000;
  return [
    one('B35', 'long ago', at(1_000)),
    one('B35', 'long ago, with bounds', at(1_000), bounds),
    one('B35', 'far ahead', at(farAhead)),
    one('B35', 'far ahead, with bounds', at(farAhead), bounds),
    one('B35', 'no timestamp', at(-1)),
    one('B35', 'timestamp −2', at(-2)),
    one('B35', 'timestamp −5, with bounds', at(-5), bounds),
    ...[2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -(2n ** 60n)].map((timestamp) => one('B35', `timestamp ${timestamp}`, extreme(timestamp))),
    one(
      'B35',
      'LogAppendTime set by the producer',
      forged((bytes) => bytes.writeInt16BE(8, attributesPosition)),
      {
        configs: { 'message.timestamp.type': 'LogAppendTime' },
      },
    ),
    one(
      'B35',
      'LogAppendTime set by the producer, CreateTime',
      forged((bytes) => bytes.writeInt16BE(8, attributesPosition)),
    ),
  ];
}

function producers(): BadInput[] {
  return [
    one('B37', 'a producer without sequence', batch({ producerId: 4_000_001, producerEpoch: 0 })),
    one('B37', 'sequence −5', batch({ producerId: 4_000_002, producerEpoch: 0, baseSequence: -5 })),
    one('B37', 'producer epoch −2', batch({ producerId: 4_000_003, producerEpoch: -2, baseSequence: 0 })),
    one('B37', 'producer epoch −1', batch({ producerId: 4_000_004, producerEpoch: -1, baseSequence: 0 })),
    one('B37', 'producer id −7', batch({ producerId: -7, producerEpoch: 0, baseSequence: 0 })),
    one('B37', 'producer id −1 with epoch and sequence', batch({ producerEpoch: 3, baseSequence: 9 })),
    one('B37', 'producer id that nobody got', batch({ producerId: 2 ** 50, producerEpoch: 0, baseSequence: 0 })),
    one(
      'B37',
      'producer id 2^63 − 1',
      forged((bytes) => bytes.writeBigInt64BE(2n ** 63n - 1n, producerIdPosition), batch({ producerEpoch: 0, baseSequence: 0 })),
    ),
  ];
}

/** In a compacted topic the broker has to look inside. */
function compression(): BadInput[] {
  const bomb = bombs();
  const gzip = batch({ compression: 'gzip' });
  const names = Object.keys(codecs).filter((name) => name !== 'uncompressed') as CodecName[];
  const snappyStream = (chunk: string) => around(hex(`82534e4150505900 00000001 00000001 ${chunk}`), codecs.snappy);
  const lz4 = batch({ compression: 'lz4' });
  const skippable = '502a4d18 04000000 deadbeef';
  return [
    one('B38', 'gzip bomb of one record', bomb.record),
    one('B38', 'gzip bomb of one record, compacted', bomb.record, compacted),
    one('B38', 'gzip bomb of zeros, compacted', bomb.zeros, compacted),
    one('B38', 'gzip, cut', mended(Buffer.from(gzip.subarray(0, gzip.length - 9)))),
    one('B38', 'gzip, cut, compacted', mended(Buffer.from(gzip.subarray(0, gzip.length - 9))), compacted),
    one('B38', 'raw deflate as gzip, compacted', around(deflateRawSync(Buffer.alloc(100)), codecs.gzip), compacted),
    ...names.map((codec) =>
      one(
        'B38',
        `says ${codec} and is not, compacted`,
        forged((bytes) => bytes.writeInt16BE(codecs[codec], attributesPosition)),
        compacted,
      ),
    ),
    ...names.map((codec) => one('B38', `says ${codec} and is empty, compacted`, around(Buffer.alloc(0), codecs[codec]), compacted)),
    one('B39', 'snappy, declared length 2^32 − 1, compacted', around(hex('ffffffff0f 00 61'), codecs.snappy), compacted),
    one('B39', 'snappy stream, chunk of −1 bytes, compacted', snappyStream('ffffffff'), compacted),
    one('B39', 'snappy stream, chunk of 2^31 − 1 bytes, compacted', snappyStream('7fffffff 00'), compacted),
    one('B39', 'snappy stream without chunks, compacted', snappyStream(''), compacted),
    one('B39', 'snappy stream, empty chunks, compacted', snappyStream('00000000'.repeat(50)), compacted),
    one('B40', 'lz4, wrong header checksum, compacted', changed(lz4, headerBytes + 6, 0x11), compacted),
    one('B40', 'lz4, block larger than allowed, compacted', changed(lz4, headerBytes + 9, 0x7f), compacted),
    one('B40', 'lz4, unknown version, compacted', changed(lz4, headerBytes + 4, 0xff), compacted),
    one('B40', 'lz4, cut, compacted', mended(Buffer.from(lz4.subarray(0, lz4.length - 6))), compacted),
    one('B41', 'zstd, window of 2 GiB, compacted', around(hex('28b52ffd 00 a8 010000'), codecs.zstd), compacted),
    one('B41', 'zstd with a dictionary id, compacted', around(hex('28b52ffd 01 58 07 010000'), codecs.zstd), compacted),
    one('B41', 'zstd, only a skippable frame, compacted', around(hex(skippable), codecs.zstd), compacted),
    one('B41', 'zstd behind a skippable frame, compacted', behind(hex(skippable), batch({ compression: 'zstd' })), compacted),
  ];
}

/** 64 MiB each, in 64 KiB. */
function bombs(): { readonly record: Buffer; readonly zeros: Buffer } {
  const zeros = Buffer.alloc(64 * MIB);
  return {
    record: batch({ records: [{ key: Buffer.from('k'), value: zeros, timestampMs: 1_700_000_000_000 }], compression: 'gzip' }),
    zeros: around(gzipSync(zeros, { level: 9 }), codecs.gzip, 1),
  };
}

function changed(base: Buffer, position: number, value: number): Buffer {
  return forged((bytes) => bytes.writeUInt8(value, position), Buffer.from(base));
}

function behind(prefix: Buffer, base: Buffer): Buffer {
  return mended(Buffer.concat([base.subarray(0, headerBytes), prefix, base.subarray(headerBytes)]));
}

function recordFaults(): BadInput[] {
  const nullKeys = [0, 1, 2, 3].map((index) => ({ key: index % 2 === 0 ? Buffer.from('k') : null, value: Buffer.from('v'), timestampMs: 1_700_000_000_000 }));
  const faults: readonly [string, (bytes: Buffer) => void][] = [
    ['record size too large', (bytes) => bytes.writeUInt8(0x7e, headerBytes)],
    ['record size negative', (bytes) => bytes.writeUInt8(0x0d, headerBytes)],
    ['record size without end', (bytes) => bytes.fill(0xff, headerBytes, headerBytes + 14)],
    ['key longer than the record', (bytes) => bytes.writeUInt8(0x7e, headerBytes + 4)],
    ['value length −2', (bytes) => bytes.writeUInt8(0x03, headerBytes + 7)],
    ['header count too large', (bytes) => bytes.writeUInt8(0x7e, bytes.length - 1)],
    ['header count −1', (bytes) => bytes.writeUInt8(0x01, bytes.length - 1)],
  ];
  const nullHeaderKey = forged(
    (bytes) => bytes.writeUInt8(0x01, bytes.length - 4),
    batch({ records: [{ key: Buffer.from('k'), value: null, timestampMs: 1_700_000_000_000, headers: [{ key: 'a', value: Buffer.from('b') }] }] }),
  );
  return [
    ...(Object.keys(codecs) as CodecName[]).map((codec) =>
      one('B43', `null keys, ${codec}, compacted`, batch({ records: nullKeys, compression: codec }), compacted),
    ),
    ...faults.map(([name, change]) => one('B44', name, forged(change))),
    ...faults.map(([name, change]) => one('B44', `${name}, compacted`, forged(change), compacted)),
    one('B44', 'header without a key, compacted', nullHeaderKey, compacted),
  ];
}
