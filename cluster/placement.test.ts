/** Placement: evenly, no topic on one broker or in one rack, nothing on who leaves, always the same answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NodeId, TopicId } from './identifiers.ts';
import { type Orphan, type PlacementBroker, placeOrphans, placePartitions } from './placement.ts';

const topic = 'topic' as TopicId;
const excludeNone: ReadonlySet<NodeId> = new Set();

function broker(node: number, more: Partial<PlacementBroker> = {}): PlacementBroker {
  return { node: node as NodeId, rack: undefined, draining: false, partitions: 0, ...more };
}

const tables: readonly (readonly [string, readonly PlacementBroker[], number, readonly number[] | undefined, number?])[] = [
  ['one broker takes all', [broker(4)], 3, [4, 4, 4]],
  ['equal brokers take turns by id', [broker(2), broker(0), broker(1)], 4, [0, 1, 2, 0]],
  ['the start turns the order', [broker(0), broker(1), broker(2)], 4, [2, 0, 1, 2], 5],
  ['the least loaded comes first', [broker(0, { partitions: 3 }), broker(1, { partitions: 1 }), broker(2, { partitions: 2 })], 2, [1, 2]],
  [
    'an empty broker takes its share of a topic, not all of it',
    [broker(0, { partitions: 90 }), broker(1, { partitions: 90 }), broker(2)],
    6,
    [2, 2, 0, 1, 0, 1],
  ],
  ['nothing goes to who drains', [broker(0, { draining: true }), broker(1, { partitions: 50 })], 2, [1, 1]],
  ['when all drain somebody has to', [broker(0, { draining: true }), broker(1, { draining: true })], 2, [0, 1]],
  ['racks take turns', [broker(0, { rack: 'a' }), broker(1, { rack: 'a' }), broker(2, { rack: 'b' }), broker(3, { rack: 'b' })], 4, [0, 2, 1, 3]],
  ['a rack of one broker does not get half', [broker(0, { rack: 'a' }), broker(1, { rack: 'b' }), broker(2, { rack: 'b' })], 6, [0, 1, 2, 0, 1, 2]],
  ['few busy partitions weigh as much as many idle ones', [broker(0, { partitions: 10, load: 100 }), broker(1, { partitions: 10, load: 20 })], 4, [1, 1, 0, 0]],
  ['a load that one broker did not tell counts for none', [broker(0, { partitions: 3 }), broker(1, { partitions: 2, load: 900 })], 1, [1]],
  ['without a broker there is no place', [], 1, undefined],
];

for (const [name, brokers, count, expected, start = 0] of tables) {
  test(name, () => assert.deepEqual(placePartitions(topic, count, brokers, { start }), expected));
}

test('what a broker has of the topic already counts', () => {
  const owned: Readonly<Record<number, number>> = { 0: 2, 1: 0, 2: 1 };
  const placed = placePartitions(topic, 3, [broker(0), broker(1), broker(2)], { start: 0, ownedOf: (_, node) => owned[node] ?? 0 });
  assert.deepEqual(placed, [1, 2, 1]);
});

test('orphans go to others than their old broker, in the order in which they were named', () => {
  const orphans: Orphan[] = [1, 0, 2].map((partition) => ({ topicId: topic, partition }));
  const brokers = [broker(0), broker(1), broker(2, { draining: true }), broker(3)];
  assert.deepEqual(placeOrphans(orphans, brokers, { start: 0, exclude: new Set([0 as NodeId]) }), [3, 1, 1]);
  assert.equal(placeOrphans(orphans, [broker(0)], { start: 0, exclude: new Set([0 as NodeId]) }), undefined);
});

test('who is excluded takes nothing although all others drain', () => {
  const placed = placeOrphans([{ topicId: topic, partition: 0 }], [broker(0), broker(1, { draining: true })], { start: 0, exclude: new Set([0 as NodeId]) });
  assert.deepEqual(placed, [1]);
});

const anyBrokers = fc.uniqueArray(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 12 }).chain((nodes) =>
  fc.tuple(
    ...nodes.map((node) =>
      fc.record({
        node: fc.constant(node as NodeId),
        rack: fc.constantFrom('a', 'b', 'c', undefined),
        draining: fc.boolean(),
        partitions: fc.nat({ max: 30 }),
      }),
    ),
  ),
);
const topicSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 });
const anyStart = fc.integer({ min: -5, max: 100 });

function topicName(i: number): TopicId {
  return `topic-${i}` as TopicId;
}

function orphansOf(sizes: readonly number[]): Orphan[] {
  return sizes.flatMap((size, i) => Array.from({ length: size }, (_, partition) => ({ topicId: topicName(i), partition })));
}

function withPlaced(brokers: readonly PlacementBroker[], owners: readonly NodeId[]): PlacementBroker[] {
  return brokers.map((each) => ({ ...each, partitions: each.partitions + owners.filter((owner) => owner === each.node).length }));
}

function spread(brokers: readonly PlacementBroker[]): number {
  const taking = brokers.some(({ draining }) => !draining) ? brokers.filter(({ draining }) => !draining) : brokers;
  const counts = taking.map(({ partitions }) => partitions);
  return Math.max(...counts) - Math.min(...counts);
}

/** All topics one after the other, each by a new call, as they are created. */
function createAll(brokers: readonly PlacementBroker[], sizes: readonly number[], start: number): { brokers: readonly PlacementBroker[]; owners: NodeId[][] } {
  const owners: NodeId[][] = [];
  let now = brokers;
  for (const [i, size] of sizes.entries()) {
    const placed = placePartitions(topicName(i), size, now, { start: start + i })!;
    owners.push([...placed]);
    now = withPlaced(now, placed);
  }
  return { brokers: now, owners };
}

