/** The protocols that members of a group offer, which one they agree on, and what their metadata says of topics. */
import { invariant } from '../../../std/invariant.ts';
import { subscribedTopicsOf } from './consumer-protocol.ts';
import { emptyBytes, type Group, type Member, type MemberProtocol, usesConsumerProtocol } from './group.ts';

/** Whether a member with these protocols has one in common with all others. */
export function supportsProtocols(group: Group, protocolType: string, protocols: readonly MemberProtocol[]): boolean {
  if (group.phase === 'Empty') return protocolType !== '' && protocols.length > 0;
  return group.protocolType === protocolType && protocols.some(({ name }) => (group.protocolVoters.get(name) ?? 0) === group.members.size);
}

/** Each member votes for the first of its protocols that all speak; a tie goes to the vote that was cast first. */
export function selectProtocol(group: Group): string {
  const votes = new Map<string, number>();
  for (const member of group.members.values()) {
    const choice = member.protocols.find(({ name }) => group.protocolVoters.get(name) === group.members.size);
    invariant(choice, 'members have no protocol in common', { groupId: group.groupId });
    votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let selected = '';
  for (const [name, count] of votes) if (count > (votes.get(selected) ?? 0)) selected = name;
  return selected;
}

export function metadataOf(member: Member, protocolName: string | undefined): Buffer {
  return member.protocols.find(({ name }) => name === protocolName)?.metadata ?? emptyBytes;
}

export function metadataBytesOf(protocols: readonly MemberProtocol[]): number {
  let bytes = 0;
  for (const { metadata } of protocols) bytes += metadata.length;
  return bytes;
}

export function sameProtocols(member: Member, protocols: readonly MemberProtocol[]): boolean {
  return (
    member.protocols.length === protocols.length &&
    member.protocols.every((protocol, index) => {
      const other = protocols[index];
      return other !== undefined && protocol.name === other.name && protocol.metadata.equals(other.metadata);
    })
  );
}

/** Counts a member in or out. */
export function countVotes(group: Group, member: Member, by: 1 | -1): void {
  group.metadataBytes += by * metadataBytesOf(member.protocols);
  for (const { name } of member.protocols) {
    const count = (group.protocolVoters.get(name) ?? 0) + by;
    if (count === 0) group.protocolVoters.delete(name);
    else group.protocolVoters.set(name, count);
  }
}

export function refreshSubscribedTopics(group: Group): void {
  group.subscribedTopics = usesConsumerProtocol(group) ? topicsOfMembers(group) : undefined;
}

function topicsOfMembers(group: Group): ReadonlySet<string> | undefined {
  const topics = new Set<string>();
  for (const member of group.members.values()) {
    const subscribed = subscribedTopicsOf(metadataOf(member, group.protocolName));
    if (!subscribed) return undefined;
    for (const topic of subscribed) topics.add(topic);
  }
  return topics;
}
