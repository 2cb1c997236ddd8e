/** A controller takes over dead brokers (design §4). */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MetaRefused, type MetaTxn } from '../../io/meta/meta-store.ts';
import type { TopicId } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { batchAt, BrokersOnMemory } from '../testing/brokers-on-memory.ts';

let on: BrokersOnMemory;
afterEach(() => on.close());

/** Which broker is controller, and the others. */
async function roles(): Promise<{ readonly controller: number; readonly others: readonly number[] }> {
  const controller = await on.controller();
  assert.ok(controller !== undefined);
  return { controller, others: on.nodes.filter((node) => node !== controller) };
}

/** Every partition is open at exactly one running broker. */
function served(topicId: TopicId, count: number): Promise<void> {
  return on.eventually('all partitions are served', () => Array.from({ length: count }, (_, i) => on.ownersOf(topicId, i)).every(({ length }) => length === 1));
}

async function everyRecordOnce(topicId: TopicId, written: readonly number[]): Promise<void> {
  for (const [partition, count] of written.entries()) {
    const [owner = 0, ...more] = on.ownersOf(topicId, partition);
    assert.deepEqual(more, []);
    assert.deepEqual(
      await on.readAll(on.log(owner, topicId, partition)),
      Array.from({ length: count }, (_, i) => i),
    );
  }
}

async function written(owners: readonly number[], each: number): Promise<TopicId> {
  const topicId = await on.createTopic('rides', owners);
  for (let i = 0; i < each; i++) for (const [partition, owner] of owners.entries()) await on.append(on.log(owner, topicId, partition));
  return topicId;
}

