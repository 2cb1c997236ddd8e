/**
 * LeaveGroup 0–5: members go at once instead of at the end of their session.
 * 3: many members, also by group.instance.id (KIP-345) · 4: flexible · 5: reason (KIP-800).
 */
import { ApiKeys, type LeaveGroupRequest } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';
import type { LeavingMember } from '../group-leave.ts';
import { shortened } from '../request-text.ts';

export function leaveGroup(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.LeaveGroup> {
  return {
    apiKey: ApiKeys.LeaveGroup,
    minVersion: 0,
    maxVersion: 5,
    concurrency: 'serial',
    handle(request, { apiVersion }) {
      const members = leavingMembers(request, apiVersion);
      const outcome = leave(groups, request.groupId, members);
      if (typeof outcome === 'number') return { errorCode: outcome, members: [] };
      if (apiVersion < 3) return { errorCode: outcome[0] ?? ErrorCodes.NONE, members: [] };
      const answers = members.map(({ memberId, groupInstanceId }, index) => ({ memberId, groupInstanceId, errorCode: outcome[index] ?? ErrorCodes.NONE }));
      return { errorCode: ErrorCodes.NONE, members: answers };
    },
  };
}

function leavingMembers(request: LeaveGroupRequest, apiVersion: number): readonly LeavingMember[] {
  if (apiVersion < 3) return [{ memberId: request.memberId, groupInstanceId: null, reason: 'not provided' }];
  return request.members.map(({ memberId, groupInstanceId, reason }) => ({ memberId, groupInstanceId, reason: shortened(reason ?? '') || 'not provided' }));
}

/** One error for all, or one for each member. */
function leave(groups: GroupCoordinator, groupId: string, members: readonly LeavingMember[]): ErrorCode | readonly ErrorCode[] {
  if (groupId === '') return ErrorCodes.INVALID_GROUP_ID;
  const found = groups.find(groupId);
  if (found.kind === 'unavailable') return found.error;
  const { partition } = found;
  const errors = partition.find(groupId)?.step({ kind: 'leave', members }) ?? members.map(() => ErrorCodes.UNKNOWN_MEMBER_ID);
  partition.forgetIfBlank(groupId);
  return errors;
}
