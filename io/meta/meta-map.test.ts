import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compareKeys } from './key-order.ts';
import { type MetaCommit, MetaMap } from './meta-map.ts';
import type { MetaEvent, MetaOperation } from './meta-store.ts';

const put = (key: string, value: string): MetaOperation => ({ kind: 'put', key, value });
const remove = (key: string): MetaOperation => ({ kind: 'delete', key });
const leased = (key: string, lease: string): MetaOperation => ({
  kind: 'put',
  key,
  value: '',
  lease: { id: lease, lost: Promise.resolve(), close: async () => {} },
});

function changed(map: MetaMap, ...then: MetaOperation[]): MetaCommit {
  const { commit } = map.apply({ compare: [], then });
  assert.ok(commit);
  return commit;
}

test('a transaction that changes nothing takes no revision', () => {
  const map = new MetaMap();
  assert.equal(map.apply({ compare: [], then: [remove('absent'), { kind: 'get', key: 'x' }] }).result.revision, 1);
  assert.equal(changed(map, put('a', '1')).revision, 2);
});

test('a lease takes exactly the keys that were put with it last', () => {
  const map = new MetaMap();
  map.grant('L');
  changed(map, leased('a', 'L'), leased('b', 'L'), leased('c', 'L'));
  changed(map, put('b', 'kept: put again without the lease'), remove('c'));
  assert.deepEqual(map.revoke(['L', 'unknown'])?.changes, [{ key: 'a' }]);
  assert.deepEqual(
    map.list('').entries.map(({ key }) => key),
    ['b'],
  );
  assert.throws(() => map.apply({ compare: [], then: [put('d', ''), leased('a', 'L')] }), /lease L is gone/);
  assert.equal(map.get('d'), undefined);
});

test('a watch from the compacted revision on is served, from before it is a gap, from the future, too', () => {
  const map = new MetaMap();
  for (let i = 0; i < 5; i++) changed(map, put('k', `${i}`));
  map.compact(4);
  assert.deepEqual(
    map.eventsAfter('', 4)?.map(({ modRevision }) => modRevision),
    [5, 6],
  );
  assert.equal(map.eventsAfter('', 3), undefined);
  assert.equal(map.eventsAfter('', 7), undefined);
});

for (const limit of [
  { events: 20, characters: 1_000_000 },
  { events: 1_000_000, characters: 200 },
]) {
  test(`history stays within ${JSON.stringify(limit)} and never loses half a revision`, () => {
    const map = new MetaMap();
    let trims = 0;
    for (let i = 100; i < 400; i++) {
      changed(map, put('a', `${i}`), put('b', `${i}`), put('c', `${i}`));
      const before = map.compactedRevision;
      map.trimHistory(limit);
      if (map.compactedRevision > before) trims++;
      const events = map.eventsAfter('', map.compactedRevision) ?? [];
      assert.ok(events.length <= limit.events && events.length * 4 <= limit.characters);
      assert.equal(events.length % 3, 0);
      assert.ok(events.length >= 3);
    }
    assert.ok(trims > 10 && trims < 150, `${trims}`);
  });
}

const keys = fc.constantFrom('a', 'a/1', 'a/2', 'b', 'b/1', 'é', '\u{1f600}', '\ue000');
const operation = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key: keys, value: fc.string({ maxLength: 3 }) }),
  fc.record({ kind: fc.constant('delete' as const), key: keys }),
);
const script = fc.array(fc.uniqueArray(operation, { maxLength: 4, selector: ({ key }) => key }), { maxLength: 30 });

test('events replayed over an older list give the newer list; commits replayed over a snapshot give the same map', () => {
  fc.assert(
    fc.property(script, fc.nat({ max: 30 }), (txns, cut) => {
      const map = new MetaMap();
      let copy = MetaMap.restore(map.revision, map.entries());
      const listed = new Map<string, string>();
      let listedAt = map.revision;
      txns.forEach((then, index) => {
        const { commit } = map.apply({ compare: [], then });
        if (index >= cut && commit) copy.replay(commit);
        if (index < cut) {
          copy = MetaMap.restore(map.revision, map.entries());
          listed.clear();
          for (const { key, value } of map.list('a').entries) listed.set(key, value);
          listedAt = map.revision;
        }
      });
      let last = listedAt;
      for (const event of map.eventsAfter('a', listedAt) as MetaEvent[]) {
        assert.ok(event.modRevision >= last);
        last = event.modRevision;
        if (event.kind === 'put') listed.set(event.key, event.value);
        else listed.delete(event.key);
      }
      assert.deepEqual(
        [...listed].sort(([a], [b]) => compareKeys(a, b)),
        map.list('a').entries.map(({ key, value }) => [key, value]),
      );
      assert.deepEqual(copy.list(''), map.list(''));
    }),
  );
});

test('keys are ordered as their UTF-8 bytes are', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.equal(Math.sign(compareKeys(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