describe('a dead broker', () => {
  test('is taken over: its partitions are spread over the others, with holds for what they need of it and of the controller', async () => {
    on = await BrokersOnMemory.start(3);
    const { controller, others } = await roles();
    const [dead = 0] = others;
    const topicId = await written([dead, dead, dead, dead], 3);
    // Until the new owners' checkpoints tell which objects they mean, the holds name any.
    const seen = new Map<string, unknown>();
    const txn = on.meta.txn.bind(on.meta);
    on.meta.txn = (asked) => {
      for (const operation of asked.then)
        if (operation.kind === 'put' && operation.key.startsWith(keys.holds) && !seen.has(operation.key)) seen.set(operation.key, operation.value);
      return txn(asked);
    };
    on.kill(dead);
    const killedAtMs = on.clock.monotonicMs();
    await served(topicId, 4);
    assert.ok(on.clock.monotonicMs() - killedAtMs < 2_000, `${on.clock.monotonicMs() - killedAtMs} ms`);
    const owners = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const { owner, leaderEpoch } = await on.record(topicId, i);
      owners.add(owner.node);
      assert.equal(leaderEpoch, 1);
      for (const node of [dead, controller]) assert.equal(seen.get(keys.hold(node as never, topicId, i)), '{}');
    }
    assert.deepEqual(owners, new Set(on.nodes));
    await everyRecordOnce(topicId, [3, 3, 3, 3]);
    const retried = on.log(on.ownersOf(topicId, 0)[0] ?? 0, topicId).append(batchAt(2, 100, 1), { origin: 'client' });
    assert.ok(retried.kind === 'duplicate' && retried.baseOffset === 2, retried.kind);
    for (let i = 0; i < 4; i++) await on.append(on.log(on.ownersOf(topicId, i)[0] ?? 0, topicId, i));
    await on.rest(60_000);
    await everyRecordOnce(topicId, [4, 4, 4, 4]);
    for (const held of Object.values(await on.holds(topicId))) assert.notEqual(held, 'any');
    await on.check();
  });

  test('with a partition that it was given and had not written to: the state that it was given stays', async () => {
    on = await BrokersOnMemory.start(3);
    const { controller, others } = await roles();
    const [dead = 0] = others;
    const topicId = await written([controller], 3);
    // It has a checkpoint that knows the partition, of an older leader epoch.
    await on.move(topicId, dead);
    await on.append(on.log(dead, topicId));
    await on.rest(2_000);
    await on.move(topicId, controller);
    await on.append(on.log(controller, topicId));
    on.faults(dead).create = () => new Promise(() => {});
    await on.move(topicId, dead);
    const given = await on.record(topicId);
    on.kill(dead);
    await on.eventually('it has a new owner', async () => (await on.record(topicId)).leaderEpoch > given.leaderEpoch);
    assert.equal((await on.record(topicId)).state, given.state);
    await served(topicId, 1);
    await everyRecordOnce(topicId, [5]);
    await on.check();
  });

  test('and another at the same time', async () => {
    on = await BrokersOnMemory.start(5);
    const { others } = await roles();
    const [first = 0, second = 0] = others;
    const topicId = await written([first, second, first, second], 3);
    on.kill(first);
    on.kill(second);
    await served(topicId, 4);
    await everyRecordOnce(topicId, [3, 3, 3, 3]);
    await on.rest(30_000);
    await everyRecordOnce(topicId, [3, 3, 3, 3]);
    await on.check();
  });

  test('that was controller is replaced first', async () => {
    on = await BrokersOnMemory.start(3);
    const { controller } = await roles();
    const topicId = await written([controller, controller], 3);
    on.kill(controller);
    const killedAtMs = on.clock.monotonicMs();
    await served(topicId, 2);
    assert.ok(on.clock.monotonicMs() - killedAtMs < 3_000, `${on.clock.monotonicMs() - killedAtMs} ms`);
    await everyRecordOnce(topicId, [3, 3]);
    await on.check();
  });

  test('that returns while what it left is being swept has nothing to recover, and deletes nothing that is needed', async () => {
    on = await BrokersOnMemory.start(3);
    const { others } = await roles();
    const [dead = 0] = others;
    const topicId = await written([dead, dead], 10);
    on.kill(dead);
    await served(topicId, 2);
    await on.eventually('it has ended', async () => (await on.recovery(dead, 1))?.ended === true);
    let deleted = 0;
    const remove = on.objects.delete.bind(on.objects);
    on.objects.delete = (names, options) => {
      deleted += names.filter((name) => name.startsWith(`wal/${dead}/`)).length;
      return remove(names, options);
    };
    await on.eventually('the controller deletes something of it', () => deleted > 0, 120_000);
    await on.begin(dead);
    await on.move(topicId, dead);
    await on.append(on.log(dead, topicId));
    await on.rest(60_000);
    await everyRecordOnce(topicId, [11, 10]);
    await on.check();
    for (const [partition, count] of [11, 10].entries())
      await on.until(on.log(on.ownersOf(topicId, partition)[0] ?? 0, topicId, partition).deleteRecordsBefore(count));
    await on.rest(60_000);
    assert.deepEqual(await on.holds(topicId), {});
    const { totals } = await on.check();
    assert.equal(totals.garbage.count, 0);
    // Start and seal.
    assert.equal((await on.keys(`wal/${dead}/000000000001/`)).length, 2);
  });

  test('with one partition that is damaged: it fails alone', async () => {
    on = await BrokersOnMemory.start(3);
    const { others } = await roles();
    const [dead = 0, other = 0] = others;
    const topicId = await written([dead, other], 3);
    // What partition 1 stands on is unreadable for whoever opens it.
    await on.move(topicId, dead, 1);
    const { state } = await on.record(topicId, 1);
    on.faults(dead).create = () => new Promise(() => {});
    await on.rest(100);
    const read = on.objects.read.bind(on.objects);
    on.objects.read = async (key, ...rest) => (key === state ? { kind: 'missing' } : read(key, ...rest));
    on.kill(dead);
    await on.eventually('partition 0 is served', () => on.ownersOf(topicId, 0).length === 1);
    await on.eventually('partition 1 is refused', () => on.nodes.some((node) => on.find(node, topicId, 1).kind === 'failed'));
    assert.deepEqual(await on.readAll(on.log(on.ownersOf(topicId, 0)[0] ?? 0, topicId)), [0, 1, 2]);
    on.objects.read = read;
    await on.rest(30_000);
    await on.check();
  });
});

describe('who takes over and dies', () => {
  const steps: Readonly<Record<string, (asked: MetaTxn, dead: number) => boolean>> = {
    'the claim': ({ then }, dead) => then.some((put) => put.kind === 'put' && put.key === keys.recovery(dead, 1) && put.value.includes('"fenced":false')),
    'the new owners': ({ then }) => then.some(({ key }) => key.startsWith(keys.partitions)),
    'the mark fenced': ({ then }, dead) =>
      then.some((put) => put.kind === 'put' && put.key === keys.recovery(dead, 1) && put.value.includes('"fenced":true,"ended":false')),
    'the mark ended': ({ then }, dead) => then.some((put) => put.kind === 'put' && put.key === keys.recovery(dead, 1) && put.value.includes('"ended":true')),
  };
  for (const [step, is] of Object.entries(steps))
    for (const when of ['before', 'after'] as const)
      test(`${when} ${step} is continued by another`, async () => {
        on = await BrokersOnMemory.start(4);
        const { controller, others } = await roles();
        const [dead = 0] = others;
        const topicId = await written([dead, controller, dead], 3);
        const died = on.killAtTxn(controller, when, (asked) => is(asked, dead));
        on.kill(dead);
        await on.until(died);
        await served(topicId, 3);
        await on.eventually('both have ended', async () => (await on.recovery(dead, 1))?.ended === true && (await on.recovery(controller, 1))?.ended === true);
        await everyRecordOnce(topicId, [3, 3, 3]);
        for (let i = 0; i < 3; i++) await on.append(on.log(on.ownersOf(topicId, i)[0] ?? 0, topicId, i));
        await on.rest(60_000);
        await everyRecordOnce(topicId, [4, 4, 4]);
        await on.check();
      });

  for (const when of ['before', 'after'] as const)
    test(`${when} the seal is continued by another`, async () => {
      on = await BrokersOnMemory.start(4);
      const { controller, others } = await roles();
      const [dead = 0] = others;
      const topicId = await written([dead, controller, dead], 3);
      let died = false;
      on.faults(controller).create = async (key, run) => {
        if (!key.startsWith(`wal/${dead}/`)) return run();
        if (when === 'after') await run();
        on.kill(controller);
        died = true;
        return new Promise(() => {});
      };
      on.kill(dead);
      await on.eventually('the controller dies', () => died);
      await served(topicId, 3);
      await on.eventually('both have ended', async () => (await on.recovery(dead, 1))?.ended === true && (await on.recovery(controller, 1))?.ended === true);
      await on.rest(30_000);
      await everyRecordOnce(topicId, [3, 3, 3]);
      await on.check();
    });
});

