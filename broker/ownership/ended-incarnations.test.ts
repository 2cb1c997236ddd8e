import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keys } from '../../cluster/meta-records.ts';
import { LivesOnMemory } from '../testing/lives-on-memory.ts';

describe('what is left of ended incarnations', () => {
  test('start and seal stay for ever, everything else goes when nothing needs it, and then the key goes', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 3);
    for (let i = 0; i < 30; i++) await on.append(on.log(topicId, i % 3), 500);
    on.kill();
    await on.begin();
    await on.rest(40_000);
    const [start, seal] = await on.keys('wal/0/000000000001/');
    assert.equal(start, 'wal/0/000000000001/000000000000');
    assert.deepEqual(await on.keys('wal/0/000000000001/'), [start, seal]);
    assert.deepEqual(await on.keys('data/0/000000000001/'), []);
    assert.deepEqual((await on.meta.list(keys.recoveries)).entries, []);
    for (let partition = 0; partition < 3; partition++) assert.equal((await on.readAll(on.log(topicId, partition))).length, 10);
  });

  test('what is still needed keeps its object and its key', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    await on.append(on.log(topicId, 0), 500);
    on.kill();
    await on.begin();
    await on.rest(60_000);
    assert.equal((await on.readAll(on.log(topicId, 0))).length, 1);
    assert.equal((await on.meta.list(keys.recoveries)).entries.length, 1);
    await on.until(on.log(topicId, 0).deleteRecordsBefore(1));
    await on.rest(40_000);
    assert.equal((await on.meta.list(keys.recoveries)).entries.length, 0);
  });

  test('a life that is killed again and again leaves two objects a life besides what is needed, and recovers every time', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 2);
    for (let lives = 0; lives < 12; lives++) {
      for (let i = 0; i < 6; i++) await on.append(on.log(topicId, i % 2), 300);
      await on.rest(lives * 137);
      on.kill();
      await on.begin();
      for (const partition of [0, 1]) assert.equal((await on.readAll(on.log(topicId, partition))).length, 3 * (lives + 1));
    }
    await on.rest(60_000);
    const ended = (await on.keys()).filter((key) => !key.includes('/000000000013/'));
    // Besides start and seal, records of the last lives in objects that are not worth a merge yet.
    assert.equal(ended.filter((key) => key.startsWith('wal/')).length, 24, ended.join('\n'));
    assert.ok(ended.length <= 24 + 8, ended.join('\n'));
    assert.ok((await on.meta.list(keys.recoveries)).entries.length <= 8);
  });

  test('an ended incarnation is not recovered again, although its objects are gone', async () => {
    const on = await LivesOnMemory.start({ 'merge.interval.ms': '1000000', 'merge.threshold.objects': '1000000' });
    const topicId = await on.createTopic('rides', 1);
    for (let i = 0; i < 10; i++) await on.append(on.log(topicId, 0), 500);
    on.kill();
    await on.begin();
    await on.append(on.log(topicId, 0), 500);
    await on.until(on.log(topicId, 0).deleteRecordsBefore(5));
    await on.rest(5_000);
    assert.equal((await on.meta.list(keys.recoveries)).entries.length, 1);
    on.kill();
    await on.begin();
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [5, 6, 7, 8, 9, 10]);
  });
});
