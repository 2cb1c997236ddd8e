import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type MetaTxn, type MetaTxnResult, MetaUnavailable, MetaUnknown, type WatchHandler } from '../../io/meta/meta-store.ts';
import { keys } from '../../cluster/meta-records.ts';
import { LivesOnMemory } from '../testing/lives-on-memory.ts';

describe('a topic that grows', () => {
  test('keeps what stands in partitions of a growth that failed half-way in an earlier life', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    const mend = onTxn(on, (txn, run) => (puts(txn, keys.topic('rides')) ? Promise.reject(new MetaUnavailable('away')) : run()));
    assert.equal((await on.until(on.life.services.admin.createPartitions(topicId, 3))).kind, 'error');
    mend();
    on.kill();
    await on.begin();
    assert.deepEqual(await on.until(on.life.services.admin.createPartitions(topicId, 3)), { kind: 'done' });
    for (let i = 0; i < 5; i++) await on.append(on.log(topicId, 2), 100);
    on.kill();
    await on.begin();
    assert.deepEqual(await on.readAll(on.log(topicId, 2)), [0, 1, 2, 3, 4]);
    assert.ok(on.log(topicId, 2).leaderEpoch >= 2);
  });

  test('twice at once opens every partition once', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    const { admin } = on.life.services;
    const answers = await on.until(Promise.all([admin.createPartitions(topicId, 3), admin.createPartitions(topicId, 3)]));
    assert.deepEqual(answers.map(({ kind }) => kind).sort(), ['done', 'error']);
    for (const partition of [1, 2]) await on.append(on.log(topicId, partition), 100);
    on.kill();
    await on.begin();
    for (const partition of [1, 2]) assert.deepEqual(await on.readAll(on.log(topicId, partition)), [0]);
  });

  test('opens its new partitions although the answer that it has grown was lost', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    const mend = loseAnswers(on, (txn) => puts(txn, keys.topic('rides')));
    assert.equal((await on.until(on.life.services.admin.createPartitions(topicId, 2))).kind, 'error');
    mend();
    await on.rest(100);
    assert.equal(on.life.services.image.topicById(topicId)?.partitionCount, 2);
    await on.append(on.log(topicId, 1), 100);
  });

  test('while it is deleted leaves nothing behind', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    const { admin } = on.life.services;
    const mend = onTxn(on, async (txn, run) => {
      if (!puts(txn, keys.partition(topicId, 1))) return run();
      mend();
      assert.equal((await admin.deleteTopic(topicId)).kind, 'done');
      while ((await on.meta.list(keys.tombstones)).entries.length > 0) await new Promise<void>((resolve) => on.clock.setTimer(10, resolve));
      return run();
    });
    assert.equal((await on.until(admin.createPartitions(topicId, 3))).kind, 'error');
    await on.rest(5_000);
    assert.deepEqual((await on.meta.list(keys.partitions)).entries, []);
    assert.deepEqual((await on.meta.list(keys.tombstones)).entries, []);
  });
});

describe('a topic that is created', () => {
  test('is opened although the answer that it is there was lost', async () => {
    const on = await LivesOnMemory.start();
    const mend = loseAnswers(on, (txn) => puts(txn, keys.topic('rides')));
    const created = await on.until(on.life.services.admin.createTopic({ name: 'rides', partitionCount: 2, config: {} }));
    assert.equal(created.kind, 'error');
    mend();
    await on.rest(100);
    const topic = on.life.services.image.topicByName('rides');
    assert.ok(topic);
    await on.append(on.log(topic.topicId, 1), 100);
  });

  test('counts as created when only the first answer was lost, whatever a stale read says', async () => {
    const on = await LivesOnMemory.start();
    let lost = false;
    const mend = onTxn(on, async (txn, run) => {
      const result = await run();
      if (lost || !puts(txn, keys.topic('rides'))) return result;
      lost = true;
      throw new MetaUnknown('answer lost');
    });
    const get = on.meta.get.bind(on.meta);
    on.meta.get = (key) => (key === keys.topic('rides') ? Promise.resolve(undefined) : get(key));
    const topicId = await on.createTopic('rides', 1);
    on.meta.get = get;
    mend();
    await on.append(on.log(topicId, 0), 100);
  });

  test('is opened when the watch is long behind', async () => {
    const on = await LivesOnMemory.start();
    on.kill();
    delayEvents(on, 20_000);
    await on.begin();
    const created = await on.until(on.life.services.admin.createTopic({ name: 'rides', partitionCount: 1, config: {} }));
    assert.ok(created.kind === 'done');
    await on.rest(30_000);
    await on.append(on.log(created.topicId, 0), 100);
  });

  test('is not taken for a dead creation when its intent was written late', async () => {
    const on = await LivesOnMemory.start();
    let late: (() => Promise<MetaTxnResult>) | undefined;
    const mend = onTxn(on, (txn, run) => {
      if (late || !txn.then.some(({ key }) => key.startsWith(keys.tombstones))) return run();
      late = run;
      return Promise.reject(new MetaUnknown('answer lost'));
    });
    const topicId = await on.createTopic('rides', 1);
    mend();
    await on.append(on.log(topicId, 0), 100);
    await late?.();
    on.kill();
    await on.begin();
    await on.rest(5_000);
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [0]);
  });
});

