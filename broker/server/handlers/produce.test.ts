import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { ApiKeys, RequestInputOf } from '../../protocol/messages.gen.ts';
import type { Services } from '../services.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { call, type Answer } from '../testing/request-context.ts';
import { produceHandler } from './produce.ts';

type Produce = typeof ApiKeys.Produce;

/** A whole record batch header; the fake log takes anything. */
function batch(options: { readonly codec?: number; readonly flags?: number } = {}): Buffer {
  const bytes = Buffer.alloc(80);
  bytes.writeInt32BE(68, 8);
  bytes[16] = 2;
  bytes[22] = (options.codec ?? 0) | (options.flags ?? 0);
  return bytes;
}

function request(
  topic: string,
  partitions: readonly (readonly [number, Buffer | null])[],
  more: Partial<RequestInputOf<Produce>> = {},
): RequestInputOf<Produce> {
  return { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, partitionData: partitions.map(([index, records]) => ({ index, records })) }], ...more };
}

function errorsOf(answer: Answer<Produce>): number[] | string {
  return typeof answer === 'string' ? answer : answer.responses.flatMap((topic) => topic.partitionResponses.map((partition) => partition.errorCode));
}

test('the answer comes when the batches are durable, with their offsets', async () => {
  const services = new FakeServices();
  const [first, second] = services.addTopic('t', 2);
  const handler = produceHandler(services);
  let answer: Answer<Produce> | undefined;
  void call(
    handler,
    9,
    request('t', [
      [0, batch()],
      [1, batch()],
    ]),
  ).then((value) => (answer = value));
  await services.clock.settle();
  assert.equal(answer, undefined);
  assert.deepEqual([first!.appended.length, second!.appended.length], [1, 1]);
  services.endUpload();
  await services.clock.settle();
  assert.deepEqual(errorsOf(answer!), [0, 0]);
  assert.equal(services.clock.pendingTimers, 0);
});

test('partitions that were uploaded together settle with one promise and one timer', async () => {
  const services = new FakeServices();
  services.addTopic('t', 256);
  const all = Array.from({ length: 256 }, (_, index): [number, Buffer] => [index, batch()]);
  const answer = call(produceHandler(services), 9, request('t', all));
  await services.clock.settle();
  assert.equal(services.clock.pendingTimers, 1);
  services.endUpload();
  assert.equal((errorsOf(await answer) as number[]).length, 256);
});

test('what cannot be stored in time may be appended: REQUEST_TIMED_OUT', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const answer = call(produceHandler(services), 9, request('t', [[0, batch()]]));
  await services.clock.advance(1000);
  assert.deepEqual(errorsOf(await answer), [ErrorCodes.REQUEST_TIMED_OUT]);
  services.endUpload();
  await services.clock.settle();
});

test('what was fenced was never appended, what is unknown may be: never error -1', async () => {
  for (const [durability, error] of [
    ['not-appended', ErrorCodes.NOT_LEADER_OR_FOLLOWER],
    ['unknown', ErrorCodes.KAFKA_STORAGE_ERROR],
  ] as const) {
    const services = new FakeServices();
    services.addTopic('t');
    const answer = call(produceHandler(services), 9, request('t', [[0, batch()]]));
    await services.clock.settle();
    services.endUpload(durability);
    assert.deepEqual(errorsOf(await answer), [error]);
  }
});

test('acks = 0 gets no answer once stored, acks other than -1, 0, 1 an error for every partition (B33)', async () => {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  const silent = call(produceHandler(services), 9, request('t', [[0, batch()]], { acks: 0 }));
  await services.clock.settle();
  services.endUpload();
  assert.equal(await silent, 'no answer');
  for (const acks of [2, -2])
    assert.deepEqual(errorsOf(await call(produceHandler(services), 9, request('t', [[0, batch()]], { acks }))), [ErrorCodes.INVALID_REQUIRED_ACKS]);
  assert.equal(log!.appended.length, 1);
});

test('an error under acks = 0 closes the connection, as Kafka does', async () => {
  const services = new FakeServices();
  assert.equal(await call(produceHandler(services), 9, request('nope', [[0, batch()]], { acks: 0 })), 'close');
});

test('unknown topics, ids and partitions', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const handler = produceHandler(services);
  assert.deepEqual(errorsOf(await call(handler, 9, request('../..', [[0, batch()]]))), [ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
  assert.deepEqual(
    errorsOf(
      await call(
        handler,
        9,
        request('t', [
          [1_000_000_000, batch()],
          [-1, batch()],
        ]),
      ),
    ),
    [3, 3],
  );
  const byId = { acks: -1, timeoutMs: 1, topicData: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionData: [{ index: 0, records: batch() }] }] };
  assert.deepEqual(errorsOf(await call(handler, 13, byId)), [ErrorCodes.UNKNOWN_TOPIC_ID]);
});

