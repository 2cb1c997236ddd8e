/**
 * SyncGroup: the leader hands in who gets what, the others wait for it. The assignment counts when the log has it: only
 * then does anybody learn theirs, so a coordinator that takes over never knows less than a member (contract C11).
 */
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import { type AppendContinuation, emptyBytes, type Group, type SyncAnswer, type Waiter } from './group.ts';
import { snapshotOf } from './group-snapshot.ts';
import { memberError } from './group-join.ts';
import {
  answerAllSyncs,
  answerJoin,
  answerSync,
  enterPhase,
  extendSession,
  joinedAnswer,
  prepareRebalance,
  refusedJoin,
  type Step,
} from './group-rebalance.ts';

export interface SyncEvent {
  readonly kind: 'sync';
  readonly waiter: Waiter;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly generationId: number;
  /** Null before SyncGroup 5. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: ReadonlyMap<string, Buffer>;
}

export interface AppendedEvent {
  readonly kind: 'appended';
  readonly resume: AppendContinuation;
  readonly error: ErrorCode;
}

export function sync(step: Step, event: SyncEvent): void {
  const { group } = step;
  const error = syncError(group, event);
  if (error !== ErrorCodes.NONE) return answer(step, event.waiter, { error, protocolType: null, protocolName: null, assignment: emptyBytes });
  const member = group.members.get(event.memberId);
  if (!member) return;
  group.membersToSync.delete(member.memberId);
  if (group.membersToSync.size === 0) group.syncDeadlineMs = undefined;
  // Asked twice: one answer is enough for the earlier one, too.
  answerSync(step, member, ErrorCodes.REBALANCE_IN_PROGRESS);
  member.syncWaiter = event.waiter;
  if (group.phase === 'Stable') return answerSync(step, member, ErrorCodes.NONE);
  if (group.leaderId !== member.memberId || group.assignmentInLog) return;
  // One assignment per generation: a leader that repeats itself with another one must not leave that one in the log.
  group.assignmentInLog = true;
  const { assignments } = event;
  step.effects.push({
    kind: 'append',
    value: snapshotOf(group, ({ memberId }) => assignments.get(memberId) ?? emptyBytes),
    resume: { kind: 'assigned', generationId: group.generationId, assignments },
  });
}

function syncError(group: Group, event: SyncEvent): ErrorCode {
  if (group.phase === 'Dead') return ErrorCodes.COORDINATOR_NOT_AVAILABLE;
  const error = memberError(group, event.memberId, event.groupInstanceId);
  if (error !== ErrorCodes.NONE) return error;
  if (event.generationId !== group.generationId) return ErrorCodes.ILLEGAL_GENERATION;
  if (differs(event.protocolType, group.protocolType) || differs(event.protocolName, group.protocolName)) return ErrorCodes.INCONSISTENT_GROUP_PROTOCOL;
  return group.phase === 'PreparingRebalance' ? ErrorCodes.REBALANCE_IN_PROGRESS : ErrorCodes.NONE;
}

function differs(asked: string | null, known: string | undefined): boolean {
  return asked != null && known !== undefined && asked !== known;
}

/** The log took a snapshot of the group or refused it. The group may have moved on meanwhile. */
export function appended(step: Step, event: AppendedEvent): void {
  const { group } = step;
  const { resume, error } = event;
  switch (resume.kind) {
    case 'emptied':
      // If it is not in the log, the former generation comes back at the next load, and its sessions run out.
      return;
    case 'assigned': {
      if (resume.generationId !== group.generationId || group.phase !== 'CompletingRebalance') return;
      group.assignmentInLog = false;
      if (error !== ErrorCodes.NONE) {
        answerAllSyncs(step, error);
        return prepareRebalance(step, 'the assignment could not be stored');
      }
      for (const member of group.members.values()) member.assignment = resume.assignments.get(member.memberId) ?? emptyBytes;
      answerAllSyncs(step, ErrorCodes.NONE);
      return enterPhase(step, 'Stable', 'the leader assigned');
    }
    case 'static-rejoin': {
      const member = group.members.get(resume.memberId);
      if (member?.joinWaiter !== resume.waiter || group.phase !== 'Stable' || resume.generationId !== group.generationId) return;
      extendSession(step, member);
      if (error !== ErrorCodes.NONE) return answerJoin(step, member, refusedJoin(error, ''));
      const leads = group.leaderId === member.memberId;
      return answerJoin(step, member, joinedAnswer(group, member, resume.skipAssignment ? { skipAssignment: leads } : { leader: resume.oldLeaderId }));
    }
  }
}

function answer(step: Step, waiter: Waiter, syncAnswer: SyncAnswer): void {
  step.effects.push({ kind: 'sync-answer', waiter, answer: syncAnswer });
}
