/**
 * JoinGroup: who may come in, under which member id, and whether that means a rebalance.
 * KIP-394: a dynamic member first gets its member id (MEMBER_ID_REQUIRED) and joins with it. KIP-345: a static member that
 * comes back takes the place of its former self. KIP-814: it need not assign again when nothing changed.
 */
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import { emptyBytes, type Group, type JoinAnswer, type Member, type MemberProtocol, type Waiter } from './group.ts';
import { addMember, replaceStaticMember, updateMember } from './group-members.ts';
import { metadataBytesOf, refreshSubscribedTopics, sameProtocols, selectProtocol, supportsProtocols } from './group-protocols.ts';
import { snapshotOf } from './group-snapshot.ts';
import {
  answerJoin,
  answerSync,
  completeJoinIfAllJoined,
  dismissMember,
  extendSession,
  joinedAnswer,
  prepareRebalance,
  rebalanceOrCompleteJoin,
  refusedJoin,
  type Step,
} from './group-rebalance.ts';

export interface JoinEvent {
  readonly kind: 'join';
  readonly waiter: Waiter;
  /** Empty: not known yet. */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  /** The id that a new member gets. */
  readonly newMemberId: string;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly MemberProtocol[];
  readonly reason: string;
  /** JoinGroup 4+. */
  readonly requiresKnownMemberId: boolean;
  /** JoinGroup 9+. */
  readonly supportsSkippingAssignment: boolean;
}

export function join(step: Step, event: JoinEvent): void {
  const { group } = step;
  const refuse = (error: ErrorCode, memberId = event.memberId) => answer(step, event, refusedJoin(error, memberId));
  if (!hasRoomFor(step, event.memberId) || !hasRoomForMetadata(step, event)) {
    dismissMember(step, event.memberId);
    refuse(ErrorCodes.GROUP_MAX_SIZE_REACHED, '');
    return completeJoinIfAllJoined(step);
  }
  if (group.phase === 'Dead') return refuse(ErrorCodes.COORDINATOR_NOT_AVAILABLE);
  if (!supportsProtocols(group, event.protocolType, event.protocols)) return refuse(ErrorCodes.INCONSISTENT_GROUP_PROTOCOL);
  if (event.memberId === '') return joinAsNew(step, event);
  if (group.pendingMembers.has(event.memberId) && event.groupInstanceId == null) return addAndRebalance(step, event, event.memberId);
  const error = memberError(group, event.memberId, event.groupInstanceId);
  if (error !== ErrorCodes.NONE) return refuse(error);
  rejoin(step, event, group.members.get(event.memberId) as Member);
}

/** UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID (another process has taken the static member's place), or NONE. */
export function memberError(group: Group, memberId: string, groupInstanceId: string | null): ErrorCode {
  if (groupInstanceId != null) {
    const holder = group.staticMembers.get(groupInstanceId);
    if (holder === undefined) return ErrorCodes.UNKNOWN_MEMBER_ID;
    if (holder !== memberId) return ErrorCodes.FENCED_INSTANCE_ID;
  }
  return group.members.has(memberId) ? ErrorCodes.NONE : ErrorCodes.UNKNOWN_MEMBER_ID;
}

function hasRoomFor({ group, limits }: Step, memberId: string): boolean {
  if (group.phase === 'Empty' || group.phase === 'Dead') return true;
  // Counted by who has joined: after the limit was lowered this leaves out the last to rejoin.
  if (group.phase === 'PreparingRebalance') return group.members.get(memberId)?.joinWaiter !== undefined || group.awaitingJoin < limits.maxMembers;
  return group.members.has(memberId) || group.members.size < limits.maxMembers;
}

function hasRoomForMetadata({ group, limits }: Step, { memberId, groupInstanceId, protocols }: JoinEvent): boolean {
  const before = group.members.get(memberId) ?? group.members.get(group.staticMembers.get(groupInstanceId ?? '') ?? '');
  const growth = metadataBytesOf(protocols) - (before ? metadataBytesOf(before.protocols) : 0);
  return growth <= 0 || group.metadataBytes + growth <= limits.maxMetadataBytes;
}

