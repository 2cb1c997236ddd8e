/** ListGroups 0–5: the groups that this broker coordinates. 3: flexible · 4: filter by state (KIP-518) · 5: filter by type (KIP-848). */
import { ApiKeys, type ListGroupsRequest, type ListGroupsResponseListedGroupInput } from '../../../protocol/messages.gen.ts';
import { ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import type { Group } from '../group.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

const groupType = 'classic';

export function listGroups(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.ListGroups> {
  return {
    apiKey: ApiKeys.ListGroups,
    minVersion: 0,
    maxVersion: 5,
    concurrency: 'serial',
    handle(request) {
      const listed: ListGroupsResponseListedGroupInput[] = [];
      const wanted = filterOf(request);
      for (const partition of groups.partitions()) {
        const { unavailable } = partition;
        // Half a list would look like deleted groups.
        if (unavailable === ErrorCodes.COORDINATOR_LOAD_IN_PROGRESS) return { errorCode: unavailable, groups: [] };
        for (const { group } of partition.groups())
          if (wanted(group)) listed.push({ groupId: group.groupId, protocolType: group.protocolType ?? '', groupState: group.phase, groupType });
      }
      return { errorCode: ErrorCodes.NONE, groups: listed };
    },
  };
}

/** Filters ignore case; what they name and does not exist matches nothing. */
function filterOf(request: ListGroupsRequest): (group: Group) => boolean {
  const states = new Set(request.statesFilter.map((state) => state.trim().toLowerCase()));
  const types = new Set(request.typesFilter.map((type) => type.trim().toLowerCase()));
  if (types.size > 0 && !types.has(groupType)) return () => false;
  return states.size === 0 ? () => true : (group) => states.has(group.phase.toLowerCase());
}
