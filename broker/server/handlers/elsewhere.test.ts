/** Requests at a broker that does not own the partition (any more, or yet): what clients are told, and who waits (KIP-951, design §5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ResponseMemory } from '../response-memory.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { deleteRecordsHandler } from './delete-records.ts';
import { describeLogDirsHandler } from './describe-log-dirs.ts';
import { describeProducersHandler } from './describe-producers.ts';
import { fetchHandler } from './fetch.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { metadataHandler } from './metadata.ts';
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts';
import { produceHandler } from './produce.ts';

const two = { nodeId: 2, host: 'two.example', port: 9002, rack: null };

function listOffset(services: FakeServices) {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1 }] }];
  return answerTo(listOffsetsHandler(services), 9, { replicaId: -1, isolationLevel: 0, topics }).then((answer) => answer.topics[0]!.partitions[0]!.errorCode);
}

function epochEnd(services: FakeServices) {
  const topics = [{ topic: 't', partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 3 }] }];
  return answerTo(offsetForLeaderEpochHandler(services), 4, { replicaId: -1, topics }).then((answer) => answer.topics[0]!.partitions[0]!.errorCode);
}

function describeProducers(services: FakeServices) {
  const topics = [{ name: 't', partitionIndexes: [0] }];
  return answerTo(describeProducersHandler(services), 0, { topics }).then((answer) => answer.topics[0]!.partitions[0]!.errorCode);
}

function deleteRecords(services: FakeServices) {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] }];
  return answerTo(deleteRecordsHandler(services), 2, { timeoutMs: 30_000, topics }).then((answer) => answer.topics[0]!.partitions[0]!.errorCode);
}

async function fetchOne(services: FakeServices, version: number, more: { readonly currentLeaderEpoch?: number } = {}) {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000, ...more }];
  const topics = [{ topic: 't', topicId: services.topicId('t'), partitions }];
  const handler = fetchHandler(services, new ResponseMemory(1_000_000));
  const answer = await answerTo(handler, version, { maxWaitMs: 500, minBytes: 1, maxBytes: 1_000_000, topics });
  const partition = answer.responses[0]!.partitions[0]!;
  return { error: partition.errorCode, leader: partition.currentLeader, nodes: answer.nodeEndpoints };
}

test('every request for the records of a partition says that another broker leads', async () => {
  const services = new FakeServices();
  services.addTopic('t')[0]!.fill(5);
  services.setLookup('t', 0, { kind: 'elsewhere', leader: 2, leaderEpoch: 9 });
  for (const ask of [listOffset, epochEnd, describeProducers, deleteRecords]) assert.equal(await ask(services), ErrorCodes.NOT_LEADER_OR_FOLLOWER, ask.name);
});

test('what needs the log of a partition waits until it is open', async () => {
  for (const ask of [listOffset, epochEnd, deleteRecords]) {
    const services = new FakeServices();
    services.addTopic('t')[0]!.fill(5);
    let open: () => void = () => {};
    services.setLookup('t', 0, { kind: 'opening', ready: new Promise((resolve) => (open = resolve)) });
    const pending = ask(services);
    await services.clock.advance(100);
    services.setLookup('t', 0, undefined);
    open();
    assert.equal(await pending, 0, ask.name);
    assert.equal(services.clock.pendingTimers, 0, ask.name);
  }
});

test('a fetch names the leader and its address where the version has room for them', async () => {
  const services = new FakeServices();
  services.addTopic('t')[0]!.fill(1);
  services.setLookup('t', 0, { kind: 'elsewhere', leader: 2, leaderEpoch: 9 });
  assert.deepEqual(await fetchOne(services, 16), { error: 6, leader: { leaderId: 2, leaderEpoch: 9 }, nodes: [two] });
  assert.deepEqual((await fetchOne(services, 12)).error, 6);
});

test('a fetch with an epoch of the past learns the present one; one with an epoch of the future learns nothing from who is behind', async () => {
  const services = new FakeServices();
  services.addTopic('t')[0]!.fill(1);
  const self = { nodeId: 1, host: 'one.example', port: 9001, rack: 'a' };
  assert.deepEqual(await fetchOne(services, 16, { currentLeaderEpoch: 2 }), {
    error: ErrorCodes.FENCED_LEADER_EPOCH,
    leader: { leaderId: 1, leaderEpoch: 3 },
    nodes: [self],
  });
  assert.deepEqual(await fetchOne(services, 16, { currentLeaderEpoch: 4 }), {
    error: ErrorCodes.UNKNOWN_LEADER_EPOCH,
    leader: { leaderId: -1, leaderEpoch: -1 },
    nodes: [],
  });
});

test('a partition that goes away while it is read is answered with who leads now', async () => {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  log!.fill(1);
  log!.read = () => Promise.resolve({ kind: 'failed', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER });
  services.image.leader = 2;
  services.image.leaderEpoch = 4;
  assert.deepEqual(await fetchOne(services, 17), { error: 6, leader: { leaderId: 2, leaderEpoch: 4 }, nodes: [two] });
});

test('a batch that was not appended because the partition went away is answered with who leads now', async () => {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  const handler = produceHandler(services);
  const produce = async () => {
    const topicData = [{ name: 't', partitionData: [{ index: 0, records: Buffer.alloc(61) }] }];
    const answer = await answerTo(handler, 10, { acks: -1, timeoutMs: 1000, topicData });
    const partition = answer.responses[0]!.partitionResponses[0]!;
    return [partition.errorCode, partition.currentLeader, answer.nodeEndpoints];
  };
  const moved = [ErrorCodes.NOT_LEADER_OR_FOLLOWER, { leaderId: 2, leaderEpoch: 4 }, [two]];
  const fenced = produce();
  await services.clock.settle();
  services.image.leader = 2;
  services.image.leaderEpoch = 4;
  services.endUpload('not-appended');
  assert.deepEqual(await fenced, moved);
  log!.rejection = { kind: 'rejected', error: ErrorCodes.NOT_LEADER_OR_FOLLOWER };
  assert.deepEqual(await produce(), moved);
});

test('a partition without a leader sends nobody anywhere', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  services.setLookup('t', 0, { kind: 'elsewhere', leader: -1, leaderEpoch: 9 });
  const { error, nodes } = await fetchOne(services, 16);
  assert.deepEqual([error, nodes], [ErrorCodes.NOT_LEADER_OR_FOLLOWER, []]);
  services.image.leader = -1;
  const [partition] = (await answerTo(metadataHandler(services), 9, { topics: [{ name: 't' }] })).topics[0]!.partitions;
  assert.deepEqual([partition!.leaderId, partition!.isrNodes, partition!.offlineReplicas], [-1, [], []]);
});

test('a broker tells the sizes of its own partitions only', async () => {
  const services = new FakeServices();
  for (const log of services.addTopic('t', 3)) log.fill(1);
  services.setLookup('t', 1, { kind: 'elsewhere', leader: 2, leaderEpoch: 9 });
  const asked = [{ topic: 't', partitions: [0, 1, 2, 7] }];
  for (const topics of [null, asked]) {
    const { results } = await answerTo(describeLogDirsHandler(services), 5, { topics });
    assert.deepEqual(
      results[0]!.topics[0]!.partitions.map(({ partitionIndex }) => partitionIndex),
      [0, 2],
    );
  }
});
