/** The requests of groups as clients send them, over a coordinator with its log in memory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { GroupBroker } from '../../../test/coordinator/group-broker.ts';
import { GroupMember } from '../../../test/coordinator/group-member.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys, type JoinGroupRequestInput } from '../../protocol/messages.gen.ts';

const join: JoinGroupRequestInput = {
  groupId: 'g',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }],
};

/** No answer yet. */
function waits(pending: { readonly answer?: unknown }): void {
  assert.equal(pending.answer, undefined);
}

test('the first request for a coordinator creates its topic, and until that is done there is none', async () => {
  const broker = new GroupBroker({ partitions: 50, ready: false });
  let finish = () => {};
  const create = broker.admin;
  broker.admin = (topic) => new Promise((resolve) => (finish = () => void create(topic).then(resolve)));
  const find = async () =>
    (await broker.ask(ApiKeys.FindCoordinator, 4, { coordinatorKeys: ['g', 'h'] })).coordinators.map(({ errorCode, nodeId }) => [errorCode, nodeId]);
  const nobody = [ErrorCodes.COORDINATOR_NOT_AVAILABLE, -1];
  assert.deepEqual(await find(), [nobody, nobody]);
  assert.deepEqual(await find(), [nobody, nobody]);
  finish();
  await broker.clock.settle();
  assert.deepEqual(
    broker.created,
    ['__consumer_offsets 50 {"cleanup.policy":"compact","compression.type":"producer","segment.bytes":"104857600"}'],
    'created once',
  );
  assert.deepEqual(await find(), [
    [ErrorCodes.NONE, 1],
    [ErrorCodes.NONE, 1],
  ]);
  const old = await broker.ask(ApiKeys.FindCoordinator, 0, { key: 'g' });
  assert.deepEqual([old.errorCode, old.nodeId, old.host, old.port], [0, 1, 'here', 9092]);
});

test('a failed creation of the topic is tried again by the next request', async () => {
  const broker = new GroupBroker({ ready: false });
  const create = broker.admin;
  broker.admin = () => Promise.reject(new Error('no metadata store'));
  await broker.ask(ApiKeys.FindCoordinator, 3, { key: 'g' });
  broker.admin = create;
  await broker.ask(ApiKeys.FindCoordinator, 3, { key: 'g' });
  assert.equal((await broker.ask(ApiKeys.FindCoordinator, 3, { key: 'g' })).errorCode, ErrorCodes.NONE);
});

test('coordinators of transactions and share groups, of groups without a leader, and of dead brokers are not there', async () => {
  const broker = new GroupBroker();
  const errorOf = async (keyType: number) => (await broker.ask(ApiKeys.FindCoordinator, 6, { coordinatorKeys: ['k'], keyType })).coordinators[0]?.errorCode;
  assert.equal(await errorOf(1), ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  assert.equal(await errorOf(2), ErrorCodes.INVALID_REQUEST);
  assert.equal(await errorOf(0), ErrorCodes.NONE);
  broker.leader = -1;
  assert.equal(await errorOf(0), ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  broker.leader = 7;
  assert.equal(await errorOf(0), ErrorCodes.COORDINATOR_NOT_AVAILABLE);
});

test('two members share a group through joining, assigning, heartbeats and leaving', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  const b = new GroupMember(broker);
  await a.joinAlone();
  const joinB = await b.join();
  waits(joinB);
  assert.equal(await a.beat(), ErrorCodes.REBALANCE_IN_PROGRESS);
  const joinA = await a.join();
  a.learn(joinA.answer);
  b.learn(joinB.answer);
  assert.deepEqual([a.generationId, a.leads, b.leads, b.others], [2, true, false, []]);
  assert.deepEqual(new Set(a.others), new Set([a.memberId, b.memberId]));
  const syncB = await b.sync();
  waits(syncB);
  const syncA = await a.sync({ [a.memberId]: 'p0', [b.memberId]: 'p1', 'no-member': 'x' });
  assert.equal(syncA.answer?.assignment.toString(), 'p0');
  assert.deepEqual([syncB.answer?.assignment.toString(), syncB.answer?.protocolName, syncB.answer?.protocolType], ['p1', 'range', 'consumer']);
  assert.deepEqual([await a.beat(), await b.beat()], [0, 0]);
  assert.equal(await a.leave(), ErrorCodes.NONE);
  assert.equal(await b.beat(), ErrorCodes.REBALANCE_IN_PROGRESS);
  assert.equal(await a.beat(), ErrorCodes.UNKNOWN_MEMBER_ID);
});

test('nobody learns an assignment before it is durable', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  const pending = await a.join();
  await broker.clock.advance(1);
  a.learn(pending.answer);
  broker.logOf('g').held = true;
  const sync = await a.sync({ [a.memberId]: 'p0' });
  waits(sync);
  broker.logOf('g').upload();
  await broker.clock.settle();
  assert.equal(sync.answer?.assignment.toString(), 'p0');
});

