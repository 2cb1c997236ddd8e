/** ListOffsets, OffsetForLeaderEpoch, InitProducerId, DescribeProducers, DescribeLogDirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadFailed } from '../../log/partition-log.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { ApiKeys, RequestInputOf } from '../../protocol/messages.gen.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { describeLogDirsHandler } from './describe-log-dirs.ts';
import { describeProducersHandler } from './describe-producers.ts';
import { initProducerIdHandler } from './init-producer-id.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts';

type ListOffsets = RequestInputOf<typeof ApiKeys.ListOffsets>;

async function listOne(services: FakeServices, version: number, timestamp: number, more: Partial<ListOffsets> = {}, currentLeaderEpoch = -1) {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp, currentLeaderEpoch }] }];
  const [partition] = (await answerTo(listOffsetsHandler(services), version, { replicaId: -1, topics, ...more })).topics[0]!.partitions;
  return [partition!.errorCode, partition!.offset, partition!.timestamp];
}

function filled(): FakeServices {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  log!.fill(10);
  log!.logStartOffset = 2;
  return services;
}

test('the ends of a partition, and offsets by time', async () => {
  const services = filled();
  assert.deepEqual(await listOne(services, 9, -1), [0, 10, -1]);
  assert.deepEqual(await listOne(services, 9, -2), [0, 2, -1]);
  assert.deepEqual(await listOne(services, 9, -3), [0, 9, 9000]);
  assert.deepEqual(await listOne(services, 9, -4), [0, 2, -1]);
  assert.deepEqual(await listOne(services, 9, -5), [0, -1, -1]);
  assert.deepEqual(await listOne(services, 11, -6), [0, -1, -1]);
  assert.deepEqual(await listOne(services, 1, 4500), [0, 5, 5000]);
  assert.deepEqual(await listOne(services, 9, 99_000), [0, -1, -1]);
});

test('what is not durable yet is shown to nobody, not even to a replica', async () => {
  const services = filled();
  const log = services.logs.get(`${services.topicId('t')}/0`)!;
  log.append(Buffer.alloc(100));
  assert.equal(log.logEndOffset, 11);
  for (const replicaId of [-1, 3]) {
    assert.deepEqual(await listOne(services, 9, -1, { replicaId }), [0, 10, -1]);
    assert.deepEqual(await listOne(services, 9, 10_000, { replicaId }), [0, -1, -1]);
  }
});

test('an offset by time that cannot be looked up is an error, not "there is none"', async () => {
  const services = filled();
  const log = services.logs.get(`${services.topicId('t')}/0`)!;
  log.offsetForTimestamp = () => Promise.reject(new ReadFailed(ErrorCodes.KAFKA_STORAGE_ERROR));
  assert.deepEqual(await listOne(services, 9, 4500), [ErrorCodes.KAFKA_STORAGE_ERROR, -1, -1]);
  assert.deepEqual(await listOne(services, 9, -1), [0, 10, -1]);
});

test('special timestamps that a version does not know are refused (B52)', async () => {
  const services = filled();
  for (const [version, timestamp] of [
    [6, -3],
    [7, -4],
    [8, -5],
    [9, -6],
    [11, -7],
    [11, -100],
  ] as const) {
    assert.deepEqual(await listOne(services, version, timestamp), [ErrorCodes.UNSUPPORTED_VERSION, -1, -1]);
  }
});

test('read_committed ends at the first open transaction, also for offsets by time', async () => {
  const services = filled();
  const log = services.logs.get(`${services.topicId('t')}/0`)!;
  log.firstOpenTransaction = 4;
  assert.deepEqual(await listOne(services, 9, -1, { isolationLevel: 1 }), [0, 4, -1]);
  assert.deepEqual(await listOne(services, 9, 5000, { isolationLevel: 1 }), [0, -1, -1]);
  assert.deepEqual(await listOne(services, 9, 5000), [0, 5, 5000]);
});

test('leader epochs are fenced; unknown partitions, doubled ones and isolation levels are refused', async () => {
  const services = filled();
  assert.equal((await listOne(services, 9, -1, {}, 2))[0], ErrorCodes.FENCED_LEADER_EPOCH);
  assert.equal((await listOne(services, 9, -1, {}, 5))[0], ErrorCodes.UNKNOWN_LEADER_EPOCH);
  assert.equal((await listOne(services, 9, -1, { isolationLevel: 7 }))[0], ErrorCodes.INVALID_REQUEST);
  const partitions = [0, 0, 9].map((partitionIndex) => ({ partitionIndex, timestamp: -1 }));
  const answer = await answerTo(listOffsetsHandler(services), 9, {
    replicaId: -1,
    topics: [
      { name: 't', partitions },
      { name: 'nope', partitions: partitions.slice(0, 1) },
    ],
  });
  assert.deepEqual(
    answer.topics.map((topic) => topic.partitions.map((partition) => [partition.partitionIndex, partition.errorCode])),
    [
      [
        [0, 42],
        [9, 3],
      ],
      [[0, 3]],
    ],
  );
});

test('a partition that is about to open is waited for', async () => {
  const services = filled();
  let open: () => void = () => {};
  services.setLookup('t', 0, { kind: 'opening', ready: new Promise((resolve) => (open = resolve)) });
  const pending = listOne(services, 9, -1);
  await services.clock.settle();
  services.setLookup('t', 0, undefined);
  open();
  assert.deepEqual(await pending, [0, 10, -1]);
  assert.equal(services.clock.pendingTimers, 0);
});

test('OffsetForLeaderEpoch answers the end of an epoch', async () => {
  const services = filled();
  const ask = async (leaderEpoch: number, currentLeaderEpoch = -1, partition = 0) => {
    const answer = await answerTo(offsetForLeaderEpochHandler(services), 4, {
      replicaId: -1,
      topics: [{ topic: 't', partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }],
    });
    const [end] = answer.topics[0]!.partitions;
    return [end!.errorCode, end!.leaderEpoch, end!.endOffset];
  };
  assert.deepEqual(await ask(3), [0, 3, 10]);
  assert.deepEqual(await ask(2), [0, 2, 2]);
  assert.deepEqual(await ask(9), [0, -1, -1]);
  assert.deepEqual(await ask(-1), [0, -1, -1]);
  assert.deepEqual(await ask(3, 9), [ErrorCodes.UNKNOWN_LEADER_EPOCH, -1, -1]);
  assert.deepEqual(await ask(3, -1, 7), [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, -1, -1]);
});

test('InitProducerId gives every idempotent producer a new id', async () => {
  const handler = initProducerIdHandler(new FakeServices());
  const ask = async (more: Partial<RequestInputOf<typeof ApiKeys.InitProducerId>>) => {
    const answer = await answerTo(handler, 4, { transactionalId: null, transactionTimeoutMs: 1000, ...more });
    return [answer.errorCode, answer.producerId, answer.producerEpoch];
  };
  assert.deepEqual(await ask({}), [0, 1000, 0]);
  assert.deepEqual(await ask({ producerId: 5, producerEpoch: 3 }), [0, 1001, 0]);
  assert.deepEqual(await ask({ producerId: 5, producerEpoch: -1 }), [ErrorCodes.INVALID_REQUEST, -1, -1]);
  assert.deepEqual(await ask({ transactionalId: '' }), [ErrorCodes.INVALID_REQUEST, -1, -1]);
  assert.deepEqual(await ask({ transactionalId: 'tx' }), [ErrorCodes.UNSUPPORTED_VERSION, -1, -1]);
});

test('while the metadata store is away producers are told to try again', async () => {
  const services = new FakeServices();
  services.producerIds = { next: () => Promise.reject(new Error('away')) };
  assert.equal(
    (await answerTo(initProducerIdHandler(services), 4, { transactionalId: null, transactionTimeoutMs: 1 })).errorCode,
    ErrorCodes.COORDINATOR_NOT_AVAILABLE,
  );
});

test('DescribeProducers and DescribeLogDirs tell what this broker serves', async () => {
  const services = filled();
  const log = services.logs.get(`${services.topicId('t')}/0`)!;
  log.producers = [{ producerId: 7, producerEpoch: 1, lastSequence: 5, lastTimestampMs: 99, currentTransactionFirstOffset: -1 }];
  const answer = await answerTo(describeProducersHandler(services), 0, { topics: [{ name: 't', partitionIndexes: [0, 0, 9] }] });
  assert.deepEqual(
    answer.topics[0]!.partitions.map((partition) => [partition.errorCode, partition.activeProducers.length]),
    [
      [0, 1],
      [3, 0],
    ],
  );
  assert.deepEqual(
    [answer.topics[0]!.partitions[0]!.activeProducers[0]!.lastTimestamp, answer.topics[0]!.partitions[0]!.activeProducers[0]!.currentTxnStartOffset],
    [99, -1],
  );
  const dirs = await answerTo(describeLogDirsHandler(services), 5, { topics: null });
  assert.deepEqual(dirs.results[0]!.topics, [{ name: 't', partitions: [{ partitionIndex: 0, partitionSize: 1000, offsetLag: 0, isFutureKey: false }] }]);
});
