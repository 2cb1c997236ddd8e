import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isControl, isTransactional, summarizeBatch } from './batch-summary.ts';
import { buildBatch } from './build-batch.ts';
import { buildMarker, markerKind } from './control-record.ts';

const end = { producerId: 7, producerEpoch: 2, coordinatorEpoch: 5, timestampMs: 1_000 };

test('a marker says how its transaction ended', () => {
  for (const kind of ['commit', 'abort'] as const) {
    const marker = buildMarker({ ...end, kind });
    assert.equal(markerKind(marker), kind);
    const batch = summarizeBatch(marker, 0);
    assert.deepEqual([isControl(batch), isTransactional(batch), batch.producerId, batch.baseSequence], [true, true, 7, -1]);
  }
});

test('the bytes of a marker are Kafka’s: key version 0 and type, value version 0 and coordinator epoch', () => {
  assert.equal(
    buildMarker({ ...end, kind: 'commit' })
      .subarray(61)
      .toString('hex'),
    '2000000008000000010c00000000000500',
  );
});

test('other control records, and records that cannot be read, are no marker', () => {
  const other = (key: Buffer | null) => markerKind(buildBatch({ records: [{ key, value: null, timestampMs: 1 }], control: true }));
  assert.deepEqual([other(Buffer.from([0, 0, 0, 2])), other(Buffer.from([0])), other(null)], [undefined, undefined, undefined]);
  const damaged = buildMarker({ ...end, kind: 'abort' });
  damaged.fill(0xff, 61);
  assert.equal(markerKind(damaged), undefined);
});
