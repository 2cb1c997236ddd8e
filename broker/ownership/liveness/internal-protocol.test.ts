import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import { encodeMessage, InternalFrames, internalVersion, meaningOf, type SentMessage } from './internal-protocol.ts';

const node = 3 as NodeId;
const messages: readonly SentMessage[] = [
  { kind: 'ping', incarnation: { node, epoch: 7 } },
  { kind: 'pong', node, epoch: 2 ** 40, living: true },
  { kind: 'pong', node, epoch: 0, living: false },
  { kind: 'probe', subject: { incarnation: { node, epoch: 7 }, host: 'broker-3.brokers.kafka.svc', port: 65_535 } },
  { kind: 'probed', outcome: 'unavailable' },
  { kind: 'unsupported', upTo: 1 },
];

test('messages come out as they went in, however the stream is cut', () => {
  const stream = Buffer.concat(messages.map(encodeMessage));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 20 }), (cuts) => {
      const frames = new InternalFrames();
      const edges = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const out = edges.slice(1).flatMap((end, i) => frames.push(stream.subarray(edges[i], end)));
      assert.deepEqual(out, messages);
    }),
  );
});

test('any bytes are messages or a FormatError, and no frame may be large', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        new InternalFrames().push(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error));
      }
    }),
  );
  const broken = (change: (frame: Buffer) => Buffer) => () => new InternalFrames().push(change(Buffer.from(encodeMessage(messages[0]!))));
  const patched = (at: number, byte: number) =>
    broken((frame) => {
      frame[at] = byte;
      return frame;
    });
  assert.throws(patched(0, 1), FormatError, 'size of 16 MB');
  assert.throws(patched(0, 0xff), FormatError, 'negative size');
  assert.throws(patched(4, 0), FormatError, 'version 0');
  assert.throws(patched(5, 9), FormatError, 'unknown kind');
  assert.throws(
    broken((frame) => {
      frame[3] = frame[3]! + 1;
      return Buffer.concat([frame, Buffer.from([0])]);
    }),
    FormatError,
    'bytes after the message',
  );
});

/** What a later version may send: its version, the fields that are known, and some that are not. */
function newer(message: SentMessage, change: (frame: Buffer) => void = () => {}): Buffer {
  const frame = Buffer.concat([encodeMessage(message), Buffer.from('later fields')]);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeUInt8(internalVersion + 1, 4);
  change(frame);
  return frame;
}

test('of a newer broker the fields that are known are read, of a kind or an outcome that is not known that it is not', () => {
  const read = (frame: Buffer) => new InternalFrames().push(frame);
  for (const message of messages) assert.deepEqual(read(newer(message)), [message]);
  assert.deepEqual(read(newer(messages[0]!, (frame) => frame.writeUInt8(99, 5))), [{ kind: 'unknown', version: internalVersion + 1 }]);
  const probed = newer({ kind: 'probed', outcome: 'reached' }, (frame) => frame.writeUInt8(99, 6));
  assert.deepEqual(read(probed), [{ kind: 'probed', outcome: 'unavailable' }]);
  const short = newer(messages[0]!).subarray(0, 10);
  short.writeInt32BE(6, 0);
  assert.throws(() => read(short), FormatError, 'a ping without an epoch');
});

test('what a pong means for the incarnation that was asked for', () => {
  const asked = { node, epoch: 7 };
  const pong = (epoch: number, living: boolean, from = node) => meaningOf({ kind: 'pong', node: from, epoch, living }, asked);
  assert.equal(pong(7, true), 'living');
  assert.equal(pong(7, false), 'over');
  assert.equal(pong(8, true), 'over');
  assert.equal(pong(8, false), 'over');
  assert.equal(pong(6, true), 'unknown');
  assert.equal(pong(0, false), 'unknown');
  assert.equal(pong(7, true, 4 as NodeId), 'stranger');
});