test('brokers that began even stay within one partition of each other, and none gets further apart than it was', () => {
  fc.assert(
    fc.property(anyBrokers, topicSizes, anyStart, (brokers, sizes, start) => {
      const even = brokers.map((each) => ({ ...each, partitions: 7 }));
      assert.ok(spread(createAll(even, sizes, start).brokers) <= 1);
      assert.ok(spread(withPlaced(even, placeOrphans(orphansOf(sizes), even, { start, exclude: excludeNone })!)) <= 1);
      const bound = Math.max(1, spread(brokers));
      assert.ok(spread(createAll(brokers, sizes, start).brokers) <= bound);
      assert.ok(spread(withPlaced(brokers, placeOrphans(orphansOf(sizes), brokers, { start, exclude: excludeNone })!)) <= bound);
    }),
  );
});

test('nothing is placed on brokers that drain, are excluded or are not there, as long as there is another', () => {
  fc.assert(
    fc.property(anyBrokers, topicSizes, anyStart, fc.uniqueArray(fc.integer({ min: 0, max: 50 })), (brokers, sizes, start, excluded) => {
      const exclude = new Set(excluded as NodeId[]);
      const left = brokers.filter(({ node }) => !exclude.has(node));
      const allowed = new Set((left.some(({ draining }) => !draining) ? left.filter(({ draining }) => !draining) : left).map(({ node }) => node));
      const owners = placeOrphans(orphansOf(sizes), brokers, { start, exclude });
      if (left.length === 0) assert.equal(owners, undefined);
      else assert.ok(owners!.every((owner) => allowed.has(owner)));
    }),
  );
});

test('no broker gets more than its share of a new topic, nor one more than that of an orphaned one', () => {
  fc.assert(
    fc.property(anyBrokers, topicSizes, anyStart, (brokers, sizes, start) => {
      const taking = brokers.some(({ draining }) => !draining) ? brokers.filter(({ draining }) => !draining) : brokers;
      const orphans = orphansOf(sizes);
      const adopted = placeOrphans(orphans, brokers, { start, exclude: excludeNone })!;
      for (const [i, owners] of createAll(brokers, sizes, start).owners.entries()) {
        const share = Math.ceil(sizes[i]! / taking.length);
        for (const { node } of taking) {
          assert.ok(owners.filter((owner) => owner === node).length <= share);
          assert.ok(adopted.filter((owner, at) => owner === node && orphans[at]!.topicId === topicName(i)).length <= share + 1);
        }
      }
    }),
  );
});

test('the order of brokers and orphans changes nothing', () => {
  fc.assert(
    fc.property(anyBrokers, topicSizes, anyStart, fc.integer(), (brokers, sizes, start, seed) => {
      const shuffled = <T>(list: readonly T[]): T[] => fc.sample(fc.shuffledSubarray([...list], { minLength: list.length }), { seed, numRuns: 1 })[0]!;
      const orphans = orphansOf(sizes);
      const placed = placeOrphans(orphans, brokers, { start, exclude: excludeNone })!;
      const owners = new Map(orphans.map((orphan, i) => [orphan, placed[i]]));
      const others = shuffled(orphans);
      const again = placeOrphans(others, shuffled(brokers), { start, exclude: excludeNone })!;
      for (const [i, orphan] of others.entries()) assert.equal(again[i], owners.get(orphan));
      assert.deepEqual(placePartitions(topic, 20, shuffled(brokers), { start }), placePartitions(topic, 20, brokers, { start }));
    }),
    { numRuns: 30 },
  );
});
