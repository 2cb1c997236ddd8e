/** Committed offsets as clients see them, over a coordinator with its log in memory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { GroupBroker } from '../../../test/coordinator/group-broker.ts';
import { GroupMember } from '../../../test/coordinator/group-member.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys, type OffsetCommitRequestInput } from '../../protocol/messages.gen.ts';
import { zeroTopicId } from './group-records.ts';

const hourMs = 3_600_000;
/** offsets.retention.minutes of three hours. */
const shortRetention = { 'offsets.retention.minutes': '180' };

/** No answer yet. */
function waits(pending: { readonly answer?: unknown }): void {
  assert.equal(pending.answer, undefined);
}

function brokerWithTopics(config: Readonly<Record<string, string>> = {}): GroupBroker {
  const broker = new GroupBroker({ config });
  broker.addTopic('t', 3);
  broker.addTopic('u', 1);
  return broker;
}

/** `offset@epoch "metadata"` of partitions 0… of topic t. */
async function fetched(broker: GroupBroker, groupId = 'g', partitions: readonly number[] = [0], topic = 't'): Promise<string[]> {
  const { groups } = await broker.ask(ApiKeys.OffsetFetch, 9, { groups: [{ groupId, topics: [{ name: topic, partitionIndexes: partitions }] }] });
  assert.equal(groups[0]?.errorCode, ErrorCodes.NONE);
  return (groups[0]?.topics[0]?.partitions ?? []).map((partition) => `${partition.committedOffset}@${partition.committedLeaderEpoch} "${partition.metadata}"`);
}

function commitOf(groupId: string, partition: number, offset: number, metadata: string | null = ''): OffsetCommitRequestInput {
  return {
    groupId,
    memberId: '',
    topics: [{ name: 't', partitions: [{ partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: 4, committedMetadata: metadata }] }],
  };
}

test('a commit is answered when it is durable, and shown from then on', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  log.held = true;
  const commit = await broker.send(ApiKeys.OffsetCommit, 8, commitOf('g', 1, 42, 'where I was'));
  assert.deepEqual(await fetched(broker, 'g', [0, 1]), ['-1@-1 ""', '-1@-1 ""']);
  log.upload();
  await broker.clock.settle();
  assert.equal(commit.answer?.topics[0]?.partitions[0]?.errorCode, ErrorCodes.NONE);
  assert.deepEqual(await fetched(broker, 'g', [0, 1]), ['-1@-1 ""', '42@4 "where I was"']);
  await broker.takeOver();
  assert.deepEqual(await fetched(broker, 'g', [1]), ['42@4 "where I was"'], 'and after a takeover');
});

test('a fetch of stable offsets waits for the commits that are on their way', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 1));
  log.held = true;
  await broker.send(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 2));
  await broker.send(ApiKeys.OffsetCommit, 8, commitOf('other', 0, 9));
  const ask = (groupId: string) => broker.send(ApiKeys.OffsetFetch, 7, { groupId, topics: [{ name: 't', partitionIndexes: [0] }], requireStable: true });
  const stable = await ask('g');
  waits(stable);
  log.upload(1);
  await broker.clock.settle();
  assert.equal(stable.answer?.topics[0]?.partitions[0]?.committedOffset, 2);
  const late = await ask('other');
  await broker.clock.advance(5_000);
  assert.equal(late.answer?.errorCode, ErrorCodes.NOT_COORDINATOR, 'and not without end');
});

