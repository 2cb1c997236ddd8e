/**
 * One member of a classic consumer group: finds the coordinator and follows it, joins, gets partitions of the topics under
 * test, asks what is committed, and commits ever higher offsets. It reads no records: what is looked at is the coordinator
 * (C10, C11). Every commit carries its own text, so that what is fetched later names the commit.
 */
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { Disconnected } from './kafka-connection.ts';
import type { KafkaSession } from './kafka-session.ts';
import { errorName } from './produce-errors.ts';
import type { Recorder } from './recorder.ts';
import type { SimRandom } from './sim-random.ts';

export interface SimGroupMemberOptions {
  readonly name: string;
  readonly group: string;
  readonly session: KafkaSession;
  readonly recorder: Recorder;
  readonly random: SimRandom;
  /** Topics that stay. */
  readonly topics: readonly string[];
  readonly gapMs: number;
}

interface Assigned {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  position: number;
}

const protocol = 'simulated';
const sessionTimeoutMs = 6_000;

export class SimGroupMember {
  readonly #options: SimGroupMemberOptions;
  #coordinator: number | undefined;
  #memberId = '';
  #generation = -1;
  #leads = false;
  #members: readonly string[] = [];
  #assigned: Assigned[] = [];
  #step: 'join' | 'sync' | 'fetch' | 'work' = 'join';
  #commits = 0;
  #stopping = false;
  #running = false;
  #rounds = 0;

