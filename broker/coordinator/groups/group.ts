/**
 * A classic consumer group as its coordinator knows it: members, their votes, the generation, what waits for an answer.
 * Plain state and the small operations on it; the transitions are in group-join.ts, group-sync.ts, group-leave.ts and
 * group-rebalance.ts, all behind `step` in group-step.ts. No clock, no log, no socket.
 *
 * Terms are Kafka's: a *generation* is one assignment of partitions to members; a *pending* member got its member id and has not
 * joined with it yet (KIP-394); a *static* member is known by its group.instance.id (KIP-345). Phases are the states
 * that DescribeGroups and ListGroups show.
 */
import { invariant } from '../../../std/invariant.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { DeadlineHeap } from '../deadline-heap.ts';
import { subscribedTopicsOf } from './consumer-protocol.ts';

export type GroupPhase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

/** A request that waits for its answer, by a number that the shell understands. */
export type Waiter = number;

export interface Member {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  rebalanceTimeoutMs: number;
  sessionTimeoutMs: number;
  protocols: readonly MemberProtocol[];
  assignment: Buffer;
  /** Until its first JoinGroup was answered: such a member cannot heartbeat, and expires even while it waits. */
  isNew: boolean;
  joinWaiter: Waiter | undefined;
  syncWaiter: Waiter | undefined;
}

export interface MemberProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface Group {
  readonly groupId: string;
  phase: GroupPhase;
  generationId: number;
  /** Undefined: a simple group, which only keeps offsets. */
  protocolType: string | undefined;
  protocolName: string | undefined;
  leaderId: string | undefined;
  /** Wall clock of the last change of phase; undefined in records of Kafka before 2.1. */
  phaseSinceMs: number | undefined;
  readonly members: Map<string, Member>;
  /** Member id by group.instance.id. */
  readonly staticMembers: Map<string, string>;
  readonly pendingMembers: Set<string>;
  readonly membersToSync: Set<string>;
  /** How many members speak each protocol. */
  readonly protocolVoters: Map<string, number>;
  awaitingJoin: number;
  /** Of all protocols of all members. */
  metadataBytes: number;
  /** Undefined: unknown (not the consumer protocol, or its bytes do not parse). */
  subscribedTopics: ReadonlySet<string> | undefined;
  /** Set while the first rebalance of an empty group still waits for more members. */
  initialDelay: InitialDelay | undefined;
  /** The leader's assignment is on its way into the log. */
  assignmentInLog: boolean;
  /** Sessions of members and pending members, on the monotonic clock. */
  readonly sessions: DeadlineHeap<string>;
  joinDeadlineMs: number | undefined;
  syncDeadlineMs: number | undefined;
}

export interface InitialDelay {
  readonly delayMs: number;
  readonly remainingMs: number;
  /** Somebody joined meanwhile: wait once more. */
  memberAdded: boolean;
}

