/** DeleteGroups 0–2 (KIP-229): removes empty groups and all their offsets. 2: flexible. */
import { ApiKeys } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

export function deleteGroups(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.DeleteGroups> {
  return {
    apiKey: ApiKeys.DeleteGroups,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    async handle(request) {
      const groupIds = [...new Set(request.groupsNames)];
      const errors = await Promise.all(groupIds.map((groupId) => deleteGroup(groups, groupId)));
      return { results: groupIds.map((groupId, index) => ({ groupId, errorCode: errors[index] ?? ErrorCodes.NONE })) };
    },
  };
}

async function deleteGroup(groups: GroupCoordinator, groupId: string): Promise<ErrorCode> {
  const found = groups.find(groupId);
  if (found.kind === 'unavailable') return found.error;
  const group = found.partition.find(groupId)?.group;
  if (!group) return ErrorCodes.GROUP_ID_NOT_FOUND;
  if (group.phase !== 'Empty') return ErrorCodes.NON_EMPTY_GROUP;
  return new Promise<ErrorCode>((resolve) => {
    found.partition.deleteGroup(groupId, resolve);
  });
}
