import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { ApiKeys, ResponseOf } from '../../protocol/messages.gen.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { describeClusterHandler } from './describe-cluster.ts';
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts';
import { metadataHandler } from './metadata.ts';

function codesOf(topics: readonly { readonly name: string | null; readonly errorCode: number }[]): Record<string, number> {
  return Object.fromEntries(topics.map((topic) => [topic.name ?? '', topic.errorCode]));
}

test('brokers, cluster, leaders: the owner is the one replica', async () => {
  const services = new FakeServices();
  services.addTopic('t', 2);
  const answer = await answerTo(metadataHandler(services), 13, { topics: [{ name: 't' }] });
  assert.deepEqual(answer.brokers[1], { nodeId: 2, host: 'two.example', port: 9002, rack: null });
  assert.deepEqual([answer.clusterId, answer.controllerId], ['fake-cluster', 1]);
  assert.deepEqual(answer.topics[0]!.partitions[1], {
    errorCode: 0,
    partitionIndex: 1,
    leaderId: 1,
    leaderEpoch: 3,
    replicaNodes: [1],
    isrNodes: [1],
    offlineReplicas: [],
  });
});

test('null means all topics, and in version 0 the empty list does', async () => {
  const services = new FakeServices();
  services.addTopic('b');
  services.addTopic('a');
  const handler = metadataHandler(services);
  assert.deepEqual(
    (await answerTo(handler, 1, { topics: null })).topics.map((topic) => topic.name),
    ['a', 'b'],
  );
  assert.deepEqual((await answerTo(handler, 0, { topics: [] })).topics.length, 2);
  assert.deepEqual((await answerTo(handler, 1, { topics: [] })).topics.length, 0);
});

test('an unknown topic is created when both broker and client allow it, and is in the same answer', async () => {
  const services = new FakeServices({ 'num.partitions': '4' });
  const answer = await answerTo(metadataHandler(services), 9, { topics: [{ name: 'new' }, { name: 'bad name' }] });
  assert.deepEqual(codesOf(answer.topics), { new: 0, 'bad name': ErrorCodes.INVALID_TOPIC_EXCEPTION });
  assert.equal(answer.topics[0]!.partitions.length, 4);
  const unwilling = await answerTo(metadataHandler(services), 9, { topics: [{ name: 'other' }], allowAutoTopicCreation: false });
  assert.deepEqual(codesOf(unwilling.topics), { other: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION });
  const off = new FakeServices({ 'auto.create.topics.enable': 'false' });
  assert.deepEqual(codesOf((await answerTo(metadataHandler(off), 1, { topics: [{ name: 'x' }] })).topics), { x: 3 });
});

test('requests for the same new topic create it once', async () => {
  const services = new FakeServices();
  let release: () => void = () => {};
  services.admin.hold = new Promise((resolve) => (release = resolve));
  const handler = metadataHandler(services);
  const pending = [1, 2, 3].map(() => answerTo(handler, 9, { topics: [{ name: 'new' }] }));
  await services.clock.settle();
  release();
  for (const answer of await Promise.all(pending)) assert.deepEqual(codesOf(answer.topics), { new: 0 });
  assert.equal(services.admin.created.length, 1);
});

test('a creation that takes long does not hold the answer for ever', async () => {
  const services = new FakeServices();
  services.admin.hold = new Promise(() => {});
  const pending = answerTo(metadataHandler(services), 9, { topics: [{ name: 'new' }] });
  await services.clock.advance(5000);
  assert.deepEqual(codesOf((await pending).topics), { new: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION });
});

test('a request with very many unknown names creates few topics (B53)', async () => {
  const services = new FakeServices();
  const topics = Array.from({ length: 5000 }, (_, index) => ({ name: `t${index}` }));
  const answer = await answerTo(metadataHandler(services), 9, { topics });
  assert.equal(services.admin.created.length, 100);
  assert.equal(answer.topics.filter((topic) => topic.errorCode === ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION).length, 4900);
});

test('a new name that differs from a topic only in dots and underscores is not created', async () => {
  const services = new FakeServices();
  services.addTopic('a.b');
  await answerTo(metadataHandler(services), 9, { topics: [{ name: 'a_b' }] });
  assert.equal(services.admin.created.length, 0);
});