test('only members of the current generation commit, or anybody to a group without members', async () => {
  const broker = brokerWithTopics();
  const a = new GroupMember(broker, { groupInstanceId: 'i' });
  await a.joinAlone();
  assert.equal(await a.commit('t', 0, 7), ErrorCodes.NONE);
  const errorOf = async (request: Partial<OffsetCommitRequestInput>, version = 9) =>
    (await broker.ask(ApiKeys.OffsetCommit, version, { ...a.commitRequest('t', 0, 8), ...request })).topics[0]?.partitions[0]?.errorCode;
  assert.equal(await errorOf({ generationIdOrMemberEpoch: 9 }), ErrorCodes.ILLEGAL_GENERATION);
  assert.equal(await errorOf({ memberId: 'other', groupInstanceId: null }), ErrorCodes.UNKNOWN_MEMBER_ID);
  assert.equal(await errorOf({ memberId: 'other' }), ErrorCodes.FENCED_INSTANCE_ID);
  assert.equal(await errorOf({ memberId: '', groupInstanceId: null, generationIdOrMemberEpoch: -1 }), ErrorCodes.UNKNOWN_MEMBER_ID);
  assert.equal(await errorOf({ groupId: 'none' }), ErrorCodes.GROUP_ID_NOT_FOUND);
  assert.equal(await errorOf({ groupId: 'none' }, 8), ErrorCodes.ILLEGAL_GENERATION);
  assert.deepEqual(await fetched(broker), ['7@-1 ""']);
  const b = new GroupMember(broker);
  const joinB = await b.join();
  assert.equal(await a.commit('t', 0, 9), ErrorCodes.NONE, 'while a rebalance is prepared it may still commit');
  a.learn((await a.join()).answer);
  b.learn(joinB.answer);
  assert.equal(await a.commit('t', 0, 10), ErrorCodes.REBALANCE_IN_PROGRESS, 'before it knows its part it may not');
  assert.deepEqual(await fetched(broker), ['9@-1 ""']);
});

test('commits that cannot be are refused partition by partition', async () => {
  const broker = brokerWithTopics();
  const partition = (partitionIndex: number, metadata = '') => ({ partitionIndex, committedOffset: 1, committedMetadata: metadata });
  const { topics } = await broker.ask(ApiKeys.OffsetCommit, 9, {
    groupId: 'g',
    memberId: '',
    topics: [
      { name: 't', partitions: [partition(0), partition(1, 'x'.repeat(4_097)), partition(2, 'x'.repeat(4_096)), partition(3), partition(-1)] },
      { name: 'none', partitions: [partition(0)] },
    ],
  });
  assert.deepEqual(
    topics.map((topic) => topic.partitions.map(({ errorCode }) => errorCode)),
    [
      [0, ErrorCodes.OFFSET_METADATA_TOO_LARGE, 0, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION],
      [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ],
  );
  assert.deepEqual(
    (await fetched(broker, 'g', [0, 1, 2])).map((text) => text.slice(0, 2)),
    ['1@', '-1', '1@'],
  );
  const only = await broker.ask(ApiKeys.OffsetCommit, 9, { groupId: 'h', memberId: '', topics: [{ name: 'none', partitions: [partition(0)] }] });
  assert.equal(only.topics[0]?.partitions[0]?.errorCode, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  assert.equal(broker.metrics.value('automq_groups'), 1, 'a refused commit makes no group');
});

test('a commit that is larger than a record batch may be says so', async () => {
  const broker = brokerWithTopics();
  broker.addTopic('wide', 16_000);
  const partitions = Array.from({ length: 16_000 }, (_, partitionIndex) => ({ partitionIndex, committedOffset: 1, committedMetadata: 'some text' }));
  const { topics } = await broker.ask(ApiKeys.OffsetCommit, 9, { groupId: 'g', memberId: '', topics: [{ name: 'wide', partitions }] });
  assert.deepEqual(new Set(topics[0]?.partitions.map(({ errorCode }) => errorCode)), new Set([ErrorCodes.INVALID_COMMIT_OFFSET_SIZE]));
  assert.equal(broker.metrics.value('automq_groups'), 0);
});

test('every version of OffsetCommit and OffsetFetch carries offsets', async () => {
  for (let version = 2; version <= 10; version += 1) {
    const broker = brokerWithTopics();
    const { topicId } = broker.topics.get('t') ?? { topicId: '' };
    const partitions = [{ partitionIndex: 1, committedOffset: 11, committedMetadata: null }];
    const commit = await broker.ask(ApiKeys.OffsetCommit, version, {
      groupId: 'g',
      memberId: '',
      topics: [version >= 10 ? { topicId, partitions } : { name: 't', partitions }],
    });
    assert.equal(commit.topics[0]?.partitions[0]?.errorCode, ErrorCodes.NONE);
    assert.deepEqual(await fetched(broker, 'g', [1]), ['11@-1 ""']);
  }
  const broker = brokerWithTopics();
  const { topicId } = broker.topics.get('t') ?? { topicId: '' };
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 1, 11, 'm'));
  for (let version = 1; version <= 7; version += 1) {
    const answer = await broker.ask(ApiKeys.OffsetFetch, version, { groupId: 'g', topics: [{ name: 't', partitionIndexes: [1, 2] }] });
    assert.deepEqual([answer.errorCode, answer.topics[0]?.partitions.map((partition) => partition.committedOffset)], [0, [11, -1]]);
    assert.equal(answer.topics[0]?.partitions[0]?.metadata, 'm');
  }
  for (let version = 8; version <= 10; version += 1) {
    const asked = version >= 10 ? { topicId, partitionIndexes: [1] } : { name: 't', partitionIndexes: [1] };
    const { groups } = await broker.ask(ApiKeys.OffsetFetch, version, {
      groups: [
        { groupId: 'g', topics: [asked] },
        { groupId: 'g', topics: null },
        { groupId: 'none', topics: null },
      ],
    });
    assert.deepEqual(
      groups.map((group) => [group.groupId, group.topics.map((topic) => topic.partitions.map((partition) => partition.committedOffset))]),
      [
        ['g', [[11]]],
        ['g', [[11]]],
        ['none', []],
      ],
    );
    assert.equal(groups[1]?.topics[0]?.[version >= 10 ? 'topicId' : 'name'], version >= 10 ? topicId : 't');
  }
});

