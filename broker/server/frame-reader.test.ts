import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReusedMemory } from '../../std/reused-memory.ts';
import { type Frame, FrameReader } from './frame-reader.ts';
import { RequestMemory } from './request-memory.ts';
import { ManualClock } from './testing/manual-clock.ts';

function newReader(maxFrameBytes = 1_000_000) {
  const memory = new RequestMemory({ limitBytes: 1e9, reliefMs: 1000, clock: new ManualClock() });
  return { memory, reader: new FrameReader({ maxFrameBytes, memory }) };
}

function framed(...bodies: readonly Uint8Array[]): Buffer {
  return Buffer.concat(bodies.flatMap((body) => [sizeOf(body.length), body]));
}

function sizeOf(size: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(size);
  return bytes;
}

function takeAll(reader: FrameReader): Buffer[] {
  const bodies: Buffer[] = [];
  for (let next = reader.next(); next.kind === 'frame'; next = reader.next()) {
    bodies.push(Buffer.from(next.bytes));
    next.release();
  }
  return bodies;
}

test('frames survive a cut at every position', () => {
  const bodies = [Buffer.alloc(0), Buffer.from('a'), Buffer.from('hello world')];
  const stream = framed(...bodies);
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const { reader, memory } = newReader();
      const received: Buffer[] = [];
      for (const part of [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]) {
        reader.push(Buffer.from(part));
        received.push(...takeAll(reader));
      }
      assert.deepEqual(received, bodies, `cut at ${first} and ${second}`);
      assert.equal(memory.usedBytes, 0);
      assert.equal(reader.midFrame, false);
    }
  }
});

