/**
 * How a group goes from one generation to the next: prepare (everybody shall join again), complete the join (a new
 * generation, the leader learns who is there), then the leader's assignment (group-sync.ts).
 * Source: Kafka's join group protocol; KIP-134 (initial delay), KIP-345 (static members are not removed for not rejoining).
 */
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import { emptyBytes, type Group, type GroupEffect, type GroupLimits, type GroupPhase, type GroupTime, type JoinAnswer, type Member } from './group.ts';
import { electJoinedLeader, hasAllMembersJoined, rebalanceTimeoutMs, removeMember, startNextGeneration } from './group-members.ts';
import { metadataOf } from './group-protocols.ts';
import { snapshotOf } from './group-snapshot.ts';

/** A rebalance timeout of 0 must not make a busy loop of waiting for nobody. */
const leastRetryMs = 1_000;

/** What every transition works with. */
export interface Step {
  readonly group: Group;
  readonly now: GroupTime;
  readonly limits: GroupLimits;
  readonly effects: GroupEffect[];
}

/** After a change of members: a settled group rebalances, one that is preparing may be complete now. */
export function rebalanceOrCompleteJoin(step: Step, reason: string): void {
  if (step.group.phase === 'PreparingRebalance') completeJoinIfAllJoined(step);
  else prepareRebalance(step, reason);
}

export function prepareRebalance(step: Step, reason: string): void {
  const { group, now, limits } = step;
  if (group.phase === 'CompletingRebalance') {
    for (const member of group.members.values()) member.assignment = emptyBytes;
    answerAllSyncs(step, ErrorCodes.REBALANCE_IN_PROGRESS);
  }
  group.membersToSync.clear();
  group.syncDeadlineMs = undefined;
  if (group.phase === 'Empty') {
    const delayMs = limits.initialRebalanceDelayMs;
    group.initialDelay = { delayMs, remainingMs: Math.max(rebalanceTimeoutMs(group) - delayMs, 0), memberAdded: false };
    group.joinDeadlineMs = now.monotonicMs + delayMs;
    return enterPhase(step, 'PreparingRebalance', reason);
  }
  enterPhase(step, 'PreparingRebalance', reason);
  group.joinDeadlineMs = now.monotonicMs + rebalanceTimeoutMs(group);
  completeJoinIfAllJoined(step);
}

export function completeJoinIfAllJoined(step: Step): void {
  const { group } = step;
  if (group.phase === 'PreparingRebalance' && !group.initialDelay && hasAllMembersJoined(group)) completeJoin(step);
}

/** The time to join is over, unless it was the initial delay and members have come meanwhile. */
export function joinDeadlinePassed(step: Step): void {
  const { group, now, limits } = step;
  const delay = group.initialDelay;
  if (!delay?.memberAdded || delay.remainingMs === 0) return completeJoin(step);
  const delayMs = Math.min(limits.initialRebalanceDelayMs, delay.remainingMs);
  group.initialDelay = { delayMs, remainingMs: Math.max(delay.remainingMs - delay.delayMs, 0), memberAdded: false };
  group.joinDeadlineMs = now.monotonicMs + delayMs;
}

function completeJoin(step: Step): void {
  const { group, now } = step;
  group.joinDeadlineMs = undefined;
  group.initialDelay = undefined;
  for (const member of group.members.values()) if (member.joinWaiter === undefined && member.groupInstanceId == null) removeMember(group, member.memberId);
  if (group.members.size > 0 && !electJoinedLeader(group)) {
    // Only static members are left and none came back: their sessions decide.
    group.joinDeadlineMs = now.monotonicMs + Math.max(rebalanceTimeoutMs(group), leastRetryMs);
    return;
  }
  startNextGeneration(group);
  if (group.members.size === 0) {
    enterPhase(step, 'Empty', 'all members are gone');
    step.effects.push({ kind: 'append', value: snapshotOf(group), resume: { kind: 'emptied' } });
    return;
  }
  enterPhase(step, 'CompletingRebalance', 'all members have joined');
  for (const member of group.members.values()) {
    answerJoin(step, member, joinedAnswer(group, member));
    extendSession(step, member);
    member.isNew = false;
    group.membersToSync.add(member.memberId);
  }
  group.syncDeadlineMs = now.monotonicMs + rebalanceTimeoutMs(group);
}

/** Members that got the generation and never asked for its assignment go. */
export function syncDeadlinePassed(step: Step): void {
  const { group } = step;
  group.syncDeadlineMs = undefined;
  if (group.membersToSync.size === 0) return;
  for (const memberId of group.membersToSync) dismissMember(step, memberId);
  prepareRebalance(step, 'members did not sync in time');
}

/** Answers what the member still waits for, and forgets it. */
export function dismissMember(step: Step, memberId: string): void {
  const member = step.group.members.get(memberId);
  if (member) {
    answerJoin(step, member, refusedJoin(ErrorCodes.UNKNOWN_MEMBER_ID, ''));
    answerSync(step, member, ErrorCodes.UNKNOWN_MEMBER_ID);
  }
  removeMember(step.group, memberId);
}

export function extendSession(step: Step, member: Member, timeoutMs = member.sessionTimeoutMs): void {
  step.group.sessions.set(member.memberId, step.now.monotonicMs + timeoutMs);
}

export function answerJoin(step: Step, member: Member, answer: JoinAnswer): void {
  if (member.joinWaiter === undefined) return;
  step.effects.push({ kind: 'join-answer', waiter: member.joinWaiter, answer });
  member.joinWaiter = undefined;
  step.group.awaitingJoin -= 1;
}

/** With an error the answer carries nothing else. The session starts again: it may have run out unheeded while the member waited. */
export function answerSync(step: Step, member: Member, error: ErrorCode): void {
  if (member.syncWaiter === undefined) return;
  const { group } = step;
  const answer =
    error === ErrorCodes.NONE
      ? { error, protocolType: group.protocolType ?? null, protocolName: group.protocolName ?? null, assignment: member.assignment }
      : { error, protocolType: null, protocolName: null, assignment: emptyBytes };
  step.effects.push({ kind: 'sync-answer', waiter: member.syncWaiter, answer });
  member.syncWaiter = undefined;
  extendSession(step, member);
}

export function answerAllSyncs(step: Step, error: ErrorCode): void {
  for (const member of step.group.members.values()) answerSync(step, member, error);
}

export function enterPhase(step: Step, to: GroupPhase, reason: string): void {
  const { group } = step;
  step.effects.push({ kind: 'phase', from: group.phase, to, generationId: group.generationId, members: group.members.size, reason });
  group.phase = to;
  group.phaseSinceMs = step.now.wallMs;
}

/** The current generation as one member sees it; only the leader learns who else is in it. */
export function joinedAnswer(group: Group, member: Member, options: { readonly leader?: string; readonly skipAssignment?: boolean } = {}): JoinAnswer {
  const leader = options.leader ?? group.leaderId ?? '';
  return {
    error: ErrorCodes.NONE,
    memberId: member.memberId,
    generationId: group.generationId,
    protocolType: group.protocolType ?? null,
    protocolName: group.protocolName ?? null,
    leader,
    skipAssignment: options.skipAssignment ?? false,
    members:
      leader === member.memberId
        ? [...group.members.values()].map((other) => ({
            memberId: other.memberId,
            groupInstanceId: other.groupInstanceId,
            metadata: metadataOf(other, group.protocolName),
          }))
        : [],
  };
}

export function refusedJoin(error: ErrorCode, memberId: string): JoinAnswer {
  return { error, memberId, generationId: -1, protocolType: null, protocolName: null, leader: '', skipAssignment: false, members: [] };
}
