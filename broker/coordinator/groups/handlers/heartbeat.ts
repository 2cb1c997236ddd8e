/** Heartbeat 0–4: I am alive; is there a rebalance? 3: static members (KIP-345) · 4: flexible. */
import { ApiKeys, type HeartbeatRequest } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

export function heartbeat(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.Heartbeat> {
  return {
    apiKey: ApiKeys.Heartbeat,
    minVersion: 0,
    maxVersion: 4,
    concurrency: 'serial',
    handle: (request) => ({ errorCode: beat(groups, request) }),
  };
}

function beat(groups: GroupCoordinator, { groupId, memberId, groupInstanceId, generationId }: HeartbeatRequest): ErrorCode {
  if (groupId === '') return ErrorCodes.INVALID_GROUP_ID;
  const found = groups.find(groupId);
  // The member is to stay; its session starts anew when the group is loaded.
  if (found.kind === 'unavailable') return found.error === ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS ? ErrorCodes.NONE : found.error;
  const [error = ErrorCodes.UNKNOWN_MEMBER_ID] = found.partition.find(groupId)?.step({ kind: 'heartbeat', memberId, groupInstanceId, generationId }) ?? [];
  return error;
}
