import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type MetaTxnResult, MetaUnknown } from '../../io/meta/meta-store.ts';
import { keys, parseRecord, recoveryRecord } from '../../cluster/meta-records.ts';
import { LivesOnMemory } from '../testing/lives-on-memory.ts';

const firstLife = keys.recovery(0, 1);

describe('the mark that an earlier incarnation is fenced', () => {
  test('does not come back when it was applied late: what was collected is not recovered again', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    for (let i = 0; i < 10; i++) await on.append(on.log(topicId, 0), 500);
    await on.rest(2_000);
    on.kill();
    const late = loseFirstMark(on);
    await on.begin();
    await on.until(on.log(topicId, 0).deleteRecordsBefore(10));
    await on.rest(40_000);
    assert.deepEqual((await on.meta.list(keys.recoveries)).entries, []);
    await late();
    on.kill();
    await on.begin();
    await on.append(on.log(topicId, 0), 100);
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [10]);
  });

  test('stands although its answer was lost', async () => {
    const on = await LivesOnMemory.start();
    const topicId = await on.createTopic('rides', 1);
    await on.append(on.log(topicId, 0), 500);
    on.kill();
    const late = loseFirstMark(on);
    const txn = on.meta.txn.bind(on.meta);
    let answers = 0;
    on.meta.txn = async (asked) => {
      const result = await txn(asked);
      if (!asked.then.some(({ key }) => key === firstLife) || answers++ > 3) return result;
      throw new MetaUnknown('answer lost');
    };
    await on.begin();
    await late();
    assert.deepEqual(await on.readAll(on.log(topicId, 0)), [0]);
    const entry = await on.meta.get(firstLife);
    assert.equal(entry && parseRecord(recoveryRecord, entry.value)?.ended, true);
  });
});

/** The first write of the mark is not answered; answers how to apply it. */
function loseFirstMark({ meta }: LivesOnMemory): () => Promise<void> {
  const txn = meta.txn.bind(meta);
  let late: (() => Promise<MetaTxnResult>) | undefined;
  meta.txn = (asked) => {
    const marks = asked.then.some((operation) => operation.kind === 'put' && operation.key === firstLife && operation.value.includes('"fenced":true'));
    if (!marks || late) return txn(asked);
    late = () => txn(asked);
    return Promise.reject(new MetaUnknown('answer lost'));
  };
  return async () => {
    meta.txn = txn;
    await late?.();
  };
}