test('an assignment that is not durable in time is refused, so that clients try again', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  const pending = await a.join();
  await broker.clock.advance(1);
  a.learn(pending.answer);
  broker.logOf('g').held = true;
  const sync = await a.sync({ [a.memberId]: 'p0' });
  await broker.clock.advance(5_000);
  assert.equal(sync.answer?.errorCode, ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  assert.equal(await a.beat(), ErrorCodes.REBALANCE_IN_PROGRESS);
});

test('members that stop sending heartbeats are removed, whatever the wall clock says', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker, { sessionTimeoutMs: 6_000 });
  await a.joinAlone();
  await broker.clock.advance(5_000);
  assert.equal(await a.beat(), ErrorCodes.NONE);
  await broker.clock.advance(5_000);
  assert.equal(await a.beat(), ErrorCodes.NONE);
  await broker.clock.advance(6_000);
  assert.equal(await a.beat(), ErrorCodes.UNKNOWN_MEMBER_ID);
});

test('requests for a group that is kept elsewhere, is loading or has no topic say so', async () => {
  const broker = new GroupBroker({ partitions: 2, ready: false });
  const a = new GroupMember(broker);
  assert.equal((await a.join()).answer?.errorCode, ErrorCodes.NOT_COORDINATOR);
  broker.addTopic('__consumer_offsets', 2);
  assert.equal((await a.join()).answer?.errorCode, ErrorCodes.NOT_COORDINATOR);
  broker.elsewhere = { kind: 'opening', ready: Promise.resolve() };
  assert.equal((await a.join()).answer?.errorCode, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  assert.equal(await a.beat(), ErrorCodes.NONE, 'a heartbeat during loading keeps the member calm');
  const described = await broker.ask(ApiKeys.DescribeGroups, 6, { groups: ['g'] });
  assert.equal(described.groups[0]?.errorCode, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS);
  await broker.coordinator.close();
  assert.equal((await a.join()).answer?.errorCode, ErrorCodes.COORDINATOR_NOT_AVAILABLE);
});

test('impossible joins are refused with the codes that clients know', async () => {
  const broker = new GroupBroker();
  const errorOf = async (request: Partial<JoinGroupRequestInput>, version = 9) =>
    (await broker.ask(ApiKeys.JoinGroup, version, { ...join, ...request })).errorCode;
  const protocols = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `p${index}`, metadata: Buffer.alloc(1) }));
  assert.equal(await errorOf({ groupId: '' }), ErrorCodes.INVALID_GROUP_ID);
  assert.equal(await errorOf({ groupId: '\u{ffff}'.repeat(10_000), memberId: 'm' }), ErrorCodes.UNKNOWN_MEMBER_ID);
  assert.equal(await errorOf({ sessionTimeoutMs: 0 }), ErrorCodes.INVALID_SESSION_TIMEOUT);
  assert.equal(await errorOf({ sessionTimeoutMs: 1_800_001 }), ErrorCodes.INVALID_SESSION_TIMEOUT);
  assert.equal(await errorOf({ protocols: [] }), ErrorCodes.INCONSISTENT_GROUP_PROTOCOL);
  assert.equal(await errorOf({ protocolType: '' }), ErrorCodes.INCONSISTENT_GROUP_PROTOCOL);
  assert.equal(await errorOf({ protocols: protocols(1_000) }), ErrorCodes.INCONSISTENT_GROUP_PROTOCOL);
  assert.equal(await errorOf({ protocols: [{ name: 'range', metadata: Buffer.alloc(10 << 20) }] }), ErrorCodes.INVALID_REQUEST);
  assert.equal(await errorOf({ memberId: 'made-up' }), ErrorCodes.UNKNOWN_MEMBER_ID);
  assert.equal(await errorOf({ memberId: 'made-up', groupInstanceId: 'i' }), ErrorCodes.UNKNOWN_MEMBER_ID);
  assert.equal(broker.metrics.value('automq_groups'), 0, 'refused joins leave nothing behind');
});

