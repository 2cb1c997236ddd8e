/** Partition records are read past their schema when they are plain: the answer must be the schema's. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseRecord, partitionRecord } from './meta-records.ts';

const odd = fc.oneof(fc.constant(null), fc.constant(undefined), fc.integer(), fc.double(), fc.string(), fc.constant([]), fc.constant({}));
const mostlyPlain = fc.record(
  {
    owner: fc.oneof(
      odd,
      fc.record({ node: fc.oneof(odd, fc.nat()), epoch: fc.oneof(odd, fc.nat()) }),
      fc.record({ node: fc.nat(), epoch: fc.nat(), more: odd }),
    ),
    leaderEpoch: fc.oneof(odd, fc.nat(), fc.constantFrom(2 ** 53, -1, 1e300)),
    state: fc.oneof(odd, fc.string()),
    more: odd,
  },
  { requiredKeys: [] },
);

test('a partition record is read as its schema reads it, whatever the value is', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        mostlyPlain,
        fc.json().map((text): unknown => JSON.parse(text)),
      ),
      (value) => {
        const text = JSON.stringify(value);
        const expected = partitionRecord.safeParse(JSON.parse(text)).data;
        assert.deepEqual(parseRecord(partitionRecord, text), expected);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('what is not JSON is bad', () => {
  assert.equal(parseRecord(partitionRecord, '{"owner":'), undefined);
  assert.deepEqual(parseRecord(partitionRecord, '{"owner":{"node":3,"epoch":7},"leaderEpoch":2,"state":"x"}'), {
    owner: { node: 3, epoch: 7 },
    leaderEpoch: 2,
    state: 'x',
  });
});