  constructor(options: SimGroupMemberOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** How often everything that is assigned was committed, or nothing was assigned. */
  get rounds(): number {
    return this.#rounds;
  }

  get idle(): boolean {
    return !this.#running;
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { session, random, gapMs, topics } = this.#options;
    this.#running = true;
    while (!this.#stopping) {
      try {
        if (topics.some((name) => !session.topics.has(name)) || random.chance(0.02)) await session.refresh(topics);
        if (this.#coordinator === undefined) await this.#findCoordinator();
        else await this.#go(this.#coordinator);
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
        this.#coordinator = undefined;
        await session.refresh(topics);
      }
      await session.sleep(gapMs * random.between(0.5, 1.5));
    }
    this.#running = false;
  }

  async #findCoordinator(): Promise<void> {
    const { session, group } = this.#options;
    const answer = await session.toAny(ApiKeys.FindCoordinator, { key: '', keyType: 0, coordinatorKeys: [group] });
    const found = answer.coordinators[0];
    if (found === undefined || found.errorCode !== ErrorCodes.NONE) return this.#expect(found?.errorCode ?? ErrorCodes.NONE, 'FindCoordinator');
    session.meet([found]);
    this.#coordinator = found.nodeId;
  }

  async #go(coordinator: number): Promise<void> {
    const { random } = this.#options;
    switch (this.#step) {
      case 'join':
        return this.#join(coordinator);
      case 'sync':
        return this.#sync(coordinator);
      case 'fetch':
        return this.#fetch(coordinator);
      case 'work':
        if (random.chance(0.01)) return this.#leave(coordinator);
        if (random.chance(0.05)) return this.#fetch(coordinator);
        if (!(await this.#heartbeat(coordinator))) return;
        for (const at of this.#assigned) if (this.#step === 'work' && random.chance(0.7)) await this.#commit(coordinator, at);
        if (this.#step === 'work') this.#rounds++;
        return;
    }
  }

  async #join(coordinator: number): Promise<void> {
    const { session, group } = this.#options;
    this.#assigned = [];
    const answer = await session.toNode(coordinator, ApiKeys.JoinGroup, {
      groupId: group,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 3_000,
      memberId: this.#memberId,
      protocolType: 'consumer',
      protocols: [{ name: protocol, metadata: Buffer.alloc(0) }],
    });
    if (answer.errorCode === ErrorCodes.MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId;
      return;
    }
    if (answer.errorCode !== ErrorCodes.NONE) return this.#refused(answer.errorCode, 'JoinGroup');
    this.#memberId = answer.memberId;
    this.#generation = answer.generationId;
    this.#leads = answer.leader === answer.memberId;
    this.#members = answer.members.map(({ memberId }) => memberId).sort();
    this.#step = 'sync';
  }

  async #sync(coordinator: number): Promise<void> {
    const { session, group } = this.#options;
    const assignments = this.#leads ? this.#members.map((memberId, i) => ({ memberId, assignment: this.#shareOf(i) })) : [];
    const answer = await session.toNode(coordinator, ApiKeys.SyncGroup, {
      groupId: group,
      generationId: this.#generation,
      memberId: this.#memberId,
      protocolType: 'consumer',
      protocolName: protocol,
      assignments,
    });
    if (answer.errorCode !== ErrorCodes.NONE) return this.#refused(answer.errorCode, 'SyncGroup');
    const { recorder, name } = this.#options;
    const share = answer.assignment.toString('latin1');
    this.#assigned = share === '' ? [] : share.split(' ').map(parseAssigned);
    for (const { topicId, partition } of this.#assigned) {
      const times = { t0: recorder.nowMs, t1: recorder.nowMs };
      recorder.record({
        f: 'assigned',
        type: 'ok',
        process: name,
        key: `${topicId}/${partition}`,
        ...times,
        group,
        generation: this.#generation,
        member: this.#memberId,
      });
    }
    this.#step = 'fetch';
  }

  /** Every so-manieth partition of the topics that the leader knows. */
  #shareOf(index: number): Buffer {
    const { session, topics } = this.#options;
    const all = topics.flatMap((name) => {
      const topic = session.topics.get(name);
      return topic === undefined ? [] : topic.leaders.map((_, partition) => `${name}|${topic.topicId}|${partition}`);
    });
    return Buffer.from(all.filter((_, i) => i % this.#members.length === index).join(' '), 'latin1');
  }

  async #fetch(coordinator: number): Promise<void> {
    const { session, group, recorder, name: process, random } = this.#options;
    const t0 = recorder.nowMs;
    const topics = byTopic(this.#assigned).map(({ topic, topicId, partitions }) => ({ name: topic, topicId, partitionIndexes: partitions }));
    const answer = await session.toNode(coordinator, ApiKeys.OffsetFetch, { groups: [{ groupId: group, topics }], requireStable: random.chance(0.5) });
    const ofGroup = answer.groups[0];
    if (ofGroup === undefined || ofGroup.errorCode !== ErrorCodes.NONE) return this.#refused(ofGroup?.errorCode ?? ErrorCodes.NONE, 'OffsetFetch');
    for (const topic of ofGroup.topics) {
      for (const { partitionIndex, committedOffset, metadata, errorCode } of topic.partitions) {
        if (errorCode !== ErrorCodes.NONE) continue;
        const at = this.#assigned.find((one) => one.partition === partitionIndex && (one.topicId === topic.topicId || one.topic === topic.name));
        if (at === undefined) continue;
        recorder.record({
          f: 'committed',
          type: 'ok',
          process,
          key: `${at.topicId}/${partitionIndex}`,
          t0,
          t1: recorder.nowMs,
          group,
          offset: committedOffset,
          text: metadata ?? '',
        });
        at.position = Math.max(at.position, committedOffset);
      }
    }
    this.#step = 'work';
  }

  async #commit(coordinator: number, at: Assigned): Promise<void> {
    const { session, group, recorder, name: process, random } = this.#options;
    const t0 = recorder.nowMs;
    at.position += random.integer(1, 5);
    const text = `${process}.${++this.#commits}`;
    const operation = {
      f: 'commit',
      process,
      key: `${at.topicId}/${at.partition}`,
      t0,
      group,
      generation: this.#generation,
      offset: at.position,
      text,
    } as const;
    const closed = recorder.opened(() => recorder.record({ ...operation, type: 'info', t1: null }));
    try {
      const answer = await session.toNode(coordinator, ApiKeys.OffsetCommit, {
        groupId: group,
        generationIdOrMemberEpoch: this.#generation,
        memberId: this.#memberId,
        topics: [
          { name: at.topic, topicId: at.topicId, partitions: [{ partitionIndex: at.partition, committedOffset: at.position, committedMetadata: text }] },
        ],
      });
      const code = answer.topics[0]?.partitions[0]?.errorCode ?? ErrorCodes.NONE;
      const error = code === ErrorCodes.NONE ? {} : { error: errorName(code) };
      recorder.record({ ...operation, ...error, type: code === ErrorCodes.NONE ? 'ok' : notCommitted.has(code) ? 'fail' : 'info', t1: recorder.nowMs });
      if (code !== ErrorCodes.NONE) this.#refused(code, 'OffsetCommit');
    } catch (error) {
      recorder.record({ ...operation, type: 'info', t1: recorder.nowMs });
      throw error;
    } finally {
      closed();
    }
  }

  async #heartbeat(coordinator: number): Promise<boolean> {
    const { session, group } = this.#options;
    const answer = await session.toNode(coordinator, ApiKeys.Heartbeat, { groupId: group, generationId: this.#generation, memberId: this.#memberId });
    if (answer.errorCode !== ErrorCodes.NONE) this.#refused(answer.errorCode, 'Heartbeat');
    return answer.errorCode === ErrorCodes.NONE;
  }

  async #leave(coordinator: number): Promise<void> {
    const { session, group } = this.#options;
    const members = [{ memberId: this.#memberId }];
    await session.toNode(coordinator, ApiKeys.LeaveGroup, { groupId: group, memberId: this.#memberId, members });
    this.#memberId = '';
    this.#step = 'join';
  }

  /** What a client does next after each error. */
  #refused(code: number, api: string): void {
    switch (code) {
      case ErrorCodes.NOT_COORDINATOR:
      case ErrorCodes.COORDINATOR_NOT_AVAILABLE:
        this.#coordinator = undefined;
        return;
      case ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS:
      case ErrorCodes.REQUEST_TIMED_OUT:
      case ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCodes.UNKNOWN_TOPIC_ID:
        return;
      case ErrorCodes.UNKNOWN_MEMBER_ID:
      case ErrorCodes.GROUP_ID_NOT_FOUND:
        this.#memberId = '';
        this.#step = 'join';
        return;
      case ErrorCodes.ILLEGAL_GENERATION:
      case ErrorCodes.REBALANCE_IN_PROGRESS:
        this.#step = 'join';
        return;
      default:
        this.#expect(code, api);
    }
  }

  #expect(code: number, api: string): void {
    const { recorder, name } = this.#options;
    const retriable = [ErrorCodes.NONE, ErrorCodes.COORDINATOR_NOT_AVAILABLE, ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS, ErrorCodes.NOT_COORDINATOR] as const;
    if (!(retriable as readonly number[]).includes(code)) recorder.violation('unexpected-error', `${name} was answered ${errorName(code)} on ${api}`);
  }
}

/** The coordinator refused before it wrote anything. */
const notCommitted = new Set<number>([
  ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCodes.ILLEGAL_GENERATION,
  ErrorCodes.UNKNOWN_MEMBER_ID,
  ErrorCodes.REBALANCE_IN_PROGRESS,
  ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCodes.UNKNOWN_TOPIC_ID,
  ErrorCodes.GROUP_ID_NOT_FOUND,
]);

function parseAssigned(text: string): Assigned {
  const [topic = '', topicId = '', partition = ''] = text.split('|');
  return { topic, topicId, partition: Number(partition), position: 0 };
}

function byTopic(assigned: readonly Assigned[]): readonly { readonly topic: string; readonly topicId: string; readonly partitions: readonly number[] }[] {
  const topics = new Map<string, { readonly topic: string; readonly topicId: string; readonly partitions: number[] }>();
  for (const { topic, topicId, partition } of assigned) {
    const known = topics.get(topicId);
    if (known) known.partitions.push(partition);
    else topics.set(topicId, { topic, topicId, partitions: [partition] });
  }
  return [...topics.values()];
}
