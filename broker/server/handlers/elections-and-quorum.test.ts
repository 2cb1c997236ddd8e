/** ElectLeaders and DescribeQuorum: what kafka-leader-election and kafka-metadata-quorum ask of brokers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { describeQuorumHandler } from './describe-quorum.ts';
import { electLeadersHandler } from './elect-leaders.ts';

const PREFERRED = 0;
const UNCLEAN = 1;

async function elect(services: FakeServices, electionType: number, asked: readonly { topic: string; partitions: number[] }[] | null, version = 2) {
  const answer = await answerTo(electLeadersHandler(services), version, { electionType, topicPartitions: asked });
  const results = answer.replicaElectionResults.flatMap(({ topic, partitionResult }) =>
    partitionResult.map(({ partitionId, errorCode }) => [`${topic}-${partitionId}`, errorCode]),
  );
  return { errorCode: answer.errorCode, results: Object.fromEntries(results) as Record<string, number> };
}

test('who leads is the only replica, so that no election is needed', async () => {
  const services = new FakeServices();
  services.addTopic('t', 2);
  const asked = [
    { topic: 't', partitions: [0, 1, 2] },
    { topic: 'nowhere', partitions: [0] },
  ];
  const expected = { 't-0': ErrorCodes.ELECTION_NOT_NEEDED, 't-1': ErrorCodes.ELECTION_NOT_NEEDED, 't-2': 3, 'nowhere-0': 3 };
  assert.deepEqual(await elect(services, PREFERRED, asked), { errorCode: 0, results: expected });
  assert.deepEqual(await elect(services, UNCLEAN, asked), { errorCode: 0, results: expected });
  assert.deepEqual((await elect(services, PREFERRED, asked, 0)).results, expected);
  assert.deepEqual(await elect(services, PREFERRED, null), { errorCode: 0, results: {} });
});

test('where nobody leads no leader is available, and no other replica either', async () => {
  const services = new FakeServices();
  services.addTopic('t', 1);
  services.image.leader = -1;
  assert.deepEqual((await elect(services, PREFERRED, [{ topic: 't', partitions: [0] }])).results, { 't-0': ErrorCodes.PREFERRED_LEADER_NOT_AVAILABLE });
  assert.deepEqual((await elect(services, PREFERRED, null)).results, { 't-0': ErrorCodes.PREFERRED_LEADER_NOT_AVAILABLE });
  assert.deepEqual((await elect(services, UNCLEAN, null)).results, { 't-0': ErrorCodes.ELIGIBLE_LEADERS_NOT_AVAILABLE });
});

test('an unknown kind of election is refused', async () => {
  const services = new FakeServices();
  services.addTopic('t', 1);
  const answer = await elect(services, 7, [{ topic: 't', partitions: [0] }], 1);
  assert.deepEqual(answer, { errorCode: ErrorCodes.INVALID_REQUEST, results: { 't-0': ErrorCodes.INVALID_REQUEST } });
});

const metadataPartition = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }];

test('the quorum that tools see is all brokers, led by the controller', async () => {
  const services = new FakeServices();
  services.image.controllerId = 2;
  for (const version of [0, 1, 2]) {
    const { errorCode, topics, nodes } = await answerTo(describeQuorumHandler(services), version, { topics: metadataPartition });
    const [quorum] = topics[0]!.partitions;
    assert.deepEqual([errorCode, quorum!.errorCode, quorum!.leaderId, quorum!.observers], [0, 0, 2, []]);
    assert.deepEqual(
      quorum!.currentVoters.map(({ replicaId, logEndOffset }) => [replicaId, logEndOffset]),
      [
        [1, -1],
        [2, -1],
      ],
    );
    const addresses = nodes.map(({ nodeId, listeners }) => [nodeId, listeners.map(({ name, host, port }) => `${name} ${host}:${port}`)]);
    if (version === 2)
      assert.deepEqual(addresses, [
        [1, ['PLAINTEXT one.example:9001']],
        [2, ['PLAINTEXT two.example:9002']],
      ]);
  }
});

test('only the partition of metadata has a quorum, and only while there is a controller', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const error = async (topicName: string, ...indexes: readonly number[]) => {
    const partitions = indexes.map((partitionIndex) => ({ partitionIndex }));
    return (await answerTo(describeQuorumHandler(services), 2, { topics: [{ topicName, partitions }] })).topics[0]!.partitions.map(
      ({ errorCode }) => errorCode,
    );
  };
  assert.deepEqual(await error('t', 0), [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
  assert.deepEqual(await error('__cluster_metadata', 0, 1), [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
  services.image.controllerId = -1;
  assert.deepEqual(await error('__cluster_metadata', 0), [ErrorCodes.NOT_LEADER_OR_FOLLOWER]);
});
