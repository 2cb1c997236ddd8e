/** Where partitions are counted: at their owner, or where they are about to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterImage } from './cluster-image.ts';
import type { NodeId, TopicId } from './identifiers.ts';
import { placePartitions } from './placement.ts';
import { placementView } from './placement-view.ts';

/** Topics by name, with the leader of each partition; moves as topic, partition, target. */
function image(topics: Readonly<Record<string, readonly number[]>>, moves: readonly (readonly [string, number, number])[] = []): ClusterImage {
  return {
    brokers: () => [0, 1, 2].map((node) => ({ node: node as NodeId, host: 'h', port: 1, rack: `rack-${node}`, draining: node === 2 })),
    topics: () => Object.entries(topics).map(([name, { length }]) => ({ name, topicId: name as TopicId, partitionCount: length })),
    leaderOf: (topicId: TopicId, partition: number) => ({ leader: topics[topicId]?.[partition] ?? -1, leaderEpoch: 1 }),
    moves: () => moves.map(([topicId, partition, target]) => ({ topicId, partition, target })),
  } as unknown as ClusterImage;
}

test('partitions count at their owners', () => {
  const { brokers, ownedOf } = placementView(image({ a: [0, 0, 1], b: [2, -1, 0] }));
  assert.deepEqual(
    brokers.map(({ node, rack, draining, partitions }) => [node, rack, draining, partitions]),
    [
      [0, 'rack-0', false, 3],
      [1, 'rack-1', false, 1],
      [2, 'rack-2', true, 1],
    ],
  );
  const owned = (topic: string) => [0, 1, 2].map((node) => ownedOf(topic as TopicId, node as NodeId));
  assert.deepEqual(
    [owned('a'), owned('b'), owned('new')],
    [
      [2, 1, 0],
      [1, 0, 1],
      [0, 0, 0],
    ],
  );
});

test('a partition that is about to move counts where it goes, unless nobody lives there', () => {
  const { brokers, ownedOf } = placementView(
    image({ a: [0, 0, 0] }, [
      ['a', 1, 1],
      ['a', 2, 9],
    ]),
  );
  assert.deepEqual(
    brokers.map(({ partitions }) => partitions),
    [2, 1, 0],
  );
  assert.equal(ownedOf('a' as TopicId, 1 as NodeId), 1);
});

test('what grows goes where it is not yet', () => {
  const { brokers, ownedOf } = placementView(image({ a: [0, 0], b: [1, 1] }));
  assert.deepEqual(placePartitions('a' as TopicId, 2, brokers, { start: 0, ownedOf }), [1, 1]);
});
