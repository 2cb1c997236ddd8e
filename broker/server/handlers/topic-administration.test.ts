/** CreateTopics, CreatePartitions, DeleteTopics, DeleteRecords: codes and texts as Apache Kafka 4.3 answered the same requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import { zeroUuid } from '../../protocol/layout.ts';
import type { ApiKeys, RequestInputOf } from '../../protocol/messages.gen.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { createPartitionsHandler } from './create-partitions.ts';
import { createTopicsHandler } from './create-topics.ts';
import { deleteRecordsHandler } from './delete-records.ts';
import { deleteTopicsHandler } from './delete-topics.ts';

type NewTopic = RequestInputOf<typeof ApiKeys.CreateTopics>['topics'][number];

function topic(name: string, more: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...more };
}

async function create(services: FakeServices, topics: readonly NewTopic[], options: { readonly version?: number; readonly validateOnly?: boolean } = {}) {
  const answer = await answerTo(createTopicsHandler(services), options.version ?? 7, { topics, timeoutMs: 1000, validateOnly: options.validateOnly ?? false });
  return answer.topics;
}

test('a topic is created with counts, configuration and id in the answer', async () => {
  const services = new FakeServices();
  const [created] = await create(services, [
    topic('t', {
      numPartitions: 3,
      replicationFactor: 3,
      configs: [
        { name: 'retention.ms', value: '5' },
        { name: 'preallocate', value: 'TRUE' },
      ],
    }),
  ]);
  assert.deepEqual([created!.errorCode, created!.numPartitions, created!.replicationFactor, created!.topicId], [0, 3, 1, services.topicId('t')]);
  assert.deepEqual(services.admin.created, [{ name: 't', partitionCount: 3, config: { 'retention.ms': '5', preallocate: 'true' } }]);
  const retention = created!.configs?.find((config) => config.name === 'retention.ms');
  assert.deepEqual([retention?.value, retention?.configSource, created!.configs?.length], ['5', 1, 33]);
});

test('-1 takes the broker defaults', async () => {
  const services = new FakeServices({ 'num.partitions': '6' });
  await create(services, [topic('t', { numPartitions: -1, replicationFactor: -1 })], { version: 4 });
  assert.equal(services.admin.created[0]!.partitionCount, 6);
});

test('validateOnly creates nothing', async () => {
  const services = new FakeServices();
  assert.equal((await create(services, [topic('t')], { validateOnly: true }))[0]!.errorCode, 0);
  assert.equal(services.admin.created.length, 0);
});

test('what Kafka refuses is refused with its code and text (B58)', async () => {
  const services = new FakeServices();
  services.addTopic('old');
  services.addTopic('a.b');
  const assigned = (...assignments: readonly [number, readonly number[]][]) => ({
    numPartitions: -1,
    replicationFactor: -1,
    assignments: assignments.map(([partitionIndex, brokerIds]) => ({ partitionIndex, brokerIds })),
  });
  const cases: [NewTopic, number, string | RegExp][] = [
    [topic('old'), 36, "Topic 'old' already exists."],
    [topic(''), 17, 'Topic name is invalid: the empty string is not allowed'],
    [topic('..'), 17, "Topic name is invalid: '..' is not allowed"],
    [topic('x'.repeat(250)), 17, /is longer than the max allowed length 249$/],
    [topic('a b'), 17, /contains one or more characters other than ASCII alphanumerics/],
    [topic('a_b'), 17, "Topic 'a_b' collides with existing topic: a.b"],
    [topic('__cluster_metadata'), 42, 'Creation of internal topic __cluster_metadata is prohibited.'],
    [topic('t', { numPartitions: 0 }), 37, 'Number of partitions was set to an invalid non-positive value.'],
    [topic('t', { numPartitions: -2 }), 37, 'Number of partitions was set to an invalid non-positive value.'],
    [topic('t', { numPartitions: 1_000_000_000 }), 44, 'Excessively large number of partitions per request.'],
    [topic('t', { replicationFactor: 0 }), 38, 'Replication factor must be larger than 0, or -1 to use the default value.'],
    [topic('t', { replicationFactor: -5 }), 38, 'Replication factor must be larger than 0, or -1 to use the default value.'],
    [topic('t', { ...assigned([0, [1]]), replicationFactor: 1 }), 42, 'A manual partition assignment was specified, but replication factor was not set to -1.'],
    [topic('t', { ...assigned([0, [1]]), numPartitions: 1 }), 42, 'A manual partition assignment was specified, but numPartitions was not set to -1.'],
    [topic('t', assigned([1, [1]])), 39, 'partitions should be a consecutive 0-based integer sequence'],
    [topic('t', assigned([0, []])), 39, 'The manual partition assignment includes an empty replica list.'],
    [topic('t', assigned([0, [7]])), 39, 'The manual partition assignment includes broker 7, but no such broker is registered.'],
    [topic('t', assigned([0, [1, 1]])), 39, 'The manual partition assignment includes the broker 1 more than once.'],
    [topic('t', assigned([0, [1]], [0, [2]])), 39, 'Found multiple manual partition assignments for partition 0'],
    [topic('t', assigned([0, [1, 2]])), 39, /assign each partition to one broker/],
    [topic('t', { configs: [{ name: 'retention.ms', value: null }] }), 40, 'Null value not supported for topic configs: retention.ms'],
    [topic('t', { configs: [{ name: 'foo', value: '1' }] }), 40, 'Unknown topic config name: foo'],
    [topic('t', { configs: [{ name: '__proto__', value: '1' }] }), 40, /Unknown topic config name/],
  ];
  for (const [asked, code, text] of cases) {
    const [result] = await create(services, [asked]);
    assert.equal(result!.errorCode, code, String(text));
    if (typeof text === 'string') assert.equal(result!.errorMessage, text);
    else assert.match(result!.errorMessage ?? '', text);
  }
  assert.equal(services.admin.created.length, 0);
});

test('assigned brokers become owners', async () => {
  const services = new FakeServices();
  await create(services, [
    topic('t', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [
        { partitionIndex: 1, brokerIds: [2] },
        { partitionIndex: 0, brokerIds: [1] },
      ],
    }),
  ]);
  assert.deepEqual(services.admin.created[0]!.assignment, [1, 2]);
});

test('a name that occurs twice is refused once, the others are created', async () => {
  const services = new FakeServices();
  const results = await create(services, [topic('d'), topic('d'), topic('e')]);
  assert.deepEqual(
    results.map((result) => [result.name, result.errorCode]),
    [
      ['d', ErrorCodes.INVALID_REQUEST],
      ['e', 0],
    ],
  );
});

test('more than 10,000 partitions in one request are refused as a whole', async () => {
  const services = new FakeServices();
  const many = Array.from({ length: 10_001 }, (_, index) => topic(`t${index}`));
  assert.ok((await create(services, many)).every((result) => result.errorCode === ErrorCodes.POLICY_VIOLATION));
});

test('CreatePartitions grows topics and refuses what is no growth', async () => {
  const services = new FakeServices();
  services.addTopic('t', 3);
  const grow = async (more: Partial<RequestInputOf<typeof ApiKeys.CreatePartitions>['topics'][number]>, validateOnly = false) => {
    const answer = await answerTo(createPartitionsHandler(services), 3, {
      topics: [{ name: 't', count: 5, assignments: null, ...more }],
      timeoutMs: 1,
      validateOnly,
    });
    return [answer.results[0]!.errorCode, answer.results[0]!.errorMessage];
  };
  assert.deepEqual(await grow({}, true), [0, null]);
  assert.equal(services.admin.grown.length, 0);
  assert.deepEqual(await grow({}), [0, null]);
  assert.deepEqual(services.admin.grown, [[services.topicId('t'), 5]]);
  assert.deepEqual(await grow({ count: 3 }), [37, 'Topic already has 3 partition(s).']);
  assert.deepEqual(await grow({ count: -1 }), [37, 'The topic t currently has 3 partition(s); -1 would not be an increase.']);
  assert.deepEqual((await grow({ count: 1_000_000_000 }))[0], 37);
  assert.deepEqual(await grow({ name: 'nope' }), [3, null]);
  assert.deepEqual(await grow({ assignments: [{ brokerIds: [1] }] }), [
    39,
    'Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.',
  ]);
  assert.deepEqual((await grow({ count: 4, assignments: [{ brokerIds: [9] }] }))[0], 39);
  assert.deepEqual(services.admin.grownOnto, [undefined]);
  assert.deepEqual(await grow({ assignments: [{ brokerIds: [2] }, { brokerIds: [1] }] }), [0, null]);
  assert.deepEqual(services.admin.grownOnto, [undefined, [2, 1]]);
});

test('nothing is assigned to a broker that drains', async () => {
  const services = new FakeServices();
  services.image.brokerList[1] = { ...services.image.brokerList[1]!, draining: true };
  const [refused] = await create(services, [topic('t', { numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: [2] }] })]);
  assert.equal(refused!.errorCode, ErrorCodes.INVALID_REPLICA_ASSIGNMENT);
  assert.match(refused!.errorMessage ?? '', /broker 2, which is draining/);
});

test('DeleteTopics by name and by id, and what it refuses (B59)', async () => {
  const services = new FakeServices();
  for (const name of ['a', 'b', 'c']) services.addTopic(name);
  const [a, b, c] = ['a', 'b', 'c'].map((name) => services.topicId(name));
  const remove = async (asked: readonly { readonly name: string | null; readonly topicId?: string }[]) => {
    const topics = asked.map(({ name, topicId }) => ({ name, topicId: topicId ?? zeroUuid }));
    const answer = await answerTo(deleteTopicsHandler(services), 6, { topics, timeoutMs: 1 });
    return answer.responses.map((result) => [result.name, result.errorCode, result.errorMessage]);
  };
  assert.deepEqual(await remove([{ name: 'a' }, { name: null, topicId: b! }]), [
    ['a', 0, null],
    ['b', 0, null],
  ]);
  assert.deepEqual(services.admin.deleted, [a, b]);
  assert.deepEqual(await remove([{ name: 'c', topicId: c! }, { name: null }, { name: 'nope' }]), [
    ['c', 42, 'You may not specify both topic name and topic id.'],
    [null, 42, 'Neither topic name nor id were specified.'],
    ['nope', 3, 'This server does not host this topic-partition.'],
  ]);
  assert.deepEqual(await remove([{ name: 'c' }, { name: 'c' }]), [['c', 42, 'Duplicate topic name.']]);
  assert.equal((await remove([{ name: null, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' }]))[0]![1], ErrorCodes.UNKNOWN_TOPIC_ID);
  assert.equal(services.admin.deleted.length, 2);
});

test('DeleteTopics can be switched off', async () => {
  const services = new FakeServices({ 'delete.topic.enable': 'false' });
  services.addTopic('a');
  const refused = async (version: number) =>
    (await answerTo(deleteTopicsHandler(services), version, { topicNames: ['a'], timeoutMs: 1 })).responses[0]!.errorCode;
  assert.deepEqual([await refused(2), await refused(5)], [ErrorCodes.INVALID_REQUEST, ErrorCodes.TOPIC_DELETION_DISABLED]);
});

test('DeleteRecords moves the log start, within the log and the policy (B59)', async () => {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  const [compacted] = services.addTopic('c');
  services.addTopic('__consumer_offsets');
  log!.fill(10);
  compacted!.config = { ...compacted!.config, cleanupPolicy: { delete: false, compact: true } };
  const remove = async (name: string, partitionIndex: number, offset: number) => {
    const answer = await answerTo(deleteRecordsHandler(services), 2, { topics: [{ name, partitions: [{ partitionIndex, offset }] }], timeoutMs: 100 });
    const [partition] = answer.topics[0]!.partitions;
    return [partition!.errorCode, partition!.lowWatermark];
  };
  assert.deepEqual(await remove('t', 0, 4), [0, 4]);
  assert.deepEqual(await remove('t', 0, -1), [0, 10]);
  assert.deepEqual(await remove('t', 0, 11), [ErrorCodes.OFFSET_OUT_OF_RANGE, -1]);
  assert.deepEqual(await remove('t', 0, -2), [ErrorCodes.OFFSET_OUT_OF_RANGE, -1]);
  assert.deepEqual(await remove('t', 9, 0), [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, -1]);
  assert.deepEqual(await remove('c', 0, 0), [ErrorCodes.POLICY_VIOLATION, -1]);
  assert.deepEqual(await remove('__consumer_offsets', 0, 0), [ErrorCodes.INVALID_TOPIC_EXCEPTION, -1]);
  log!.deleteRecordsBefore = () => new Promise(() => {});
  const late = remove('t', 0, 10);
  await services.clock.advance(100);
  assert.deepEqual(await late, [ErrorCodes.REQUEST_TIMED_OUT, -1]);
});
