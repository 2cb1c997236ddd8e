import assert from 'node:assert/strict';
import test from 'node:test';
import type { Clock } from '../../io/clock.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { type CreateOutcome, type ObjectStore, objectBody } from '../../io/object/object-store.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import { bucketRootKey, openBucket } from './bucket-root.ts';
import { checkStore, proveStore } from './store-proof.ts';

/** Time that passes only when somebody waits for it. */
const clock: Clock = {
  wallMs: () => 1_700_000_000_000,
  monotonicMs: () => 0,
  setTimer: (_delayMs, callback) => {
    const timer = setImmediate(callback);
    return { cancel: () => clearImmediate(timer) };
  },
  defer: (callback) => void setImmediate(callback),
};
const random = () => new SeededRandom(7);
const proof = (objects: ObjectStore) => proveStore({ objects, clock, random: random() });

/** A memory store some of whose methods are replaced. */
function storeWith(change: (right: MemoryObjectStore) => Partial<ObjectStore>): ObjectStore {
  const right = new MemoryObjectStore();
  const methods: ObjectStore = {
    create: (...call) => right.create(...call),
    read: (...call) => right.read(...call),
    readTail: (...call) => right.readTail(...call),
    head: (...call) => right.head(...call),
    delete: (...call) => right.delete(...call),
    list: (...call) => right.list(...call),
    close: () => right.close(),
  };
  return { ...methods, ...change(right) };
}

/** Creates without looking whether something is there. */
function overwrite(right: MemoryObjectStore, ...[key, body]: Parameters<ObjectStore['create']>): Promise<CreateOutcome> {
  void right.delete([key]);
  return right.create(key, body);
}

test('a store that keeps its word is fit, and nothing is left in it', async () => {
  const objects = new MemoryObjectStore();
  assert.deepEqual(await proof(objects), { kind: 'fit' });
  assert.deepEqual(await objects.list(''), { kind: 'page', objects: [], more: false });
});

test('a store whose answers are often lost is fit in the end', async () => {
  const dice = random();
  const lossy = storeWith((right) => ({
    create: async (...call) => {
      const before = dice.float() < 0.2;
      const outcome = before ? undefined : await right.create(...call);
      return !outcome || dice.float() < 0.2 ? { kind: 'unknown', cause: 'lost' } : outcome;
    },
  }));
  assert.deepEqual(await proof(lossy), { kind: 'fit' });
});

for (const [what, change, expected] of [
  ['ignores If-None-Match', (right) => ({ create: (...call) => overwrite(right, ...call) }), /raced 16 succeeded/],
  [
    'lets several of a race win',
    (right) => {
      let creates = 0;
      return { create: (...call) => (++creates % 16 < 3 ? overwrite(right, ...call) : right.create(...call)) };
    },
    /raced [23] succeeded: the store’s If-None-Match is not atomic/,
  ],
  [
    'tells one winner but keeps the bytes of a loser',
    (right) => {
      let creates = 0;
      return { create: async (...call) => (++creates % 16 === 5 ? (await overwrite(right, ...call), { kind: 'exists' } as const) : right.create(...call)) };
    },
    /a loser overwrote it/,
  ],
  ['lets nobody win', (right) => ({ create: async (...call) => (await right.create(...call), { kind: 'exists' }) }), /none succeeded/],
  ['finds what nobody wrote', () => ({ head: () => Promise.resolve({ kind: 'found', sizeBytes: 1 }) }), /nobody wrote/],
  ['reads late', () => ({ read: () => Promise.resolve({ kind: 'missing' }) }), /lag behind/],
  [
    'answers ranges wrongly',
    (right) => ({ read: (key, range) => right.read(key, range && { start: range.start + 1, end: range.end + 1 }) }),
    /a read of a range did not return what was written/,
  ],
  ['answers tails wrongly', (right) => ({ readTail: (key, length) => right.read(key, { start: 0, end: length }) }), /a read of the end/],
] as readonly [string, (right: MemoryObjectStore) => Partial<ObjectStore>, RegExp][])
  test(`a store that ${what} is unfit`, async () => {
    const outcome = await proof(storeWith(change));
    assert.equal(outcome.kind, 'unfit', JSON.stringify(outcome));
    if (outcome.kind === 'unfit') assert.match(outcome.text, expected);
  });

