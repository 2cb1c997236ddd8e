import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { ApiKeys, RequestInputOf, ResponseOf } from '../../protocol/messages.gen.ts';
import { ResponseMemory } from '../response-memory.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo, call, FakeClient } from '../testing/request-context.ts';
import { fetchHandler } from './fetch.ts';

type Fetch = typeof ApiKeys.Fetch;
type Asked = {
  readonly partition?: number;
  readonly fetchOffset?: number;
  readonly currentLeaderEpoch?: number;
  readonly lastFetchedEpoch?: number;
  readonly partitionMaxBytes?: number;
};

function fixture(settings: Readonly<Record<string, string>> = {}) {
  const services = new FakeServices(settings);
  const memory = new ResponseMemory(services.config.queuedMaxResponseBytes);
  return { services, memory, handler: fetchHandler(services, memory) };
}

function request(topic: string, partitions: readonly Asked[], more: Partial<RequestInputOf<Fetch>> = {}): RequestInputOf<Fetch> {
  const asked = partitions.map((partition) => ({ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000, ...partition }));
  return { maxWaitMs: 500, minBytes: 1, sessionEpoch: -1, topics: [{ topic, partitions: asked }], ...more };
}

function partitionsOf(answer: ResponseOf<Fetch>) {
  return answer.responses.flatMap((topic) => topic.partitions);
}

function sizesOf(answer: ResponseOf<Fetch>): number[] {
  return partitionsOf(answer).map((partition) => partition.records?.length ?? 0);
}

test('records that are there are answered at once', async () => {
  const { services, handler } = fixture();
  services.addTopic('t')[0]!.fill(3);
  const answer = await answerTo(handler, 12, request('t', [{ fetchOffset: 1 }]));
  const [partition] = partitionsOf(answer);
  assert.deepEqual(
    [partition!.errorCode, partition!.highWatermark, partition!.lastStableOffset, partition!.logStartOffset, partition!.records?.length],
    [0, 3, 3, 0, 200],
  );
  assert.equal(services.clock.pendingTimers, 0);
});

test('a consumer at the end waits for the next batch', async () => {
  const { services, handler } = fixture();
  const logs = services.addTopic('t', 3);
  const pending = answerTo(handler, 12, request('t', [{ partition: 0 }, { partition: 1 }, { partition: 2 }]));
  await services.clock.settle();
  assert.deepEqual([services.clock.pendingTimers, logs[1]!.listeners.size], [1, 1]);
  logs[1]!.fill(1);
  await services.clock.settle();
  assert.deepEqual(sizesOf(await pending), [0, 100, 0]);
  assert.deepEqual([services.clock.pendingTimers, logs.map((log) => log.listeners.size)], [0, [0, 0, 0]]);
});

test('partitions that advance together are looked at once', async () => {
  const { services, handler } = fixture();
  const logs = services.addTopic('t', 10);
  const pending = answerTo(
    handler,
    12,
    request(
      't',
      logs.map((log) => ({ partition: log.partition })),
    ),
  );
  await services.clock.settle();
  for (const log of logs) log.fill(1);
  await services.clock.settle();
  assert.deepEqual(
    sizesOf(await pending),
    logs.map(() => 100),
  );
  assert.ok(logs.every((log) => log.readCount === 1));
});

test('max.wait.ms ends the wait with an empty answer; zero does not wait', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  const pending = answerTo(handler, 12, request('t', [{}]));
  await services.clock.advance(500);
  assert.deepEqual(sizesOf(await pending), [0]);
  assert.equal(log!.listeners.size, 0);
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', [{}], { maxWaitMs: 0 }))), [0]);
});

test('min.bytes is waited for across partitions', async () => {
  const { services, handler } = fixture();
  const logs = services.addTopic('t', 2);
  let answer: ResponseOf<Fetch> | undefined;
  void answerTo(handler, 12, request('t', [{ partition: 0 }, { partition: 1 }], { minBytes: 150 })).then((value) => (answer = value));
  await services.clock.settle();
  logs[0]!.fill(1);
  await services.clock.settle();
  assert.equal(answer, undefined);
  logs[1]!.fill(1);
  await services.clock.settle();
  assert.deepEqual(sizesOf(answer!), [100, 100]);
});

test('a client that hangs up while it waits leaves nothing behind', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  const client = new FakeClient();
  const pending = call(handler, 12, request('t', [{}]), { client });
  await services.clock.settle();
  client.close();
  assert.equal(await pending, 'no answer');
  assert.deepEqual([log!.listeners.size, services.clock.pendingTimers, client.closeListeners.size], [0, 0, 0]);
});