test('unknown topic ids are told, and a coordinator elsewhere, where the version has a place for it', async () => {
  const broker = brokerWithTopics();
  const unknown = Buffer.alloc(16, 7).toString('base64url');
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }];
  const commit = await broker.ask(ApiKeys.OffsetCommit, 10, { groupId: 'g', memberId: '', topics: [{ topicId: unknown, partitions }] });
  assert.deepEqual([commit.topics[0]?.topicId, commit.topics[0]?.partitions[0]?.errorCode], [unknown, ErrorCodes.UNKNOWN_TOPIC_ID]);
  const byId = await broker.ask(ApiKeys.OffsetFetch, 10, { groups: [{ groupId: 'g', topics: [{ topicId: unknown, partitionIndexes: [0] }] }] });
  assert.deepEqual([byId.groups[0]?.topics[0]?.topicId, byId.groups[0]?.topics[0]?.partitions[0]?.errorCode], [unknown, ErrorCodes.UNKNOWN_TOPIC_ID]);
  await broker.coordinator.close();
  const topics = [{ name: 't', partitionIndexes: [0] }];
  const errors = [];
  for (const version of [1, 2, 7]) {
    const answer = await broker.ask(ApiKeys.OffsetFetch, version, { groupId: 'g', topics });
    errors.push([answer.errorCode, answer.topics[0]?.partitions[0]?.errorCode]);
  }
  const last = await broker.ask(ApiKeys.OffsetFetch, 8, { groups: [{ groupId: 'g', topics }] });
  errors.push([last.groups[0]?.errorCode, last.groups[0]?.topics.length]);
  const gone = ErrorCodes.COORDINATOR_NOT_AVAILABLE;
  assert.deepEqual(errors, [
    [0, gone],
    [gone, undefined],
    [gone, undefined],
    [gone, 0],
  ]);
});

test('offsets of a deleted topic go, and never show in a new topic of that name', async () => {
  const broker = brokerWithTopics();
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 5));
  const old = broker.topics.get('t');
  broker.addTopic('t', 3, Buffer.alloc(16, 9).toString('base64url') as NonNullable<typeof old>['topicId']);
  assert.deepEqual(await fetched(broker), ['-1@-1 ""'], 'another topic');
  assert.deepEqual((await broker.ask(ApiKeys.OffsetFetch, 8, { groups: [{ groupId: 'g', topics: null }] })).groups[0]?.topics, []);
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 1, 6));
  if (old) broker.coordinator.onTopicDeleted('t', old.topicId);
  await broker.clock.settle();
  await broker.takeOver();
  assert.equal(broker.metrics.value('automq_group_offsets'), 1);
  assert.deepEqual(await fetched(broker, 'g', [0, 1]), ['-1@-1 ""', '6@4 ""']);
});

