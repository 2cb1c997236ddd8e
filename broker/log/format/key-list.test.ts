import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ByteReader, FormatError } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { decodeKeys, encodeKeys } from './key-list.ts';
import { dataKey, type ObjectKey, walKey } from './object-keys.ts';

const incarnation = fc.record({ node: fc.nat(3) as fc.Arbitrary<NodeId>, epoch: fc.oneof(fc.nat(2), fc.constant(999_999_999_999)) });
const key = fc.oneof(
  fc.tuple(incarnation, fc.nat(1000)).map(([of, number]) => walKey(of, number)),
  fc.tuple(incarnation, fc.oneof(fc.nat(5), fc.constant(999_999_999_999))).map(([of, number]) => dataKey(of, number)),
  fc.constantFrom(
    'cluster',
    '',
    'wal/0/1/2',
    'wal/0/000000000001/0000000001e5',
    'wal/4294967295/000000000001/000000000001',
    'data/é',
  ) as fc.Arbitrary<ObjectKey>,
);

test('a list of names is read back as it was written', () => {
  fc.assert(
    fc.property(fc.array(key), (keys) => {
      const writer = new ByteWriter();
      encodeKeys(writer, keys);
      assert.deepEqual(decodeKeys(new ByteReader(writer.finish())), keys);
    }),
  );
});

test('consecutive objects of one incarnation cost two bytes each', () => {
  const writer = new ByteWriter();
  const of = { node: 0 as NodeId, epoch: 1 };
  encodeKeys(
    writer,
    Array.from({ length: 1000 }, (_, number) => walKey(of, number + 5)),
  );
  assert.ok(writer.length < 2010, `${writer.length}`);
});

test('a difference without a name before it, and numbers out of range, are refused', () => {
  for (const bytes of [
    [1, 3, 0],
    [1, 9, 0],
    [2, 1, 0, 1, 0, 3, 1],
    [1, 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  ]) {
    assert.throws(() => decodeKeys(new ByteReader(Buffer.from(bytes))), FormatError);
  }
});
