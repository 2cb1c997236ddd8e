import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import type { TopicId } from '../../cluster/identifiers.ts';
import { LogCache } from './log-cache.ts';
import { OpenGroup, type SliceBuilder, type SliceOwner } from './wal/open-group.ts';

test('many small slices count with all that they hold in memory, not with their records alone', () => {
  const kept = new Set<SliceBuilder>();
  const cache = new LogCache({ budgetBytes: 1_000_000, metrics: new MemoryMetrics() });
  for (let i = 0; i < 1_000; i++) cache.add(groupOf({ kept, slices: 10, batches: 1, batchBytes: 100 }));
  // A slice costs more than a kilobyte of objects, however little it holds.
  assert.ok(kept.size > 300 && kept.size <= 1_000, `${kept.size}`);
});

test('large slices count with little more than their records', () => {
  const kept = new Set<SliceBuilder>();
  const cache = new LogCache({ budgetBytes: 10_000_000, metrics: new MemoryMetrics() });
  for (let i = 0; i < 100; i++) cache.add(groupOf({ kept, slices: 1, batches: 10, batchBytes: 100_000 }));
  assert.equal(kept.size, 9);
});

test('a group that is larger than the budget leaves at once, and everything is let go in the end', () => {
  const kept = new Set<SliceBuilder>();
  const cache = new LogCache({ budgetBytes: 0, metrics: new MemoryMetrics() });
  for (let i = 0; i < 10; i++) cache.add(groupOf({ kept, slices: 3, batches: 2, batchBytes: 1_000 }));
  assert.equal(kept.size, 0);
  assert.equal(cache.sizeBytes, 0);
});

function groupOf(of: { readonly kept: Set<SliceBuilder>; readonly slices: number; readonly batches: number; readonly batchBytes: number }): OpenGroup {
  const group = new OpenGroup();
  for (let partition = 0; partition < of.slices; partition++) {
    const slice = group.addSlice(owner(partition, of.kept), 0, undefined);
    for (let i = 0; i < of.batches; i++) {
      slice.append({ bytes: Buffer.alloc(of.batchBytes), firstOffset: i, lastOffset: i, maxTimestampMs: 1, producer: undefined });
      group.sizeBytes += of.batchBytes;
    }
    of.kept.add(slice);
  }
  return group;
}

function owner(partition: number, kept: Set<SliceBuilder>): SliceOwner {
  return {
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId,
    partition,
    leaderEpoch: 0,
    nextLogStartOffset: 0,
    takeBase: () => undefined,
    slicePlaced: () => {},
    sliceCounted: () => {},
    sliceEvicted: (slice) => void kept.delete(slice),
  };
}