test('a creation whose writes come when its records were removed does not make a topic without partitions', async () => {
  const on = await LivesOnMemory.start();
  const late: (() => Promise<MetaTxnResult>)[] = [];
  const mend = onTxn(on, async (txn, run) => {
    const isIntent = txn.then.some(({ kind, key }) => kind === 'put' && key.startsWith(keys.tombstones));
    if ((!isIntent || late.length > 0) && !puts(txn, keys.topic('rides'))) return run();
    late.push(run);
    throw new MetaUnknown('answer lost');
  });
  assert.equal((await on.until(on.life.services.admin.createTopic({ name: 'rides', partitionCount: 2, config: {} }))).kind, 'error');
  mend();
  on.kill();
  await on.begin();
  await on.rest(5_000);
  assert.deepEqual((await on.meta.list(keys.partitions)).entries, []);
  for (const apply of late) await apply();
  await on.rest(100);
  assert.equal(on.life.services.image.topicByName('rides'), undefined);
  await on.append(on.log(await on.createTopic('rides', 2), 1), 100);
});

test('records of a creation that was given up do not come back late', async () => {
  const on = await LivesOnMemory.start();
  let late: (() => Promise<MetaTxnResult>) | undefined;
  const mend = onTxn(on, (txn, run) => {
    if (!txn.then.some(({ key }) => key.startsWith(keys.partitions))) return run();
    late ??= run;
    return Promise.reject(new MetaUnknown('answer lost'));
  });
  assert.equal((await on.until(on.life.services.admin.createTopic({ name: 'rides', partitionCount: 2, config: {} }))).kind, 'error');
  mend();
  on.kill();
  await on.begin();
  await on.rest(40_000);
  assert.deepEqual((await on.meta.list(keys.recoveries)).entries, []);
  await late?.();
  assert.deepEqual((await on.meta.list(keys.partitions)).entries, []);
});

test('a deletion whose answer was lost is worked off', async () => {
  const on = await LivesOnMemory.start();
  const topicId = await on.createTopic('rides', 2);
  const mend = loseAnswers(on, (txn) => txn.then.some(({ kind, key }) => kind === 'delete' && key === keys.topic('rides')));
  await on.until(on.life.services.admin.deleteTopic(topicId));
  mend();
  await on.rest(5_000);
  assert.deepEqual((await on.meta.list(keys.partitions)).entries, []);
  assert.deepEqual((await on.meta.list(keys.tombstones)).entries, []);
});

type Run = () => Promise<MetaTxnResult>;

/** Puts itself before the store's transactions; answers how to take it away. */
function onTxn({ meta }: LivesOnMemory, hook: (txn: MetaTxn, run: Run) => Promise<MetaTxnResult>): () => void {
  const txn = meta.txn.bind(meta);
  meta.txn = (asked) => hook(asked, () => txn(asked));
  return () => {
    meta.txn = txn;
  };
}

/** The first such transaction is applied without an answer, then the store is away. */
function loseAnswers(on: LivesOnMemory, which: (txn: MetaTxn) => boolean): () => void {
  let lost = false;
  return onTxn(on, async (txn, run) => {
    if (lost) throw new MetaUnavailable('away');
    const result = await run();
    if (!which(txn)) return result;
    lost = true;
    throw new MetaUnknown('answer lost');
  });
}

function delayEvents({ meta, clock }: LivesOnMemory, delayMs: number): void {
  const watch = meta.watch.bind(meta);
  meta.watch = (prefix, after, handler) =>
    watch(prefix, after, {
      onEvents: (events, revision) => void clock.setTimer(delayMs, () => handler.onEvents(events, revision)),
      onGap: () => handler.onGap(),
    } satisfies WatchHandler);
}

function puts(txn: MetaTxn, key: string): boolean {
  return txn.then.some((operation) => operation.kind === 'put' && operation.key === key);
}