test('topics by id', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const known = { topicId: services.topicId('t'), name: null };
  const answer = await answerTo(metadataHandler(services), 12, { topics: [known, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', name: null }] });
  assert.deepEqual(
    answer.topics.map((topic) => [topic.name, topic.errorCode]),
    [
      ['t', 0],
      [null, ErrorCodes.UNKNOWN_TOPIC_ID],
    ],
  );
  const old = await answerTo(metadataHandler(services), 10, { topics: [known] });
  assert.deepEqual([old.topics[0]!.errorCode, old.brokers.length], [ErrorCodes.INVALID_REQUEST, 0]);
});

test('a partition without an owner has leader -1 and no error, since LEADER_NOT_AVAILABLE is final for some clients', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  services.image.leader = -1;
  const [partition] = (await answerTo(metadataHandler(services), 9, { topics: [{ name: 't' }] })).topics[0]!.partitions;
  assert.deepEqual([partition!.errorCode, partition!.leaderId, partition!.replicaNodes], [0, -1, []]);
});

test('operations are told only when asked for', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const handler = metadataHandler(services);
  const asked = await answerTo(handler, 9, { topics: [{ name: 't' }], includeTopicAuthorizedOperations: true, includeClusterAuthorizedOperations: true });
  assert.deepEqual([asked.topics[0]!.topicAuthorizedOperations, asked.clusterAuthorizedOperations], [3576, 8096]);
  const plain = await answerTo(handler, 9, { topics: [{ name: 't' }] });
  assert.deepEqual([plain.topics[0]!.topicAuthorizedOperations, plain.clusterAuthorizedOperations], [-2_147_483_648, -2_147_483_648]);
});

test('DescribeCluster answers for brokers only', async () => {
  const handler = describeClusterHandler(new FakeServices());
  const answer = await answerTo(handler, 2, { includeClusterAuthorizedOperations: true, endpointType: 1 });
  assert.deepEqual([answer.errorCode, answer.brokers.length, answer.controllerId, answer.clusterAuthorizedOperations], [0, 2, 1, 8096]);
  assert.equal((await answerTo(handler, 1, { includeClusterAuthorizedOperations: false, endpointType: 2 })).errorCode, ErrorCodes.MISMATCHED_ENDPOINT_TYPE);
  assert.equal((await answerTo(handler, 1, { includeClusterAuthorizedOperations: false, endpointType: 9 })).errorCode, ErrorCodes.UNSUPPORTED_ENDPOINT_TYPE);
});

test('DescribeTopicPartitions goes through all partitions page by page', async () => {
  const services = new FakeServices();
  services.addTopic('a', 3);
  services.addTopic('b', 2);
  services.addTopic('c', 4);
  const handler = describeTopicPartitionsHandler(services);
  const seen: string[] = [];
  let cursor: { topicName: string; partitionIndex: number } | null = null;
  for (let page = 0; page < 20; page++) {
    const answer: ResponseOf<typeof ApiKeys.DescribeTopicPartitions> = await answerTo(handler, 0, { topics: [], responsePartitionLimit: 2, cursor });
    for (const topic of answer.topics) for (const partition of topic.partitions) seen.push(`${topic.name}${partition.partitionIndex}`);
    cursor = answer.nextCursor;
    if (cursor === null) break;
  }
  assert.deepEqual(seen, ['a0', 'a1', 'a2', 'b0', 'b1', 'c0', 'c1', 'c2', 'c3']);
});

test('DescribeTopicPartitions: missing names, bad cursors, limits', async () => {
  const services = new FakeServices({ 'max.request.partition.size.limit': '3' });
  services.addTopic('t', 5);
  const handler = describeTopicPartitionsHandler(services);
  const missing = await answerTo(handler, 0, { topics: [{ name: 'nope' }, { name: 'b d' }], cursor: null });
  assert.deepEqual(codesOf(missing.topics), { 'b d': ErrorCodes.INVALID_TOPIC_EXCEPTION, nope: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION });
  const bad = await answerTo(handler, 0, { topics: [{ name: 't' }], cursor: { topicName: 't', partitionIndex: -2 } });
  assert.deepEqual(codesOf(bad.topics), { t: ErrorCodes.INVALID_REQUEST });
  const limited = await answerTo(handler, 0, { topics: [{ name: 't' }], responsePartitionLimit: 1000, cursor: null });
  assert.deepEqual([limited.topics[0]!.partitions.length, limited.nextCursor], [3, { topicName: 't', partitionIndex: 3 }]);
});
