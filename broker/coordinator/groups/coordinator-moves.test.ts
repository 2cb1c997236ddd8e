/** Partitions of `__consumer_offsets` that come and go: what clients see of it, and that nothing stays behind. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { GroupBroker, offsetsTopicId } from '../../../test/coordinator/group-broker.ts';
import type { FakePartitionLog } from '../../../test/coordinator/fake-partition-log.ts';
import { GroupMember } from '../../../test/coordinator/group-member.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';

/** The partition goes to another broker; how to bring it back. */
function moveAway(broker: GroupBroker): () => FakePartitionLog {
  const logs = broker.logs.splice(0);
  broker.coordinator.onPartitionClosed(offsetsTopicId, 0);
  return () => {
    broker.logs.push(...logs);
    broker.openAll();
    return broker.logOf('g');
  };
}

/** Reads wait until the returned function is called. */
function holdReads(log: FakePartitionLog): () => void {
  const read = log.read.bind(log);
  let answer = () => {};
  const held = new Promise<void>((resolve) => (answer = resolve));
  log.read = (...range) => held.then(() => read(...range));
  return () => answer();
}

/** Both are in the group, the first one leads it. */
async function stablePair(broker: GroupBroker): Promise<readonly [GroupMember, GroupMember]> {
  const [a, b] = [new GroupMember(broker), new GroupMember(broker)];
  await a.joinAlone();
  const joinB = await b.join();
  const joinA = await a.join();
  await broker.clock.advance(1);
  a.learn(joinA.answer);
  b.learn(joinB.answer);
  await a.sync({ [a.memberId]: 'of a', [b.memberId]: 'of b' });
  await b.sync();
  return [a, b];
}

function commitOf(broker: GroupBroker, member: GroupMember) {
  return broker.send(ApiKeys.OffsetCommit, 9, member.commitRequest('t', 0, 7));
}

test('a coordinator that moves without a change of members moves unnoticed: same members, same generation, no rebalance', async () => {
  const broker = new GroupBroker();
  broker.addTopic('t', 1);
  const [a, b] = await stablePair(broker);
  const rebalances = broker.metrics.value('automq_group_rebalances_total');
  for (let move = 0; move < 5; move += 1) {
    await broker.clock.advance(9_000);
    if (move % 2 === 0) moveAway(broker)();
    else await broker.takeOver();
    // Sessions begin anew: neither ran out although nobody was heard for longer than that.
    await broker.clock.advance(9_000);
    for (const member of [a, b]) assert.equal(await member.beat(), ErrorCodes.NONE);
  }
  assert.equal(await b.commit('t', 0, 5), ErrorCodes.NONE);
  assert.equal((await b.sync()).answer?.assignment.toString(), 'of b');
  assert.equal(broker.metrics.value('automq_group_rebalances_total'), rebalances);
});

test('who asks while the partition is elsewhere or loads learns which of both, and a heartbeat costs nobody the membership', async () => {
  const broker = new GroupBroker();
  broker.addTopic('t', 1);
  const [a] = await stablePair(broker);
  const asked = async () => {
    const { groupId, memberId } = a;
    const fetched = await broker.ask(ApiKeys.OffsetFetch, 9, { groups: [{ groupId, memberId, topics: null }] });
    return [
      await a.beat(),
      (await commitOf(broker, a)).answer?.topics[0]?.partitions[0]?.errorCode,
      (await a.sync()).answer?.errorCode,
      (await a.join()).answer?.errorCode,
      fetched.groups[0]?.errorCode,
    ];
  };
  const { NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, NONE } = ErrorCodes;
  const back = moveAway(broker);
  assert.deepEqual(await asked(), [NOT_COORDINATOR, NOT_COORDINATOR, NOT_COORDINATOR, NOT_COORDINATOR, NOT_COORDINATOR]);
  broker.elsewhere = { kind: 'opening', ready: new Promise(() => {}) };
  const loading = [NONE, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_LOAD_IN_PROGRESS];
  assert.deepEqual(await asked(), loading, 'before the log is open');
  const log = back();
  const answerRead = holdReads(log);
  moveAway(broker)();
  assert.deepEqual(await asked(), loading, 'while the log is read');
  answerRead();
  await broker.clock.settle();
  assert.equal(await a.beat(), NONE);
});

