/** Compaction changes what the log has, never what it says. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type Action, action, GroupLife } from '../../../test/coordinator/group-life.ts';
import { buildBatch } from '../../log/batch/build-batch.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import { brokerConfig } from '../../config.ts';
import type { CompactionLimits } from './compaction.ts';
import { encodeGroupRecord, type GroupRecord, recordBytes, zeroTopicId } from './group-records.ts';
import { groupSettings } from './group-settings.ts';

const { storage } = groupSettings(brokerConfig({}));
const eager: CompactionLimits = { minHistoryBytes: 300, historyFactor: 2, batchBytes: 250, maxInFlightBytes: 400, retryMs: 1_000 };

/** Lives whose log start moved past something that was live and durable nowhere else. */
const cutTooEarly = new WeakSet<GroupLife>();

function lifeWith(compaction: Partial<CompactionLimits>): GroupLife {
  const life = new GroupLife({ storage: { ...storage, compaction: { ...eager, ...compaction } } });
  const { log } = life;
  const raise = log.deleteRecordsBefore.bind(log);
  log.deleteRecordsBefore = (offset) => {
    if (life.replayed(offset) !== life.remembered()) cutTooEarly.add(life);
    return raise(offset);
  };
  return life;
}

function commit(life: GroupLife, { groupId = 'g', partition = 0, offset }: { groupId?: string; partition?: number; offset: number }): Promise<unknown> {
  const partitions = [{ partitionIndex: partition, committedOffset: offset, committedMetadata: '' }];
  return life.broker.send(ApiKeys.OffsetCommit, 9, { groupId, memberId: '', topics: [{ name: 't', partitions }] });
}

function compactions(life: GroupLife, outcome = 'compacted'): number {
  return life.broker.metrics.value('automq_group_compactions_total', outcome);
}

function assertTold(life: GroupLife): void {
  assert.ok(!cutTooEarly.has(life), 'all that is live is durable past the new log start');
  assert.equal(life.replayed(), life.remembered(), 'a replay from the log start finds what one of everything finds');
}

const busy: fc.Arbitrary<Action> = fc.oneof({ weight: 5, arbitrary: action }, { weight: 1, arbitrary: fc.constant({ kind: 'upload', count: 6 }) });

test('whatever happens, at every moment the log says from its start what all of it would say, and the coordinator keeps the same', async () => {
  let compacted = 0;
  let abandoned = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(busy, { minLength: 30, maxLength: 120, size: 'max' }), fc.constantFrom(100, 500, 2_000), async (actions, batchBytes) => {
      const life = lifeWith({ batchBytes, minHistoryBytes: 150, historyFactor: batchBytes === 100 ? 1.7 : 1.1 });
      life.log.subscribe(() => assertTold(life));
      for (const next of actions) {
        await life.play(next);
        await life.broker.clock.settle();
        const live = life.live();
        if (live !== undefined) assert.equal(live, life.replayed());
      }
      await life.broker.coordinator.close();
      compacted += compactions(life);
      abandoned += compactions(life, 'abandoned');
    }),
    { numRuns: 60 },
  );
  assert.ok(compacted > 60, `${compacted} compactions`);
  assert.ok(abandoned > 20, `${abandoned} compactions that were interrupted`);
});

