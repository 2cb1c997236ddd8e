import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { NodeId, TopicId } from '../../../cluster/identifiers.ts';
import { dataKey, walKey } from '../format/object-keys.ts';
import type { IndexEntry } from '../format/partition-state.ts';
import { isMostlyGarbage, type MergePlan, type MergePlanLimits, type MergeView, type PartitionView, planMerge } from './merge-plan.ts';

const kib = 1024;
const mib = 1024 * kib;
const limits: MergePlanLimits = {
  largeEntryBytes: 256 * kib,
  fanIn: 8,
  smallObjectBytes: mib,
  streamObjectMinBytes: 8 * mib,
  maxOutputBytes: 32 * mib,
  maxSlicesPerOutput: 1000,
  maxEntriesPerPartition: 100,
  maxPlanBytes: 1024 * mib,
};
const incarnation = { node: 0 as NodeId, epoch: 1 };

describe('what is worth a rewrite', () => {
  test('slices that are worth a GET each stay where they are', () => {
    assert.deepEqual(shapeOf(planMerge(groups(20, [512 * kib, 512 * kib, 512 * kib]), limits)), []);
  });

  test('small slices of many partitions go into one stream set object, one slice each', () => {
    const plan = planMerge(groups(16, Array(100).fill(32 * kib)), limits);
    assert.deepEqual(shapeOf(plan), [
      { kind: 'stream-set', runs: 64, entries: 64 * 16 },
      { kind: 'stream-set', runs: 36, entries: 36 * 16 },
    ]);
  });

  test('a partition with much in small slices gets a stream object of its own', () => {
    const plan = planMerge(groups(50, [200 * kib, 10 * kib, 10 * kib]), limits);
    assert.deepEqual(shapeOf(plan), [
      { kind: 'stream', runs: 1, entries: 50 },
      { kind: 'stream-set', runs: 2, entries: 100 },
    ]);
  });

  test('small slices are moved out from beside a large one, which stays', () => {
    const plan = planMerge(groups(30, [7 * mib, 20 * kib]), limits);
    assert.deepEqual(shapeOf(plan), [{ kind: 'stream-set', runs: 1, entries: 30 }]);
  });

  test('little traffic waits until there is enough for the next tier', () => {
    assert.deepEqual(shapeOf(planMerge(groups(3, [100]), limits)), []);
    assert.deepEqual(shapeOf(planMerge(groups(12, [100]), limits)), [{ kind: 'stream-set', runs: 1, entries: 12 }]);
    assert.deepEqual(shapeOf(planMerge(view([partition(0, [5 * kib, 100, 100, 100])]), limits)), []);
  });

  test('what is left of an object that is mostly garbage moves out, a single entry, too', () => {
    const { partitions, contentBytesOf } = view([partition(0, [512 * kib]), partition(1, [300 * kib, 300 * kib, 300 * kib])]);
    const sparse = { isDamaged: () => false, partitions, contentBytesOf, isSparse: (key: string) => key === partitions[0]!.entries[0]!.object };
    assert.deepEqual(shapeOf(planMerge(sparse, limits)), [{ kind: 'stream-set', runs: 1, entries: 1 }]);
  });

  test('many small objects become one, even when no partition has two entries', () => {
    const few = view(Array.from({ length: 3 }, (_, i) => partition(i, [100 * kib])));
    const many = view(Array.from({ length: 11 }, (_, i) => partition(i, [100 * kib])));
    assert.deepEqual(shapeOf(planMerge(few, limits)), [{ kind: 'stream-set', runs: 3, entries: 3 }]);
    assert.deepEqual(shapeOf(planMerge(view([partition(0, [100 * kib])]), limits)), []);
    assert.deepEqual(shapeOf(planMerge(many, limits)), [{ kind: 'stream-set', runs: 11, entries: 11 }]);
  });

  test('an index that grows too long is joined from its oldest end', () => {
    const long = view([partition(0, Array(101).fill(mib))]);
    const [output] = planMerge(long, limits).outputs;
    assert.equal(output?.kind, 'stream');
    assert.deepEqual(output?.runs[0]?.entries, long.partitions[0]!.entries.slice(0, 32));
    assert.deepEqual(shapeOf(planMerge(view([partition(0, Array(100).fill(mib))]), limits)), []);
    assert.deepEqual(shapeOf(planMerge(view([partition(0, Array(200).fill(20 * mib))]), limits)), []);
  });

  test('nothing at or past the high watermark is touched', () => {
    const all = groups(30, [20 * kib]);
    const [only] = all.partitions;
    const plan = planMerge({ ...all, partitions: [{ ...only!, highWatermark: only!.entries[20]!.lastOffset }] }, limits);
    assert.deepEqual(shapeOf(plan), [{ kind: 'stream-set', runs: 1, entries: 20 }]);
  });

  test('a damaged slice stays, and parts its neighbours', () => {
    const all = groups(31, [20 * kib]);
    const plan = planMerge({ ...all, isDamaged: (key) => key === all.partitions[0]!.entries[15]!.object }, limits);
    assert.deepEqual(shapeOf(plan), [{ kind: 'stream-set', runs: 2, entries: 30 }]);
  });

  test('a plan is bounded, and says that there is more', () => {
    const plan = planMerge(groups(16, Array(100).fill(32 * kib)), { ...limits, maxPlanBytes: 10 * mib });
    assert.deepEqual(shapeOf(plan), [{ kind: 'stream-set', runs: 20, entries: 320 }]);
    assert.equal(plan.more, true);
  });

  test('half is where garbage begins to be most', () => {
    assert.equal(isMostlyGarbage({ contentBytes: 100, liveBytes: 49 }), true);
    assert.equal(isMostlyGarbage({ contentBytes: 100, liveBytes: 50 }), false);
    assert.equal(isMostlyGarbage({ contentBytes: 0, liveBytes: 50 }), false);
  });
});