test('a topic that is deleted while groups are loaded takes its offsets with it', async () => {
  const broker = brokerWithTopics();
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 5));
  const old = broker.topics.get('t');
  broker.topics.delete('t');
  broker.coordinator.onPartitionOpened(broker.logOf('g'));
  if (old) broker.coordinator.onTopicDeleted('t', old.topicId);
  await broker.clock.settle();
  assert.deepEqual(await fetched(broker), ['-1@-1 ""']);
});

test('an administrator deletes offsets of topics that nobody consumes', async () => {
  const broker = brokerWithTopics();
  const a = new GroupMember(broker, { topics: ['t'] });
  await a.joinAlone();
  await a.commit('t', 0, 1);
  await a.commit('u', 0, 2);
  const ask = (groupId: string) =>
    broker.ask(ApiKeys.OffsetDelete, 0, {
      groupId,
      topics: [
        { name: 't', partitions: [{ partitionIndex: 0 }, { partitionIndex: 9 }] },
        { name: 'u', partitions: [{ partitionIndex: 0 }] },
      ],
    });
  const { errorCode, topics } = await ask('g');
  assert.deepEqual(
    [errorCode, topics.map((topic) => topic.partitions.map((partition) => partition.errorCode))],
    [0, [[ErrorCodes.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION], [0]]],
  );
  assert.deepEqual([await fetched(broker), await fetched(broker, 'g', [0], 'u')], [['1@-1 ""'], ['-1@-1 ""']]);
  assert.equal((await ask('none')).errorCode, ErrorCodes.GROUP_ID_NOT_FOUND);
  assert.equal((await ask('')).errorCode, ErrorCodes.INVALID_GROUP_ID);
});

test('an empty group is deleted with its offsets, also those on their way, and comes back empty', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  const a = new GroupMember(broker);
  await a.joinAlone();
  await a.commit('t', 0, 1);
  const remove = (...groupsNames: string[]) => broker.send(ApiKeys.DeleteGroups, 2, { groupsNames });
  assert.equal((await remove('g')).answer?.results[0]?.errorCode, ErrorCodes.NON_EMPTY_GROUP);
  await a.leave();
  log.held = true;
  await broker.send(ApiKeys.OffsetCommit, 8, commitOf('g', 1, 2));
  const removal = await remove('g', 'g', 'none');
  waits(removal);
  log.upload();
  await broker.clock.settle();
  assert.deepEqual(
    removal.answer?.results.map((result) => `${result.groupId} ${result.errorCode}`),
    ['g 0', `none ${ErrorCodes.GROUP_ID_NOT_FOUND}`],
  );
  log.held = false;
  assert.deepEqual(await fetched(broker, 'g', [0, 1]), ['-1@-1 ""', '-1@-1 ""']);
  await broker.takeOver();
  assert.equal(broker.metrics.value('automq_groups'), 0);
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 1, 3));
  assert.deepEqual(await fetched(broker, 'g', [0, 1]), ['-1@-1 ""', '3@4 ""']);
});

test('offsets of an empty group are kept for the retention time from when it became empty', async () => {
  const broker = brokerWithTopics(shortRetention);
  const a = new GroupMember(broker, { sessionTimeoutMs: 1_800_000 });
  await a.joinAlone();
  await a.commit('t', 0, 1);
  for (let hours = 0; hours < 5; hours += 0.25) {
    await broker.clock.advance(900_000);
    assert.equal(await a.beat(), ErrorCodes.NONE);
  }
  assert.deepEqual(await fetched(broker), ['1@-1 ""'], 'a group with members keeps what it consumes, however old');
  await a.leave();
  await broker.clock.advance(3 * hourMs - 700_000);
  assert.deepEqual(await fetched(broker), ['1@-1 ""']);
  await broker.takeOver();
  assert.deepEqual(await fetched(broker), ['1@-1 ""']);
  await broker.clock.advance(1_400_000);
  assert.deepEqual(await fetched(broker), ['-1@-1 ""']);
  assert.equal(broker.metrics.value('automq_groups'), 0, 'and the group is gone with them');
  await broker.takeOver();
  assert.equal(broker.metrics.value('automq_groups'), 0);
});

