/** What a coordinator knows is what its log says (contract C10): random lives of groups, then the log read by another one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { GroupBroker } from '../../../test/coordinator/group-broker.ts';
import { GroupMember } from '../../../test/coordinator/group-member.ts';
import { buildBatch } from '../../log/batch/build-batch.ts';
import { decodeRecords } from '../../log/batch/records.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import { isBlank } from './group.ts';
import { snapshotOf } from './group-snapshot.ts';

const groupId = fc.constantFrom('g0', 'g1', 'g2');
const topic = fc.constantFrom('t', 'u');
const member = fc.nat(3);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      groupId,
      topic,
      partition: fc.nat(2),
      offset: fc.nat(1_000),
      metadata: fc.string({ maxLength: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), groupId, member }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const), groupId, member }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('member-commit' as const), groupId, member, offset: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), groupId, member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete-group' as const), groupId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete-offset' as const), groupId, topic, partition: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete-topic' as const), topic }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('upload' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('upload-unknown' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(10, 2_000, 20_000, 700_000, 4_000_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('take-over' as const) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

class Life {
  readonly broker = new GroupBroker({ config: { 'offsets.retention.minutes': '60' } });
  readonly members = new Map<string, GroupMember>();

  constructor() {
    this.broker.addTopic('t', 3);
    this.broker.addTopic('u', 3);
    this.log.held = true;
  }

  get log() {
    return this.broker.logOf('g0');
  }

  async play(next: Action): Promise<void> {
    const { broker, log } = this;
    switch (next.kind) {
      case 'commit': {
        const partitions = [{ partitionIndex: next.partition, committedOffset: next.offset, committedMetadata: next.metadata }];
        await broker.send(ApiKeys.OffsetCommit, next.offset % 2 === 0 ? 9 : 4, {
          groupId: next.groupId,
          memberId: '',
          retentionTimeMs: next.offset % 10 === 1 ? 1_000_000 : -1,
          topics: [{ name: next.topic, partitions }],
        });
        return;
      }
      case 'join': {
        const who = this.member(next);
        const pending = await who.join();
        await broker.clock.advance(1);
        if (pending.answer?.errorCode === 0) who.learn(pending.answer);
        return;
      }
      case 'sync': {
        const who = this.member(next);
        await who.sync(Object.fromEntries(who.others.map((memberId) => [memberId, `of ${who.generationId}`])));
        return;
      }
      case 'member-commit':
        await broker.send(ApiKeys.OffsetCommit, 9, this.member(next).commitRequest('t', 0, next.offset));
        return;
      case 'leave':
        await this.member(next).leave();
        return;
      case 'delete-group':
        await broker.send(ApiKeys.DeleteGroups, 2, { groupsNames: [next.groupId] });
        return;
      case 'delete-offset':
        await broker.send(ApiKeys.OffsetDelete, 0, { groupId: next.groupId, topics: [{ name: next.topic, partitions: [{ partitionIndex: next.partition }] }] });
        return;
      case 'delete-topic': {
        const image = broker.topics.get(next.topic);
        if (image) broker.coordinator.onTopicDeleted(next.topic, image.topicId);
        return;
      }
      case 'upload':
        log.upload(next.count);
        return broker.clock.settle();
      case 'upload-unknown':
        if (log.waitingUploads === 0) return;
        log.upload(1, 'unknown');
        await broker.clock.settle();
        log.upload();
        log.settleUnknown();
        return broker.clock.advance(1_000);
      case 'wait':
        return broker.clock.advance(next.ms);
      case 'take-over':
        log.upload();
        return broker.takeOver();
    }
  }

  member(options: { readonly groupId: string; readonly member: number }): GroupMember {
    const key = `${options.groupId}/${options.member}`;
    const isStatic = options.member === 3 ? { groupInstanceId: key } : {};
    const found = this.members.get(key) ?? new GroupMember(this.broker, { groupId: options.groupId, ...isStatic });
    this.members.set(key, found);
    return found;
  }

  async settle(): Promise<void> {
    this.log.upload();
    await this.broker.clock.settle();
  }

  offsets(): readonly string[] {
    return [...this.broker.coordinator.partitions()]
      .flatMap(({ offsets }) =>
        [...offsets.groupIds()].flatMap((id) =>
          [...offsets.ofGroup(id)].flatMap(([name, values]) => [...values].map(([p, value]) => `${id} ${name}-${p} ${JSON.stringify(value)}`)),
        ),
      )
      .sort();
  }

  /** Groups that are settled; of the others the log has an earlier generation. */
  groups(): Map<string, string> {
    const found = new Map<string, string>();
    for (const partition of this.broker.coordinator.partitions()) {
      for (const { group } of partition.groups()) {
        const { phaseSinceMs, ...rest } = snapshotOf(group);
        // The record of an assignment is written before the group is stable.
        if (group.phase === 'Stable') found.set(group.groupId, JSON.stringify(rest));
        if (group.phase === 'Empty' && !isBlank(group)) found.set(group.groupId, JSON.stringify({ ...rest, phaseSinceMs }));
      }
    }
    return found;
  }
}