test('topics are found by id in version 13', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const answer = call(produceHandler(services), 13, {
    acks: 1,
    timeoutMs: 1000,
    topicData: [{ topicId: services.topicId('t'), partitionData: [{ index: 0, records: batch() }] }],
  });
  await services.clock.settle();
  services.endUpload();
  assert.deepEqual(errorsOf(await answer), [0]);
});

test('internal topics take records from no ordinary client, null records are invalid, zstd needs version 7', async () => {
  const services = new FakeServices();
  services.addTopic('__consumer_offsets');
  services.addTopic('t');
  const handler = produceHandler(services);
  assert.deepEqual(errorsOf(await call(handler, 9, request('__consumer_offsets', [[0, batch()]]))), [ErrorCodes.INVALID_TOPIC_EXCEPTION]);
  assert.deepEqual(errorsOf(await call(handler, 9, request('t', [[0, null]]))), [ErrorCodes.INVALID_RECORD]);
  assert.deepEqual(errorsOf(await call(handler, 6, request('t', [[0, batch({ codec: 4 })]]))), [ErrorCodes.UNSUPPORTED_COMPRESSION_TYPE]);
  assert.deepEqual(errorsOf(await call(handler, 9, request('t', [[0, batch({ flags: 0x10 })]]))), [ErrorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]);
});

test('a rejected batch is told with its message and records; the others are stored', async () => {
  const services = new FakeServices();
  const [bad] = services.addTopic('t', 2);
  bad!.rejection = { kind: 'rejected', error: ErrorCodes.INVALID_TIMESTAMP, message: 'too old', recordErrors: [{ batchIndex: 3, message: 'this one' }] };
  const pending = call(
    produceHandler(services),
    9,
    request('t', [
      [0, batch()],
      [1, batch()],
    ]),
  );
  await services.clock.settle();
  services.endUpload();
  const answer = await pending;
  assert.ok(typeof answer !== 'string');
  const [refused, stored] = answer.responses[0]!.partitionResponses;
  assert.deepEqual(
    [refused!.errorCode, refused!.errorMessage, refused!.baseOffset, refused!.recordErrors],
    [32, 'too old', -1, [{ batchIndex: 3, batchIndexErrorMessage: 'this one' }]],
  );
  assert.deepEqual([stored!.errorCode, stored!.baseOffset], [0, 0]);
});

test('a partition that another broker owns is answered with its leader and address (KIP-951)', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  services.setLookup('t', 0, { kind: 'elsewhere', leader: 2, leaderEpoch: 9 });
  const answer = await call(produceHandler(services), 10, request('t', [[0, batch()]]));
  assert.ok(typeof answer !== 'string');
  const [partition] = answer.responses[0]!.partitionResponses;
  assert.deepEqual([partition!.errorCode, partition!.currentLeader], [6, { leaderId: 2, leaderEpoch: 9 }]);
  assert.deepEqual(answer.nodeEndpoints, [{ nodeId: 2, host: 'two.example', port: 9002, rack: null }]);
});

test('damaged partitions answer KAFKA_STORAGE_ERROR', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  services.setLookup('t', 0, { kind: 'failed' });
  assert.deepEqual(errorsOf(await call(produceHandler(services), 9, request('t', [[0, batch()]]))), [ErrorCodes.KAFKA_STORAGE_ERROR]);
});

test('requests for a partition that is about to open are held, and appended in their order', async () => {
  const services = new FakeServices();
  const [log] = services.addTopic('t');
  let open: () => void = () => {};
  services.setLookup('t', 0, { kind: 'opening', ready: new Promise((resolve) => (open = resolve)) });
  const handler = produceHandler(services);
  const batches = [batch(), batch(), batch()];
  const answers = batches.map((records) => call(handler, 9, request('t', [[0, records]])));
  await services.clock.settle();
  assert.equal(log!.appended.length, 0);
  services.setLookup('t', 0, undefined);
  open();
  await services.clock.settle();
  assert.equal(log!.appended.length, 3);
  services.endUpload();
  const offsets = (await Promise.all(answers)).map((answer) => (typeof answer === 'string' ? answer : answer.responses[0]!.partitionResponses[0]!.baseOffset));
  assert.deepEqual(offsets, [0, 1, 2]);
});

test('a partition that does not open in time was never appended to, even when it opens later', async () => {
  const services: FakeServices & Services = new FakeServices();
  const [log] = services.addTopic('t');
  let open: () => void = () => {};
  services.setLookup('t', 0, { kind: 'opening', ready: new Promise((resolve) => (open = resolve)) });
  const answer = call(produceHandler(services), 9, request('t', [[0, batch()]], { timeoutMs: 500 }));
  await services.clock.advance(500);
  assert.deepEqual(errorsOf(await answer), [ErrorCodes.NOT_LEADER_OR_FOLLOWER]);
  services.setLookup('t', 0, undefined);
  open();
  await services.clock.settle();
  assert.equal(log!.appended.length, 0);
});
