import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../../cluster/meta-records.ts';
import { openEmbeddedMetaStore } from '../../io/meta/embedded-meta-store.ts';
import { type MetaStore, MetaUnknown } from '../../io/meta/meta-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { readNodes, setNodeState } from './node-state.ts';

const record = { epoch: 3, attempt: 'a', host: 'h', port: 1, state: 'active', ofNewerVersions: [1] };
const open = () => openEmbeddedMetaStore({ clock: systemClock, random: systemRandom });
const put = (store: MetaStore, key: string, value: unknown) => store.txn({ compare: [], then: [{ kind: 'put', key, value: JSON.stringify(value) }] });

test('a drain mark changes nothing else of the record, and is written over a change that came between', async () => {
  const store = await open();
  await put(store, keys.node(1), record);
  let disturbances = 2;
  const disturbed: MetaStore = {
    get: async (key) => {
      const entry = await store.get(key);
      if (disturbances-- > 0) await put(store, key, { ...record, epoch: record.epoch + 1 });
      return entry;
    },
    list: (prefix) => store.list(prefix),
    txn: (txn) => store.txn(txn),
    watch: (prefix, after, handler) => store.watch(prefix, after, handler),
    lease: (ttlMs) => store.lease(ttlMs),
    close: () => store.close(),
  };
  await setNodeState(disturbed, 1, 'draining');
  assert.deepEqual(JSON.parse((await store.get(keys.node(1)))?.value ?? ''), { ...record, epoch: 4, state: 'draining' });
  await store.close();
});

test('a mark whose answer was lost is looked for before it is written again', async () => {
  const store = await open();
  await put(store, keys.node(1), record);
  let writes = 0;
  const lossy = Object.assign(Object.create(store) as MetaStore, {
    get: (key: string) => store.get(key),
    txn: async (txn: Parameters<MetaStore['txn']>[0]) => {
      await store.txn(txn);
      writes++;
      throw new MetaUnknown('lost');
    },
  });
  await setNodeState(lossy, 1, 'draining');
  assert.equal(writes, 1);
  await store.close();
});

test('a broker that never registered is refused; partitions are counted by owner', async () => {
  const store = await open();
  await assert.rejects(setNodeState(store, 1, 'draining'), /broker 1 has not registered/);
  await put(store, keys.node(1), record);
  for (const [partition, node] of [1, 1, 2].entries())
    await put(store, `partitions/AAAAAAAAAAAAAAAAAAAAAA/${partition}`, { owner: { node, epoch: 3 }, leaderEpoch: 0, state: '' });
  assert.deepEqual([...(await readNodes(store))], [[1, { state: 'active', partitions: 2 }]]);
  await store.close();
});
