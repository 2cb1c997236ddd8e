/** Planned moves between brokers (design §5). */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MetaUnknown } from '../../../io/meta/meta-store.ts';
import { keys } from '../../../cluster/meta-records.ts';
import { batchAt, BrokersOnMemory } from '../../testing/brokers-on-memory.ts';

let on: BrokersOnMemory;
afterEach(() => on.close());

describe('a planned move', () => {
  test('takes records, offsets and sequence numbers along, and tells where they went', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 5; i++) await on.append(on.log(1, topicId));
    const before = on.log(1, topicId);
    await on.move(topicId, 2);
    assert.deepEqual(on.find(1, topicId, 0), { kind: 'elsewhere', leader: 2, leaderEpoch: 1 });
    assert.equal(before.append(batchAt(5, 100, 1), { origin: 'client' }).kind, 'rejected');
    const after = on.log(2, topicId);
    assert.equal(after.leaderEpoch, 1);
    assert.deepEqual(await on.readAll(after), [0, 1, 2, 3, 4]);
    const retried = after.append(batchAt(4, 100, 1), { origin: 'client' });
    assert.ok(retried.kind === 'duplicate' && retried.baseOffset === 4, retried.kind);
    assert.equal(after.append(batchAt(9, 100, 1), { origin: 'client' }).kind, 'rejected');
    await on.append(after);
    assert.deepEqual(await on.readAll(after), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(await on.metaKeys(keys.moves), []);
    await on.check();
  });

  test('lists what it needs of the source, which keeps just that until the target needs it no more', async () => {
    on = await BrokersOnMemory.start(2, { 'merge.interval.ms': '100000000', 'merge.threshold.objects': '1000000' });
    const topicId = await on.createTopic('rides', [1, 1]);
    for (let i = 0; i < 3; i++) for (const partition of [0, 1]) await on.append(on.log(1, topicId, partition));
    const stayed = await on.keys('wal/1/');
    await on.move(topicId, 2);
    const { '1/0': list } = await on.holds(topicId);
    assert.ok(Array.isArray(list));
    // The handover object, and those with slices of the partition that moved.
    const handover = (await on.record(topicId)).state;
    assert.equal(list.length, 4);
    assert.ok(list.includes(handover));
    for (const object of list) assert.ok(object === handover || stayed.includes(object), object);
    await on.until(on.log(1, topicId, 1).deleteRecordsBefore(3));
    await on.rest(10_000);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [0, 1, 2]);
    await on.check();
    await on.until(on.log(2, topicId).deleteRecordsBefore(3));
    await on.eventually('the hold goes', async () => Object.keys(await on.holds(topicId)).length === 0);
    await on.rest(10_000);
    const left = await on.keys('wal/1/');
    for (const object of list) assert.ok(!left.includes(object), object);
    await on.check();
  });

  test('there and back again, and there: every record once, nothing is held for ever', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    let written = 0;
    for (const target of [2, 1, 2, 1, 2]) {
      const [owner = 0] = on.ownersOf(topicId, 0);
      for (let i = 0; i < 3; i++, written++) await on.append(on.log(owner, topicId));
      await on.move(topicId, target);
      assert.deepEqual(
        await on.readAll(on.log(target, topicId)),
        Array.from({ length: written }, (_, i) => i),
      );
      await on.check();
    }
    assert.equal((await on.record(topicId)).leaderEpoch, 5);
    await on.until(on.log(2, topicId).deleteRecordsBefore(written));
    await on.rest(30_000);
    assert.deepEqual(await on.holds(topicId), {});
    const { totals } = await on.check();
    assert.equal(totals.garbage.count, 0);
  });

  test('of several hundred partitions is one handover object', async () => {
    on = await BrokersOnMemory.start(2);
    const count = 300;
    const topicId = await on.createTopic(
      'rides',
      Array.from({ length: count }, () => 1),
    );
    for (let i = 0; i < count; i += 50) await on.append(on.log(1, topicId, i));
    await on.until(on.life(1).drain(5_000));
    await on.opened(
      topicId,
      Array.from({ length: count }, () => 2),
    );
    const states = new Set<string>();
    for (let i = 0; i < count; i++) states.add((await on.record(topicId, i)).state);
    assert.equal(states.size, 1);
    for (let i = 0; i < count; i += 50) {
      assert.deepEqual(await on.readAll(on.log(2, topicId, i)), [0]);
      await on.append(on.log(2, topicId, i));
    }
    await on.check();
  });

  test('to a target that dies before it opened anything loses nothing', async () => {
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 4; i++) await on.append(on.log(1, topicId));
    // It reads nothing, so it opens nothing.
    const opened = on.log(1, topicId);
    const read = on.objects.read.bind(on.objects);
    on.objects.read = (key, ...rest) => (key.startsWith('wal/1/') ? new Promise<never>(() => {}) : read(key, ...rest));
    await on.ask(topicId, [0], 2);
    await on.eventually('the record names the target', async () => (await on.record(topicId)).owner.node === 2);
    assert.deepEqual(on.ownersOf(topicId, 0), []);
    on.kill(2);
    on.objects.read = read;
    await on.eventually('somebody else has it', () => on.ownersOf(topicId, 0).length === 1);
    const [owner = 0] = on.ownersOf(topicId, 0);
    assert.notEqual(on.log(owner, topicId), opened);
    assert.deepEqual(await on.readAll(on.log(owner, topicId)), [0, 1, 2, 3]);
    await on.append(on.log(owner, topicId));
    await on.rest(20_000);
    await on.check();
  });

  test('is not made to a broker that was claimed meanwhile: the partition stays and goes on', async () => {
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1]);
    await on.append(on.log(1, topicId));
    const { epoch } = on.life(2).incarnation;
    // Right before the move's transaction, so that the source cannot know it.
    on.faults(1).txn = async (asked, run) => {
      if (asked.then.some((operation) => operation.key === keys.hold(1, topicId, 0))) {
        on.faults(1).txn = undefined;
        const claim = JSON.stringify({ claim: { node: 3, epoch: 1 }, fenced: false, ended: false });
        await on.meta.txn({ compare: [], then: [{ kind: 'put', key: keys.recovery(2, epoch), value: claim }] });
      }
      return run();
    };
    await on.ask(topicId, [0], 2);
    await on.rest(3_000);
    assert.deepEqual(await on.record(topicId), { owner: { node: 1, epoch: 1 }, leaderEpoch: 0, state: '' });
    assert.deepEqual(on.ownersOf(topicId, 0), [1]);
    await on.append(on.log(1, topicId));
    assert.deepEqual(await on.readAll(on.log(1, topicId)), [0, 1]);
    await on.check();
  });

  test('is not written down before its handover object counts', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    await on.append(on.log(1, topicId));
    let store: (() => void) | undefined;
    on.faults(1).create = async (_, run) => {
      await new Promise<void>((resolve) => {
        store = resolve;
      });
      return run();
    };
    await on.ask(topicId, [0], 2);
    await on.eventually('the handover is sent', () => store !== undefined);
    await on.rest(200);
    assert.equal((await on.record(topicId)).owner.node, 1);
    assert.equal(on.find(1, topicId, 0).kind, 'opening');
    on.faults(1).create = undefined;
    store?.();
    await on.opened(topicId, [2]);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [0]);
  });
});

