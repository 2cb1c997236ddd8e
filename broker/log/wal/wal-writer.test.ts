import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../../io/logger.ts';
import { noMetrics } from '../../../io/metrics.ts';
import { MemoryObjectStore } from '../../../io/object/memory-object-store.ts';
import type { CreateOutcome, ObjectBody, ObjectStore } from '../../../io/object/object-store.ts';
import { systemClock } from '../../../io/system-clock.ts';
import { systemRandom } from '../../../io/system-random.ts';
import type { NodeId, TopicId } from '../../../cluster/identifiers.ts';
import type { ObjectKey } from '../format/object-keys.ts';
import { assembleObject } from '../format/stored-object.ts';
import { encodeSeal } from '../format/seal.ts';
import type { Durability } from '../partition-log.ts';
import type { SliceBuilder, SliceOwner } from './open-group.ts';
import { type WalEnd, type WalLimits, WalWriter } from './wal-writer.ts';

const incarnation = { node: 3 as NodeId, epoch: 1 };
const limits: WalLimits = {
  maxGroupBytes: 1000,
  maxUploads: 4,
  idleUploads: 4,
  smallGroupBytes: 1,
  maxPendingBytes: 100_000,
  putsPerSecond: 0,
  putBurst: 1,
  baseBackoffMs: 1,
  maxBackoffMs: 2,
  hedgeMinMs: 0,
  settleMs: 50,
};

describe('the WAL counts object n only when every object before it is durable', () => {
  test('a later upload that succeeds first is not acknowledged', async () => {
    const store = new HeldStore();
    const { wal, owner } = writer(store);
    const first = append(wal, owner, 'a');
    await store.held(1);
    const second = append(wal, owner, 'b');
    await store.held(2);
    await store.let(2);
    assert.equal(await settledWithin(second), 'waiting');
    assert.deepEqual(owner.counted, []);
    await store.let(1);
    assert.deepEqual(await Promise.all([first, second]), ['durable', 'durable']);
    assert.deepEqual(owner.counted, [0, 1]);
    await wal.close();
  });

  test('a checkpoint counts after everything appended before it', async () => {
    const store = new HeldStore();
    const { wal, owner } = writer(store);
    const appended = append(wal, owner, 'a');
    const { key, counted } = wal.put(() => ({ kind: 'checkpoint', content: [], contentBytes: 0, footer: Buffer.alloc(0) }));
    assert.equal(key, 'wal/3/000000000001/000000000002');
    await store.held(2);
    await store.let(2);
    assert.equal(await settledWithin(counted), 'waiting');
    await store.let(1);
    assert.equal(await counted, true);
    assert.equal(await appended, 'durable');
    await wal.close();
  });
});

describe('one number, one byte string', () => {
  test('after an unknown answer the same bytes are sent again, and an own object found is success', async () => {
    const store = new ScriptedStore(['applied, answer lost', 'not applied', 'real']);
    const { wal, owner } = writer(store);
    assert.equal(await append(wal, owner, 'a'), 'durable');
    assert.equal(store.bodies.length >= 2, true);
    assert.equal(new Set(store.bodies).size, 1);
    await wal.close();
  });

  test('a store that refuses: waiting writes are unknown, new ones are refused before they happen, and it recovers', async () => {
    const store = new ScriptedStore(['refused', 'refused', 'refused', 'real']);
    const { wal, owner } = writer(store);
    assert.equal(await append(wal, owner, 'a'), 'unknown');
    assert.equal(wal.refusal, 'store refuses');
    while (wal.refusal) await turn();
    assert.equal(await append(wal, owner, 'b'), 'durable');
    assert.deepEqual(owner.counted, [0, 1]);
    await wal.close();
  });
});

describe('a 412 is read, never guessed', () => {
  test('a seal: below it settles, at and past it was never appended', async () => {
    const store = new HeldStore();
    const { wal, owner, ended } = writer(store);
    const first = append(wal, owner, 'a');
    await store.held(1);
    const second = append(wal, owner, 'b');
    await store.held(2);
    await store.seal(2);
    await store.let(2);
    assert.equal(await settledWithin(ended), 'waiting');
    await store.let(1);
    assert.equal(await first, 'durable');
    assert.equal(await second, 'not-appended');
    assert.deepEqual(await ended, { kind: 'fenced', number: 2 });
    assert.equal(wal.refusal, 'ended');
  });

  test('an object of somebody else: nothing is acknowledged any more', async () => {
    const store = new HeldStore();
    const { wal, owner, ended } = writer(store);
    await store.plant(1, { chunks: [Buffer.from('no object of ours')], sizeBytes: 17 });
    const appended = append(wal, owner, 'a');
    await store.held(1);
    await store.let(1);
    assert.equal(await appended, 'unknown');
    assert.equal((await ended).kind, 'lost');
  });

  test('a bit that flipped on its way is no object of somebody else', async () => {
    const store = new ScriptedStore(['applied, answer lost']);
    const { wal, owner } = writer(store);
    const readTail = store.readTail.bind(store);
    let flipped = 0;
    store.readTail = async (...asked) => {
      const tail = await readTail(...asked);
      if (tail.kind === 'found' && flipped++ < 2) tail.bytes[flipped * 8]! ^= 1;
      return tail;
    };
    assert.equal(await append(wal, owner, 'a'), 'durable');
    assert.equal(flipped, 3);
    await wal.close();
  });

  test('exists, then missing: deleted under us', async () => {
    const store = new ScriptedStore(['exists although nothing is there']);
    const { wal, owner, ended } = writer(store);
    assert.equal(await append(wal, owner, 'a'), 'unknown');
    assert.match(JSON.stringify(await ended), /deleted under us/);
  });
});