test('offsets of a simple group are kept from their commit, or as long as the commit said', async () => {
  const broker = brokerWithTopics(shortRetention);
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 1));
  await broker.ask(ApiKeys.OffsetCommit, 3, { ...commitOf('g', 1, 2), retentionTimeMs: 5 * hourMs });
  await broker.takeOver();
  await broker.clock.advance(2 * hourMs);
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 2, 3));
  await broker.clock.advance(2 * hourMs);
  assert.deepEqual(
    (await fetched(broker, 'g', [0, 1, 2])).map((text) => text.split('@')[0]),
    ['-1', '2', '3'],
  );
  await broker.clock.advance(2 * hourMs);
  assert.deepEqual(
    (await fetched(broker, 'g', [0, 1, 2])).map((text) => text.split('@')[0]),
    ['-1', '-1', '-1'],
  );
  assert.equal(broker.metrics.value('automq_groups'), 0);
});

test('what expires is not what is being committed', async () => {
  const broker = brokerWithTopics(shortRetention);
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 1));
  await broker.clock.advance(3 * hourMs - 1_000);
  const log = broker.logOf('g');
  log.held = true;
  await broker.send(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 2));
  await broker.clock.advance(700_000);
  log.held = false;
  log.upload();
  await broker.clock.settle();
  assert.deepEqual(await fetched(broker), ['2@4 ""']);
});

test('offsets of topics that a stable group no longer consumes expire', async () => {
  const broker = brokerWithTopics({ 'offsets.retention.minutes': '30' });
  const a = new GroupMember(broker, { topics: ['t'], sessionTimeoutMs: 1_800_000 });
  await a.joinAlone();
  await a.commit('t', 0, 1);
  await a.commit('u', 0, 2);
  await broker.clock.advance(1_500_000);
  assert.equal(await a.beat(), ErrorCodes.NONE);
  await broker.clock.advance(1_500_000);
  assert.deepEqual([await fetched(broker), await fetched(broker, 'g', [0], 'u')], [['1@-1 ""'], ['-1@-1 ""']]);
});

test('a commit whose fate is unknown is answered so that the client tries again, and the log decides', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  const a = new GroupMember(broker);
  await a.joinAlone();
  await a.commit('t', 0, 1);
  log.held = true;
  const commit = await broker.send(ApiKeys.OffsetCommit, 9, a.commitRequest('t', 0, 2));
  log.upload(1, 'unknown');
  await broker.clock.settle();
  assert.equal(commit.answer?.topics[0]?.partitions[0]?.errorCode, ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  const loading = await broker.ask(ApiKeys.OffsetFetch, 7, { groupId: 'g', topics: null });
  assert.equal(loading.errorCode, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS, 'nothing is shown while the log may still change');
  assert.equal(await a.beat(), ErrorCodes.NONE);
  await broker.clock.advance(60_000);
  assert.equal((await broker.ask(ApiKeys.ListGroups, 5, {})).errorCode, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  log.settleUnknown();
  log.held = false;
  await broker.clock.advance(1_000);
  assert.deepEqual(await fetched(broker), ['2@-1 ""']);
  assert.equal(await a.commit('t', 0, 3), ErrorCodes.NONE, 'the group is the same');
});

test('a fenced log makes clients look for the coordinator again', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  log.held = true;
  const commits = [await broker.send(ApiKeys.OffsetCommit, 9, commitOf('g', 0, 1)), await broker.send(ApiKeys.OffsetCommit, 9, commitOf('g', 0, 2))];
  log.upload(1, 'not-appended');
  await broker.clock.settle();
  for (const { answer } of commits) assert.equal(answer?.topics[0]?.partitions[0]?.errorCode, ErrorCodes.NOT_COORDINATOR);
  assert.equal((await broker.ask(ApiKeys.OffsetFetch, 7, { groupId: 'g', topics: null })).errorCode, ErrorCodes.NOT_COORDINATOR);
});