describe('what a partition that moved needs of its source', () => {
  test('is not dropped by a late answer to an earlier move', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    await on.append(on.log(1, topicId));
    let late: (() => Promise<{ readonly committed: boolean }>) | undefined;
    let lose: (() => void) | undefined;
    on.faults(2).txn = (asked, run) => {
      if (late || !asked.then.some(({ kind, key }) => kind === 'delete' && key === keys.hold(1, topicId, 0))) return run();
      late = run;
      return new Promise((_, reject) => {
        lose = () => reject(new MetaUnknown('answer lost'));
      });
    };
    await on.move(topicId, 2);
    await on.until(on.log(2, topicId).deleteRecordsBefore(1));
    await on.eventually('the hold is about to be dropped', () => late !== undefined);
    on.faults(2).txn = undefined;
    await on.move(topicId, 1);
    await on.append(on.log(1, topicId));
    await on.move(topicId, 2);
    assert.equal((await late?.())?.committed, false);
    lose?.();
    assert.ok('1/0' in (await on.holds(topicId)));
    await on.rest(10_000);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [1]);
    await on.check();
  });

  test('is not deleted by a source whose metadata store tells of no hold yet', async () => {
    on = await BrokersOnMemory.start(2, { 'merge.interval.ms': '100000000', 'merge.threshold.objects': '1000000' });
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 3; i++) await on.append(on.log(1, topicId));
    const stale = await on.until(on.meta.list(keys.holdsOn(1)));
    let asked = 0;
    on.faults(1).list = (prefix, run) => {
      if (prefix !== keys.holdsOn(1)) return run();
      asked++;
      return Promise.resolve(stale);
    };
    await on.move(topicId, 2);
    await on.eventually('the source wants to delete', () => asked > 1);
    await on.rest(2_000);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [0, 1, 2]);
    await on.check();
  });

  test('is dropped in a cluster at rest, too, when the first attempt failed', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    await on.append(on.log(1, topicId));
    let failed = 0;
    on.faults(2).txn = (asked, run) => {
      if (failed > 0 || !asked.then.some(({ key }) => key === keys.hold(1, topicId, 0))) return run();
      failed++;
      return Promise.reject(new MetaUnknown('answer lost'));
    };
    await on.move(topicId, 2);
    await on.until(on.log(2, topicId).deleteRecordsBefore(1));
    await on.eventually('the hold goes', async () => Object.keys(await on.holds(topicId)).length === 0);
    assert.equal(failed, 1);
  });
});