test('what a coordinator knows after any life is what another one reads from its log', async () => {
  let stable = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.constantFrom(Number.POSITIVE_INFINITY, 7, 100),
      async (actions, chunkBytes) => {
        const life = new Life();
        for (const next of actions) await life.play(next);
        await life.settle();
        const offsets = life.offsets();
        const groups = life.groups();
        life.log.chunkBytes = chunkBytes;
        await life.broker.takeOver();
        assert.deepEqual(life.offsets(), offsets);
        const reread = life.groups();
        for (const [id, snapshot] of groups) assert.equal(reread.get(id), snapshot, id);
        stable += [...groups.values()].filter((text) => text.includes('"memberId"')).length;
        await life.broker.coordinator.close();
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(stable > 0, 'some of these lives had stable groups');
});

test('a compacted log in any compression reads as the log did', async () => {
  for (const compression of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const life = new Life();
    life.log.held = false;
    for (let offset = 0; offset < 40; offset += 1)
      await life.play({ kind: 'commit', groupId: `g${offset % 3}`, topic: 't', partition: offset % 2, offset, metadata: '' } as Action);
    await life.play({ kind: 'delete-group', groupId: 'g2' });
    const offsets = life.offsets();
    const { log } = life;
    const last = new Map<string, { offset: number; record: { key: Buffer | null; value: Buffer | null; timestampMs: number } }>();
    for (const batch of log.batches) {
      const decoded = decodeRecords(batch, { maxOutputBytes: 1 << 20 });
      assert.equal(decoded.kind, 'ok');
      if (decoded.kind === 'ok') for (const record of decoded.records) last.set(record.key?.toString('hex') ?? '', { offset: record.offset, record });
    }
    const kept = [...last.values()].sort((a, b) => a.offset - b.offset);
    const first = kept[0]?.offset ?? 0;
    log.batches = [buildBatch({ compression, baseOffset: first, records: kept.map(({ offset, record }) => ({ ...record, offsetDelta: offset - first })) })];
    await life.broker.takeOver();
    assert.equal(offsets.length, 4);
    assert.deepEqual(life.offsets(), offsets, compression);
  }
});

test('records of other kinds of groups, and those without a key, are passed over', async () => {
  const life = new Life();
  life.log.held = false;
  await life.play({ kind: 'commit', groupId: 'g0', topic: 't', partition: 0, offset: 3, metadata: '' });
  const consumerGroup = Buffer.from([0, 3, 0, 1, 0x67]);
  const nameless = { key: null, value: Buffer.from('x'), timestampMs: 0 };
  life.log.append(buildBatch({ records: [{ key: consumerGroup, value: Buffer.from([0, 0, 0]), timestampMs: 0 }, nameless] }), { origin: 'coordinator' });
  const offsets = life.offsets();
  await life.broker.takeOver();
  assert.deepEqual(life.offsets(), offsets);
  assert.equal(offsets.length, 1);
});

test('a value of an unknown version stops the loading: half a memory would make consumers start over', async () => {
  const life = new Life();
  life.log.held = false;
  const key = Buffer.from([0, 2, 0, 1, 0x67]);
  life.log.append(buildBatch({ records: [{ key, value: Buffer.from([0, 99, 0]), timestampMs: 0 }] }), { origin: 'coordinator' });
  await life.broker.takeOver();
  const { errorCode } = await life.broker.ask(ApiKeys.ListGroups, 5, {});
  assert.equal(errorCode, 14);
});
