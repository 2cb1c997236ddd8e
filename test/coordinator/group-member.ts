/** A consumer of a group in tests: remembers its member id and generation, and joins as current clients do. */
import assert from 'node:assert/strict';
import { encodeMessage } from '../../broker/protocol/codecs.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys, type JoinGroupResponse, type OffsetCommitRequestInput, type SyncGroupResponse } from '../../broker/protocol/messages.gen.ts';
import type { GroupBroker } from './group-broker.ts';

export interface MemberOptions {
  readonly groupId?: string;
  readonly topics?: readonly string[];
  readonly groupInstanceId?: string;
  readonly protocols?: readonly string[];
  readonly sessionTimeoutMs?: number;
}

export class GroupMember {
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly #broker: GroupBroker;
  readonly #options: MemberOptions;
  memberId = '';
  generationId = -1;
  protocolName: string | null = null;
  leads = false;
  others: readonly string[] = [];

  constructor(broker: GroupBroker, options: MemberOptions = {}) {
    this.#broker = broker;
    this.#options = options;
    this.groupId = options.groupId ?? 'g';
    this.groupInstanceId = options.groupInstanceId ?? null;
  }

  /** Joins, with the member id that the first answer may give; the last answer may still be missing. */
  async join(): Promise<{ answer?: JoinGroupResponse }> {
    const pending = await this.#join();
    if (pending.answer?.errorCode !== ErrorCodes.MEMBER_ID_REQUIRED) return pending;
    this.memberId = pending.answer.memberId;
    return this.#join();
  }

  learn(answer: JoinGroupResponse | undefined): void {
    assert.equal(answer?.errorCode, ErrorCodes.NONE, 'joined');
    this.memberId = answer.memberId;
    this.generationId = answer.generationId;
    this.protocolName = answer.protocolName;
    this.leads = answer.leader === answer.memberId;
    this.others = answer.members.map((member) => member.memberId);
  }

  /** Joins a group of its own and takes everything. */
  async joinAlone(): Promise<void> {
    const pending = await this.join();
    await this.#broker.clock.advance(1);
    this.learn(pending.answer);
    const { answer } = await this.sync({ [this.memberId]: 'all' });
    assert.equal(answer?.errorCode, ErrorCodes.NONE);
  }

  sync(assignments: Readonly<Record<string, string>> = {}): Promise<{ answer?: SyncGroupResponse }> {
    return this.#broker.send(ApiKeys.SyncGroup, 5, {
      groupId: this.groupId,
      generationId: this.generationId,
      memberId: this.memberId,
      groupInstanceId: this.groupInstanceId,
      protocolType: 'consumer',
      protocolName: this.protocolName,
      assignments: Object.entries(assignments).map(([memberId, assignment]) => ({ memberId, assignment: Buffer.from(assignment) })),
    });
  }

  async beat(): Promise<number> {
    const { groupId, generationId, memberId, groupInstanceId } = this;
    return (await this.#broker.ask(ApiKeys.Heartbeat, 4, { groupId, generationId, memberId, groupInstanceId })).errorCode;
  }

  async leave(): Promise<number> {
    const { groupId, memberId, groupInstanceId } = this;
    return (await this.#broker.ask(ApiKeys.LeaveGroup, 5, { groupId, members: [{ memberId, groupInstanceId, reason: 'done' }] })).members[0]?.errorCode ?? -1;
  }

  commitRequest(topic: string, partition: number, offset: number): OffsetCommitRequestInput {
    const { groupId, generationId, memberId, groupInstanceId } = this;
    const partitions = [{ partitionIndex: partition, committedOffset: offset, committedMetadata: '' }];
    return { groupId, generationIdOrMemberEpoch: generationId, memberId, groupInstanceId, topics: [{ name: topic, partitions }] };
  }

  async commit(topic: string, partition: number, offset: number): Promise<number> {
    const answer = await this.#broker.ask(ApiKeys.OffsetCommit, 9, this.commitRequest(topic, partition, offset));
    return answer.topics[0]?.partitions[0]?.errorCode ?? -1;
  }

  #join(): Promise<{ answer?: JoinGroupResponse }> {
    const { topics = ['t'], protocols = ['range'], sessionTimeoutMs = 10_000 } = this.#options;
    const subscription = Buffer.concat([Buffer.from([0, 0]), encodeMessage('ConsumerProtocolSubscription', 0, { topics })]);
    return this.#broker.send(ApiKeys.JoinGroup, 9, {
      groupId: this.groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 60_000,
      memberId: this.memberId,
      groupInstanceId: this.groupInstanceId,
      protocolType: 'consumer',
      protocols: protocols.map((name) => ({ name, metadata: subscription })),
      reason: null,
    });
  }
}
