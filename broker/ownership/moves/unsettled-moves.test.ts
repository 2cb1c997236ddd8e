/** Moves whose transaction's answer is lost, or that end half-way: nobody ever serves a partition that is another's (design §4, §5). */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MetaRefused, type MetaTxn, type MetaTxnResult, MetaUnknown } from '../../../io/meta/meta-store.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { keys } from '../../../cluster/meta-records.ts';
import { batchAt, BrokersOnMemory } from '../../testing/brokers-on-memory.ts';

let on: BrokersOnMemory;
afterEach(() => on.close());

/** A record of three at node 1; asks for it to be at node 2 with the move's transaction in the hands of `fault`. */
async function askedWith(fault: (asked: MetaTxn, run: () => Promise<MetaTxnResult>) => Promise<MetaTxnResult>): Promise<TopicId> {
  on = await BrokersOnMemory.start(3);
  const topicId = await on.createTopic('rides', [1]);
  for (let i = 0; i < 3; i++) await on.append(on.log(1, topicId));
  on.faults(1).txn = (asked, run) => (isMove(asked, topicId) ? fault(asked, run) : run());
  await on.ask(topicId, [0], 2);
  return topicId;
}

function isMove(asked: MetaTxn, topicId: TopicId): boolean {
  return asked.then.some(({ key }) => key === keys.hold(1, topicId, 0));
}

/** The one broker that serves it has all records and goes on. */
async function goesOnAt(topicId: TopicId, node: number): Promise<void> {
  await on.opened(topicId, [node]);
  const log = on.log(node, topicId);
  assert.deepEqual(await on.readAll(log), [0, 1, 2]);
  await on.append(log);
  assert.deepEqual(on.ownersOf(topicId, 0), [node]);
  await on.rest(5_000);
  assert.deepEqual(await on.readAll(log), [0, 1, 2, 3]);
  await on.check();
}

describe("a move whose transaction's answer is lost", () => {
  test('and that was applied: the target has it', async () => {
    let moves = 0;
    const topicId = await askedWith(async (_, run) => {
      if (moves++ > 0) return run();
      await run();
      throw new MetaUnknown('answer lost');
    });
    await goesOnAt(topicId, 2);
    assert.equal(moves, 1);
  });

  test('and that was not applied: the source goes on, and tries again', async () => {
    let moves = 0;
    const topicId = await askedWith((_, run) => (moves++ > 0 ? run() : Promise.reject(new MetaUnknown('answer lost'))));
    await goesOnAt(topicId, 2);
    assert.equal(moves, 2);
  });

  test('and that is applied late, after the source went on: it changes nothing', async () => {
    let late: (() => Promise<MetaTxnResult>) | undefined;
    const topicId = await askedWith((_, run) => {
      late ??= run;
      return Promise.reject(new MetaUnknown('answer lost'));
    });
    await on.eventually('the source serves it again', () => on.ownersOf(topicId, 0).join() === '1');
    await on.append(on.log(1, topicId));
    assert.equal((await late?.())?.committed, false);
    await on.rest(100);
    assert.equal((await on.record(topicId)).owner.node, 1);
    on.faults(1).txn = undefined;
    await on.opened(topicId, [2]);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [0, 1, 2, 3]);
    await on.check();
  });

  test('is settled by a write and not by a read: until then nobody serves it', async () => {
    let late: (() => Promise<MetaTxnResult>) | undefined;
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 3; i++) await on.append(on.log(1, topicId));
    on.faults(1).txn = (asked, run) => {
      if (!asked.then.some(({ key }) => key === keys.partition(topicId, 0))) return run();
      late ??= run;
      return Promise.reject(new MetaUnknown('answer lost'));
    };
    await on.ask(topicId, [0], 2);
    await on.rest(2_000);
    assert.deepEqual(on.ownersOf(topicId, 0), []);
    assert.equal(on.find(1, topicId, 0).kind, 'opening');
    assert.equal((await late?.())?.committed, true);
    on.faults(1).txn = undefined;
    await goesOnAt(topicId, 2);
  });
});

describe('a move', () => {
  test('of a source that dies when the handover counts, before the transaction: its takeover finds everything', async () => {
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 3; i++) await on.append(on.log(1, topicId));
    const died = on.killAtTxn(1, 'before', (asked) => isMove(asked, topicId));
    await on.ask(topicId, [0], 2);
    await on.until(died);
    await on.eventually('somebody has it', () => on.ownersOf(topicId, 0).length === 1);
    await goesOnAt(topicId, 2);
  });

  test('of a source that dies right after the transaction: the target has it', async () => {
    on = await BrokersOnMemory.start(3);
    const topicId = await on.createTopic('rides', [1]);
    for (let i = 0; i < 3; i++) await on.append(on.log(1, topicId));
    const died = on.killAtTxn(1, 'after', (asked) => isMove(asked, topicId));
    await on.ask(topicId, [0], 2);
    await on.until(died);
    await goesOnAt(topicId, 2);
    await on.eventually('the source has ended', async () => (await on.recovery(1, 1))?.ended === true);
    await on.check();
  });

  test('that the metadata store refuses for good leaves the partition open at the source', async () => {
    const topicId = await askedWith(() => Promise.reject(new MetaRefused('no space')));
    await on.eventually('the source takes records', () => {
      const found = on.find(1, topicId, 0);
      return found.kind === 'owned' && found.log.append(batchAt(3, 100, 1), { origin: 'client' }).kind === 'appended';
    });
    on.faults(1).txn = undefined;
    await on.opened(topicId, [2]);
    assert.deepEqual(await on.readAll(on.log(2, topicId)), [0, 1, 2, 3]);
  });

  test('of one partition is settled although the store refuses that of another at the same time', async () => {
    on = await BrokersOnMemory.start(2);
    const count = 100;
    const topicId = await on.createTopic(
      'rides',
      Array.from({ length: count }, () => 1),
    );
    await on.append(on.log(1, topicId, 99));
    let late: (() => void) | undefined;
    let refused = false;
    on.faults(1).txn = async (asked, run) => {
      if (!refused && asked.then.some(({ key }) => key === keys.hold(1, topicId, 0))) {
        refused = true;
        throw new MetaRefused('no space');
      }
      if (late || !asked.then.some(({ key }) => key === keys.hold(1, topicId, 99))) return run();
      await new Promise<void>((resolve) => {
        late = resolve;
      });
      return run();
    };
    const drained = on.life(1).drain(10_000);
    await on.rest(3_000);
    assert.equal(on.find(1, topicId, 99).kind, 'opening');
    late?.();
    await on.until(drained);
    await on.opened(
      topicId,
      Array.from({ length: count }, () => 2),
    );
    assert.deepEqual(await on.readAll(on.log(2, topicId, 99)), [0]);
    await on.check();
  });
});