test('a store that denies what is missing is not judged, and the permission is named', async () => {
  const outcome = await proof(storeWith(() => ({ head: () => Promise.resolve({ kind: 'refused', cause: '403 AccessDenied' }) })));
  assert.equal(outcome.kind, 'unreachable');
  if (outcome.kind === 'unreachable') assert.match(outcome.text, /s3:ListBucket/);
});

test('a store that never answers is not judged', async () => {
  assert.equal((await proof(storeWith(() => ({ create: () => Promise.resolve({ kind: 'unknown', cause: '503' }) })))).kind, 'unreachable');
});

test('the check of every start finds a store that overwrites, and harms nothing', async () => {
  const bytes = Buffer.from('root');
  const obedient = storeWith((right) => ({ create: (...call) => overwrite(right, ...call) }));
  await obedient.create('cluster', objectBody([bytes]));
  const outcome = await checkStore({ objects: obedient, clock, random: random() }, 'cluster', bytes);
  assert.equal(outcome.kind, 'unfit');
  const read = await obedient.read('cluster');
  assert.ok(read.kind === 'found' && read.bytes.equals(bytes));
});

test('an empty bucket gets a root; the next broker finds it', async () => {
  const objects = new MemoryObjectStore();
  const first = await openBucket({ objects, clock, random: random() });
  assert.ok(first.kind === 'opened' && first.made && /^[\w-]{22}$/.test(first.clusterId), JSON.stringify(first));
  assert.deepEqual(await openBucket({ objects, clock, random: new SeededRandom(8) }), { kind: 'opened', clusterId: first.clusterId, made: false });
  assert.deepEqual(await openBucket({ objects, clock, random: new SeededRandom(8), clusterId: first.clusterId }), {
    kind: 'opened',
    clusterId: first.clusterId,
    made: false,
  });
  const root = await objects.read(bucketRootKey);
  assert.equal(
    root.kind === 'found' && root.bytes.toString(),
    `{"formatVersion":1,"clusterId":"${first.clusterId}","storeProof":{"version":1,"provedAtMs":1700000000000}}\n`,
  );
});

test('brokers that open an empty bucket together agree on one cluster', async () => {
  const objects = new MemoryObjectStore();
  const outcomes = await Promise.all(Array.from({ length: 5 }, (_, seed) => openBucket({ objects, clock, random: new SeededRandom(seed) })));
  const ids = new Set(outcomes.map((outcome) => (outcome.kind === 'opened' ? outcome.clusterId : outcome.text)));
  assert.equal(ids.size, 1);
  assert.equal(outcomes.filter((outcome) => outcome.kind === 'opened' && outcome.made).length, 1);
});

test('two clusters on one bucket: the second is refused, with both ids', async () => {
  const objects = new MemoryObjectStore();
  await openBucket({ objects, clock, random: random(), clusterId: 'first-cluster' });
  const outcome = await openBucket({ objects, clock, random: random(), clusterId: 'second-cluster' });
  assert.equal(outcome.kind, 'refused');
  if (outcome.kind === 'refused') assert.match(outcome.text, /belongs to cluster first-cluster, this broker to cluster second-cluster/);
});

for (const [what, text, expected] of [
  ['of a newer format', '{"formatVersion":2,"clusterId":"x","storeProof":{}}', /written in format 2/],
  ['that is none of ours', '{"name":"something else"}', /none of ours/],
  ['that is no JSON', 'hello', /none of ours/],
  ['that is null', 'null', /none of ours/],
] as const)
  test(`a root ${what} is refused`, async () => {
    const objects = new MemoryObjectStore();
    await objects.create(bucketRootKey, objectBody([Buffer.from(text)]));
    const outcome = await openBucket({ objects, clock, random: random() });
    assert.equal(outcome.kind, 'refused');
    if (outcome.kind === 'refused') assert.match(outcome.text, expected);
  });

test('data without a root is refused, and left alone', async () => {
  const objects = new MemoryObjectStore();
  await objects.create('wal/1/1/0', objectBody([Buffer.from('x')]));
  const outcome = await openBucket({ objects, clock, random: random() });
  assert.equal(outcome.kind, 'refused');
  if (outcome.kind === 'refused') assert.match(outcome.text, /wal\/1\/1\/0/);
  assert.deepEqual(await objects.head(bucketRootKey), { kind: 'missing' });
});

test('a store that is away is unreachable, not refused', async () => {
  const away = storeWith(() => ({ read: () => Promise.resolve({ kind: 'unknown', cause: '503' }) }));
  assert.equal((await openBucket({ objects: away, clock, random: random() })).kind, 'unreachable');
});