function joinAsNew(step: Step, event: JoinEvent): void {
  const { group, now, limits } = step;
  if (event.groupInstanceId != null) {
    const former = group.members.get(group.staticMembers.get(event.groupInstanceId) ?? '');
    return former ? rejoinAsStatic(step, event, former) : addAndRebalance(step, event, event.newMemberId);
  }
  if (!event.requiresKnownMemberId) return addAndRebalance(step, event, event.newMemberId);
  if (group.pendingMembers.size >= limits.maxPendingMembers) return answer(step, event, refusedJoin(ErrorCodes.GROUP_MAX_SIZE_REACHED, ''));
  group.pendingMembers.add(event.newMemberId);
  group.sessions.set(event.newMemberId, now.monotonicMs + event.sessionTimeoutMs);
  answer(step, event, refusedJoin(ErrorCodes.MEMBER_ID_REQUIRED, event.newMemberId));
}

function addAndRebalance(step: Step, event: JoinEvent, memberId: string): void {
  const { group, limits } = step;
  const member: Member = {
    memberId,
    groupInstanceId: event.groupInstanceId,
    clientId: event.clientId,
    clientHost: event.clientHost,
    rebalanceTimeoutMs: event.rebalanceTimeoutMs,
    sessionTimeoutMs: event.sessionTimeoutMs,
    protocols: event.protocols,
    assignment: emptyBytes,
    isNew: true,
    joinWaiter: event.waiter,
    syncWaiter: undefined,
  };
  if (group.initialDelay) group.initialDelay.memberAdded = true;
  addMember(group, member, event.protocolType);
  // It cannot heartbeat before it knows its id, and a client that gave up leaves no trace: so its wait is bounded.
  extendSession(step, member, limits.newMemberJoinTimeoutMs);
  rebalanceOrCompleteJoin(step, `new member ${memberId}: ${event.reason}`);
}

function rejoin(step: Step, event: JoinEvent, member: Member): void {
  const { group } = step;
  const changed = !sameProtocols(member, event.protocols);
  const leads = group.leaderId === member.memberId;
  switch (group.phase) {
    case 'Empty':
    case 'Dead':
      return answer(step, event, refusedJoin(ErrorCodes.UNKNOWN_MEMBER_ID, event.memberId));
    case 'CompletingRebalance':
      // The same again: the first answer was lost.
      if (!changed) return answer(step, event, joinedAnswer(group, member));
      break;
    case 'Stable':
      // A leader that joins again wants to assign anew (partitions were added, for instance).
      if (!changed && !leads) return answer(step, event, joinedAnswer(group, member));
      break;
    case 'PreparingRebalance':
      break;
  }
  update(step, event, member);
  rebalanceOrCompleteJoin(step, `${leads ? 'leader' : 'member'} ${member.memberId} joins again${changed ? ' with other metadata' : ''}: ${event.reason}`);
}

function rejoinAsStatic(step: Step, event: JoinEvent, former: Member): void {
  const { group } = step;
  const oldLeaderId = group.leaderId ?? '';
  answerJoin(step, former, refusedJoin(ErrorCodes.FENCED_INSTANCE_ID, former.memberId));
  answerSync(step, former, ErrorCodes.FENCED_INSTANCE_ID);
  const member = replaceStaticMember(group, former, event.newMemberId);
  update(step, event, member);
  extendSession(step, member);
  const reason = `static member ${event.groupInstanceId} is back as ${member.memberId}: ${event.reason}`;
  if (group.phase === 'PreparingRebalance') return completeJoinIfAllJoined(step);
  // The leader may be assigning to the old member id right now.
  if (group.phase === 'CompletingRebalance' || selectProtocol(group) !== group.protocolName) return prepareRebalance(step, reason);
  refreshSubscribedTopics(group);
  const resume = {
    kind: 'static-rejoin',
    generationId: group.generationId,
    memberId: member.memberId,
    waiter: event.waiter,
    skipAssignment: event.supportsSkippingAssignment,
    oldLeaderId,
  } as const;
  step.effects.push({ kind: 'append', value: snapshotOf(group), resume });
}

function update(step: Step, event: JoinEvent, member: Member): void {
  if (member.joinWaiter !== undefined) answerJoin(step, member, refusedJoin(ErrorCodes.REBALANCE_IN_PROGRESS, member.memberId));
  updateMember(step.group, member, { ...event, joinWaiter: event.waiter });
}

function answer(step: Step, event: JoinEvent, joinAnswer: JoinAnswer): void {
  step.effects.push({ kind: 'join-answer', waiter: event.waiter, answer: joinAnswer });
}