test('a partition that comes and goes many times leaves nothing behind, and answers at once who waits', async () => {
  const broker = new GroupBroker();
  broker.addTopic('t', 1);
  await stablePair(broker);
  const log = broker.logOf('g');
  const gauges = ['waiting_requests', 'pending_bytes', 's', 'offsets', 'live_bytes', 'history_bytes'].map(
    (name) => `automq_group${name === 's' ? 's' : `_${name}`}`,
  );
  for (let move = 0; move < 30; move += 1) {
    const waiting: { readonly answer?: { readonly errorCode: number } }[] = [];
    let committing: Awaited<ReturnType<typeof commitOf>> | undefined;
    if (move % 3 !== 0) {
      // Loaded, with a member that waits to join, one that waits for an assignment, and a commit on its way.
      await broker.clock.settle();
      const [joining, syncing] = [new GroupMember(broker), new GroupMember(broker, { groupId: `h${move}` })];
      waiting.push(await joining.join());
      const alone = await syncing.join();
      await broker.clock.advance(1);
      syncing.learn(alone.answer);
      log.held = true;
      waiting.push(await syncing.sync({ [syncing.memberId]: 'all' }));
      committing = await commitOf(broker, new GroupMember(broker, { groupId: `simple${move}` }));
      assert.equal(broker.metrics.value('automq_group_waiting_requests'), 2);
      assert.deepEqual(
        [...waiting, committing].map(({ answer }) => answer),
        [undefined, undefined, undefined],
      );
    }
    const back = moveAway(broker);
    await broker.clock.settle();
    for (const { answer } of waiting) assert.equal(answer?.errorCode, ErrorCodes.NOT_COORDINATOR);
    if (committing) assert.equal(committing.answer?.topics[0]?.partitions[0]?.errorCode, ErrorCodes.NOT_COORDINATOR);
    for (const gauge of gauges) assert.equal(broker.metrics.value(gauge), 0, gauge);
    assert.equal(broker.metrics.value('automq_group_deadlines'), 1, 'nothing but the next clean-up');
    assert.equal(broker.clock.pendingTimers, 1);
    log.held = false;
    log.upload();
    await broker.clock.settle();
    back();
  }
});

test('closing does not wait for storage that does not answer', async () => {
  const broker = new GroupBroker();
  await new GroupMember(broker).joinAlone();
  holdReads(broker.logOf('g'));
  moveAway(broker)();
  await broker.clock.settle();
  await broker.clock.until(broker.coordinator.close());
});

test('FindCoordinator names the leader of the moment, also one that still opens the partition, and nobody when there is none', async () => {
  const broker = new GroupBroker();
  const node = (id: number) => ({ node: id as NodeId, host: `host-${id}`, port: 9092, rack: undefined, draining: false });
  broker.brokers = [node(1), node(2)];
  const found = async () => {
    const [{ errorCode, nodeId } = { errorCode: -1, nodeId: -1 }] = (await broker.ask(ApiKeys.FindCoordinator, 4, { coordinatorKeys: ['g'] })).coordinators;
    return [errorCode, nodeId];
  };
  assert.deepEqual(await found(), [ErrorCodes.NONE, 1]);
  moveAway(broker);
  broker.leader = 2;
  assert.deepEqual(await found(), [ErrorCodes.NONE, 2]);
  broker.brokers = [node(1)];
  assert.deepEqual(await found(), [ErrorCodes.COORDINATOR_NOT_AVAILABLE, -1], 'its broker is dead');
  broker.leader = -1;
  assert.deepEqual(await found(), [ErrorCodes.COORDINATOR_NOT_AVAILABLE, -1]);
});
