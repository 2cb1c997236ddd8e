import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, FrameError, FrameReader, mostFrameBytes } from './meta-frames.ts';

test('whatever the cuts, the messages come out as they went in', () => {
  const message = fc.record({ id: fc.nat(), text: fc.string({ unit: 'binary', maxLength: 200 }) }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }), (messages, cuts) => {
      const sent = Buffer.concat(messages.map(encodeFrame));
      const reader = new FrameReader();
      const received: unknown[] = [];
      for (let at = 0, cut = 0; at < sent.length; cut++) {
        const end = at + (cuts[cut % cuts.length] as number);
        received.push(...reader.accept(sent.subarray(at, end)));
        at = end;
      }
      assert.deepEqual(received, messages);
    }),
  );
});

test('a frame longer than the limit is refused at its first bytes, and so is what is not JSON', () => {
  const long = Buffer.alloc(4);
  long.writeUInt32BE(mostFrameBytes + 1);
  assert.throws(() => new FrameReader().accept(long), FrameError);
  assert.throws(() => new FrameReader().accept(Buffer.from([0, 0, 0, 1, 0x7b])), FrameError);
});