test('frames of any size in chunks of any size come out as they went in, and all memory is given back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
      (sizes, cuts) => {
        const bodies = sizes.map((size, index) => Buffer.alloc(size, index + 1));
        const stream = framed(...bodies);
        const { reader, memory } = newReader();
        const received: Buffer[] = [];
        for (let position = 0, turn = 0; position < stream.length; turn++) {
          const end = position + (cuts[turn % cuts.length] ?? 1);
          reader.push(Buffer.from(stream.subarray(position, end)));
          received.push(...takeAll(reader));
          position = end;
        }
        assert.deepEqual(received, bodies);
        assert.equal(memory.usedBytes, 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('a frame inside one chunk is a view, not a copy', () => {
  const { reader } = newReader();
  const chunk = framed(Buffer.from('abc'), Buffer.from('def'));
  reader.push(chunk);
  const first = reader.next();
  assert.ok(first.kind === 'frame' && first.bytes.buffer === chunk.buffer);
});

test('a chunk is counted until the last frame inside it was released', () => {
  const { reader, memory } = newReader();
  const chunk = framed(Buffer.alloc(10), Buffer.alloc(20));
  reader.push(chunk);
  const first = reader.next();
  const second = reader.next();
  assert.ok(first.kind === 'frame' && second.kind === 'frame');
  first.release();
  first.release();
  assert.equal(memory.usedBytes, chunk.length);
  second.release();
  assert.equal(memory.usedBytes, 0);
});

test('a size below zero or above the limit is refused before anything is allocated (B01, B02, B06)', () => {
  for (const start of [
    sizeOf(-1),
    sizeOf(-(2 ** 31)),
    sizeOf(2 ** 31 - 1),
    sizeOf(1_000_001),
    Buffer.from('GET / HTTP/1.1\r\n'),
    Buffer.from('16030100f0010000', 'hex'),
  ]) {
    const { reader } = newReader();
    reader.push(start);
    assert.equal(reader.next().kind, 'refused');
    assert.equal(reader.missingBytes, 0);
  }
});

test('an announced size allocates nothing; memory follows the bytes that came (B03, B04)', () => {
  const size = 100 * 1024 * 1024;
  const { reader, memory } = newReader(size);
  const before = process.memoryUsage().arrayBuffers;
  reader.push(sizeOf(size));
  for (let i = 0; i < 1024; i++) {
    reader.push(Buffer.alloc(1));
    assert.equal(reader.next().kind, 'incomplete');
  }
  assert.equal(memory.usedBytes, 1024);
  assert.equal(reader.missingBytes, size - 1024);
  assert.ok(process.memoryUsage().arrayBuffers - before < 4 * 1024 * 1024);
  reader.close();
  assert.equal(memory.usedBytes, 0);
});

/** Feeds a stream as a socket does that reads to the place it is told. */
function receive(reader: FrameReader, stream: Buffer, cuts: readonly number[], each: () => void): { placedBytes: number } {
  const scratch = Buffer.alloc(9000);
  let placedBytes = 0;
  for (let position = 0, turn = 0; position < stream.length; turn++) {
    const place = reader.place();
    const wanted = stream.subarray(position, position + Math.min(cuts[turn % cuts.length] ?? 1, place?.length ?? scratch.length));
    wanted.copy(place ?? scratch);
    if (place) reader.placed(wanted.length);
    else reader.pushBorrowed(scratch.subarray(0, wanted.length));
    if (place) placedBytes += wanted.length;
    else scratch.fill(0xee);
    position += wanted.length;
    each();
  }
  return { placedBytes };
}

test('frames read into their place come out as they went in, although memory is used again and poisoned', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom(1e9, 100_000, 0),
      (sizes, cuts, held, limitBytes) => {
        const bodies = sizes.map((size, index) => Buffer.alloc(size, index + 1));
        const memory = new RequestMemory({ limitBytes, reliefMs: 1000, clock: new ManualClock() });
        const reused = new ReusedMemory({ maxFreeBytes: 200_000, smallestBytes: 64, largestBytes: 1e6, poison: true });
        const reader = new FrameReader({ maxFrameBytes: 1_000_000, memory, reused });
        const received: Buffer[] = [];
        const holding: Frame[] = [];
        const letGo = (frame: Frame) => {
          received.push(Buffer.from(frame.bytes));
          frame.release();
        };
        receive(reader, framed(...bodies), cuts, () => {
          for (let next = reader.next(); next.kind === 'frame'; next = reader.next()) {
            holding.push(next);
            if (holding.length > held) letGo(holding.shift()!);
          }
        });
        for (const frame of holding) letGo(frame);
        assert.deepEqual(received, bodies);
        assert.equal(memory.usedBytes, 0);
        assert.equal(memory.promisedBytes, 0);
        assert.equal(reader.midFrame, false);
      },
    ),
    { numRuns: 200 },
  );
});

test('all but the beginning of a large frame is read into its place', () => {
  const { reader } = newReader();
  const body = Buffer.alloc(500_000, 7);
  const { placedBytes } = receive(reader, framed(body), [4000], () => {});
  assert.equal(placedBytes, 500_000 - 3996);
  const frame = reader.next();
  assert.ok(frame.kind === 'frame' && frame.bytes.equals(body));
});

test('buffers for bytes that were only announced take an eighth of the memory at most (B03)', () => {
  const memory = new RequestMemory({ limitBytes: 1_000_000, reliefMs: 1000, clock: new ManualClock() });
  const readers = Array.from({ length: 5 }, () => new FrameReader({ maxFrameBytes: 1_000_000, memory }));
  for (const reader of readers) reader.pushBorrowed(sizeOf(50_000));
  assert.deepEqual(
    readers.map((reader) => reader.place()?.length),
    [50_000, 50_000, undefined, undefined, undefined],
  );
  readers[0]!.close();
  assert.equal(memory.promisedBytes, 50_000);
});

test('the place of a frame that was given up is not used for another: the socket may still write to it', () => {
  const memory = new RequestMemory({ limitBytes: 1e9, reliefMs: 1000, clock: new ManualClock() });
  const reused = new ReusedMemory({ maxFreeBytes: 1e6, smallestBytes: 64, largestBytes: 1e6 });
  const reader = new FrameReader({ maxFrameBytes: 1_000_000, memory, reused });
  reader.pushBorrowed(sizeOf(50_000));
  reader.close();
  assert.equal(reused.freeBytes, 0);
});