export interface GroupTime {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface GroupLimits {
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number;
  /** group.max.size */
  readonly maxMembers: number;
  /** Member ids given out and not yet used, per group. */
  readonly maxPendingMembers: number;
  /** Bytes of all metadata of all members; a group of more could hardly be stored. */
  readonly maxMetadataBytes: number;
  /** How long a new member's first JoinGroup may wait; Kafka: 5 min. */
  readonly newMemberJoinTimeoutMs: number;
}

/** What a step wants done. Answers go out at once; `append` is told back with the event `appended`. */
export type GroupEffect =
  | { readonly kind: 'join-answer'; readonly waiter: Waiter; readonly answer: JoinAnswer }
  | { readonly kind: 'sync-answer'; readonly waiter: Waiter; readonly answer: SyncAnswer }
  | { readonly kind: 'append'; readonly value: GroupSnapshot; readonly resume: AppendContinuation }
  | {
      readonly kind: 'phase';
      readonly from: GroupPhase;
      readonly to: GroupPhase;
      readonly generationId: number;
      readonly members: number;
      readonly reason: string;
    };

export interface JoinAnswer {
  readonly error: ErrorCode;
  readonly memberId: string;
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly members: readonly { readonly memberId: string; readonly groupInstanceId: string | null; readonly metadata: Buffer }[];
}

export interface SyncAnswer {
  readonly error: ErrorCode;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

/** What the log keeps of a group (GroupMetadataValue). */
export interface GroupSnapshot {
  readonly protocolType: string | undefined;
  readonly generationId: number;
  readonly protocolName: string | undefined;
  readonly leaderId: string | undefined;
  readonly phaseSinceMs: number | undefined;
  readonly members: readonly MemberSnapshot[];
}

export interface MemberSnapshot {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** What to go on with once the log has taken a snapshot, or refused it. */
export type AppendContinuation =
  | { readonly kind: 'emptied' }
  | { readonly kind: 'assigned'; readonly generationId: number; readonly assignments: ReadonlyMap<string, Buffer> }
  | {
      readonly kind: 'static-rejoin';
      readonly generationId: number;
      readonly memberId: string;
      readonly waiter: Waiter;
      readonly skipAssignment: boolean;
      readonly oldLeaderId: string;
    };

export const emptyBytes: Buffer = Buffer.alloc(0);
const consumerProtocolType = 'consumer';
const generations = 2 ** 31;

export function createGroup(groupId: string, wallMs: number): Group {
  return {
    groupId,
    phase: 'Empty',
    generationId: 0,
    protocolType: undefined,
    protocolName: undefined,
    leaderId: undefined,
    phaseSinceMs: wallMs,
    members: new Map(),
    staticMembers: new Map(),
    pendingMembers: new Set(),
    membersToSync: new Set(),
    protocolVoters: new Map(),
    awaitingJoin: 0,
    metadataBytes: 0,
    subscribedTopics: undefined,
    initialDelay: undefined,
    assignmentInLog: false,
    sessions: new DeadlineHeap(),
    joinDeadlineMs: undefined,
    syncDeadlineMs: undefined,
  };
}

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

export function startNextGeneration(group: Group): void {
  group.generationId = (group.generationId + 1) % generations;
  group.protocolName = group.members.size === 0 ? undefined : selectProtocol(group);
  refreshSubscribedTopics(group);
  group.membersToSync.clear();
  group.assignmentInLog = false;
}

export function metadataOf(member: Member, protocolName: string | undefined): Buffer {
  return member.protocols.find(({ name }) => name === protocolName)?.metadata ?? emptyBytes;
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

export function usesConsumerProtocol(group: Group): boolean {
  return group.protocolType === consumerProtocolType;
}

/** Of a group whose topics are not known all count as subscribed while it uses the consumer protocol: none of its offsets may be removed. */
export function isSubscribedTo(group: Group, topic: string): boolean {
  return group.subscribedTopics ? group.subscribedTopics.has(topic) : usesConsumerProtocol(group);
}

/** Nothing of it is worth keeping or was ever in the log, unless it has offsets. */
export function isBlank(group: Group): boolean {
  return group.phase === 'Empty' && group.generationId === 0 && group.pendingMembers.size === 0;
}

/** When `step` wants to hear that time has passed; may be early. */
export function nextDeadlineMs(group: Group): number | undefined {
  let next = group.sessions.nextMs();
  for (const deadline of [group.joinDeadlineMs, group.syncDeadlineMs]) if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline;
  return next;
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

export function metadataBytesOf(protocols: readonly MemberProtocol[]): number {
  let bytes = 0;
  for (const { metadata } of protocols) bytes += metadata.length;
  return bytes;
}

function countVotes(group: Group, member: Member, by: 1 | -1): void {
  group.metadataBytes += by * metadataBytesOf(member.protocols);
  for (const { name } of member.protocols) {
    const count = (group.protocolVoters.get(name) ?? 0) + by;
    if (count === 0) group.protocolVoters.delete(name);
    else group.protocolVoters.set(name, count);
  }
}