test('a log that refuses makes clients wait or look for the coordinator again', async () => {
  const broker = brokerWithTopics();
  const log = broker.logOf('g');
  const errorOf = async () => (await broker.ask(ApiKeys.OffsetCommit, 9, commitOf('g', 0, 1))).topics[0]?.partitions[0]?.errorCode;
  log.refusal = ErrorCodes.NOT_LEADER_OR_FOLLOWER;
  assert.equal(await errorOf(), ErrorCodes.NOT_COORDINATOR);
  log.refusal = ErrorCodes.NOT_ENOUGH_REPLICAS;
  assert.equal(await errorOf(), ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  assert.equal(broker.metrics.value('automq_groups'), 0);
  log.refusal = undefined;
  assert.equal(await errorOf(), ErrorCodes.NONE);
});

test('a slow log is waited for so long, and no more than so much piles up', async () => {
  const broker = new GroupBroker();
  broker.addTopic('t', 3);
  const log = broker.logOf('g');
  log.held = true;
  const slow = await broker.send(ApiKeys.OffsetCommit, 9, commitOf('g', 0, 1));
  await broker.clock.advance(4_999);
  waits(slow);
  await broker.clock.advance(1);
  assert.equal(slow.answer?.topics[0]?.partitions[0]?.errorCode, ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  assert.ok(broker.metrics.value('automq_group_pending_bytes') > 0, 'it is still on its way');
  log.upload();
  await broker.clock.settle();
  assert.deepEqual(await fetched(broker), ['1@4 ""'], 'and counts in the end');
  assert.equal(broker.metrics.value('automq_group_pending_bytes'), 0);

  const { storage } = broker.settings;
  const full = new GroupBroker({ settings: { storage: { ...storage, maxPendingBytes: 400 } } });
  full.addTopic('t', 3);
  full.logOf('g').held = true;
  const answers = [];
  for (let i = 0; i < 5; i += 1) answers.push(await full.send(ApiKeys.OffsetCommit, 9, commitOf('g', 0, i)));
  const refused = answers.filter(({ answer }) => answer?.topics[0]?.partitions[0]?.errorCode === ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  assert.ok(refused.length > 0 && refused.length < 5);
});

test('what is damaged is not believed: loading is tried again until it can be read', async () => {
  const broker = brokerWithTopics();
  await broker.ask(ApiKeys.OffsetCommit, 8, commitOf('g', 0, 5, 'metadata'));
  const log = broker.logOf('g');
  const [batch] = log.batches;
  assert.ok(batch);
  const text = batch.indexOf('metadata');
  batch.write('M', text);
  await broker.takeOver();
  const ask = async () => (await broker.ask(ApiKeys.OffsetFetch, 7, { groupId: 'g', topics: null })).errorCode;
  assert.equal(await ask(), ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  await broker.clock.advance(10_000);
  assert.equal(await ask(), ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  assert.ok(broker.metrics.value('automq_group_loads_total', 'failed') > 2);
  batch.write('m', text);
  log.readError = ErrorCodes.KAFKA_STORAGE_ERROR;
  await broker.clock.advance(40_000);
  assert.equal(await ask(), ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  log.readError = undefined;
  await broker.clock.advance(40_000);
  assert.deepEqual(await fetched(broker), ['5@4 "metadata"']);
});

test('topic ids that old records lack fit every topic', async () => {
  const broker = brokerWithTopics();
  await broker.ask(ApiKeys.OffsetCommit, 3, { ...commitOf('g', 0, 5), retentionTimeMs: hourMs });
  await broker.takeOver();
  assert.deepEqual(await fetched(broker), ['5@-1 ""']);
  const { groups } = await broker.ask(ApiKeys.OffsetFetch, 10, { groups: [{ groupId: 'g', topics: null }] });
  assert.notEqual(groups[0]?.topics[0]?.topicId, zeroTopicId);
});