test('a group that nobody really joined is forgotten with its pending members', async () => {
  const broker = new GroupBroker();
  const { memberId, errorCode } = await broker.ask(ApiKeys.JoinGroup, 4, join, 'app');
  assert.equal(errorCode, ErrorCodes.MEMBER_ID_REQUIRED);
  assert.match(memberId, /^app-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(broker.metrics.value('automq_groups'), 1);
  await broker.ask(ApiKeys.LeaveGroup, 2, { groupId: 'g', memberId });
  assert.equal(broker.metrics.value('automq_groups'), 0);
});

test('every version of JoinGroup gets an answer that it can carry', async () => {
  for (let version = 0; version <= 9; version += 1) {
    const broker = new GroupBroker();
    const first = await broker.send(ApiKeys.JoinGroup, version, join);
    const pending =
      first.answer?.errorCode === ErrorCodes.MEMBER_ID_REQUIRED
        ? await broker.send(ApiKeys.JoinGroup, version, { ...join, memberId: first.answer.memberId })
        : first;
    await broker.clock.advance(1);
    const { answer } = pending;
    assert.deepEqual(
      [answer?.errorCode, answer?.generationId, answer?.protocolName, answer?.leader, answer?.members.length],
      [0, 1, 'range', answer?.memberId, 1],
    );
    const refused = await broker.ask(ApiKeys.JoinGroup, version, { ...join, protocolType: 'other' });
    assert.deepEqual([refused.errorCode, refused.protocolName], [ErrorCodes.INCONSISTENT_GROUP_PROTOCOL, version < 7 ? '' : null]);
  }
});

test('SyncGroup, LeaveGroup and Heartbeat answer in every version', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  await a.joinAlone();
  const { groupId, memberId, generationId } = a;
  for (let version = 0; version <= 5; version += 1) {
    const answer = await broker.ask(ApiKeys.SyncGroup, version, {
      groupId,
      memberId,
      generationId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [],
    });
    assert.equal(answer.assignment.toString(), 'all');
  }
  assert.equal(
    (await broker.ask(ApiKeys.SyncGroup, 5, { groupId, memberId, generationId, assignments: [] })).errorCode,
    ErrorCodes.INCONSISTENT_GROUP_PROTOCOL,
  );
  assert.equal(
    (await broker.ask(ApiKeys.SyncGroup, 5, { groupId: 'none', memberId, generationId, protocolType: 'c', protocolName: 'r', assignments: [] })).errorCode,
    ErrorCodes.UNKNOWN_MEMBER_ID,
  );
  for (let version = 0; version <= 4; version += 1)
    assert.equal((await broker.ask(ApiKeys.Heartbeat, version, { groupId, memberId, generationId })).errorCode, ErrorCodes.NONE);
  assert.equal((await broker.ask(ApiKeys.Heartbeat, 4, { groupId: '', memberId, generationId })).errorCode, ErrorCodes.INVALID_GROUP_ID);
  assert.equal((await broker.ask(ApiKeys.LeaveGroup, 2, { groupId, memberId: 'nobody' })).errorCode, ErrorCodes.UNKNOWN_MEMBER_ID);
  const members = [{ memberId: 'nobody' }, { memberId }];
  const left = await broker.ask(ApiKeys.LeaveGroup, 4, { groupId, members });
  assert.deepEqual(
    left.members.map((member) => member.errorCode),
    [ErrorCodes.UNKNOWN_MEMBER_ID, ErrorCodes.NONE],
  );
  assert.deepEqual(
    (await broker.ask(ApiKeys.LeaveGroup, 3, { groupId: 'none', members })).members.map((member) => member.errorCode),
    [ErrorCodes.UNKNOWN_MEMBER_ID, ErrorCodes.UNKNOWN_MEMBER_ID],
  );
});