test('a controller is elected although the value of its key is nonsense', async () => {
  on = await BrokersOnMemory.start(3);
  const { others } = await roles();
  const [dead = 0] = others;
  const topicId = await written([dead], 3);
  await on.until(on.meta.txn({ compare: [], then: [{ kind: 'put', key: keys.controller, value: 'nonsense' }] }));
  await on.eventually('there is one again', async () => (await on.controller()) !== undefined);
  on.kill(dead);
  await served(topicId, 1);
  await everyRecordOnce(topicId, [3]);
});

test('a claim that the metadata store refuses is tried again', async () => {
  on = await BrokersOnMemory.start(3);
  const { controller, others } = await roles();
  const [dead = 0] = others;
  const topicId = await written([dead], 3);
  let refused = 0;
  on.faults(controller).txn = (asked, run) =>
    refused < 3 && asked.then.some(({ key }) => key === keys.recovery(dead, 1)) ? (refused++, Promise.reject(new MetaRefused('no space'))) : run();
  on.kill(dead);
  await served(topicId, 1);
  assert.equal(refused, 3);
});

test('a broker that cannot be taken over is read anew now and then only', async () => {
  on = await BrokersOnMemory.start(3);
  const { others } = await roles();
  const [dead = 0] = others;
  const topicId = await written([dead], 3);
  await on.rest(2_000);
  let tries = 0;
  let triedAtMs = 0;
  const tried = () => {
    const now = on.clock.monotonicMs();
    if (now - triedAtMs > 1_000) tries++;
    triedAtMs = now;
    return Promise.resolve({ kind: 'missing' } as const);
  };
  const read = on.objects.read.bind(on.objects);
  const readTail = on.objects.readTail.bind(on.objects);
  const first = `wal/${dead}/000000000001/`;
  on.objects.read = (key, ...rest) => (key.startsWith(first) ? tried() : read(key, ...rest));
  on.objects.readTail = (key, ...rest) => (key.startsWith(first) ? tried() : readTail(key, ...rest));
  on.kill(dead);
  await on.rest(60_000);
  assert.ok(tries >= 4 && tries <= 8, `${tries}`);
  on.objects.read = read;
  on.objects.readTail = readTail;
  await on.eventually('it is served when its objects are back', () => on.ownersOf(topicId, 0).length === 1, 70_000);
  await everyRecordOnce(topicId, [3]);
});

test('a controller that was deposed in its sleep changes nothing', async () => {
  on = await BrokersOnMemory.start(3);
  const { controller, others } = await roles();
  const [dead = 0, other = 0] = others;
  const topicId = await written([dead, dead], 3);
  // Its first write of new owners sleeps until another is controller and has finished.
  let late: (() => Promise<{ readonly committed: boolean }>) | undefined;
  on.faults(controller).txn = (asked, run) => {
    if (!asked.then.some(({ key }) => key.startsWith(keys.partitions))) return run();
    late = run;
    return new Promise(() => {});
  };
  on.kill(dead);
  await on.eventually('it is about to name new owners', () => late !== undefined);
  const entry = await on.until(on.meta.get(keys.controller));
  const elected = { node: other, epoch: 1, term: 9 };
  await on.until(on.meta.txn({ compare: [], then: [{ kind: 'put', key: keys.controller, value: JSON.stringify(elected) }] }));
  assert.ok(entry);
  await served(topicId, 2);
  const before = [await on.record(topicId, 0), await on.record(topicId, 1)];
  assert.equal((await on.until(late?.() ?? Promise.reject(new Error('none')))).committed, false);
  assert.deepEqual([await on.record(topicId, 0), await on.record(topicId, 1)], before);
  assert.equal(await on.controller(), other);
  await everyRecordOnce(topicId, [3, 3]);
});
