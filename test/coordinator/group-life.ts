/** Random lives of groups: what clients, administrators, storage and time do to a coordinator, step by step. */
import fc from 'fast-check';
import type { GroupSettings } from '../../broker/coordinator/groups/group-settings.ts';
import { isBlank } from '../../broker/coordinator/groups/group.ts';
import { encodeGroupRecord } from '../../broker/coordinator/groups/group-records.ts';
import { snapshotOf } from '../../broker/coordinator/groups/group-snapshot.ts';
import { decodeRecords } from '../../broker/log/batch/records.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { GroupBroker } from './group-broker.ts';
import { GroupMember } from './group-member.ts';

const groupId = fc.constantFrom('g0', 'g1', 'g2');
const topic = fc.constantFrom('t', 'u');
const member = fc.nat(3);
export const action = fc.oneof(
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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);
export type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

export class GroupLife {
  readonly broker: GroupBroker;
  readonly members = new Map<string, GroupMember>();
  #commits = 0;

  constructor(settings: Partial<GroupSettings> = {}) {
    this.broker = new GroupBroker({ config: { 'offsets.retention.minutes': '60' }, settings });
    this.broker.addTopic('t', 3);
    this.broker.addTopic('u', 3);
    this.log.held = true;
  }

  /** No two commits are alike. */
  #nextOffset(offset: number): number {
    this.#commits += 1;
    return this.#commits * 10_000 + offset;
  }

  get log() {
    return this.broker.logOf('g0');
  }

  async play(next: Action): Promise<void> {
    const { broker, log } = this;
    switch (next.kind) {
      case 'commit': {
        const partitions = [{ partitionIndex: next.partition, committedOffset: this.#nextOffset(next.offset), committedMetadata: next.metadata }];
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
        await broker.send(ApiKeys.OffsetCommit, 9, this.member(next).commitRequest('t', 0, this.#nextOffset(next.offset)));
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
      case 'crash':
        await broker.coordinator.close();
        log.crash();
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

  /** What the log says of each key, read from its start or a later offset. */
  replayed(startOffset = 0): string {
    return lastValues(this.log.batches.map(recordsOf), this.log.highWatermark, startOffset);
  }

  /** The same, had nothing ever been written again and nothing been cut off. */
  remembered(): string {
    return lastValues(withoutRepeats(this.log.history), this.log.highWatermark);
  }

  /** What the coordinator takes for the log's content; undefined while it loads. */
  live(): string | undefined {
    const found = new Map<string, string>();
    for (const { live, unavailable } of this.broker.coordinator.partitions()) {
      if (unavailable !== 0) return undefined;
      for (const record of live.below(Number.POSITIVE_INFINITY)) {
        const { key, value } = encodeGroupRecord(record, 0);
        found.set(hexOf(key), hexOf(value));
      }
    }
    return sorted(found);
  }
}

interface ReadRecord {
  readonly offset: number;
  readonly key: string;
  readonly value: string | undefined;
}

const readBatches = new WeakMap<Buffer, readonly ReadRecord[]>();

function recordsOf(batch: Buffer): readonly ReadRecord[] {
  let records = readBatches.get(batch);
  if (!records) {
    const decoded = decodeRecords(batch, { maxOutputBytes: 1 << 20 });
    if (decoded.kind !== 'ok') throw new Error(decoded.message);
    records = decoded.records.map(({ offset, key, value }) => ({ offset, key: hexOf(key), value: value ? hexOf(value) : undefined }));
    readBatches.set(batch, records);
  }
  return records;
}

/** Nobody but compaction writes a value twice under one key. */
function withoutRepeats(batches: readonly Buffer[]): readonly (readonly ReadRecord[])[] {
  const seen = new Set<string>();
  const isNew = ({ key, value }: ReadRecord) => {
    const pair = `${key} = ${value}`;
    if (value === undefined || !seen.has(pair)) return seen.add(pair);
    return false;
  };
  return batches.map((batch) => recordsOf(batch).filter(isNew));
}

function lastValues(batches: readonly (readonly ReadRecord[])[], endOffset: number, startOffset = 0): string {
  const found = new Map<string, string>();
  for (const batch of batches) {
    for (const { offset, key, value } of batch) {
      if (offset >= endOffset || offset < startOffset) continue;
      if (value === undefined) found.delete(key);
      else found.set(key, value);
    }
  }
  return sorted(found);
}

function sorted(values: ReadonlyMap<string, string>): string {
  return [...values]
    .map(([key, value]) => `${key} = ${value}`)
    .sort()
    .join('\n');
}

function hexOf(bytes: Uint8Array | null): string {
  return bytes ? Buffer.from(bytes).toString('hex') : '';
}
