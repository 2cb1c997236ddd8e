/** From a group to what the log keeps of it, and back. */
import { createGroup, type Group, type GroupSnapshot, type Member } from './group.ts';
import { addMember } from './group-members.ts';
import { metadataOf, refreshSubscribedTopics } from './group-protocols.ts';

/** The group as the log has it: stable with its members, whose sessions start anew, or empty. */
export function restoreGroup(groupId: string, snapshot: GroupSnapshot): Group {
  const group = createGroup(groupId, 0);
  group.phase = snapshot.members.length === 0 ? 'Empty' : 'Stable';
  group.generationId = snapshot.generationId;
  group.phaseSinceMs = snapshot.phaseSinceMs;
  for (const member of snapshot.members) {
    const { subscription, ...rest } = member;
    const protocols = [{ name: snapshot.protocolName ?? '', metadata: subscription }];
    addMember(group, { ...rest, protocols, isNew: false, joinWaiter: undefined, syncWaiter: undefined }, snapshot.protocolType ?? '');
  }
  group.protocolType = snapshot.protocolType;
  group.protocolName = snapshot.protocolName;
  group.leaderId = snapshot.leaderId;
  refreshSubscribedTopics(group);
  return group;
}

export function snapshotOf(group: Group, assignmentOf: (member: Member) => Buffer = (member) => member.assignment): GroupSnapshot {
  return {
    protocolType: group.protocolType,
    generationId: group.generationId,
    protocolName: group.protocolName,
    leaderId: group.leaderId,
    phaseSinceMs: group.phaseSinceMs,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      sessionTimeoutMs: member.sessionTimeoutMs,
      subscription: metadataOf(member, group.protocolName),
      assignment: assignmentOf(member),
    })),
  };
}
