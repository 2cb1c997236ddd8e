import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../seeded-random.ts';
import { systemClock } from '../system-clock.ts';
import { openEmbeddedMetaStore } from './embedded-meta-store.ts';
import { ForwardOnlyMetaStore } from './forward-only-meta-store.ts';
import { MetaRefused, type MetaStore } from './meta-store.ts';

const open = () => openEmbeddedMetaStore({ clock: systemClock, random: new SeededRandom(1) });
const put = (key: string) => ({ compare: [], then: [{ kind: 'put' as const, key, value: 'x' }] });

/** A store whose state can be replaced under the one that uses it, as a restored etcd's is. */
function replaceable(first: MetaStore) {
  let store = first;
  const now = new Proxy(first, {
    get: (_target, name) => {
      const member: unknown = Reflect.get(store, name, store);
      return typeof member === 'function' ? (member.bind(store) as unknown) : member;
    },
  });
  return { now, replace: (other: MetaStore) => (store = other) };
}

test('a store that was restored from an older copy is noticed with the first write, and changes nothing any more', async () => {
  const { now, replace } = replaceable(await open());
  const wentBack: [number, number][] = [];
  const store = new ForwardOnlyMetaStore(now, (seen, answered) => wentBack.push([seen, answered]));
  for (let i = 0; i < 5; i++) await store.txn(put(`nodes/${i}`));
  const { revision } = await store.list('');
  replace(await open());
  assert.equal((await store.list('')).entries.length, 0, 'a read alone proves nothing');
  assert.deepEqual(wentBack, []);
  await store.txn(put('nodes/1'));
  assert.equal(wentBack.length, 1);
  assert.equal(wentBack[0]?.[0], revision);
  await assert.rejects(store.txn(put('nodes/2')), MetaRefused);
  await store.close();
});

test('writes, refused writes, reads and deletions of what is not there are no step back', async () => {
  const store = new ForwardOnlyMetaStore(await open(), () => assert.fail('it did not go back'));
  for (let i = 0; i < 3; i++) {
    await store.txn(put('nodes/0'));
    await store.txn({ compare: [{ key: 'nodes/0', modRevision: 0 }], then: [{ kind: 'put', key: 'nodes/0', value: 'y' }] });
    await store.txn({ compare: [], then: [{ kind: 'get', key: 'nodes/0' }] });
    await store.txn({ compare: [], then: [{ kind: 'delete', key: 'nodes/9' }] });
    await Promise.all([store.txn(put('a')), store.txn(put('b')), store.list('')]);
  }
  await store.close();
});
