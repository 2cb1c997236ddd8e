/** AlterPartitionReassignments, ListPartitionReassignments, AlterReplicaLogDirs: what kafka-reassign-partitions asks of brokers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { alterPartitionReassignmentsHandler } from './alter-partition-reassignments.ts';
import { alterReplicaLogDirsHandler } from './alter-replica-log-dirs.ts';
import { listPartitionReassignmentsHandler } from './list-partition-reassignments.ts';

type Asked = readonly [partition: number, replicas: readonly number[] | null];

/** Node 1 leads all partitions; 2 lives, too; 3 drains. */
function cluster(): FakeServices {
  const services = new FakeServices();
  services.image.brokerList.push({ node: 3 as NodeId, host: 'three.example', port: 9003, rack: undefined, draining: true });
  services.addTopic('t', 4);
  return services;
}

function pend(services: FakeServices, topic: string, partition: number, target: number): void {
  services.image.moveList.push({ topicId: services.topicId(topic), partition, target: target as NodeId, by: 'test', why: '', modRevision: 1 });
}

async function alter(services: FakeServices, asked: readonly Asked[], options: { readonly topic?: string; readonly version?: number } = {}) {
  const partitions = asked.map(([partitionIndex, replicas]) => ({ partitionIndex, replicas }));
  const answer = await answerTo(alterPartitionReassignmentsHandler(services), options.version ?? 1, { topics: [{ name: options.topic ?? 't', partitions }] });
  assert.equal(answer.errorCode, ErrorCodes.NONE);
  return answer.responses[0]!.partitions.map(({ partitionIndex, errorCode, errorMessage }) => [partitionIndex, errorCode, errorMessage]);
}

async function list(services: FakeServices, topics: readonly { name: string; partitionIndexes: number[] }[] | null) {
  return (await answerTo(listPartitionReassignmentsHandler(services), 0, { topics })).topics;
}

test('a reassignment to another live broker asks for a move', async () => {
  for (const version of [0, 1]) {
    const services = cluster();
    assert.deepEqual(
      await alter(
        services,
        [
          [2, [2]],
          [0, [2]],
        ],
        { version },
      ),
      [
        [2, 0, null],
        [0, 0, null],
      ],
    );
    const topicId = services.topicId('t');
    assert.deepEqual(services.requestedMoves, [
      { topicId, partition: 2, target: 2 },
      { topicId, partition: 0, target: 2 },
    ]);
  }
});

test('what cannot be done is refused per partition, and the rest is asked for', async () => {
  const services = cluster();
  const refusals: readonly (readonly [Asked, number, RegExp])[] = [
    [[0, [2, 1]], ErrorCodes.INVALID_REPLICA_ASSIGNMENT, /assign each partition to one broker/],
    [[1, []], ErrorCodes.INVALID_REPLICA_ASSIGNMENT, /empty replica list/],
    [[2, [9]], ErrorCodes.INVALID_REPLICA_ASSIGNMENT, /includes broker 9, but no such broker is registered/],
    [[3, [3]], ErrorCodes.INVALID_REPLICA_ASSIGNMENT, /broker 3, which is draining/],
    [[4, [2]], ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, /Unable to find partition t:4\./],
    [[-1, [2]], ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, /Unable to find partition t:-1\./],
  ];
  for (const [asked, error, message] of refusals) {
    const other = asked[0] === 0 ? 1 : 0;
    const [refused, accepted] = await alter(services, [asked, [other, [2]]]);
    assert.deepEqual([refused![1], accepted![1]], [error, 0], JSON.stringify(asked));
    assert.match(String(refused![2]), message);
  }
  assert.equal(services.requestedMoves.length, refusals.length);
  assert.ok(services.requestedMoves.every(({ target }) => target === 2));
  assert.deepEqual(await alter(services, [[0, [2]]], { topic: 'nowhere' }), [
    [0, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, 'Unable to find a topic named nowhere.'],
  ]);
});

test('a partition that is named twice is refused: the store writes a key once in a transaction', async () => {
  const services = cluster();
  const answers = await alter(services, [
    [0, [2]],
    [0, [1]],
    [1, [2]],
  ]);
  assert.deepEqual(
    answers.map(([, error]) => error),
    [ErrorCodes.INVALID_REQUEST, ErrorCodes.INVALID_REQUEST, 0],
  );
  assert.deepEqual(
    services.requestedMoves.map(({ partition }) => partition),
    [1],
  );
});

