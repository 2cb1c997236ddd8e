import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WatchHandler } from '../../io/meta/meta-store.ts';
import { keys } from '../../cluster/meta-records.ts';
import { LivesOnMemory } from '../testing/lives-on-memory.ts';

describe('a topic that is gone', () => {
  test('for a list only loses nothing: what deletes is the tombstone', async () => {
    const on = await LivesOnMemory.start();
    on.kill();
    const gap = captureGap(on);
    await on.begin();
    const topicId = await on.createTopic('rides', 1);
    for (let i = 0; i < 5; i++) await on.append(on.log(topicId, 0), 500);
    await on.rest(2_000);
    const list = on.meta.list.bind(on.meta);
    on.meta.list = async (prefix) => {
      const { entries, revision } = await list(prefix);
      return { entries: entries.filter(({ key }) => key !== keys.topic('rides')), revision };
    };
    gap();
    await on.rest(5_000);
    assert.equal(on.life.services.image.topicByName('rides'), undefined);
    on.meta.list = list;
    gap();
    await on.rest(5_000);
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [0, 1, 2, 3, 4]);
    on.kill();
    await on.begin();
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [0, 1, 2, 3, 4]);
  });

  test('leaves neither records nor objects, whatever it held', async () => {
    const on = await LivesOnMemory.start();
    const kept = await on.createTopic('kept', 1);
    await on.append(on.log(kept, 0), 500);
    const topicId = await on.createTopic('rides', 50);
    for (let i = 0; i < 50; i++) await on.append(on.log(topicId, i), 500);
    await on.until(on.life.services.admin.deleteTopic(topicId));
    await on.rest(10_000);
    assert.equal(on.life.services.partitions.find(topicId, 0).kind, 'unknown');
    assert.deepEqual((await on.meta.list(keys.partitionsOf(topicId))).entries, []);
    assert.deepEqual((await on.meta.list(keys.tombstones)).entries, []);
    // Start, the record that is kept, and a checkpoint or two.
    assert.ok((await on.keys()).length <= 5, (await on.keys()).join());
    assert.deepEqual(await on.readAll(on.log(kept, 0)), [0]);
  });
});

/** Of the watch that a life opens next: answers how to tell it that events may have been lost. */
function captureGap({ meta }: LivesOnMemory): () => void {
  const watch = meta.watch.bind(meta);
  let handler: WatchHandler | undefined;
  meta.watch = (prefix, after, asked) => watch(prefix, after, (handler = asked));
  return () => handler?.onGap();
}