const size = fc.oneof(fc.integer({ min: 61, max: 4 * kib }), fc.integer({ min: 61, max: 300 * kib }), fc.integer({ min: 61, max: 40 * mib }));
/** WAL groups with slices of some of the partitions, some objects mostly garbage, the newest offsets not counted yet. */
const anyView = fc
  .record({
    slices: fc.array(fc.array(fc.tuple(fc.nat(4), size), { minLength: 1, maxLength: 5 }), { maxLength: 60 }),
    sparse: fc.array(fc.nat(59), { maxLength: 5 }),
    uncounted: fc.nat(20),
  })
  .map(({ slices, sparse, uncounted }): MergeView => {
    const entries: IndexEntry[][] = [[], [], [], [], []];
    slices.forEach((group, n) => {
      let position = 0;
      for (const [to, length] of new Map(group)) {
        const firstOffset = (entries[to]!.at(-1)?.lastOffset ?? 99) + 1;
        entries[to]!.push({ firstOffset, lastOffset: firstOffset + 9, object: walKey(incarnation, n + 1), position, length, maxTimestampMs: n });
        position += length;
      }
    });
    const partitions = entries.map((of, i) => ({
      topicId: 'T' as TopicId,
      partition: i,
      entries: of,
      highWatermark: (of.at(-1)?.lastOffset ?? 99) + 1 - uncounted,
    }));
    return { ...view(partitions), isSparse: (key) => sparse.some((n) => walKey(incarnation, n + 1) === key) };
  });

describe('any plan', () => {
  test('covers what it replaces exactly, stays below the high watermark and within its limits', () => {
    fc.assert(
      fc.property(anyView, (before) => {
        const plan = planMerge(before, limits);
        for (const { kind, runs, sizeBytes } of plan.outputs) {
          assert.ok(sizeBytes <= limits.maxOutputBytes && runs.length <= limits.maxSlicesPerOutput);
          assert.ok(kind === 'stream-set' || (runs.length === 1 && sizeBytes >= limits.streamObjectMinBytes));
          for (const run of runs) {
            const { entries, highWatermark } = before.partitions[run.partition]!;
            const at = entries.indexOf(run.entries[0]!);
            assert.deepEqual(run.entries, entries.slice(at, at + run.entries.length));
            assert.ok(run.entries.at(-1)!.lastOffset < highWatermark);
          }
        }
        const replaced = plan.outputs.flatMap(({ runs }) =>
          runs.flatMap(({ partition, entries }) => entries.map(({ firstOffset }) => `${partition}/${firstOffset}`)),
        );
        assert.equal(new Set(replaced).size, replaced.length);
      }),
    );
  });

  test('leads to a log of the same offsets, and after some rounds there is nothing to do', () => {
    fc.assert(
      fc.property(anyView, (before) => {
        let now = before;
        let rewrittenBytes = 0;
        let round = 0;
        for (let plan = planMerge(now, limits); plan.outputs.length > 0; plan = planMerge(now, limits)) {
          assert.ok(++round <= 12, 'merging goes on and on');
          for (const { sizeBytes } of plan.outputs) rewrittenBytes += sizeBytes;
          now = applied(now, plan, round);
        }
        for (const [i, { entries }] of now.partitions.entries()) {
          assert.equal(lengthOf(entries), lengthOf(before.partitions[i]!.entries));
          assert.equal(entries[0]?.firstOffset, before.partitions[i]!.entries[0]?.firstOffset);
          assert.equal(entries.at(-1)?.lastOffset, before.partitions[i]!.entries.at(-1)?.lastOffset);
          for (let at = 1; at < entries.length; at++) assert.equal(entries[at]!.firstOffset, entries[at - 1]!.lastOffset + 1);
        }
        const totalBytes = before.partitions.reduce((sum, { entries }) => sum + lengthOf(entries), 0);
        assert.ok(rewrittenBytes <= 6 * totalBytes, `${rewrittenBytes} of ${totalBytes}`);
      }),
    );
  });

  test('of steady traffic no byte is rewritten more often than there are tiers', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 61, max: 60 * kib }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 2, max: 30 }), (sizes, perRound) => {
        let now = view(sizes.map((_, i) => partition(i, [])));
        let [written, rewritten] = [0, 0];
        for (let round = 0; round < 40; round++) {
          now = extended(now, sizes, perRound, round);
          written += perRound * lengthOf(sizes.map((length) => ({ length })));
          const plan = planMerge(now, limits);
          for (const { sizeBytes } of plan.outputs) rewritten += sizeBytes;
          now = applied(now, plan, round);
        }
        assert.ok(rewritten <= 4 * written, `${rewritten / written}`);
        for (const { entries } of now.partitions) assert.ok(entries.length <= limits.maxEntriesPerPartition + perRound);
      }),
      { numRuns: 30 },
    );
  });
});

