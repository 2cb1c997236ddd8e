/**
 * How members go, and how those that stay say so: LeaveGroup (by member id, or by group.instance.id for administrators),
 * sessions that ran out, Heartbeat, and the check of who may commit offsets.
 */
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import type { Group } from './group.ts';
import { memberError } from './group-join.ts';
import { completeJoinIfAllJoined, dismissMember, extendSession, rebalanceOrCompleteJoin, type Step } from './group-rebalance.ts';

export interface LeavingMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly reason: string;
}

/** One error per member that was named, in that order. */
export function leave(step: Step, members: readonly LeavingMember[]): readonly ErrorCode[] {
  const { group } = step;
  let left = 0;
  let lastReason = '';
  const errors = members.map((leaving) => {
    if (group.pendingMembers.has(leaving.memberId)) {
      dismissMember(step, leaving.memberId);
      return ErrorCodes.NONE;
    }
    const memberId = leaving.memberId === '' ? (group.staticMembers.get(leaving.groupInstanceId ?? '') ?? '') : leaving.memberId;
    const error = memberError(group, memberId, leaving.groupInstanceId);
    if (error !== ErrorCodes.NONE) return error;
    dismissMember(step, memberId);
    left += 1;
    lastReason = leaving.reason;
    return ErrorCodes.NONE;
  });
  if (left > 0) rebalanceOrCompleteJoin(step, `${left} members left: ${lastReason}`);
  else completeJoinIfAllJoined(step);
  return errors;
}

export function expireSession(step: Step, memberId: string): void {
  const { group } = step;
  const member = group.members.get(memberId);
  if (!member) {
    dismissMember(step, memberId);
    return completeJoinIfAllJoined(step);
  }
  // Who waits for us is not late, except for its very first answer (see JoinGroup). The answer starts the session again.
  if (!member.isNew && (member.joinWaiter !== undefined || member.syncWaiter !== undefined)) return;
  dismissMember(step, memberId);
  rebalanceOrCompleteJoin(step, `the session of member ${memberId} ran out`);
}

export function heartbeat(step: Step, beat: { readonly memberId: string; readonly groupInstanceId: string | null; readonly generationId: number }): ErrorCode {
  const { group } = step;
  if (group.phase === 'Dead') return ErrorCodes.COORDINATOR_NOT_AVAILABLE;
  const error = memberError(group, beat.memberId, beat.groupInstanceId);
  if (error !== ErrorCodes.NONE) return error;
  if (beat.generationId !== group.generationId) return ErrorCodes.ILLEGAL_GENERATION;
  stayAlive(step, beat.memberId);
  return group.phase === 'PreparingRebalance' ? ErrorCodes.REBALANCE_IN_PROGRESS : ErrorCodes.NONE;
}

export interface Committer {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  /** −1: outside of the group's generations (an administrator, or a consumer that assigns itself). */
  readonly generationId: number;
}

/** Whether this member may commit offsets now. A commit counts as a sign of life. */
export function commit(step: Step, committer: Committer): ErrorCode {
  const { group } = step;
  const error = commitError(group, committer);
  if (error === ErrorCodes.NONE && (group.phase === 'Stable' || group.phase === 'PreparingRebalance')) stayAlive(step, committer.memberId);
  return error;
}

function commitError(group: Group, { memberId, groupInstanceId, generationId }: Committer): ErrorCode {
  if (group.phase === 'Dead') return ErrorCodes.COORDINATOR_NOT_AVAILABLE;
  if (generationId < 0 && group.phase === 'Empty') return ErrorCodes.NONE;
  if (generationId < 0 && memberId === '' && groupInstanceId == null) return ErrorCodes.UNKNOWN_MEMBER_ID;
  const error = memberError(group, memberId, groupInstanceId);
  if (error !== ErrorCodes.NONE) return error;
  if (generationId !== group.generationId) return ErrorCodes.ILLEGAL_GENERATION;
  // The member has seen the new generation and not yet its part of it: it shall first look what it still owns.
  return group.phase === 'CompletingRebalance' ? ErrorCodes.REBALANCE_IN_PROGRESS : ErrorCodes.NONE;
}

function stayAlive(step: Step, memberId: string): void {
  const member = step.group.members.get(memberId);
  if (member) extendSession(step, member);
}