test('max.bytes ends an answer after the batch that reaches it, but one batch always comes', async () => {
  const { services, handler } = fixture();
  const logs = services.addTopic('t', 3);
  for (const log of logs) log.fill(5, 1000);
  const asked = logs.map((log) => ({ partition: log.partition }));
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', asked, { maxBytes: 2500 }))), [2000, 1000, 0]);
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', asked, { maxBytes: 0 }))), [1000, 0, 0]);
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', asked, { maxBytes: -5 }))), [1000, 0, 0]);
  const small = asked.map((partition) => ({ ...partition, partitionMaxBytes: 10 }));
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', small))), [1000, 1000, 1000]);
});

test('when slow readers hold the memory for answers, an answer holds one batch', async () => {
  const { services, memory, handler } = fixture();
  services.addTopic('t')[0]!.fill(5, 1000);
  memory.change(0, memory.limitBytes);
  assert.deepEqual(sizesOf(await answerTo(handler, 12, request('t', [{}]))), [1000]);
});

test('reads from the object store are counted while they run, and given back', async () => {
  const { services, memory, handler } = fixture();
  const logs = services.addTopic('t', 2);
  for (const log of logs) {
    log.fill(1);
    log.slowReads = true;
  }
  const pending = answerTo(handler, 12, request('t', [{ partition: 0 }, { partition: 1 }]));
  assert.equal(memory.usedBytes, 2_000_000);
  assert.deepEqual(sizesOf(await pending), [100, 100]);
  assert.equal(memory.usedBytes, 0);
});

test('offsets outside the log are refused (B49)', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  log!.fill(10);
  log!.logStartOffset = 4;
  for (const fetchOffset of [-1, 3, 11, Number.MAX_SAFE_INTEGER]) {
    const [partition] = partitionsOf(await answerTo(handler, 12, request('t', [{ fetchOffset }])));
    assert.deepEqual([partition!.errorCode, partition!.highWatermark, partition!.records?.length], [ErrorCodes.OFFSET_OUT_OF_RANGE, -1, 0]);
  }
});

test('leader epochs of the past are fenced, of the future unknown (B51)', async () => {
  const { services, handler } = fixture();
  services.addTopic('t')[0]!.fill(1);
  const errors = [];
  for (const currentLeaderEpoch of [2, 3, 4]) errors.push(partitionsOf(await answerTo(handler, 12, request('t', [{ currentLeaderEpoch }])))[0]!.errorCode);
  assert.deepEqual(errors, [ErrorCodes.FENCED_LEADER_EPOCH, 0, ErrorCodes.UNKNOWN_LEADER_EPOCH]);
});

test('a client whose last epoch ended earlier here is told where to truncate', async () => {
  const { services, handler } = fixture();
  services.addTopic('t')[0]!.fill(5);
  const [diverged] = partitionsOf(await answerTo(handler, 12, request('t', [{ fetchOffset: 4, lastFetchedEpoch: 2 }])));
  assert.deepEqual([diverged!.errorCode, diverged!.divergingEpoch, diverged!.records?.length], [0, { epoch: 2, endOffset: 2 }, 0]);
  const [unknown] = partitionsOf(await answerTo(handler, 12, request('t', [{ fetchOffset: 4, lastFetchedEpoch: 9 }])));
  assert.equal(unknown!.errorCode, ErrorCodes.OFFSET_OUT_OF_RANGE);
  const [same] = partitionsOf(await answerTo(handler, 12, request('t', [{ fetchOffset: 4, lastFetchedEpoch: 3 }])));
  assert.equal(same!.records?.length, 100);
});

test('read_committed stops at the first open transaction', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  log!.fill(5);
  log!.firstOpenTransaction = 2;
  const committed = await answerTo(handler, 12, request('t', [{}], { isolationLevel: 1 }));
  assert.deepEqual([sizesOf(committed), partitionsOf(committed)[0]!.abortedTransactions], [[200], []]);
  const uncommitted = await answerTo(handler, 12, request('t', [{}]));
  assert.deepEqual([sizesOf(uncommitted), partitionsOf(uncommitted)[0]!.abortedTransactions], [[500], null]);
});

test('followers and unknown isolation levels are refused (B50)', async () => {
  const { services, handler } = fixture();
  services.addTopic('t')[0]!.fill(1);
  const follower = await answerTo(handler, 12, request('t', [{}], { replicaId: 3 }));
  assert.deepEqual([follower.errorCode, partitionsOf(follower)[0]!.errorCode], [ErrorCodes.INVALID_REQUEST, ErrorCodes.INVALID_REQUEST]);
  assert.equal((await answerTo(handler, 15, { ...request('', [{}]), replicaState: { replicaId: 3 } })).errorCode, ErrorCodes.INVALID_REQUEST);
  assert.equal((await answerTo(handler, 12, request('t', [{}], { isolationLevel: 7 }))).errorCode, ErrorCodes.INVALID_REQUEST);
  assert.equal(partitionsOf(await answerTo(handler, 4, request('t', [{}], { replicaId: 3 })))[0]!.errorCode, ErrorCodes.INVALID_REQUEST);
});

