/**
 * DescribeGroups 0–6: phase, protocol and members of classic groups. 3: authorized operations (KIP-430) · 4: static members
 * (KIP-345) · 5: flexible · 6: an error for unknown groups (KIP-1043); before, they are just Dead.
 */
import { ApiKeys, type DescribeGroupsResponseDescribedGroupInput } from '../../../protocol/messages.gen.ts';
import { type ErrorCode, ErrorCodes } from '../../../protocol/errors.ts';
import type { HandlerOf } from '../../../server/handler.ts';
import { emptyBytes, type Group } from '../group.ts';
import { metadataOf } from '../group-protocols.ts';
import type { GroupCoordinator } from '../group-coordinator.ts';

/** Without an authorizer everybody may do all that can be done with a group: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS, one bit each by Kafka's operation codes. */
const allGroupOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const notAsked = -0x8000_0000;

export function describeGroups(groups: GroupCoordinator): HandlerOf<typeof ApiKeys.DescribeGroups> {
  return {
    apiKey: ApiKeys.DescribeGroups,
    minVersion: 0,
    maxVersion: 6,
    concurrency: 'serial',
    handle(request, { apiVersion }) {
      const operations = apiVersion >= 3 && request.includeAuthorizedOperations ? allGroupOperations : notAsked;
      return { groups: request.groups.map((groupId) => describe(groups, groupId, operations, apiVersion)) };
    },
  };
}

function describe(groups: GroupCoordinator, groupId: string, operations: number, apiVersion: number): DescribeGroupsResponseDescribedGroupInput {
  const found = groups.find(groupId);
  if (found.kind === 'unavailable') return withoutMembers(groupId, found.error, null, '', notAsked);
  const group = found.partition.find(groupId)?.group;
  if (group) return describeGroup(group, operations);
  if (apiVersion < 6) return withoutMembers(groupId, ErrorCodes.NONE, null, 'Dead', operations);
  return withoutMembers(groupId, ErrorCodes.GROUP_ID_NOT_FOUND, `Group ${groupId} not found.`, 'Dead', notAsked);
}

function withoutMembers(groupId: string, errorCode: ErrorCode, errorMessage: string | null, groupState: string, authorizedOperations: number) {
  return { errorCode, errorMessage, groupId, groupState, protocolType: '', protocolData: '', members: [], authorizedOperations };
}

function describeGroup(group: Group, authorizedOperations: number): DescribeGroupsResponseDescribedGroupInput {
  const stable = group.phase === 'Stable';
  return {
    ...withoutMembers(group.groupId, ErrorCodes.NONE, null, group.phase, authorizedOperations),
    protocolType: group.protocolType ?? '',
    protocolData: stable ? (group.protocolName ?? '') : '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: stable ? metadataOf(member, group.protocolName) : emptyBytes,
      memberAssignment: member.assignment,
    })),
  };
}