test('a coordinator that dies at any step of a compaction loses nothing, and the next one compacts again', async () => {
  let finished = false;
  for (let steps = 0; !finished; steps += 1) {
    assert.ok(steps < 200, 'it ends');
    const life = lifeWith({ minHistoryBytes: 4_000, retryMs: 0 });
    life.log.held = false;
    for (let n = 0; n < 20; n += 1) await commit(life, { groupId: `x${n}`, offset: n });
    for (const groupId of ['g0', 'g2']) await commit(life, { groupId, offset: 1 });
    await life.play({ kind: 'delete-group', groupId: 'g2' });
    await life.play({ kind: 'join', groupId: 'g1', member: 0 });
    await life.play({ kind: 'sync', groupId: 'g1', member: 0 });
    life.log.held = true;
    let n = 0;
    for (; life.log.waitingUploads < 2; n += 1) {
      assert.ok(n < 100, 'it begins');
      await commit(life, { groupId: `x${n % 5}`, offset: 100 + n });
      if (life.log.waitingUploads === 1) life.log.upload();
      await life.broker.clock.settle();
    }
    // Keys that change while they are written again.
    void commit(life, { groupId: 'x3', offset: 1_000 });
    void life.play({ kind: 'delete-group', groupId: 'g0' });
    await life.broker.clock.settle();
    for (let step = 0; step < steps && life.log.waitingUploads > 0; step += 1) {
      life.log.upload(1);
      await life.broker.clock.settle();
      assertTold(life);
    }
    finished = compactions(life) > 0;
    await life.play({ kind: 'crash' });
    assertTold(life);
    assert.equal(life.live(), life.replayed());
    life.log.held = false;
    life.log.upload();
    for (n = 0; n < 30; n += 1) await commit(life, { groupId: `x${n % 5}`, offset: 2_000 + n });
    assertTold(life);
    assert.ok(compactions(life) > 0);
    assert.ok(life.log.sizeBytes < 6_000, `${life.log.sizeBytes} bytes are left`);
    await life.broker.coordinator.close();
  }
});

test('after many commits of few keys a load reads little', async () => {
  const life = new GroupLife();
  life.log.held = false;
  const groupIds = Array.from({ length: 10 }, (_, n) => `group-${n}`);
  const answers: Promise<unknown>[] = [];
  for (let n = 0; n < 2_500; n += 1) {
    const partitions = [0, 1, 2].map((partitionIndex) => ({ partitionIndex, committedOffset: n, committedMetadata: 'm'.repeat(1_000) }));
    const sent = life.broker.send(ApiKeys.OffsetCommit, 9, { groupId: groupIds[n % 10] ?? '', memberId: '', topics: [{ name: 't', partitions }] });
    answers.push(sent);
    if (answers.length === 50) await Promise.all(answers.splice(0));
  }
  await life.broker.clock.settle();
  assertTold(life);
  const historyBytes = life.log.history.reduce((sum, batch) => sum + batch.length, 0);
  const { minHistoryBytes, historyFactor } = storage.compaction;
  const bound = Math.max(minHistoryBytes, historyFactor * life.broker.metrics.value('automq_group_live_bytes'));
  assert.ok(historyBytes > 5 * bound, 'there is much history');
  assert.ok(life.log.sizeBytes < 1.1 * bound, `${life.log.sizeBytes} bytes of ${historyBytes} are left`);
  assert.equal(life.broker.metrics.value('automq_group_history_bytes'), life.log.sizeBytes);
  const live = life.live();
  await life.broker.takeOver();
  assert.equal(life.live(), live);
  assert.equal(life.broker.metrics.value('automq_group_history_bytes'), life.log.sizeBytes);
});

test('a key that is written while the compaction waits is not written again', async () => {
  const life = lifeWith({});
  for (let n = 0; n < 9; n += 1) await commit(life, { offset: n });
  // Too long: the cut is behind these nine, one of which is not durable yet.
  life.log.upload(8);
  await life.broker.clock.settle();
  await commit(life, { offset: 10 });
  await life.settle();
  life.log.upload();
  await life.settle();
  assert.equal(compactions(life), 1);
  assert.equal(life.broker.metrics.value('automq_group_compaction_rewritten_bytes_total'), 0);
  assert.equal(life.log.batches.length, 1);
  assertTold(life);
});

test('only so much is on its way at once, and one partition after the other', async () => {
  const life = lifeWith({ minHistoryBytes: 20_000, maxInFlightBytes: 1_000 });
  const { log } = life;
  log.held = false;
  for (let n = 0; n < 100; n += 1) await commit(life, { groupId: `g${n}`, offset: n });
  assert.equal(compactions(life), 0);
  log.held = true;
  let most = 0;
  for (let n = 0; n < 200 && compactions(life) === 0; n += 1) {
    if (life.broker.metrics.value('automq_group_pending_bytes') === 0) void commit(life, { groupId: 'g0', offset: n });
    await life.broker.clock.settle();
    most = Math.max(most, life.broker.metrics.value('automq_group_pending_bytes'));
    log.upload(1);
  }
  assert.equal(compactions(life), 1);
  assert.ok(most > 500 && most < 1_800, `${most} bytes were on their way`);
  assertTold(life);
});

