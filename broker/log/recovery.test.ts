/** Sealing an incarnation of which something cannot be read (F36, docs/design/0005-damage.md). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { silentLogger } from '../../io/logger.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import { MissingObject } from './certain-reads.ts';
import type { ObjectKey } from './format/object-keys.ts';
import { maxSealBytes } from './format/seal.ts';
import { parseWholeObject } from './format/stored-object.ts';
import { trailerBytes } from './format/trailer.ts';
import type { Partition } from './partition.ts';
import { sealIncarnation } from './recovery.ts';
import { StoredStates } from './stored-states.ts';
import { LogOnMemory, testTopic } from './testing/log-on-memory.ts';

const dead = { node: 0 as NodeId, epoch: 1 };
const partitionsPerPage = 32;

describe('a damaged checkpoint page', () => {
  test('refuses the incarnation with the object’s name unless the caller can leave partitions in doubt', async () => {
    const on = new LogOnMemory();
    await grown(on, 40);
    await on.checkpoint();
    await damage(on.objects, on.pointer!, 'start');
    await assert.rejects(seal(on, { epoch: 2, damage: 'refuse' }), (error: Error) => error instanceof FormatError && error.message.includes(on.pointer!));
  });

  test('leaves its partitions in doubt, and no others; when it is whole again they are found', async () => {
    const on = new LogOnMemory();
    const partitions = await grown(on, 40);
    await on.checkpoint();
    await on.append(partitions[3]!, 10);
    await on.append(partitions[35]!, 10);
    const mend = await damage(on.objects, on.pointer!, 'start');
    const found = await seal(on);
    assert.equal(await found.inDoubt(), true);
    assert.deepEqual(await found.listed(), range(partitionsPerPage, 40));
    assert.equal(await found.endOffset(34), 1);
    assert.equal(await found.endOffset(35), 2);
    assert.equal((await seal(on, { epoch: 4 })).key, found.key, 'no new state object as long as nothing is mended');
    await mend();
    const mended = await seal(on, { epoch: 3 });
    assert.equal(await mended.inDoubt(), false);
    assert.deepEqual(await mended.listed(), range(0, 40));
    assert.equal(await mended.endOffset(3), 2);
    assert.equal(await mended.endOffset(4), 1);
  });

  test('that damages the whole checkpoint leaves everything in doubt that it may have had', async () => {
    const on = new LogOnMemory();
    const [first] = await grown(on, 3);
    await on.checkpoint();
    await on.append(first!, 10);
    await on.append(on.create(7), 10);
    await damage(on.objects, on.pointer!, 'end');
    const found = await seal(on);
    assert.deepEqual(await found.listed(), [7], 'a partition that begins after the checkpoint with nothing can be on no page of it');
    assert.equal(await found.inDoubt(), true);
  });

  test('is damage of its partitions only, also when the seal stood before', async () => {
    const on = new LogOnMemory();
    await grown(on, 40);
    await on.checkpoint();
    const found = await seal(on);
    await damage(on.objects, on.pointer!, 'start');
    await assert.rejects(found.endOffset(3), FormatError);
    assert.equal(await found.endOffset(35), 1);
  });
});

describe('a damaged WAL footer', () => {
  test('leaves in doubt what did not go on after it; what went on without a gap had nothing in it', async () => {
    const on = new LogOnMemory();
    const [idle, hit, hitAndOn, on1, on2] = (await grown(on, 5)) as [Partition, Partition, Partition, Partition, Partition];
    await on.checkpoint();
    await on.append(idle, 10);
    await on.appendGroup([hit, hitAndOn], 10);
    const lost = lastGroup(hit);
    await on.appendGroup([hitAndOn, on1], 10);
    await on.append(on2, 10);
    const mend = await damage(on.objects, lost, 'footer');
    const found = await seal(on);
    assert.equal(await found.inDoubt(), true);
    assert.deepEqual(await found.listed(), [on1.partition, on2.partition]);
    assert.equal(await found.endOffset(on2.partition), 2);
    await mend();
    const mended = await seal(on, { epoch: 3 });
    assert.deepEqual(await mended.listed(), range(0, 5));
    for (const [partition, end] of [idle, hit, hitAndOn, on1, on2].map((each, i) => [each.partition, i === 2 ? 3 : 2] as const))
      assert.equal(await mended.endOffset(partition), end);
  });

  test('of a checkpoint that no pointer names is no damage', async () => {
    const on = new LogOnMemory();
    await grown(on, 3);
    await on.checkpoint();
    const { pointer } = on;
    on.proof = 'given up';
    const { key, counted } = on.log.wal.put(() => ({ kind: 'checkpoint', content: [], contentBytes: 0, footer: Buffer.alloc(600) }));
    await on.until(counted);
    await damage(on.objects, key, 'footer');
    on.pointer = pointer;
    const found = await seal(on);
    assert.equal(await found.inDoubt(), false);
    assert.deepEqual(await found.listed(), range(0, 3));
  });
});

describe('nothing is sealed', () => {
  test('over a checkpoint that is missing', async () => {
    const on = new LogOnMemory();
    await grown(on, 3);
    await on.checkpoint();
    await on.objects.delete([on.pointer!]);
    await assert.rejects(seal(on), MissingObject);
  });

  test('past an object that may have been a seal: behind it lies what was never part of the log', async () => {
    const on = new LogOnMemory();
    await grown(on, 3);
    await on.checkpoint();
    await seal(on);
    const sealed = (await on.keys('wal/0/000000000001/')).at(-1) as ObjectKey;
    for (const place of ['footer', 'end'] as const) {
      const mend = await damage(on.objects, sealed, place);
      await assert.rejects(seal(on, { epoch: place === 'end' ? 3 : 4 }), (error: Error) => error instanceof FormatError && error.message.includes(sealed));
      await mend();
    }
  });
});

test('a damaged state object that a seal names is made anew', async () => {
  const on = new LogOnMemory();
  const [first] = await grown(on, 3);
  await on.checkpoint();
  await on.append(first!, 10);
  const before = await seal(on);
  await damage(on.objects, before.key, 'start');
  const anew = await seal(on, { epoch: 3 });
  assert.notEqual(anew.key, before.key);
  assert.deepEqual(await anew.listed(), range(0, 3));
  assert.equal(await anew.endOffset(0), 2);
});

test('whatever object is damaged: a partition that is listed ends where it ended, and whole objects find all of them', async () => {
  const steps = fc.array(fc.oneof(fc.constant('checkpoint' as const), fc.constant('create' as const), fc.array(fc.nat(39), { minLength: 1, maxLength: 4 })), {
    minLength: 1,
    maxLength: 25,
  });
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.constantFrom('start', 'footer', 'end'), async (history, at, place) => {
      const on = new LogOnMemory({ collectable: 'nothing' });
      const partitions = await grown(on, 34);
      for (const step of history) {
        if (step === 'checkpoint') await on.checkpoint();
        else if (step === 'create') partitions.push(on.create(partitions.length));
        else await on.appendGroup([...new Set(step.map((i) => partitions[i % partitions.length]!))], 10);
      }
      const ends = new Map(partitions.map(({ partition, highWatermark }) => [partition, highWatermark]));
      const keys = await on.keys('wal/0/000000000001/');
      const damaged = keys[at % keys.length] as ObjectKey;
      const mend = await damage(on.objects, damaged, place);
      // What nobody wrote since it was created needs no state object: its record's own pointer is right.
      const written = [...ends].filter(([, end]) => end > 0).map(([partition]) => partition);
      const found = await sealedOrRefused(on, damaged);
      if (found) {
        const listed = await found.listed();
        for (const partition of listed) assert.equal(await found.endOffset(partition), ends.get(partition));
        if (!(await found.inDoubt())) for (const partition of written) assert.ok(listed.includes(partition));
      }
      await mend();
      const whole = await seal(on, { epoch: 3 });
      for (const partition of written) assert.equal(await whole.endOffset(partition), ends.get(partition));
    }),
    { numRuns: 60 },
  );
});

/** `count` new partitions with one record each, in one group. */
async function grown(on: LogOnMemory, count: number): Promise<Partition[]> {
  const partitions = range(0, count).map((partition) => on.create(partition));
  await on.appendGroup(partitions, 10);
  return partitions;
}

