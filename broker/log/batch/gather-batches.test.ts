import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { buildBatch } from './build-batch.ts';
import { gatherBatches } from './gather-batches.ts';

const batches = fc
  .array(fc.nat(300), { minLength: 1, maxLength: 12 })
  .map((sizes) => sizes.map((size, i) => buildBatch({ baseOffset: i, records: [{ key: null, value: Buffer.alloc(size, i), timestampMs: 1 }] })));

test('cut anywhere, every whole batch is there once, and what is cut off at the end is told', () => {
  fc.assert(
    fc.property(batches, fc.array(fc.nat(), { maxLength: 10 }), fc.nat(), (all, cuts, end) => {
      const bytes = Buffer.concat(all);
      const given = bytes.subarray(0, end % (bytes.length + 1));
      const edges = [0, ...cuts.map((cut) => cut % (given.length + 1)).sort((a, b) => a - b), given.length];
      const buffers = edges.slice(1).map((edge, i) => given.subarray(edges[i], edge));
      const gathered = gatherBatches(buffers);
      let wholeBytes = 0;
      let whole = 0;
      while (whole < all.length && wholeBytes + all[whole]!.length <= given.length) wholeBytes += all[whole++]!.length;
      assert.ok(Buffer.concat(gathered.chunks).equals(given.subarray(0, wholeBytes)));
      assert.equal(gathered.sizeBytes, wholeBytes);
      const left = given.length - wholeBytes;
      assert.equal(gathered.nextBytes, left === 0 ? 0 : left < 12 ? 61 : all[whole]!.length);
    }),
  );
});

test('batches inside one buffer are views, one that two buffers share is a copy', () => {
  const [a, b, c] = [1, 2, 3].map((i) => buildBatch({ baseOffset: i, records: [{ key: null, value: Buffer.alloc(100, i), timestampMs: 1 }] })) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const first = Buffer.concat([a, b.subarray(0, 50)]);
  const second = Buffer.concat([b.subarray(50), c]);
  const { chunks } = gatherBatches([first, second]);
  assert.deepEqual(
    chunks.map((chunk) => chunk.buffer),
    [first.buffer, chunks[1]!.buffer, second.buffer],
  );
  assert.ok(chunks[1]!.equals(b));
});

test('bytes that are no batch end it: the size that they claim is less than a header', () => {
  const good = buildBatch({ records: [{ key: null, value: Buffer.alloc(10), timestampMs: 1 }] });
  for (const cut of [0, 5, 12, 40]) {
    const bad = Buffer.alloc(100);
    const { chunks, nextBytes } = gatherBatches([Buffer.concat([good, bad.subarray(0, cut)]), bad.subarray(cut), good]);
    assert.ok(chunks.length === 1 && chunks[0]!.equals(good));
    assert.ok(nextBytes < 61);
  }
});

test('any bytes, cut anywhere, come to an end', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }), (buffers) => {
      const { chunks, sizeBytes } = gatherBatches(buffers.map((bytes) => Buffer.from(bytes)));
      assert.equal(Buffer.concat(chunks).length, sizeBytes);
    }),
  );
});
