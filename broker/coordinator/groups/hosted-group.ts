/** A group in its coordinator's hands: steps it, and carries out what a step wants. */
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Group, GroupEffect, GroupLimits, GroupSnapshot, GroupTime, JoinAnswer, SyncAnswer, Waiter } from './group.ts';
import { nextDeadlineMs } from './group.ts';
import type { Due } from '../deadlines.ts';
import { type GroupEvent, step } from './group-step.ts';

/** What a group needs of its surroundings. */
export interface GroupHost {
  readonly limits: GroupLimits;
  now(): GroupTime;
  answerJoin(waiter: Waiter, answer: JoinAnswer): void;
  answerSync(waiter: Waiter, answer: SyncAnswer): void;
  /** Calls `done` once, later. */
  appendSnapshot(groupId: string, snapshot: GroupSnapshot, done: (error: ErrorCode) => void): void;
  /** `deadlineMs` is undefined when there is none. */
  schedule(group: HostedGroup, deadlineMs: number | undefined): void;
  phaseChanged(group: Group, effect: Extract<GroupEffect, { kind: 'phase' }>): void;
}

export class HostedGroup implements Due {
  readonly group: Group;
  readonly #host: GroupHost;

  constructor(group: Group, host: GroupHost) {
    this.group = group;
    this.#host = host;
  }

  /** The answers to heartbeat, commit and leave; join and sync are answered through the host. */
  step(event: GroupEvent): readonly ErrorCode[] {
    const host = this.#host;
    const { effects, errors } = step(this.group, event, host.now(), host.limits);
    host.schedule(this, nextDeadlineMs(this.group));
    for (const effect of effects) this.#carryOut(effect);
    return errors;
  }

  due(): void {
    this.step({ kind: 'tick' });
  }

  #carryOut(effect: GroupEffect): void {
    const host = this.#host;
    switch (effect.kind) {
      case 'join-answer':
        return host.answerJoin(effect.waiter, effect.answer);
      case 'sync-answer':
        return host.answerSync(effect.waiter, effect.answer);
      case 'append':
        return host.appendSnapshot(this.group.groupId, effect.value, (error) => this.step({ kind: 'appended', resume: effect.resume, error }));
      case 'phase':
        return host.phaseChanged(this.group, effect);
    }
  }
}
