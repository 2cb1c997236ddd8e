/** Leaving in order, and topics that are deleted while they move. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { keys, nodeRecord, parseRecord } from '../../cluster/meta-records.ts';
import { BrokersOnMemory } from '../testing/brokers-on-memory.ts';

let on: BrokersOnMemory;
afterEach(() => on.close());

async function stateOf(node: number): Promise<string | undefined> {
  const entry = await on.until(on.meta.get(keys.node(node)));
  return entry && parseRecord(nodeRecord, entry.value)?.state;
}

async function setDraining(node: number): Promise<void> {
  const entry = await on.until(on.meta.get(keys.node(node)));
  const value = JSON.stringify({ ...JSON.parse(entry?.value ?? ''), state: 'draining' });
  await on.until(on.meta.txn({ compare: [], then: [{ kind: 'put', key: keys.node(node), value }] }));
}

describe('a broker that ends in order', () => {
  test('hands everything over, is nobody to be taken over, and begins again', async () => {
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1, 1, 2]);
    for (const [partition, owner] of [1, 1, 2].entries()) await on.append(on.log(owner, topicId, partition));
    await on.end(1);
    assert.deepEqual([(await on.recovery(1, 1))?.fenced, (await on.recovery(1, 1))?.ended], [true, true]);
    for (const partition of [0, 1]) {
      const [owner = 0] = on.ownersOf(topicId, partition);
      assert.deepEqual(await on.readAll(on.log(owner, topicId, partition)), [0]);
      assert.equal((await on.record(topicId, partition)).leaderEpoch, 1);
    }
    await on.rest(5_000);
    await on.begin(1);
    assert.equal(await stateOf(1), 'active');
    await on.move(topicId, 1);
    await on.append(on.log(1, topicId));
    assert.deepEqual(await on.readAll(on.log(1, topicId)), [0, 1]);
    await on.rest(30_000);
    await on.check();
  });

  test('and that somebody drains is still to be drained when it begins again', async () => {
    on = await BrokersOnMemory.start(2);
    const topicId = await on.createTopic('rides', [1]);
    await setDraining(1);
    await on.opened(topicId, [2]);
    await on.end(1);
    assert.equal((await on.recovery(1, 1))?.ended, true);
    await on.begin(1);
    assert.equal(await stateOf(1), 'draining');
  });

  test('alone keeps its partitions, and recovers them', async () => {
    on = await BrokersOnMemory.start(1);
    const topicId = await on.createTopic('rides', [1]);
    await on.append(on.log(1, topicId));
    await on.end(1);
    assert.equal(await on.recovery(1, 1), undefined);
    await on.begin(1);
    assert.deepEqual(await on.readAll(on.log(1, topicId)), [0]);
  });

  test('while the object store is away and it takes over another ends all the same', async () => {
    on = await BrokersOnMemory.start(3, { 'shutdown.timeout.ms': '1000' });
    const controller = await on.controller();
    assert.ok(controller !== undefined);
    const [dead = 0] = on.nodes.filter((node) => node !== controller);
    await on.createTopic('rides', [dead]);
    let away = false;
    on.faults(controller).create = () => {
      away = true;
      return Promise.resolve({ kind: 'unknown', cause: 'away' } as never);
    };
    on.kill(dead);
    await on.eventually('the takeover cannot go on', () => away);
    await on.until(on.life(controller).close({ graceful: true }));
  });
});

describe('a topic that is deleted while it moves', () => {
  for (const when of ['before the handover counts', 'before the transaction', 'before the target has opened it'])
    test(`${when} leaves nothing`, async () => {
      on = await BrokersOnMemory.start(2);
      const kept = await on.createTopic('kept', [1]);
      await on.append(on.log(1, kept));
      const topicId = await on.createTopic('rides', [1, 1]);
      for (let i = 0; i < 6; i++) await on.append(on.log(1, topicId, i % 2));
      let goOn: (() => void) | undefined;
      const stop = async <T>(run: () => Promise<T>): Promise<T> => {
        on.faults(1).create = undefined;
        on.faults(1).txn = undefined;
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
        return run();
      };
      if (when === 'before the handover counts') on.faults(1).create = (_, run) => stop(run);
      else if (when === 'before the transaction')
        on.faults(1).txn = (asked, run) => (asked.then.some(({ key }) => key === keys.hold(1, topicId, 0)) ? stop(run) : run());
      else {
        const read = on.objects.read.bind(on.objects);
        on.objects.read = (key, ...rest) => {
          on.objects.read = read;
          return stop(() => read(key, ...rest));
        };
      }
      await on.ask(topicId, [0, 1], 2);
      await on.eventually('the move has come so far', () => goOn !== undefined);
      const deleted = await on.until(on.life(2).services.admin.deleteTopic(topicId));
      assert.equal(deleted.kind, 'done');
      goOn?.();
      await on.eventually('the tombstone goes', async () => (await on.metaKeys(keys.tombstones)).length === 0, 60_000);
      assert.deepEqual(await on.metaKeys(keys.partitionsOf(topicId)), []);
      assert.deepEqual(await on.metaKeys(keys.moves), []);
      assert.deepEqual(await on.metaKeys(keys.holds), []);
      for (const node of [1, 2]) assert.equal(on.find(node, topicId, 0).kind, 'unknown');
      await on.rest(30_000);
      assert.deepEqual(await on.readAll(on.log(1, kept)), [0]);
      const { totals } = await on.check();
      assert.equal(totals.garbage.count, 0);
    });
});
