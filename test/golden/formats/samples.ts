/**
 * One stored object of every kind in each of its format versions, with values at the edges. `scripts/formats-golden.ts` writes their
 * bytes; the test holds today's reader and writer against them.
 */
import { ByteWriter } from '../../../std/byte-writer.ts';
import { crc32c } from '../../../std/crc32c.ts';
import type { NodeId, TopicId } from '../../../cluster/identifiers.ts';
import { buildBatch } from '../../../broker/log/batch/build-batch.ts';
import { encodePageTable } from '../../../broker/log/format/checkpoint.ts';
import { encodeDoubts } from '../../../broker/log/format/doubts.ts';
import { dataKey, type ObjectKey, walKey } from '../../../broker/log/format/object-keys.ts';
import { encodeStates, type PartitionState } from '../../../broker/log/format/partition-state.ts';
import { encodeSeal } from '../../../broker/log/format/seal.ts';
import { encodeSlices, type Slice } from '../../../broker/log/format/slices.ts';
import { SparseIndexBuilder } from '../../../broker/log/format/sparse-index.ts';
import { assembleObject } from '../../../broker/log/format/stored-object.ts';
import type { ObjectKind } from '../../../broker/log/format/trailer.ts';
import { ProducerState } from '../../../broker/log/producer-state.ts';

const own = { node: 3 as NodeId, epoch: 7 };
const earlier = { node: 3 as NodeId, epoch: 6 };
const topicA = Buffer.alloc(16, 0xa1).toString('base64url') as TopicId;
const topicB = Buffer.alloc(16, 0xb2).toString('base64url') as TopicId;

/** Batches side by side, and the slice that they are. */
function sliceOf(
  topicId: TopicId,
  partition: number,
  position: number,
  batches: readonly Buffer[],
  more: Partial<Slice> = {},
): { readonly bytes: Buffer; readonly slice: Slice } {
  const bytes = Buffer.concat(batches);
  const sparse = new SparseIndexBuilder();
  batches.forEach((batch, i) => sparse.add(100 + i, batch.length, 1_000 + i));
  const slice = {
    topicId,
    partition,
    leaderEpoch: 4,
    firstOffset: 100,
    lastOffset: 100 + batches.length - 1,
    logStartOffset: 90,
    position,
    length: bytes.length,
    maxTimestampMs: batches.length === 0 ? -1 : 999 + batches.length,
    crc: crc32c(bytes),
    base: undefined,
    producers: [],
    marks: sparse.marks,
    ...more,
  };
  return { bytes, slice };
}

function batch(offset: number, size: number): Buffer {
  return buildBatch({ baseOffset: offset, leaderEpoch: 4, records: [{ key: Buffer.from('k'), value: Buffer.alloc(size, offset), timestampMs: 900 + offset }] });
}

const first = sliceOf(topicA, 0, 0, [batch(100, 50), batch(101, 60)], { base: walKey(earlier, 12) });
const second = sliceOf(topicA, 2 ** 31 - 1, first.bytes.length, [], { base: '', firstOffset: 2 ** 40, lastOffset: 2 ** 40 - 1, logStartOffset: 2 ** 33 });
const third = sliceOf(topicB, 1, first.bytes.length, [batch(100, 10)], {
  lastOffset: 107,
  producers: [
    {
      producerId: 2 ** 40,
      producerEpoch: 32_767,
      firstSequence: 2 ** 31 - 1,
      lastSequence: 3,
      firstOffset: 100,
      lastOffset: 104,
      timestampMs: -1,
      kind: 'idempotent',
    },
    { producerId: 5, producerEpoch: 0, firstSequence: 0, lastSequence: 0, firstOffset: 105, lastOffset: 105, timestampMs: 2 ** 51, kind: 'transactional' },
    { producerId: 5, producerEpoch: 0, firstSequence: -1, lastSequence: -1, firstOffset: 106, lastOffset: 106, timestampMs: 1_000, kind: 'commit' },
    { producerId: 6, producerEpoch: 1, firstSequence: -1, lastSequence: -1, firstOffset: 107, lastOffset: 107, timestampMs: 1_000, kind: 'abort' },
  ],
});
const long = sliceOf(
  topicB,
  0,
  0,
  Array.from({ length: 70 }, (_, i) => batch(100 + i, 10_000)),
);

/** An idempotent producer, one in a transaction, one whose transaction was aborted. */
function producers(): Buffer {
  const state = new ProducerState({ maxProducers: 10, expirationMs: 1_000 });
  const at = (firstOffset: number) => ({ firstOffset, lastOffset: firstOffset, firstSequence: 0, lastSequence: 0, timestampMs: 1_000 });
  for (let i = 0; i < 7; i++)
    state.apply({ ...at(100 + i), producerId: 2 ** 40, producerEpoch: 3, firstSequence: i, lastSequence: i, kind: 'idempotent' }, 5_000);
  state.apply({ ...at(110), producerId: 5, producerEpoch: 0, kind: 'transactional' }, 5_000);
  state.apply({ ...at(111), producerId: 6, producerEpoch: 1, kind: 'transactional' }, 5_000);
  state.apply({ ...at(112), producerId: 6, producerEpoch: 1, firstSequence: -1, lastSequence: -1, kind: 'abort' }, 5_000);
  state.highWatermarkAdvanced(113);
  return Buffer.from(state.encode());
}

