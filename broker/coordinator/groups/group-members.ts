/** Members of a group come, change, are replaced and go; its leader and its generation with them. */
import { invariant } from '../../../std/invariant.ts';
import type { Group, Member, MemberProtocol, Waiter } from './group.ts';
import { countVotes, refreshSubscribedTopics, selectProtocol } from './group-protocols.ts';

const generations = 2 ** 31;

export function addMember(group: Group, member: Member, protocolType: string): void {
  invariant(!group.members.has(member.memberId), 'member is added twice', { groupId: group.groupId, memberId: member.memberId });
  if (member.groupInstanceId != null) group.staticMembers.set(member.groupInstanceId, member.memberId);
  if (group.members.size === 0) group.protocolType = protocolType;
  group.leaderId ??= member.memberId;
  group.members.set(member.memberId, member);
  countVotes(group, member, 1);
  if (member.joinWaiter !== undefined) group.awaitingJoin += 1;
  group.pendingMembers.delete(member.memberId);
}

/** Forgets the member or pending member and passes its leadership on. Who waits must have been answered. */
export function removeMember(group: Group, memberId: string): void {
  const member = group.members.get(memberId);
  if (member) {
    invariant(member.joinWaiter === undefined && member.syncWaiter === undefined, 'a removed member still waits', { groupId: group.groupId, memberId });
    group.members.delete(memberId);
    countVotes(group, member, -1);
    if (member.groupInstanceId != null && group.staticMembers.get(member.groupInstanceId) === memberId) group.staticMembers.delete(member.groupInstanceId);
  }
  if (group.leaderId === memberId) group.leaderId = group.members.keys().next().value;
  group.pendingMembers.delete(memberId);
  group.membersToSync.delete(memberId);
  group.sessions.delete(memberId);
}

/** What a member says when it joins again. */
export function updateMember(
  group: Group,
  member: Member,
  update: {
    readonly protocols: readonly MemberProtocol[];
    readonly rebalanceTimeoutMs: number;
    readonly sessionTimeoutMs: number;
    readonly joinWaiter: Waiter;
  },
): void {
  countVotes(group, member, -1);
  member.protocols = update.protocols;
  countVotes(group, member, 1);
  member.rebalanceTimeoutMs = update.rebalanceTimeoutMs;
  member.sessionTimeoutMs = update.sessionTimeoutMs;
  if (member.joinWaiter === undefined) group.awaitingJoin += 1;
  member.joinWaiter = update.joinWaiter;
}

/** Gives the static member's place to a new member id. Who waits under the old one must have been answered. */
export function replaceStaticMember(group: Group, old: Member, newMemberId: string): Member {
  const replacement: Member = { ...old, memberId: newMemberId, isNew: false };
  group.members.delete(old.memberId);
  group.members.set(newMemberId, replacement);
  group.staticMembers.set(old.groupInstanceId as string, newMemberId);
  if (group.leaderId === old.memberId) group.leaderId = newMemberId;
  if (group.membersToSync.delete(old.memberId)) group.membersToSync.add(newMemberId);
  group.sessions.delete(old.memberId);
  return replacement;
}

export function hasAllMembersJoined(group: Group): boolean {
  return group.members.size === group.awaitingJoin && group.pendingMembers.size === 0;
}

/** A leader that did not come back loses its office to the first member that did; false when nobody did. */
export function electJoinedLeader(group: Group): boolean {
  if (group.leaderId === undefined) return false;
  if (group.members.get(group.leaderId)?.joinWaiter !== undefined) return true;
  for (const member of group.members.values()) {
    if (member.joinWaiter === undefined) continue;
    group.leaderId = member.memberId;
    return true;
  }
  return false;
}

/** The longest that any member wants to be waited for. */
export function rebalanceTimeoutMs(group: Group): number {
  let longest = 0;
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
  return longest;
}

export function startNextGeneration(group: Group): void {
  group.generationId = (group.generationId + 1) % generations;
  group.protocolName = group.members.size === 0 ? undefined : selectProtocol(group);
  refreshSubscribedTopics(group);
  group.membersToSync.clear();
  group.assignmentInLog = false;
}
