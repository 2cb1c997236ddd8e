/**
 * A classic consumer group as its coordinator knows it: members, their votes, the generation, what waits for an answer.
 * Plain state: group-members.ts and group-protocols.ts have the small operations on it, group-join.ts, group-sync.ts,
 * group-leave.ts and group-rebalance.ts the transitions, group-step.ts the way in. No clock, no log, no socket.
 *
 * Terms are Kafka's: a *generation* is one assignment of partitions to members; a *pending* member got its member id and
 * has not joined with it yet (KIP-394); a *static* member is known by its group.instance.id (KIP-345). Phases are the
 * states that DescribeGroups and ListGroups show.
 */
import type { ErrorCode } from '../../protocol/errors.ts';
import { DeadlineHeap } from '../deadline-heap.ts';

export type GroupPhase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

/** A request that waits for its answer, by a number that the shell understands. */
export type Waiter = number;

export interface Member {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly MemberProtocol[];
  assignment: Buffer;
  /** Until its first JoinGroup was answered: such a member cannot heartbeat, and expires even while it waits. */
  isNew: boolean;
  joinWaiter: Waiter | undefined;
  syncWaiter: Waiter | undefined;
}

export interface MemberProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface Group {
  readonly groupId: string;
  phase: GroupPhase;
  generationId: number;
  /** Undefined: a simple group, which only keeps offsets. */
  protocolType: string | undefined;
  protocolName: string | undefined;
  leaderId: string | undefined;
  /** Wall clock of the last change of phase; undefined in records of Kafka before 2.1. */
  phaseSinceMs: number | undefined;
  readonly members: Map<string, Member>;
  /** Member id by group.instance.id. */
  readonly staticMembers: Map<string, string>;
  readonly pendingMembers: Set<string>;
  readonly membersToSync: Set<string>;
  /** How many members speak each protocol. */
  readonly protocolVoters: Map<string, number>;
  awaitingJoin: number;
  /** Of all protocols of all members. */
  metadataBytes: number;
  /** Undefined: unknown (not the consumer protocol, or its bytes do not parse). */
  subscribedTopics: ReadonlySet<string> | undefined;
  /** Set while the first rebalance of an empty group still waits for more members. */
  initialDelay: InitialDelay | undefined;
  /** The leader's assignment is on its way into the log. */
  assignmentInLog: boolean;
  /** Sessions of members and pending members, on the monotonic clock. */
  readonly sessions: DeadlineHeap<string>;
  joinDeadlineMs: number | undefined;
  syncDeadlineMs: number | undefined;
}

export interface InitialDelay {
  readonly delayMs: number;
  readonly remainingMs: number;
  /** Somebody joined meanwhile: wait once more. */
  memberAdded: boolean;
}

export interface GroupTime {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface GroupLimits {
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number;
  /** group.max.size */
  readonly maxMembers: number;
  /** Member ids given out and not yet used, per group. */
  readonly maxPendingMembers: number;
  /** Bytes of all metadata of all members; a group of more could hardly be stored. */
  readonly maxMetadataBytes: number;
  /** How long a new member's first JoinGroup may wait; Kafka: 5 min. */
  readonly newMemberJoinTimeoutMs: number;
}

/** What a step wants done. Answers go out at once; `append` is told back with the event `appended`. */
export type GroupEffect =
  | { readonly kind: 'join-answer'; readonly waiter: Waiter; readonly answer: JoinAnswer }
  | { readonly kind: 'sync-answer'; readonly waiter: Waiter; readonly answer: SyncAnswer }
  | { readonly kind: 'append'; readonly value: GroupSnapshot; readonly resume: AppendContinuation }
  | {
      readonly kind: 'phase';
      readonly from: GroupPhase;
      readonly to: GroupPhase;
      readonly generationId: number;
      readonly members: number;
      readonly reason: string;
    };

export interface JoinAnswer {
  readonly error: ErrorCode;
  readonly memberId: string;
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly members: readonly { readonly memberId: string; readonly groupInstanceId: string | null; readonly metadata: Buffer }[];
}

export interface SyncAnswer {
  readonly error: ErrorCode;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

/** What the log keeps of a group (GroupMetadataValue). */
export interface GroupSnapshot {
  readonly protocolType: string | undefined;
  readonly generationId: number;
  readonly protocolName: string | undefined;
  readonly leaderId: string | undefined;
  readonly phaseSinceMs: number | undefined;
  readonly members: readonly MemberSnapshot[];
}

export interface MemberSnapshot {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** What to go on with once the log has taken a snapshot, or refused it. */
export type AppendContinuation =
  | { readonly kind: 'emptied' }
  | { readonly kind: 'assigned'; readonly generationId: number; readonly assignments: ReadonlyMap<string, Buffer> }
  | {
      readonly kind: 'static-rejoin';
      readonly generationId: number;
      readonly memberId: string;
      readonly waiter: Waiter;
      readonly skipAssignment: boolean;
      readonly oldLeaderId: string;
    };

export const emptyBytes: Buffer = Buffer.alloc(0);
const consumerProtocolType = 'consumer';

export function createGroup(groupId: string, wallMs: number): Group {
  return {
    groupId,
    phase: 'Empty',
    generationId: 0,
    protocolType: undefined,
    protocolName: undefined,
    leaderId: undefined,
    phaseSinceMs: wallMs,
    members: new Map(),
    staticMembers: new Map(),
    pendingMembers: new Set(),
    membersToSync: new Set(),
    protocolVoters: new Map(),
    awaitingJoin: 0,
    metadataBytes: 0,
    subscribedTopics: undefined,
    initialDelay: undefined,
    assignmentInLog: false,
    sessions: new DeadlineHeap(),
    joinDeadlineMs: undefined,
    syncDeadlineMs: undefined,
  };
}

export function usesConsumerProtocol(group: Group): boolean {
  return group.protocolType === consumerProtocolType;
}

/** Of a group whose topics are not known all count as subscribed while it uses the consumer protocol: none of its offsets may be removed. */
export function isSubscribedTo(group: Group, topic: string): boolean {
  return group.subscribedTopics ? group.subscribedTopics.has(topic) : usesConsumerProtocol(group);
}

/** Nothing of it is worth keeping or was ever in the log, unless it has offsets. */
export function isBlank(group: Group): boolean {
  return group.phase === 'Empty' && group.generationId === 0 && group.pendingMembers.size === 0;
}

/** When `step` wants to hear that time has passed; may be early. */
export function nextDeadlineMs(group: Group): number | undefined {
  let next = group.sessions.nextMs();
  for (const deadline of [group.joinDeadlineMs, group.syncDeadlineMs]) if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline;
  return next;
}
