/* oxlint-disable typescript/no-floating-promises -- node:test awaits its tests itself */
/**
 * What every ObjectStore must do, as one suite of tests: for the memory and folder stores in each run, for S3 against real servers
 * (`make test-stores`), and for the simulation's fake. The store may hold other objects: all keys lie under a fresh prefix.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type ByteRange, type ListedObject, type ObjectBody, type ObjectStore, objectBody } from './object-store.ts';

export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Whatever has to be undone besides closing the store. */
  dispose?(): Promise<void>;
}

const mib = 1024 * 1024;

export function objectStoreContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of object stores`, () => {
    let made: StoreUnderTest;
    let store: ObjectStore;
    const prefix = `contract/${randomBytes(6).toString('hex')}/`;
    const key = (text: string) => prefix + text;
    before(async () => {
      made = await makeStore();
      store = made.store;
    });
    after(async () => {
      await deleteAll(store, prefix);
      await store.close();
      await store.close();
      await made.dispose?.();
    });

    for (const size of [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, mib, mib + 1, 9 * mib]) {
      test(`an object of ${size} bytes reads back exactly`, async () => {
        const bytes = patterned(size);
        const at = key(`size/${size}`);
        assert.deepEqual(await store.create(at, objectBody([bytes])), { kind: 'created' });
        await expectBytes(store, at, bytes);
        assert.deepEqual(await store.head(at), { kind: 'found', sizeBytes: size });
      });
    }

    test('a body of thousands of chunks, empty ones among them, is written in their order', async () => {
      const chunks = Array.from({ length: 3000 }, (_, index) => patterned(index % 7 === 0 ? 0 : (index * 37) % 2000, index));
      assert.equal((await store.create(key('chunks'), objectBody(chunks))).kind, 'created');
      await expectBytes(store, key('chunks'), Buffer.concat(chunks));
    });

    test('a second create answers exists and changes nothing', async () => {
      const first = Buffer.from('first');
      assert.equal((await store.create(key('twice'), objectBody([first]))).kind, 'created');
      assert.deepEqual(await store.create(key('twice'), objectBody([Buffer.from('second')])), { kind: 'exists' });
      assert.deepEqual(await store.create(key('twice'), objectBody([first])), { kind: 'exists' });
      await expectBytes(store, key('twice'), first);
    });

    for (const size of [16, 300_000]) {
      test(`of 16 creates of ${size} bytes that race for one key exactly one wins, and its bytes stay`, async () => {
        for (let round = 0; round < 5; round++) {
          const at = key(`race/${size}/${round}`);
          const bodies = Array.from({ length: 16 }, (_, index) => Buffer.alloc(size, index + 1));
          const outcomes = await Promise.all(bodies.map((body) => createUntilKnown(store, at, body)));
          const winners = outcomes.flatMap((kind, index) => (kind === 'created' ? [index] : []));
          assert.equal(winners.length, 1, `winners: ${winners.join(', ')}`);
          await expectBytes(store, at, bodies[winners[0]!]!);
        }
      });
    }

    test('buffers are free again once a create has settled', async () => {
      const chunks = [patterned(100_000, 1), patterned(50, 2)];
      const expected = Buffer.concat(chunks);
      assert.equal((await store.create(key('reused'), objectBody(chunks))).kind, 'created');
      for (const chunk of chunks) chunk.fill(0xee);
      await expectBytes(store, key('reused'), expected);
    });

    test('what a read returned is the reader’s own', async () => {
      await store.create(key('own'), objectBody([Buffer.from('unchanged')]));
      const read = await store.read(key('own'));
      assert.equal(read.kind, 'found');
      if (read.kind === 'found') read.bytes.fill(0);
      await expectBytes(store, key('own'), Buffer.from('unchanged'));
    });

    test('ranges are half-open, cut at the end of the object, and tell its size', async () => {
      const bytes = patterned(10_000);
      await store.create(key('ranges'), objectBody([bytes]));
      for (const range of [
        { start: 0, end: 0 },
        { start: 0, end: 1 },
        { start: 0, end: 10_000 },
        { start: 0, end: 10_001 },
        { start: 5000, end: 5000 },
        { start: 4999, end: 5001 },
        { start: 9999, end: 10_000 },
        { start: 9999, end: 20_000 },
        { start: 10_000, end: 10_001 },
        { start: 12_345, end: 12_355 },
        { start: 2 ** 40, end: 2 ** 40 + 5 },
      ])
        await expectBytes(store, key('ranges'), bytes, range);
    });

    test('a tail is the last bytes, or all of a shorter object', async () => {
      const bytes = patterned(5000);
      await store.create(key('tail'), objectBody([bytes]));
      for (const length of [0, 1, 48, 4999, 5000, 5001, 100_000]) {
        const tail = await store.readTail(key('tail'), length);
        assert.equal(tail.kind, 'found', JSON.stringify(tail));
        if (tail.kind === 'found') {
          assert.equal(tail.sizeBytes, 5000);
          assert.ok(tail.bytes.equals(bytes.subarray(Math.max(0, 5000 - length))), `the last ${length} bytes`);
        }
      }
    });

    test('an empty object has empty ranges and an empty tail', async () => {
      await store.create(key('empty'), objectBody([]));
      const nothing = { kind: 'found', bytes: Buffer.alloc(0), sizeBytes: 0 };
      assert.deepEqual(await store.read(key('empty'), { start: 0, end: 10 }), nothing);
      assert.deepEqual(await store.read(key('empty'), { start: 3, end: 4 }), nothing);
      assert.deepEqual(await store.readTail(key('empty'), 10), nothing);
    });

    test('reads go into the buffer that the caller gives, when it is big enough', async () => {
      const bytes = patterned(300_000);
      await store.create(key('into'), objectBody([bytes]));
      const into = Buffer.alloc(300_000, 0xaa);
      const read = await store.read(key('into'), { start: 1000, end: 200_000 }, { into });
      assert.equal(read.kind, 'found');
      if (read.kind === 'found') assert.equal(read.bytes.buffer, into.buffer);
      assert.ok(into.subarray(0, 199_000).equals(bytes.subarray(1000, 200_000)));
      const tail = await store.readTail(key('into'), 300_000, { into: into.subarray(0, 10) });
      assert.ok(tail.kind === 'found' && tail.bytes.equals(bytes));
      assert.ok(into.subarray(0, 10).equals(bytes.subarray(1000, 1010)), 'a buffer that is too small is left alone');
    });

    test('what is not there is missing, and deleting it succeeds', async () => {
      assert.deepEqual(await store.read(key('nothing')), { kind: 'missing' });
      assert.deepEqual(await store.read(key('nothing/below/this'), { start: 5, end: 9 }), { kind: 'missing' });
      assert.deepEqual(await store.readTail(key('nothing'), 10), { kind: 'missing' });
      assert.deepEqual(await store.head(key('nothing')), { kind: 'missing' });
      assert.deepEqual(await store.delete([key('nothing'), key('nothing/below/this')]), { kind: 'deleted' });
      assert.deepEqual(await store.delete([]), { kind: 'deleted' });
      assert.deepEqual(await store.list(key('nothing/')), { kind: 'page', objects: [], more: false });
    });

    test('a deleted object is missing and its key can be created again', async () => {
      await store.create(key('gone'), objectBody([Buffer.from('one')]));
      assert.deepEqual(await store.delete([key('gone')]), { kind: 'deleted' });
      assert.deepEqual(await store.head(key('gone')), { kind: 'missing' });
      assert.deepEqual(await store.create(key('gone'), objectBody([Buffer.from('two')])), { kind: 'created' });
      await expectBytes(store, key('gone'), Buffer.from('two'));
    });

    test('keys are listed in the order of their bytes, with sizes, by prefix and after a key', async () => {
      const names = ['a-b', 'a.b', 'a/b', 'a/c/d', 'a0', 'a_', 'aA', 'b/1', 'b/10', 'b/2', 'B'].map((text) => key(`order/${text}`));
      await Promise.all(names.map((at, index) => store.create(at, objectBody([Buffer.alloc(index)]))));
      const sorted = [...names].sort();
      const all = await listAll(store, key('order/'));
      assert.deepEqual(
        all.map((object) => object.key),
        sorted,
      );
      for (const object of all) assert.equal(object.sizeBytes, names.indexOf(object.key));
      for (const last of [...sorted, key('order/a/'), key('order/a/bb'), key('order/zzz'), key('')]) {
        const rest = await listAll(store, key('order/'), last);
        assert.deepEqual(
          rest.map((object) => object.key),
          sorted.filter((at) => at > last),
          `after ${last}`,
        );
      }
      const inside = await listAll(store, key('order/a'));
      assert.deepEqual(
        inside.map((object) => object.key),
        sorted.filter((at) => at.startsWith(key('order/a'))),
      );
    });

    test('1,500 keys are written at once, listed page by page and deleted in one call, missing ones among them', async () => {
      const names = Array.from({ length: 1500 }, (_, index) => key(`many/${String(index).padStart(5, '0')}`));
      const outcomes = await Promise.all(names.map((at) => store.create(at, objectBody([Buffer.from(at)]))));
      assert.ok(outcomes.every((outcome) => outcome.kind === 'created'));
      const listed = await listAll(store, key('many/'));
      assert.deepEqual(
        listed.map((object) => object.key),
        names,
      );
      assert.deepEqual(await store.delete([...names, key('many/never')]), { kind: 'deleted' });
      assert.deepEqual(await store.list(key('many/')), { kind: 'page', objects: [], more: false });
    });

    test('keys may hold every character of [A-Za-z0-9_.-] and slashes, and no others', async () => {
      const at = key('ABCDEFGHIJKLMNOPQRSTUVWXYZ/abcdefghijklmnopqrstuvwxyz/0123456789/x_.-');
      assert.equal((await store.create(at, objectBody([Buffer.from('x')]))).kind, 'created');
      await expectBytes(store, at, Buffer.from('x'));
      for (const bad of ['', '/', 'a//b', '../a', 'a/../b', '.hidden', 'a/.hidden', 'a b', 'a%2F', 'ä', 'a\0', 'x'.repeat(2000)])
        await assert.rejects(async () => store.create(bad, objectBody([])), { name: 'InvariantError' }, bad);
    });

    test('a caller that gave up gets unknown, and the store serves on', async () => {
      const signal = AbortSignal.abort();
      assert.equal((await store.read(key('x'), undefined, { signal })).kind, 'unknown');
      assert.equal((await store.create(key('given-up'), objectBody([Buffer.from('x')]), { signal })).kind, 'unknown');
      assert.equal((await store.head(key('x'), { signal })).kind, 'unknown');
      assert.equal((await store.list(key(''), undefined, { signal })).kind, 'unknown');
      assert.equal((await store.delete([key('x')], { signal })).kind, 'unknown');
      assert.deepEqual(await store.head(key('x')), { kind: 'missing' });
    });
  });
}

/** A period that is prime to every power of two, so that a shifted or repeated part shows. */
function patterned(size: number, seed = 0): Buffer {
  const period = Buffer.from(Array.from({ length: 251 }, (_, index) => (index * 167 + seed) % 256));
  return Buffer.alloc(size, period);
}

async function expectBytes(store: ObjectStore, key: string, whole: Buffer, range?: ByteRange): Promise<void> {
  const read = await store.read(key, range);
  assert.equal(read.kind, 'found', `${key}: ${JSON.stringify(read)}`);
  if (read.kind !== 'found') return;
  const expected = range ? whole.subarray(range.start, range.end) : whole;
  assert.equal(read.sizeBytes, whole.length, `size of ${key}`);
  assert.equal(read.bytes.length, expected.length, `length read of ${key} ${JSON.stringify(range)}`);
  assert.ok(read.bytes.equals(expected), `bytes of ${key} ${JSON.stringify(range)}`);
}

/** Some stores answer "conflict" to a loser whose winner is not finished: the same body again, as the log does. */
async function createUntilKnown(store: ObjectStore, key: string, bytes: Buffer): Promise<string> {
  const body: ObjectBody = objectBody([bytes]);
  for (let attempt = 0; attempt < 200; attempt++) {
    const { kind } = await store.create(key, body);
    if (kind !== 'unknown') return kind;
  }
  return 'unknown';
}

async function listAll(store: ObjectStore, prefix: string, after?: string): Promise<ListedObject[]> {
  const found: ListedObject[] = [];
  for (let last = after; ; last = found.at(-1)?.key) {
    const page = await store.list(prefix, last);
    assert.equal(page.kind, 'page', JSON.stringify(page));
    if (page.kind !== 'page') return found;
    found.push(...page.objects);
    if (!page.more) return found;
    assert.ok(page.objects.length > 0, 'a page before the last is not empty');
  }
}

async function deleteAll(store: ObjectStore, prefix: string): Promise<void> {
  for (let page = await store.list(prefix); page.kind === 'page' && page.objects.length > 0; page = await store.list(prefix))
    await store.delete(page.objects.map((object) => object.key));
}