function lastGroup(partition: Partition): ObjectKey {
  return partition.index.entries.at(-1)!.object;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

interface Sealed {
  readonly key: ObjectKey;
  listed(): Promise<number[]>;
  inDoubt(): Promise<boolean>;
  endOffset(partition: number): Promise<number | undefined>;
}

/** What a new incarnation finds of the dead one. */
async function seal(
  on: LogOnMemory,
  { epoch = 2, damage: mode = 'doubt' }: { readonly epoch?: number; readonly damage?: 'refuse' | 'doubt' } = {},
): Promise<Sealed> {
  const { objects, clock, random } = on;
  const self = { node: 0 as NodeId, epoch };
  const next = new LogOnMemory({ objects, clock, incarnation: self });
  const reads = { objects, clock, random, signal: new AbortController().signal, parallel: 4 };
  const key = await on.until(sealIncarnation(dead, on.pointer, { ...reads, logger: silentLogger, self, wal: next.log.wal, damage: mode }));
  const states = () => new StoredStates({ ...reads, maxProducers: 100, producerExpirationMs: 1e12 });
  return {
    key,
    listed: async () => [...(await on.until(states().load(key))).values()].map(({ partition }) => partition).sort((a, b) => a - b),
    inDoubt: async () => (await on.until(states().doubtsOf(key))).length > 0,
    endOffset: async (partition) => (await on.until(states().resolve(key, { topicId: testTopic, partition })))?.endOffset,
  };
}

/** Undefined when a small object could have been a seal. */
async function sealedOrRefused(on: LogOnMemory, damaged: ObjectKey): Promise<Sealed | undefined> {
  try {
    return await seal(on);
  } catch (error) {
    const head = await on.objects.head(damaged);
    assert.ok(error instanceof FormatError && error.message.includes(damaged) && head.kind === 'found' && head.sizeBytes <= maxSealBytes, String(error));
    return undefined;
  }
}

/** Flips bits at the first byte, in the footer, or in the trailer; answers how to put the whole object back. */
async function damage(objects: LogOnMemory['objects'], key: ObjectKey, place: 'start' | 'footer' | 'end'): Promise<() => Promise<void>> {
  const found = await objects.read(key);
  assert.ok(found.kind === 'found');
  const whole = Buffer.from(found.bytes);
  const { content, footer } = parseWholeObject(whole);
  const at = { start: 0, footer: footer.length > 0 ? content.length : whole.length - trailerBytes, end: whole.length - 1 }[place];
  const bytes = Buffer.from(whole);
  bytes[at]! ^= 0x55;
  const put = async (body: Buffer) => {
    await objects.delete([key]);
    assert.deepEqual(await objects.create(key, { chunks: [body], sizeBytes: body.length, crc32c: 0 }), { kind: 'created' });
  };
  await put(bytes);
  return () => put(whole);
}