test('the broker that has the partition is nothing to ask for, and withdraws what was asked', async () => {
  const services = cluster();
  pend(services, 't', 1, 2);
  assert.deepEqual(
    await alter(services, [
      [0, [1]],
      [1, [1]],
    ]),
    [
      [0, 0, null],
      [1, 0, null],
    ],
  );
  assert.deepEqual(services.requestedMoves, [{ topicId: services.topicId('t'), partition: 1, target: undefined }]);
});

test('a cancellation withdraws what was asked, and says when there is nothing to cancel', async () => {
  const services = cluster();
  pend(services, 't', 1, 2);
  pend(services, 't', 2, 1);
  assert.deepEqual(
    await alter(services, [
      [0, null],
      [1, null],
      [2, null],
    ]),
    [
      [0, ErrorCodes.NO_REASSIGNMENT_IN_PROGRESS, 'No partition reassignment is in progress.'],
      [1, 0, null],
      [2, ErrorCodes.NO_REASSIGNMENT_IN_PROGRESS, 'No partition reassignment is in progress.'],
    ],
  );
  assert.deepEqual(services.requestedMoves, [{ topicId: services.topicId('t'), partition: 1, target: undefined }]);
});

test('a partition that nobody owns can be asked for', async () => {
  const services = cluster();
  services.image.leader = -1;
  assert.deepEqual(await alter(services, [[0, [1]]]), [[0, 0, null]]);
  pend(services, 't', 0, 1);
  assert.deepEqual((await list(services, null))[0]!.partitions, [{ partitionIndex: 0, replicas: [1], addingReplicas: [1], removingReplicas: [] }]);
});

test('what the metadata store says is the answer of each partition', async () => {
  const services = cluster();
  services.moves = {
    request: (wanted) =>
      Promise.resolve(
        wanted.map(({ partition }) => (partition === 0 ? { kind: 'done' } : { kind: 'error', error: ErrorCodes.REQUEST_TIMED_OUT, message: 'away' })),
      ),
  };
  assert.deepEqual(
    await alter(services, [
      [1, [2]],
      [2, null],
      [0, [2]],
    ]),
    [
      [1, ErrorCodes.REQUEST_TIMED_OUT, 'away'],
      [2, ErrorCodes.NO_REASSIGNMENT_IN_PROGRESS, 'No partition reassignment is in progress.'],
      [0, 0, null],
    ],
  );
});

test('moves that are not done are listed with their owner and target', async () => {
  const services = cluster();
  services.addTopic('u', 1);
  pend(services, 't', 1, 2);
  pend(services, 't', 3, 2);
  pend(services, 't', 2, 1);
  pend(services, 'u', 0, 2);
  const ongoing = (partitionIndex: number) => ({ partitionIndex, replicas: [1, 2], addingReplicas: [2], removingReplicas: [1] });
  assert.deepEqual(await list(services, null), [
    { name: 't', partitions: [ongoing(1), ongoing(3)] },
    { name: 'u', partitions: [ongoing(0)] },
  ]);
  const asked = [
    { name: 't', partitionIndexes: [0, 2, 3, 9] },
    { name: 'nowhere', partitionIndexes: [0] },
  ];
  assert.deepEqual(await list(services, asked), [{ name: 't', partitions: [ongoing(3)] }]);
  services.image.remove('t');
  assert.deepEqual(
    (await list(services, null)).map(({ name }) => name),
    ['u'],
  );
});

test('a replica can only stay in the one directory, at the broker that has it', async () => {
  const services = cluster();
  services.setLookup('t', 1, { kind: 'elsewhere', leader: 2, leaderEpoch: 1 });
  services.setLookup('t', 2, { kind: 'opening', ready: Promise.resolve() });
  const answer = await answerTo(alterReplicaLogDirsHandler(services), 2, {
    dirs: [
      {
        path: 'storage',
        topics: [
          { name: 't', partitions: [0, 1, 2, 9] },
          { name: 'nowhere', partitions: [0] },
        ],
      },
      { path: '/elsewhere', topics: [{ name: 't', partitions: [3] }] },
    ],
  });
  const results = answer.results.map(({ topicName, partitions }) => [
    topicName,
    partitions.map(({ partitionIndex, errorCode }) => [partitionIndex, errorCode]),
  ]);
  assert.deepEqual(results, [
    [
      't',
      [
        [0, 0],
        [1, ErrorCodes.REPLICA_NOT_AVAILABLE],
        [2, 0],
        [9, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION],
        [3, ErrorCodes.LOG_DIR_NOT_FOUND],
      ],
    ],
    ['nowhere', [[0, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION]]],
  ]);
});