function shapeOf({ outputs }: MergePlan) {
  return outputs.map(({ kind, runs }) => ({ kind, runs: runs.length, entries: runs.reduce((sum, { entries }) => sum + entries.length, 0) }));
}

/** `count` WAL groups with a slice of each partition. */
function groups(count: number, sliceSizes: readonly number[]): MergeView {
  return extended(view(sliceSizes.map((_, i) => partition(i, []))), sliceSizes, count, 0);
}

/** Each entry in an object of its own. */
function partition(number: number, sizes: readonly number[]): PartitionView {
  const entries = sizes.map((length, i) => ({
    firstOffset: i * 10,
    lastOffset: i * 10 + 9,
    object: walKey({ ...incarnation, epoch: number + 10 }, i + 1),
    position: 0,
    length,
    maxTimestampMs: 0,
  }));
  return { topicId: 'T' as TopicId, partition: number, entries, highWatermark: entries.length * 10 };
}

function view(partitions: readonly PartitionView[]): MergeView {
  const sizes = new Map<string, number>();
  for (const { object, length } of partitions.flatMap(({ entries }) => entries)) sizes.set(object, (sizes.get(object) ?? 0) + length);
  return { partitions, isDamaged: () => false, contentBytesOf: (key) => sizes.get(key) ?? 0, isSparse: () => false };
}

function extended({ partitions }: MergeView, sizes: readonly number[], count: number, round: number): MergeView {
  const longer = partitions.map(({ entries, ...rest }, i) => {
    const all = [...entries];
    for (let n = 0; n < count; n++) {
      const firstOffset = (all.at(-1)?.lastOffset ?? -1) + 1;
      all.push({
        firstOffset,
        lastOffset: firstOffset + 9,
        object: walKey(incarnation, 1 + round * count + n),
        position: lengthOf(sizes.slice(0, i).map((length) => ({ length }))),
        length: sizes[i]!,
        maxTimestampMs: 0,
      });
    }
    return { ...rest, entries: all, highWatermark: all.at(-1)!.lastOffset + 1 };
  });
  return view(longer);
}

/** What the merger makes of it. */
function applied(before: MergeView, plan: MergePlan, round: number): MergeView {
  const partitions = before.partitions.map((of) => ({ ...of, entries: [...of.entries] }));
  for (const [n, { runs }] of plan.outputs.entries()) {
    let position = 0;
    for (const { partition: number, entries, sizeBytes } of runs) {
      const all = partitions[number]!.entries;
      const merged = {
        firstOffset: entries[0]!.firstOffset,
        lastOffset: entries.at(-1)!.lastOffset,
        object: dataKey(incarnation, round * 1000 + n),
        position,
        length: sizeBytes,
        maxTimestampMs: 0,
      };
      all.splice(all.indexOf(entries[0]!), entries.length, merged);
      position += sizeBytes;
    }
  }
  return view(partitions);
}

function lengthOf(entries: readonly { readonly length: number }[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0);
}
