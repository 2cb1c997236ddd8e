import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DeadlineHeap } from './deadline-heap.ts';

const operation = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: fc.nat(12), dueMs: fc.nat(50) }),
  fc.record({ kind: fc.constant('delete' as const), key: fc.nat(12) }),
  fc.record({ kind: fc.constant('pop' as const), nowMs: fc.nat(50) }),
);

test('a heap of deadlines behaves as a map searched for its least value', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const heap = new DeadlineHeap<number>();
      const model = new Map<number, number>();
      const earliest = () => (model.size === 0 ? undefined : Math.min(...model.values()));
      for (const step of operations) {
        if (step.kind === 'set') {
          heap.set(step.key, step.dueMs);
          model.set(step.key, step.dueMs);
        } else if (step.kind === 'delete') {
          heap.delete(step.key);
          model.delete(step.key);
        } else {
          const due = earliest();
          const popped = heap.popDue(step.nowMs);
          if (due === undefined || due > step.nowMs) assert.equal(popped, undefined);
          else {
            assert.equal(model.get(popped as number), due);
            model.delete(popped as number);
          }
        }
        assert.equal(heap.size, model.size);
        assert.equal(heap.nextMs(), earliest());
        for (const [key, dueMs] of model) assert.equal(heap.dueMs(key), dueMs);
      }
    }),
  );
});

test('clearing a heap forgets every deadline', () => {
  const heap = new DeadlineHeap<string>();
  heap.set('a', 1);
  heap.clear();
  assert.equal(heap.popDue(10), undefined);
  assert.equal(heap.size, 0);
});