test('a log that refuses is compacted later', async () => {
  const life = lifeWith({ retryMs: 60_000 });
  const { log } = life;
  log.held = false;
  const raise = log.deleteRecordsBefore.bind(log);
  log.deleteRecordsBefore = () => Promise.resolve(ErrorCodes.REQUEST_TIMED_OUT);
  for (let n = 0; n < 40; n += 1) await commit(life, { offset: n });
  assert.equal(compactions(life, 'failed'), 1, 'not tried again at once');
  log.deleteRecordsBefore = raise;
  assert.equal(log.logStartOffset, 0);
  await life.broker.clock.advance(60_000);
  await commit(life, { offset: 40 });
  assert.equal(compactions(life), 1);
  assertTold(life);
});

test('a log with records that this version does not know, or that a tool wrote, keeps all of them', async () => {
  const unknownKind = { key: Buffer.from([0, 3, 0, 1, 0x67]), value: Buffer.from([0, 0, 0]), timestampMs: 0 };
  for (const reload of [false, true]) {
    const life = lifeWith({});
    life.log.held = false;
    await commit(life, { offset: 1 });
    life.log.append(buildBatch({ records: [unknownKind] }), { origin: 'coordinator' });
    if (reload) await life.broker.takeOver();
    for (let n = 0; n < 40; n += 1) await commit(life, { offset: n });
    assert.equal(compactions(life), 0);
    assert.equal(life.log.logStartOffset, 0);
  }
});

test('closing does not wait for a log start that is on its way', async () => {
  const life = lifeWith({});
  life.log.held = false;
  life.log.deleteRecordsBefore = () => new Promise(() => {});
  for (let n = 0; n < 20; n += 1) await commit(life, { offset: n });
  await life.broker.clock.until(life.broker.coordinator.close());
  assert.equal(compactions(life, 'abandoned'), 1);
});

test('the size of a record is never underrated, and not overrated by much', () => {
  const text = fc.string({ maxLength: 40, unit: 'grapheme' });
  const bytes = fc.uint8Array({ maxLength: 200 }).map((view) => Buffer.from(view));
  const nullable = fc.option(text, { nil: undefined });
  const member = fc.record({
    memberId: text,
    groupInstanceId: fc.option(text),
    clientId: text,
    clientHost: text,
    rebalanceTimeoutMs: fc.nat(),
    sessionTimeoutMs: fc.nat(),
    subscription: bytes,
    assignment: bytes,
  });
  const snapshot = fc.record({
    protocolType: nullable,
    generationId: fc.nat(),
    protocolName: nullable,
    leaderId: nullable,
    phaseSinceMs: fc.constant(1),
    members: fc.array(member, { maxLength: 5 }),
  });
  const value = fc.record({
    offset: fc.maxSafeNat(),
    leaderEpoch: fc.nat(),
    metadata: text,
    commitTimestampMs: fc.nat(),
    expireTimestampMs: fc.constantFrom(-1, 5),
    topicId: fc.constant(zeroTopicId),
  });
  const record: fc.Arbitrary<GroupRecord> = fc.oneof(
    fc.record({ kind: fc.constant('group' as const), groupId: text, value: snapshot }),
    fc.record({ kind: fc.constant('offset' as const), groupId: text, topic: text, partition: fc.nat(), value }),
  );
  fc.assert(
    fc.property(record, (one) => {
      const encoded = encodeGroupRecord(one, 0);
      const actual = buildBatch({ records: [encoded, encoded] }).length - buildBatch({ records: [encoded] }).length;
      assert.ok(recordBytes(one) >= actual && recordBytes(one) <= actual + 60, `${recordBytes(one)} for ${actual}`);
    }),
  );
});