test('groups are described and listed with their phase, members and type', async () => {
  const broker = new GroupBroker({ partitions: 4 });
  broker.addTopic('t', 1);
  const a = new GroupMember(broker, { groupInstanceId: 'i1' });
  await a.joinAlone();
  const simple = new GroupMember(broker, { groupId: 'simple' });
  assert.equal(await simple.commit('t', 0, 5), ErrorCodes.NONE);
  const { groups } = await broker.ask(ApiKeys.DescribeGroups, 6, { groups: ['g', 'simple', 'none'], includeAuthorizedOperations: true });
  const [stable, empty, none] = groups;
  assert.deepEqual([stable?.groupState, stable?.protocolType, stable?.protocolData, stable?.errorCode], ['Stable', 'consumer', 'range', 0]);
  const [member] = stable?.members ?? [];
  assert.deepEqual(
    [member?.memberId, member?.groupInstanceId, member?.clientId, member?.clientHost, member?.memberAssignment.toString()],
    [a.memberId, 'i1', 'test', '/10.0.0.9', 'all'],
  );
  assert.equal(
    member?.memberMetadata.toString('hex'),
    '0000000000010001740000ffffffff'.replace('0000ffffffff', 'ffffffff'),
    'kept although the request is gone',
  );
  assert.deepEqual([empty?.groupState, empty?.protocolType, empty?.members.length], ['Empty', '', 0]);
  assert.deepEqual([none?.groupState, none?.errorCode, none?.errorMessage], ['Dead', ErrorCodes.GROUP_ID_NOT_FOUND, 'Group none not found.']);
  const old = await broker.ask(ApiKeys.DescribeGroups, 0, { groups: ['none'] });
  assert.deepEqual([old.groups[0]?.groupState, old.groups[0]?.errorCode], ['Dead', ErrorCodes.NONE]);

  const list = async (statesFilter: string[], typesFilter: string[]) =>
    (await broker.ask(ApiKeys.ListGroups, 5, { statesFilter, typesFilter })).groups
      .map(({ groupId, groupState, groupType, protocolType }) => `${groupId} ${groupState} ${groupType} ${protocolType}`)
      .sort();
  const both = ['g Stable classic consumer', 'simple Empty classic '];
  assert.deepEqual(await list([], []), both);
  assert.deepEqual(await list(['stable'], []), ['g Stable classic consumer']);
  assert.deepEqual(await list(['Empty', 'PreparingRebalance'], ['Classic']), ['simple Empty classic ']);
  assert.deepEqual(await list([], ['consumer']), []);
  assert.deepEqual(await list(['nonsense'], []), []);
  for (let version = 0; version <= 3; version += 1) assert.equal((await broker.ask(ApiKeys.ListGroups, version, {})).groups.length, 2);
});

test('a broker that loses the partition answers who waits, and the next coordinator goes on', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  const b = new GroupMember(broker);
  await a.joinAlone();
  const joinB = await b.join();
  await broker.takeOver();
  assert.equal(joinB.answer?.errorCode, ErrorCodes.NOT_COORDINATOR);
  assert.equal(await a.beat(), ErrorCodes.NONE, 'the generation is the same');
  assert.equal((await a.sync()).answer?.assignment.toString(), 'all');
  assert.equal((await b.join()).answer?.errorCode, ErrorCodes.UNKNOWN_MEMBER_ID, 'a member that was never in a generation starts again');
  await broker.clock.advance(10_000);
  assert.equal(await a.beat(), ErrorCodes.UNKNOWN_MEMBER_ID, 'its session ran out at the new coordinator');
});

test('a member that does not find the new coordinator is removed there when its session is over', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  await a.joinAlone();
  await broker.clock.advance(9_000);
  await broker.takeOver();
  const phase = async () => (await broker.ask(ApiKeys.ListGroups, 5, {})).groups[0]?.groupState;
  await broker.clock.advance(9_000);
  assert.equal(await phase(), 'Stable');
  await broker.clock.advance(1_000);
  assert.equal(await phase(), 'Empty');
});

test('closing answers every request that waits', async () => {
  const broker = new GroupBroker();
  const a = new GroupMember(broker);
  const b = new GroupMember(broker);
  await a.joinAlone();
  const waiting = [await b.join(), await new GroupMember(broker, { groupId: 'h' }).join()];
  assert.equal(broker.metrics.value('automq_group_waiting_requests'), 2);
  await broker.coordinator.close();
  await broker.coordinator.close();
  await broker.clock.settle();
  for (const { answer } of waiting) assert.equal(answer?.errorCode, ErrorCodes.NOT_COORDINATOR);
  assert.equal(broker.metrics.value('automq_group_waiting_requests'), 0);
  assert.equal(broker.clock.pendingTimers, 0);
});
