import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ByteReader, FormatError } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { NodeId, TopicId } from '../../../cluster/identifiers.ts';
import { walKey } from './object-keys.ts';
import { decodeStates, encodeStates, type PartitionState } from './partition-state.ts';
import { decodeSlices, encodeSlices, type ProducerBatch, type Slice } from './slices.ts';

/** With a prototype, as what the decoder makes. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true });
const topicId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url') as TopicId);
const key = fc.tuple(fc.nat(2), fc.nat(50)).map(([epoch, number]) => walKey({ node: 1 as NodeId, epoch }, number));
const offset = fc.oneof(fc.nat(1000), fc.constantFrom(2 ** 31 - 1, 2 ** 32, 2 ** 52));
const timestamp = fc.oneof(fc.constant(-1), fc.nat(2 ** 41), fc.constant(2 ** 51));
const identity = { topicId, partition: fc.nat(2 ** 31 - 1), leaderEpoch: fc.nat(2 ** 31 - 1) };

const slice: fc.Arbitrary<Slice> = fc
  .record({
    ...identity,
    firstOffset: offset,
    lastOffset: fc.constant(0),
    logStartOffset: offset,
    position: offset,
    length: fc.nat(),
    maxTimestampMs: timestamp,
    crc: fc.nat(0xffff_ffff),
    base: fc.oneof(fc.constant(undefined), fc.constant('' as const), key),
    producers: fc.array(
      record({
        producerId: offset,
        producerEpoch: fc.nat(32_767),
        firstSequence: fc.nat(2 ** 31 - 1),
        lastSequence: fc.nat(2 ** 31 - 1),
        firstOffset: fc.constant(0),
        lastOffset: fc.constant(0),
        timestampMs: timestamp,
        kind: fc.constantFrom('idempotent', 'transactional', 'commit', 'abort'),
      }),
      { maxLength: 3 },
    ),
    marks: fc.constant([]),
  })
  .map((drawn) => {
    const { firstOffset } = drawn;
    return {
      ...drawn,
      lastOffset: firstOffset + 9,
      producers: drawn.producers.map((batch, i) => ({ ...batch, ...sequences(batch), firstOffset: firstOffset + i, lastOffset: firstOffset + 2 * i })),
    };
  });

/** Markers have none. */
function sequences({ kind, firstSequence, lastSequence }: Pick<ProducerBatch, 'kind' | 'firstSequence' | 'lastSequence'>) {
  return kind === 'commit' || kind === 'abort' ? { firstSequence: -1, lastSequence: -1 } : { firstSequence, lastSequence };
}

const derived = record({
  kind: fc.constant('derived' as const),
  ...identity,
  base: fc.oneof(fc.constant('' as const), key),
  slices: fc.array(record({ object: key, slice })),
});
const entries = fc
  .tuple(offset, fc.array(record({ object: key, position: offset, length: offset, maxTimestampMs: timestamp, records: fc.integer({ min: 1, max: 1000 }) })))
  .map(([first, drawn]) => {
    let next = first;
    return drawn.map(({ records, ...entry }) => {
      next += records;
      return { ...entry, firstOffset: next - records, lastOffset: next - 1 };
    });
  });
const full = record({
  kind: fc.constant('full' as const),
  ...identity,
  logStartOffset: offset,
  endOffset: offset,
  epochStarts: fc.array(record({ leaderEpoch: fc.nat(), startOffset: offset })),
  entries,
  producers: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
});

test('states of every kind are read back as they were written', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(full, derived), { maxLength: 4 }), (states: PartitionState[]) => {
      const writer = new ByteWriter();
      encodeStates(writer, states);
      const reader = new ByteReader(writer.finish());
      assert.deepEqual(decodeStates(reader), states);
      assert.equal(reader.remaining, 0);
    }),
  );
});

test('a batch that begins at a negative sequence number, or ends behind its slice, is refused: the producer state could not be stored again', () => {
  const batch = {
    kind: 'idempotent',
    producerId: 1,
    producerEpoch: 0,
    firstSequence: 0,
    lastSequence: 9,
    firstOffset: 0,
    lastOffset: 9,
    timestampMs: 1,
  } as const;
  const decode = (producer: ProducerBatch) => {
    const writer = new ByteWriter();
    const place = { logStartOffset: 0, position: 0, length: 1, maxTimestampMs: 1, crc: 0, base: undefined, marks: [] };
    const topic = 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId;
    encodeSlices(writer, [{ topicId: topic, partition: 0, leaderEpoch: 0, firstOffset: 0, lastOffset: 9, producers: [producer], ...place }]);
    return decodeSlices(new ByteReader(writer.finish()));
  };
  assert.equal(decode(batch).length, 1);
  assert.throws(() => decode({ ...batch, firstSequence: -3304 }), FormatError);
  assert.throws(() => decode({ ...batch, lastOffset: 10 }), FormatError);
});