test('appends are refused when too many bytes wait', async () => {
  const store = new HeldStore();
  const { wal, owner } = writer(store, { ...limits, maxPendingBytes: 10 });
  const appended = append(wal, owner, 'x'.repeat(10));
  assert.equal(wal.refusal, 'too many bytes wait');
  await store.held(1);
  await store.let(1);
  await appended;
  assert.equal(wal.refusal, undefined);
  await wal.close();
});

test('an upload that hangs is sent a second time, and the second answer is enough', async () => {
  const store = new HangingStore();
  const { wal, owner } = writer(store, { ...limits, hedgeMinMs: 5 });
  for (let i = 0; i < 16; i++) assert.equal(await append(wal, owner, `v${i}`), 'durable');
  store.hang = true;
  assert.equal(await append(wal, owner, 'slow'), 'durable');
  assert.equal(store.hung, 1);
  await wal.close();
});

/** The next create is applied, and never answered. */
class HangingStore extends MemoryObjectStore {
  hang = false;
  hung = 0;

  override async create(key: string, body: ObjectBody): Promise<CreateOutcome> {
    const outcome = await super.create(key, body);
    if (!this.hang) return outcome;
    this.hang = false;
    this.hung++;
    return new Promise(() => {});
  }
}

class Owner implements SliceOwner {
  readonly topicId = 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId;
  readonly partition = 0;
  readonly leaderEpoch = 0;
  readonly nextLogStartOffset = 0;
  readonly counted: number[] = [];
  next = 0;
  takeBase(): undefined {}
  slicePlaced(): void {}
  sliceEvicted(): void {}
  sliceCounted(slice: SliceBuilder): void {
    this.counted.push(slice.firstOffset);
  }
}

function writer(objects: ObjectStore, walLimits = limits) {
  let end: (end: WalEnd) => void = () => {};
  const ended = new Promise<WalEnd>((resolve) => {
    end = resolve;
  });
  const wal = new WalWriter({
    objects,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: noMetrics,
    incarnation,
    limits: walLimits,
    onGroupCounted: () => {},
    onPlaced: () => {},
    onEnd: end,
  });
  return { wal, owner: new Owner(), ended };
}

function append(wal: WalWriter, owner: Owner, text: string): Promise<Durability> {
  const offset = owner.next++;
  const slice = wal.slice(owner, undefined, offset);
  wal.append(slice, { bytes: Buffer.from(text), firstOffset: offset, lastOffset: offset, maxTimestampMs: 0, producer: undefined });
  wal.appended();
  return slice.group.durability();
}

/** Every create waits until the test lets it go on. */
class HeldStore extends MemoryObjectStore {
  readonly #waiting = new Map<number, () => void>();

  override async create(key: string, body: ObjectBody): Promise<CreateOutcome> {
    const number = Number(key.slice(-12));
    if (key.startsWith('wal/') && body.chunks.length > 0 && !this.#planting) await new Promise<void>((resolve) => this.#waiting.set(number, resolve));
    return super.create(key, body);
  }
  #planting = false;

  async held(number: number): Promise<void> {
    while (!this.#waiting.has(number)) await turn();
  }

  async let(number: number): Promise<void> {
    await this.held(number);
    this.#waiting.get(number)?.();
    for (let i = 0; i < 10; i++) await turn();
  }

  async seal(number: number): Promise<void> {
    const footer = encodeSeal({ sealedBy: { node: 4 as NodeId, epoch: 9 }, state: 'wal/4/000000000009/000000000001' as ObjectKey });
    const object = assembleObject({ kind: 'seal', incarnation, number, putId: Buffer.alloc(16, 7), content: [], contentBytes: 0, footer });
    await this.plant(number, object.body);
  }

  async plant(number: number, body: ObjectBody): Promise<void> {
    this.#planting = true;
    await this.create(`wal/3/000000000001/${String(number).padStart(12, '0')}`, body);
    this.#planting = false;
  }
}

type Step = 'real' | 'applied, answer lost' | 'not applied' | 'refused' | 'exists although nothing is there';

class ScriptedStore extends MemoryObjectStore {
  readonly bodies: string[] = [];
  readonly #script: Step[];

  constructor(script: Step[]) {
    super();
    this.#script = script;
  }

  override async create(key: string, body: ObjectBody): Promise<CreateOutcome> {
    if (this.#script.length > 0) this.bodies.push(Buffer.concat(body.chunks).toString('hex'));
    switch (this.#script.shift() ?? 'real') {
      case 'real':
        return super.create(key, body);
      case 'applied, answer lost':
        await super.create(key, body);
        return { kind: 'unknown', cause: 'answer lost' };
      case 'not applied':
        return { kind: 'unknown', cause: 'connection reset' };
      case 'refused':
        return { kind: 'refused', cause: 'AccessDenied' };
      case 'exists although nothing is there':
        return { kind: 'exists' };
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => systemClock.defer(resolve));
}

async function settledWithin(promise: Promise<unknown>): Promise<'settled' | 'waiting'> {
  let state: 'settled' | 'waiting' = 'waiting';
  void promise.then(() => {
    state = 'settled';
  });
  for (let i = 0; i < 20; i++) await turn();
  return state;
}
