/** Each invariant of the simulation can be broken, and is told then. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { walKey } from '../../broker/log/format/object-keys.ts';
import { encodeSlices } from '../../broker/log/format/slices.ts';
import { assembleObject } from '../../broker/log/format/stored-object.ts';
import type { ObjectKind } from '../../broker/log/format/trailer.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import type { SendOperation } from '../checker/history.ts';
import { Invariants } from './invariants.ts';

const topicId = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;

function makeInvariants() {
  const violations: string[] = [];
  const invariants = new Invariants((name) => violations.push(name));
  const own = (node: number, epoch: number, leaderEpoch: number, committed = true) =>
    invariants.applied(
      { compare: [], then: [{ kind: 'put', key: keys.partition(topicId, 0), value: JSON.stringify({ owner: { node, epoch }, leaderEpoch, state: '' }) }] },
      { committed, revision: 1, reads: [] },
    );
  return { invariants, violations, own };
}

function objectOf(kind: ObjectKind, incarnation: Incarnation, number: number, put: number, leaderEpoch?: number): Buffer {
  const writer = new ByteWriter(256);
  const slice = { topicId, partition: 0, firstOffset: 0, lastOffset: 0, logStartOffset: 0, position: 0, length: 0, maxTimestampMs: 0, crc: 0 };
  encodeSlices(writer, leaderEpoch === undefined ? [] : [{ ...slice, leaderEpoch, base: undefined, producers: [], marks: [] }]);
  const { body } = assembleObject({ kind, incarnation, number, putId: Buffer.alloc(16, put), content: [], contentBytes: 0, footer: writer.finish() });
  return Buffer.concat(body.chunks);
}

const first: Incarnation = { node: 0 as NodeId, epoch: 3 };

describe('ownership', () => {
  test('a leader epoch has one owner, and never goes back', () => {
    const { violations, own } = makeInvariants();
    own(0, 3, 1);
    own(0, 3, 1);
    own(1, 9, 2, false);
    own(1, 1, 2);
    assert.deepEqual(violations, []);
    own(0, 4, 2);
    own(0, 3, 1);
    assert.deepEqual(violations, ['two-owners', 'leader-epoch-back']);
  });

  test('who is told as leader owned the partition in that epoch', () => {
    const { invariants, violations, own } = makeInvariants();
    own(0, 3, 1);
    own(1, 1, 2);
    invariants.told(topicId, 0, 0, 1);
    invariants.told(topicId, 0, 1, 2);
    invariants.told(topicId, 0, -1, 7);
    assert.deepEqual(violations, []);
    invariants.told(topicId, 0, 0, 2);
    invariants.told(topicId, 0, 1, 3);
    assert.deepEqual(violations, ['leader-told', 'leader-told']);
  });

  test('records are written by the incarnation that owns their leader epoch', () => {
    const { invariants, violations, own } = makeInvariants();
    own(0, 3, 1);
    invariants.created(walKey(first, 1), objectOf('group', first, 1, 1, 1));
    assert.deepEqual(violations, []);
    invariants.created(walKey(first, 2), objectOf('group', first, 2, 1, 2));
    const later = { ...first, epoch: 4 };
    invariants.created(walKey(later, 1), objectOf('group', later, 1, 1, 1));
    assert.deepEqual(violations, ['foreign-write', 'foreign-write']);
  });
});

describe('objects', () => {
  test('a name gets the same bytes or none, also after it was deleted', () => {
    const { invariants, violations } = makeInvariants();
    const key = walKey(first, 1);
    invariants.created(key, objectOf('group', first, 1, 1));
    invariants.deleted(key);
    invariants.created(key, objectOf('group', first, 1, 1));
    assert.deepEqual(violations, []);
    invariants.created(key, objectOf('group', first, 1, 2));
    assert.deepEqual(violations, ['name-reused']);
  });

  test('what the store lost had no name', () => {
    const { invariants, violations } = makeInvariants();
    const key = walKey(first, 1);
    invariants.created(key, objectOf('group', first, 1, 1));
    invariants.lost(key);
    invariants.created(key, objectOf('seal', first, 1, 2));
    assert.deepEqual(violations, []);
  });

  test('a seal stays', () => {
    const { invariants, violations } = makeInvariants();
    invariants.created(walKey(first, 1), objectOf('seal', first, 1, 1));
    invariants.deleted(walKey(first, 1));
    invariants.created('cluster', Buffer.from('not an object of an incarnation'));
    assert.deepEqual(violations, ['seal-deleted']);
  });
});

test('an offset is acknowledged for one record', () => {
  const { invariants, violations } = makeInvariants();
  const send = (values: readonly number[], baseOffset: number | null, type: 'ok' | 'info' = 'ok'): SendOperation => ({
    ...{ f: 'send', type, process: 'p', key: `${topicId}/0`, t0: 0, t1: 1, values, idempotent: true, order: 1, attempts: 1, baseOffset },
  });
  invariants.recorded(send([1, 2], 0));
  invariants.recorded(send([1, 2], 0));
  invariants.recorded(send([9], 0, 'info'));
  invariants.recorded(send([9], null));
  assert.deepEqual(violations, []);
  invariants.recorded(send([3], 1));
  assert.deepEqual(violations, ['acknowledged-twice']);
});
