import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../../io/seeded-random.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { decodeRequest, decodeRequestHeader } from '../../protocol/frames.ts';
import { ApiKeys, type RequestOf } from '../../protocol/messages.gen.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { requestFrame } from '../testing/request-context.ts';
import { FetchSessions, moveToEnd, type FetchContext } from './fetch-session.ts';

const VERSION = 12;

function sessions(options: { readonly maxSessions?: number; readonly maxTargets?: number } = {}) {
  const clock = new ManualClock();
  return {
    clock,
    cache: new FetchSessions({ maxSessions: options.maxSessions ?? 10, maxTargets: options.maxTargets ?? 1000, clock, random: new SeededRandom(1) }),
  };
}

function request(
  sessionId: number,
  sessionEpoch: number,
  partitions: readonly number[],
  forgotten: readonly number[] = [],
  fetchOffset = 0,
): RequestOf<typeof ApiKeys.Fetch> {
  const topics =
    partitions.length === 0 ? [] : [{ topic: 't', partitions: partitions.map((partition) => ({ partition, fetchOffset, partitionMaxBytes: 100 })) }];
  const forgottenTopicsData = forgotten.length === 0 ? [] : [{ topic: 't', partitions: forgotten }];
  const frame = requestFrame(ApiKeys.Fetch, VERSION, { maxWaitMs: 1, minBytes: 1, sessionId, sessionEpoch, topics, forgottenTopicsData }).subarray(4);
  return decodeRequest(ApiKeys.Fetch, VERSION, frame, decodeRequestHeader(frame).bodyOffset).body;
}

function idOf(context: FetchContext): number {
  assert.equal(context.kind, 'full');
  return context.kind === 'full' ? (context.session?.id ?? 0) : -1;
}

function partitionsOf(context: FetchContext): number[] | string {
  return context.kind === 'error' ? String(context.error) : context.targets.map((target) => target.partition);
}

test('a full request begins a session, later ones send only changes', () => {
  const { cache } = sessions();
  const id = idOf(cache.open(request(0, 0, [1, 2, 3]), VERSION));
  assert.ok(id > 0);
  assert.deepEqual(partitionsOf(cache.open(request(id, 1, []), VERSION)), [1, 2, 3]);
  assert.deepEqual(partitionsOf(cache.open(request(id, 2, [4], [2]), VERSION)), [1, 3, 4]);
  const changed = cache.open(request(id, 3, [3], [], 77), VERSION);
  assert.ok(changed.kind === 'incremental' && changed.targets.find((target) => target.partition === 3)?.fetchOffset === 77);
});

test('wrong ids and epochs are refused (B50, F74)', () => {
  const { cache } = sessions();
  const id = idOf(cache.open(request(0, 0, [1]), VERSION));
  assert.deepEqual(cache.open(request(id + 1, 1, []), VERSION), { kind: 'error', error: ErrorCodes.FETCH_SESSION_ID_NOT_FOUND });
  assert.deepEqual(cache.open(request(id, 2, []), VERSION), { kind: 'error', error: ErrorCodes.INVALID_FETCH_SESSION_EPOCH });
  assert.deepEqual(cache.open(request(id, 1, []), 13), { kind: 'error', error: ErrorCodes.FETCH_SESSION_TOPIC_ID_ERROR });
  assert.equal(cache.open(request(id, 1, []), VERSION).kind, 'incremental');
});

test('the epoch wraps to 1, never to 0, which would begin a new session', () => {
  const { cache } = sessions();
  const first = cache.open(request(0, 0, [1]), VERSION);
  assert.ok(first.kind === 'full' && first.session !== undefined);
  first.session.epoch = 0x7fff_ffff;
  assert.equal(cache.open(request(first.session.id, 0x7fff_ffff, []), VERSION).kind, 'incremental');
  assert.equal(first.session.epoch, 1);
});

test('epoch -1 ends a session, epoch 0 replaces it, an emptied one is gone', () => {
  const { cache } = sessions();
  const first = idOf(cache.open(request(0, 0, [1]), VERSION));
  assert.equal(cache.open(request(first, -1, [1]), VERSION).kind, 'sessionless');
  assert.equal(cache.size, 0);
  const second = idOf(cache.open(request(0, 0, [1]), VERSION));
  const third = idOf(cache.open(request(second, 0, [1]), VERSION));
  assert.notEqual(second, third);
  assert.equal(cache.size, 1);
  assert.equal(cache.open(request(third, 1, [], [1]), VERSION).kind, 'sessionless');
  assert.deepEqual([cache.size, cache.partitionCount], [0, 0]);
});

test('requests before version 7 have no session', () => {
  assert.equal(sessions().cache.open(request(0, 0, [1]), 6).kind, 'sessionless');
});

test('a full cache gives no session to new clients while all others are young', () => {
  const { cache } = sessions({ maxSessions: 3 });
  for (let i = 0; i < 3; i++) assert.ok(idOf(cache.open(request(0, 0, [1]), VERSION)) > 0);
  for (let i = 0; i < 10_000; i++) assert.equal(idOf(cache.open(request(0, 0, [1, 2]), VERSION)), 0);
  assert.equal(cache.size, 3);
});

test('a session unused for two minutes goes first; else a small old one yields to a larger', async () => {
  const { cache, clock } = sessions({ maxSessions: 2 });
  const unused = idOf(cache.open(request(0, 0, [1]), VERSION));
  await clock.advance(60_000);
  const used = idOf(cache.open(request(0, 0, [1, 2]), VERSION));
  await clock.advance(60_001);
  const third = idOf(cache.open(request(0, 0, [1]), VERSION));
  assert.ok(third > 0);
  assert.equal(cache.open(request(unused, 1, []), VERSION).kind, 'error');
  await clock.advance(60_001);
  assert.equal(cache.open(request(used, 1, []), VERSION).kind, 'incremental');
  assert.equal(cache.open(request(third, 1, []), VERSION).kind, 'incremental');
  assert.equal(idOf(cache.open(request(0, 0, [1, 2]), VERSION)), 0);
  assert.ok(idOf(cache.open(request(0, 0, [1, 2, 3]), VERSION)) > 0);
  assert.equal(cache.open(request(used, 2, []), VERSION).kind, 'error');
});

test('partitions of all sessions together are bounded', () => {
  const { cache } = sessions({ maxTargets: 5 });
  const id = idOf(cache.open(request(0, 0, [1, 2, 3]), VERSION));
  assert.equal(idOf(cache.open(request(0, 0, [1, 2, 3]), VERSION)), 0);
  cache.open(request(id, 1, [4, 5, 6, 7, 8]), VERSION);
  assert.equal(cache.partitionCount, 5);
});

test('a partition that got records is read last next time', () => {
  const { cache } = sessions();
  const first = cache.open(request(0, 0, [1, 2, 3]), VERSION);
  assert.ok(first.kind === 'full' && first.session !== undefined);
  moveToEnd(first.session, first.targets[0]!);
  assert.deepEqual(partitionsOf(cache.open(request(first.session.id, 1, []), VERSION)), [2, 3, 1]);
});