test('one unknown or moved partition does not keep the others waiting', async () => {
  const { services, handler } = fixture();
  services.addTopic('t', 2);
  services.setLookup('t', 1, { kind: 'elsewhere', leader: 2, leaderEpoch: 8 });
  const answer = await answerTo(handler, 16, {
    ...request('', []),
    topics: [{ topicId: services.topicId('t'), partitions: [0, 1, 9].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 9 })) }],
  });
  assert.deepEqual(
    partitionsOf(answer).map((partition) => partition.errorCode),
    [0, ErrorCodes.NOT_LEADER_OR_FOLLOWER, ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION],
  );
  assert.deepEqual(partitionsOf(answer)[1]!.currentLeader, { leaderId: 2, leaderEpoch: 8 });
  assert.deepEqual(answer.nodeEndpoints, [{ nodeId: 2, host: 'two.example', port: 9002, rack: null }]);
});

test('a partition that moves away while a fetch waits ends the wait with the error', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  const pending = answerTo(handler, 12, request('t', [{}]));
  await services.clock.settle();
  services.setLookup('t', 0, { kind: 'elsewhere', leader: 2, leaderEpoch: 8 });
  log!.notify();
  await services.clock.settle();
  assert.equal(partitionsOf(await pending)[0]!.errorCode, ErrorCodes.NOT_LEADER_OR_FOLLOWER);
});

test('a partition that is about to open is waited for, and read when it is open', async () => {
  const { services, handler } = fixture();
  const [log] = services.addTopic('t');
  log!.fill(1);
  let open: () => void = () => {};
  services.setLookup('t', 0, { kind: 'opening', ready: new Promise((resolve) => (open = resolve)) });
  const pending = answerTo(handler, 12, request('t', [{}], { maxWaitMs: 0 }));
  await services.clock.advance(1000);
  services.setLookup('t', 0, undefined);
  open();
  await services.clock.settle();
  assert.deepEqual(sizesOf(await pending), [100]);
});

test('a partition that does not open in time is answered with a retriable error', async () => {
  const { services, handler } = fixture({ 'partition.opening.wait.ms': '2000' });
  services.addTopic('t');
  services.setLookup('t', 0, { kind: 'opening', ready: new Promise(() => {}) });
  const pending = answerTo(handler, 12, request('t', [{}]));
  await services.clock.advance(2000);
  assert.equal(partitionsOf(await pending)[0]!.errorCode, ErrorCodes.NOT_LEADER_OR_FOLLOWER);
});

test('in a session an answer holds only partitions with news, and those that had records come last', async () => {
  const { services, handler } = fixture();
  const logs = services.addTopic('t', 3);
  const full = await answerTo(handler, 12, request('t', [{ partition: 0 }, { partition: 1 }, { partition: 2 }], { sessionEpoch: 0, maxWaitMs: 0 }));
  assert.equal(partitionsOf(full).length, 3);
  assert.ok(full.sessionId > 0);
  const next = (sessionEpoch: number, more: Partial<RequestInputOf<Fetch>> = {}) =>
    answerTo(handler, 12, { ...request('t', []), sessionId: full.sessionId, sessionEpoch, topics: [], maxWaitMs: 0, ...more });
  assert.deepEqual((await next(1)).responses, []);
  for (const log of logs) log.fill(3, 1000);
  const read = (answer: ResponseOf<Fetch>) =>
    partitionsOf(answer)
      .filter((partition) => (partition.records?.length ?? 0) > 0)
      .map((partition) => partition.partitionIndex);
  assert.deepEqual(read(await next(2, { maxBytes: 1000 })), [0]);
  assert.deepEqual(read(await next(3, { maxBytes: 1000 })), [1]);
  assert.deepEqual(read(await next(4, { maxBytes: 1000 })), [2]);
  assert.equal((await next(9)).errorCode, ErrorCodes.INVALID_FETCH_SESSION_EPOCH);
});

test('an error is told in every answer of a session', async () => {
  const { services, handler } = fixture();
  services.addTopic('t');
  const full = await answerTo(handler, 12, request('t', [{ partition: 7 }], { sessionEpoch: 0 }));
  for (const sessionEpoch of [1, 2]) {
    const answer = await answerTo(handler, 12, { ...request('t', []), sessionId: full.sessionId, sessionEpoch, topics: [] });
    assert.deepEqual(
      partitionsOf(answer).map((partition) => partition.errorCode),
      [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    );
  }
});

test('a partition that is named twice is answered once, as it was named last', async () => {
  const { services, handler } = fixture();
  services.addTopic('t')[0]!.fill(3);
  const answer = await answerTo(handler, 12, request('t', [{ fetchOffset: 0 }, { fetchOffset: 2 }]));
  assert.deepEqual(sizesOf(answer), [100]);
});
