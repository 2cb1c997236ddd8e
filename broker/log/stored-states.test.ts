import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import type { ByteRange, CallOptions, ReadOutcome } from '../../io/object/object-store.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import { FormatError } from '../../std/byte-reader.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import { ManualClock } from '../server/testing/manual-clock.ts';
import { type ObjectKey, walKey } from './format/object-keys.ts';
import { encodeStates, type PlacedSlice } from './format/partition-state.ts';
import type { ProducerBatch } from './format/slices.ts';
import { assembleObject } from './format/stored-object.ts';
import { ProducerState } from './producer-state.ts';
import { StoredStates } from './stored-states.ts';
import { LogOnMemory, testTopic } from './testing/log-on-memory.ts';

const incarnation = { node: 0 as NodeId, epoch: 1 };
const partition = { topicId: testTopic, partition: 0 };
const limits = { maxProducers: 100, producerExpirationMs: 86_400_000 };

describe('stored states', () => {
  test('bytes that were damaged on their way are read again: in state objects, checkpoints and pages of older ones', async () => {
    const objects = new FlippingStore();
    const on = new LogOnMemory({ objects });
    const changed = on.create(0);
    for (let other = 1; other < 40; other++) await on.append(on.create(other), 10);
    await on.append(changed, 10);
    await on.checkpoint();
    await on.append(changed, 10);
    await on.checkpoint();
    objects.flips = 1;
    const states = statesIn(objects);
    assert.equal((await on.until(states.resolve(on.pointer!, partition)))?.endOffset, 2);
    assert.equal((await on.until(states.resolve(on.pointer!, { ...partition, partition: 39 })))?.endOffset, 1);
    assert.ok(objects.flipped >= 2);
  });

  test('what is damaged where it lies is refused after a few attempts', async () => {
    const objects = new FlippingStore();
    const key = await putState(objects, [slice(0, 9)]);
    objects.flips = Number.POSITIVE_INFINITY;
    await assert.rejects(statesIn(objects).resolve(key, partition), FormatError);
    assert.ok(objects.flipped <= 5, `${objects.flipped}`);
  });

  test('a slice that does not reach back to the one before it is corruption: nothing after a hole is served, nothing is given up silently', async () => {
    const objects = new MemoryObjectStore();
    const key = await putState(objects, [slice(0, 9), slice(20, 29)]);
    await assert.rejects(statesIn(objects).resolve(key, partition), /20.*10/);
  });

  test('a producer that wrote old timestamps is as active as any when its state was rebuilt', async () => {
    const objects = new MemoryObjectStore();
    const batch: ProducerBatch = {
      producerId: 7,
      producerEpoch: 0,
      firstSequence: 0,
      lastSequence: 9,
      firstOffset: 0,
      lastOffset: 9,
      timestampMs: 1_000,
      kind: 'idempotent',
    };
    const key = await putState(objects, [slice(0, 9, [batch])]);
    const clock = new ManualClock();
    const full = await statesIn(objects, clock).resolve(key, partition);
    assert.ok(full);
    const producers = ProducerState.decode(full.producers, { maxProducers: 100, expirationMs: limits.producerExpirationMs });
    producers.expire(clock.wallMs() + 300_000);
    assert.equal(producers.size, 1);
  });
});

function statesIn(objects: MemoryObjectStore, clock = new ManualClock()): StoredStates {
  return new StoredStates({ objects, clock, random: new SeededRandom(1), signal: new AbortController().signal, parallel: 4, ...limits });
}

function slice(firstOffset: number, lastOffset: number, producers: readonly ProducerBatch[] = []): PlacedSlice {
  const of = { ...partition, leaderEpoch: 0, logStartOffset: 0, position: 0, length: 100, maxTimestampMs: 1, crc: 0, base: undefined, marks: [] };
  return { object: walKey(incarnation, firstOffset + 1), slice: { ...of, firstOffset, lastOffset, producers } };
}

async function putState(objects: MemoryObjectStore, slices: readonly PlacedSlice[]): Promise<ObjectKey> {
  const writer = new ByteWriter();
  encodeStates(writer, [{ kind: 'derived', ...partition, leaderEpoch: 0, base: '', slices }]);
  const content = writer.finish();
  const number = 1_000;
  const object = assembleObject({
    kind: 'state',
    incarnation,
    number,
    putId: Buffer.alloc(16),
    content: [content],
    contentBytes: content.length,
    footer: Buffer.alloc(0),
  });
  await objects.create(walKey(incarnation, number), object.body);
  return walKey(incarnation, number);
}

/** The first `flips` reads of every range have a wrong bit. */
class FlippingStore extends MemoryObjectStore {
  flips = 0;
  flipped = 0;
  readonly #seen = new Map<string, number>();

  override async read(key: string, range?: ByteRange, options?: CallOptions): Promise<ReadOutcome> {
    const outcome = await super.read(key, range, options);
    const place = `${key} ${range?.start}`;
    const seen = this.#seen.get(place) ?? 0;
    if (outcome.kind !== 'found' || seen >= this.flips) return outcome;
    this.#seen.set(place, seen + 1);
    this.flipped++;
    outcome.bytes[0]! ^= 1;
    return outcome;
  }
}
