/**
 * SyncGroup 0–5: the leader hands in the assignment, everybody gets their part of it; waits until the log has it.
 * 3: static members (KIP-345) · 4: flexible · 5: protocol type and name, mandatory (KIP-559).
 */
import { ApiKeys, type SyncGroupRequest, type SyncGroupResponseInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import { emptyBytes, type SyncAnswer } from '../group.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

export function syncGroup(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.SyncGroup> {
  return {
    apiKey: ApiKeys.SyncGroup,
    minVersion: 0,
    maxVersion: 5,
    concurrency: 'serial',
    longPoll: true,
    async handle(request, { apiVersion }) {
      return toResponse(await sync(groups, request, apiVersion));
    },
  };
}

function sync(groups: GroupCoordinator, request: SyncGroupRequest, apiVersion: number): SyncAnswer | Promise<SyncAnswer> {
  if (apiVersion >= 5 && (request.protocolType == null || request.protocolName == null)) return refused(ErrorCodes.INCONSISTENT_GROUP_PROTOCOL);
  if (request.groupId === '') return refused(ErrorCodes.INVALID_GROUP_ID);
  const found = groups.find(request.groupId);
  if (found.kind === 'unavailable') return refused(found.error);
  const hosted = found.partition.find(request.groupId);
  if (!hosted) return refused(ErrorCodes.UNKNOWN_MEMBER_ID);
  const { waiter, answer } = groups.wait<SyncAnswer>();
  hosted.step({
    kind: 'sync',
    waiter,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    generationId: request.generationId,
    protocolType: request.protocolType,
    protocolName: request.protocolName,
    assignments: copyAssignments(request, (memberId) => hosted.group.members.has(memberId)),
  });
  return answer;
}

/** Of members only, and copied: the request's bytes are a view of its frame. */
function copyAssignments(request: SyncGroupRequest, isMember: (memberId: string) => boolean): ReadonlyMap<string, Buffer> {
  const assignments = new Map<string, Buffer>();
  for (const { memberId, assignment } of request.assignments) if (isMember(memberId)) assignments.set(memberId, Buffer.from(assignment));
  return assignments;
}

function refused(error: ErrorCode): SyncAnswer {
  return { error, protocolType: null, protocolName: null, assignment: emptyBytes };
}

function toResponse({ error, ...rest }: SyncAnswer): SyncGroupResponseInput {
  return { ...rest, errorCode: error };
}