const full: PartitionState = {
  kind: 'full',
  topicId: topicA,
  partition: 0,
  leaderEpoch: 4,
  logStartOffset: 90,
  endOffset: 2 ** 33,
  epochStarts: [
    { leaderEpoch: 0, startOffset: 0 },
    { leaderEpoch: 4, startOffset: 95 },
  ],
  entries: [
    { firstOffset: 80, lastOffset: 99, object: walKey(earlier, 12), position: 10, length: 1_000, maxTimestampMs: -1 },
    { firstOffset: 100, lastOffset: 2 ** 32, object: walKey(own, 2), position: 2 ** 33, length: 2 ** 26, maxTimestampMs: 2 ** 51 },
    { firstOffset: 2 ** 32 + 1, lastOffset: 2 ** 33 - 2, object: dataKey(own, 1), position: 0, length: 500, maxTimestampMs: 1_000 },
    { firstOffset: 2 ** 33 - 1, lastOffset: 2 ** 33 - 1, object: walKey(own, 2), position: 0, length: 70, maxTimestampMs: 1_000 },
  ],
  producers: producers(),
};
const empty: PartitionState = {
  kind: 'full',
  topicId: topicB,
  partition: 9,
  leaderEpoch: 0,
  logStartOffset: 0,
  endOffset: 0,
  epochStarts: [],
  entries: [],
  producers: Buffer.alloc(0),
};
const derived: PartitionState[] = [
  {
    kind: 'derived',
    topicId: topicA,
    partition: 0,
    leaderEpoch: 4,
    base: walKey(earlier, 12),
    slices: [
      { object: walKey(earlier, 13), slice: first.slice },
      { object: walKey(earlier, 15), slice: third.slice },
    ],
  },
  { kind: 'derived', topicId: topicB, partition: 1, leaderEpoch: 0, base: '', slices: [] },
];

const doubts = [walKey(earlier, 12), walKey(earlier, 14)];

export interface Sample {
  readonly name: string;
  /** Of its format. */
  readonly version: number;
  readonly bytes: Buffer;
  /** What the footer, or the content, holds. */
  readonly slices?: readonly Slice[];
  readonly states?: readonly PartitionState[];
  readonly doubts?: readonly ObjectKey[];
}

function sample(kind: ObjectKind, number: number, content: Buffer, footer: Buffer, holds: Partial<Omit<Sample, 'name' | 'bytes'>> = {}): Sample {
  const version = holds.version ?? 1;
  const { body } = assembleObject({
    kind,
    version,
    incarnation: own,
    number,
    putId: Buffer.alloc(16, number),
    content: [content],
    contentBytes: content.length,
    footer,
  });
  return { name: kind, version, bytes: Buffer.concat(body.chunks), ...holds };
}

function slicesFooter(slices: readonly Slice[]): Buffer {
  const writer = new ByteWriter();
  encodeSlices(writer, slices);
  return Buffer.from(writer.finish());
}

function statesContent(states: readonly PartitionState[]): Buffer {
  const writer = new ByteWriter();
  encodeStates(writer, states);
  return Buffer.from(writer.finish());
}

export const pageTable = [
  { page: 0, object: walKey(own, 3), position: 0, length: statesContent([full, empty]).length, crc: crc32c(statesContent([full, empty])) },
  { page: 2, object: walKey(own, 2), position: 2 ** 33, length: 100, crc: 0xffff_ffff },
  { page: 130, object: walKey(earlier, 9), position: 7, length: 8, crc: 0 },
];
export const seal = { sealedBy: { node: 4 as NodeId, epoch: 2 }, state: walKey({ node: 4 as NodeId, epoch: 2 }, 1) };

export const samples: readonly Sample[] = [
  sample('start', 0, Buffer.alloc(0), Buffer.alloc(0)),
  sample('group', 2, Buffer.concat([first.bytes, third.bytes]), slicesFooter([first.slice, second.slice, third.slice]), {
    slices: [first.slice, second.slice, third.slice],
  }),
  sample('checkpoint', 3, statesContent([full, empty]), encodePageTable(pageTable), { states: [full, empty] }),
  sample('handover', 4, statesContent([full]), Buffer.alloc(0), { states: [full] }),
  sample('state', 5, statesContent(derived), Buffer.alloc(0), { states: derived, doubts: [] }),
  sample('state', 5, statesContent(derived), encodeDoubts(doubts), { version: 2, states: derived, doubts }),
  sample('seal', 6, Buffer.alloc(0), encodeSeal(seal)),
  sample('stream', 1, long.bytes, slicesFooter([long.slice]), { slices: [long.slice] }),
  sample('stream-set', 2, Buffer.concat([first.bytes, third.bytes]), slicesFooter([{ ...first.slice, base: undefined }, third.slice]), {
    slices: [{ ...first.slice, base: undefined }, third.slice],
  }),
];
