/** The group as a state machine: one event in, the effects out. Decides everything, does nothing. */
import { type ErrorCode, ErrorCodes } from '../../protocol/errors.ts';
import type { Group, GroupEffect, GroupLimits, GroupTime } from './group.ts';
import { type JoinEvent, join } from './group-join.ts';
import { type Committer, commit, expireSession, heartbeat, type LeavingMember, leave } from './group-leave.ts';
import { answerJoin, answerSync, enterPhase, joinDeadlinePassed, prepareRebalance, refusedJoin, type Step, syncDeadlinePassed } from './group-rebalance.ts';
import { type AppendedEvent, appended, type SyncEvent, sync } from './group-sync.ts';

export type GroupEvent =
  | JoinEvent
  | SyncEvent
  | AppendedEvent
  | { readonly kind: 'leave'; readonly members: readonly LeavingMember[] }
  | { readonly kind: 'heartbeat'; readonly memberId: string; readonly groupInstanceId: string | null; readonly generationId: number }
  | ({ readonly kind: 'commit' } & Committer)
  /** Time has passed: whatever is due happens. */
  | { readonly kind: 'tick' }
  /** The group was read from the log: its sessions start anew. */
  | { readonly kind: 'loaded' }
  /** This broker is no longer its coordinator, or the group was deleted: who waits gets `error`. */
  | { readonly kind: 'unload'; readonly error: ErrorCode };

export interface StepOutcome {
  readonly effects: readonly GroupEffect[];
  /** Answers to heartbeat and commit (one), leave (one per member), else none. */
  readonly errors: readonly ErrorCode[];
}

export function step(group: Group, event: GroupEvent, now: GroupTime, limits: GroupLimits): StepOutcome {
  const effects: GroupEffect[] = [];
  return { errors: handle({ group, now, limits, effects }, event), effects };
}

function handle(current: Step, event: GroupEvent): readonly ErrorCode[] {
  switch (event.kind) {
    case 'leave':
      return current.group.phase === 'Dead' ? event.members.map(() => ErrorCodes.COORDINATOR_NOT_AVAILABLE) : leave(current, event.members);
    case 'heartbeat':
      return [heartbeat(current, event)];
    case 'commit':
      return [commit(current, event)];
    case 'join':
      join(current, event);
      break;
    case 'sync':
      sync(current, event);
      break;
    case 'appended':
      appended(current, event);
      break;
    case 'tick':
      tick(current);
      break;
    case 'loaded':
      loaded(current);
      break;
    case 'unload':
      unload(current, event.error);
      break;
  }
  return [];
}

function tick(current: Step): void {
  const { group, now } = current;
  if (group.phase === 'Dead') return;
  for (;;) {
    const memberId = group.sessions.popDue(now.monotonicMs);
    if (memberId === undefined) break;
    expireSession(current, memberId);
  }
  if (group.joinDeadlineMs !== undefined && group.joinDeadlineMs <= now.monotonicMs) joinDeadlinePassed(current);
  if (group.syncDeadlineMs !== undefined && group.syncDeadlineMs <= now.monotonicMs) syncDeadlinePassed(current);
}

function loaded(current: Step): void {
  const { group, now, limits } = current;
  for (const member of group.members.values()) group.sessions.set(member.memberId, now.monotonicMs + member.sessionTimeoutMs);
  if (group.members.size > limits.maxMembers) prepareRebalance(current, 'loaded with more members than may be');
}

function unload(current: Step, error: ErrorCode): void {
  const { group } = current;
  for (const member of group.members.values()) {
    answerJoin(current, member, refusedJoin(error, member.memberId));
    answerSync(current, member, error);
  }
  group.sessions.clear();
  group.joinDeadlineMs = undefined;
  group.syncDeadlineMs = undefined;
  enterPhase(current, 'Dead', 'unloaded');
}
