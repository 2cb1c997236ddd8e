import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { MetaEvent } from './meta-store.ts';
import { WatchCursor } from './watch-cursor.ts';

const event = (modRevision: number, key: string): MetaEvent => ({ kind: 'put', key, value: '', modRevision });

test('a revision is delivered whole, when its last fragment has come', () => {
  const cursor = new WatchCursor(4);
  assert.deepEqual(cursor.accept([event(5, 'a'), event(6, 'b')], true), [event(5, 'a')]);
  assert.equal(cursor.at, 5);
  assert.deepEqual(cursor.accept([event(6, 'c')], true), []);
  assert.deepEqual(cursor.accept([event(6, 'd'), event(7, 'e')], false), [event(6, 'b'), event(6, 'c'), event(6, 'd'), event(7, 'e')]);
  assert.equal(cursor.at, 7);
});

test('half a revision is forgotten when the stream ends, and comes again with the next', () => {
  const cursor = new WatchCursor(4);
  cursor.accept([event(5, 'a')], true);
  cursor.restart();
  assert.equal(cursor.at, 4);
  assert.deepEqual(cursor.accept([event(4, 'old'), event(5, 'a'), event(5, 'b')], false), [event(5, 'a'), event(5, 'b')]);
});

test('however a history is cut, repeated and interrupted, every event is delivered once, in order, revisions whole', () => {
  const revisions = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 });
  // Each stream delivers so many events in fragments of so many, then breaks.
  const streams = fc.array(fc.record({ events: fc.nat({ max: 20 }), fragment: fc.integer({ min: 1, max: 5 }) }), { maxLength: 6 });
  fc.assert(
    fc.property(revisions, streams, (sizes, breaks) => {
      const history = sizes.flatMap((size, r) => Array.from({ length: size }, (_, i) => event(r + 2, `k${i}`)));
      const cursor = new WatchCursor(1);
      const delivered: MetaEvent[] = [];
      for (const { events: count, fragment } of [...breaks, { events: history.length, fragment: history.length }]) {
        cursor.restart();
        const stream = history.filter(({ modRevision }) => modRevision >= cursor.at).slice(0, count);
        for (let at = 0; at < stream.length; at += fragment) {
          const part = stream.slice(at, at + fragment);
          const hasMore = part.at(-1) !== history.at(-1);
          const told = cursor.accept(part, hasMore);
          delivered.push(...told);
          const next = history[delivered.length];
          assert.ok(told.length === 0 || next?.modRevision !== cursor.at, 'half a revision');
        }
      }
      assert.deepEqual(delivered, history);
    }),
  );
});
