/** Random lives of a group: whatever clients, log and time do, these hold. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ErrorCodes } from '../../protocol/errors.ts';
import { createGroup, type Group, type GroupEffect, type GroupLimits, type GroupSnapshot, isSubscribedTo, nextDeadlineMs } from './group.ts';
import { restoreGroup, snapshotOf } from './group-snapshot.ts';
import { type GroupEvent, step } from './group-step.ts';

const limits: GroupLimits = { initialRebalanceDelayMs: 10, maxMembers: 3, maxPendingMembers: 3, maxMetadataBytes: 1_000, newMemberJoinTimeoutMs: 300 };
const names = ['a', 'b', 'e', 'f'] as const;
const client = fc.constantFrom(...names);
const protocols = fc.constantFrom('range', 'range,sticky', 'sticky,range', 'sticky');

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('join' as const), client, protocols, known: fc.nat(9).map((n) => n > 0), version: fc.constantFrom(3, 4, 9) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('sync' as const), client }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      error: fc.constantFrom(ErrorCodes.NONE, ErrorCodes.NONE, ErrorCodes.COORDINATOR_NOT_AVAILABLE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('beat' as const), client }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('commit' as const), client }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(10, 10, 20, 40, 90) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Plays actions as clients that use what they learnt, and checks every step. Clients e and f are static. */
class Life {
  readonly group: Group = createGroup('g', 0);
  readonly open = new Set<number>();
  readonly memberIds = new Map<string, string>();
  readonly generations = new Map<string, number>();
  readonly owners = new Map<number, string>();
  readonly appends: Extract<GroupEffect, { kind: 'append' }>[] = [];
  /** What each (generation, member) was told to own. */
  readonly assignments = new Map<string, string>();
  stored: GroupSnapshot | undefined;
  nowMs = 0;
  nextWaiter = 0;
  nextId = 0;

  play(next: Action): void {
    switch (next.kind) {
      case 'join':
        return this.join(next.client, next);
      case 'sync':
        return this.do({
          kind: 'sync',
          waiter: this.waiter(next.client),
          ...this.identity(next.client),
          protocolType: null,
          protocolName: null,
          assignments: new Map([...this.group.members.keys()].map((memberId) => [memberId, Buffer.from(`${this.nextId++}`)])),
        });
      case 'settle': {
        const append = this.appends.shift();
        if (append && next.error === ErrorCodes.NONE) this.stored = append.value;
        if (append) this.do({ kind: 'appended', resume: append.resume, error: next.error });
        return;
      }
      case 'leave':
        return this.do({ kind: 'leave', members: [{ ...this.identity(next.client), reason: '' }] });
      case 'beat':
        return this.do({ kind: 'heartbeat', ...this.identity(next.client) });
      case 'commit':
        return this.do({ kind: 'commit', ...this.identity(next.client) });
      case 'wait':
        this.nowMs += next.ms;
        return this.do({ kind: 'tick' });
    }
  }

  join(name: string, options: { protocols: string; known: boolean; version: number }): void {
    this.do({
      kind: 'join',
      waiter: this.waiter(name),
      memberId: options.known ? (this.memberIds.get(name) ?? '') : '',
      groupInstanceId: this.identity(name).groupInstanceId,
      newMemberId: `${name}-${this.nextId++}`,
      clientId: name,
      clientHost: '',
      sessionTimeoutMs: 100,
      rebalanceTimeoutMs: 200,
      protocolType: 'consumer',
      protocols: options.protocols.split(',').map((protocol) => ({ name: protocol, metadata: Buffer.from([0, 0, 0, 0, 0, 0]) })),
      reason: '',
      requiresKnownMemberId: options.version >= 4,
      supportsSkippingAssignment: options.version >= 9,
    });
  }

  identity(name: string): { memberId: string; groupInstanceId: string | null; generationId: number } {
    return { memberId: this.memberIds.get(name) ?? '', groupInstanceId: name >= 'e' ? name : null, generationId: this.generations.get(name) ?? -1 };
  }

  waiter(name: string): number {
    this.open.add(this.nextWaiter);
    this.owners.set(this.nextWaiter, name);
    return this.nextWaiter++;
  }

  do(event: GroupEvent): void {
    const { effects } = step(this.group, event, { monotonicMs: this.nowMs, wallMs: this.nowMs }, limits);
    for (const effect of effects) this.observe(effect);
    this.check();
  }

  observe(effect: GroupEffect): void {
    if (effect.kind === 'append') this.appends.push(effect);
    if (effect.kind !== 'join-answer' && effect.kind !== 'sync-answer') return;
    assert.ok(this.open.delete(effect.waiter), 'an answer goes to a request that waits, and only once');
    const name = this.owners.get(effect.waiter) as string;
    if (effect.kind === 'join-answer') {
      const { answer } = effect;
      if (answer.error === ErrorCodes.NONE || answer.error === ErrorCodes.MEMBER_ID_REQUIRED) this.memberIds.set(name, answer.memberId);
      if (answer.error === ErrorCodes.NONE) this.generations.set(name, answer.generationId);
      return;
    }
    if (effect.answer.error !== ErrorCodes.NONE) return;
    // A static member that came back owns what its former self did: so by client, not by member id.
    const key = `${this.generations.get(name)} ${this.memberIds.get(name)}`;
    const told = effect.answer.assignment.toString();
    assert.equal(this.assignments.get(key) ?? told, told, 'one generation assigns once');
    this.assignments.set(key, told);
  }

  check(): void {
    const { group } = this;
    if (group.phase === 'Dead') return;
    const members = [...group.members.values()];
    assert.equal(group.awaitingJoin, members.filter((member) => member.joinWaiter !== undefined).length);
    for (const member of members) {
      for (const waiter of [member.joinWaiter, member.syncWaiter]) if (waiter !== undefined) assert.ok(this.open.has(waiter), 'who was answered does not wait');
      const waits = member.joinWaiter !== undefined || member.syncWaiter !== undefined;
      assert.ok(waits || group.sessions.dueMs(member.memberId) !== undefined, 'a member that does not wait has a session that can run out');
      assert.equal(group.protocolVoters.get(member.protocols[0]?.name ?? '') === undefined, false);
    }
    const waiting = members.flatMap((member) => [member.joinWaiter, member.syncWaiter]).filter((waiter) => waiter !== undefined);
    assert.deepEqual(
      [...this.open].sort((a, b) => a - b),
      waiting.sort((a, b) => a - b),
      'every open request is somebody the group knows to wait',
    );
    assert.ok(group.awaitingJoin <= limits.maxMembers && group.pendingMembers.size <= limits.maxPendingMembers);
    assert.equal(
      group.metadataBytes,
      members.flatMap((member) => member.protocols).reduce((sum, { metadata }) => sum + metadata.length, 0),
    );
    assert.equal(group.leaderId === undefined, members.length === 0);
    if (group.leaderId !== undefined) assert.ok(group.members.has(group.leaderId), 'the leader is a member');
    assert.deepEqual(
      new Set(group.staticMembers.values()),
      new Set(members.filter((member) => member.groupInstanceId != null).map((member) => member.memberId)),
    );
    for (const memberId of group.membersToSync) assert.ok(group.members.has(memberId));
    if (group.phase === 'Empty') assert.equal(members.length, 0);
    if (group.phase === 'Stable' || group.phase === 'CompletingRebalance') {
      assert.ok(members.length > 0);
      assert.ok(group.membersToSync.size === 0 || group.syncDeadlineMs !== undefined, 'nobody is waited for without end');
      assert.ok([...group.protocolVoters.values()].includes(members.length), 'all members have a protocol in common');
    }
    if (group.phase === 'Stable' && this.stored?.generationId === group.generationId)
      for (const { memberId, assignment } of this.stored.members)
        assert.deepEqual(group.members.get(memberId)?.assignment ?? assignment, assignment, 'members know what the log knows');
    assert.equal(group.phase === 'PreparingRebalance', group.joinDeadlineMs !== undefined);
    const next = nextDeadlineMs(group);
    assert.ok(members.length === 0 || next !== undefined || this.appends.length > 0, 'a group with members hears of time, or of the log');
  }
}

test('whatever happens, requests are answered once, sessions can end, and one generation assigns once', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 200, size: 'max' }), (actions) => {
      const life = new Life();
      for (const next of actions) life.play(next);
      life.do({ kind: 'unload', error: ErrorCodes.NOT_COORDINATOR });
      assert.equal(life.open.size, 0, 'an unloaded group leaves nobody waiting');
      assert.equal(nextDeadlineMs(life.group), undefined);
    }),
    { numRuns: 400 },
  );
});

test('a group whose clients are gone becomes empty by itself', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 100, size: 'max' }), (actions) => {
      const life = new Life();
      for (const next of actions) life.play(next);
      for (let rounds = 0; rounds < 100 && (life.appends.length > 0 || nextDeadlineMs(life.group) !== undefined); rounds += 1) {
        while (life.appends.length > 0) life.play({ kind: 'settle', error: ErrorCodes.NONE });
        life.nowMs = Math.max(life.nowMs, nextDeadlineMs(life.group) ?? 0);
        life.do({ kind: 'tick' });
      }
      assert.equal(life.group.phase, 'Empty');
      assert.equal(life.open.size, 0);
    }),
    { numRuns: 200 },
  );
});

test('a group restored from its snapshot gives the same snapshot', () => {
  const life = new Life();
  for (const name of ['a', 'e']) for (let round = 0; round < 2; round += 1) life.join(name, { protocols: 'range,sticky', known: true, version: 9 });
  for (let round = 0; round < 3; round += 1) life.play({ kind: 'wait', ms: 10 });
  for (const name of ['a', 'e'] as const) life.play({ kind: 'sync', client: name });
  life.play({ kind: 'settle', error: ErrorCodes.NONE });
  assert.equal(life.group.phase, 'Stable');
  const snapshot = snapshotOf(life.group);
  const restored = restoreGroup('g', snapshot);
  assert.deepEqual(snapshotOf(restored), snapshot);
  assert.equal(restored.phase, 'Stable');
  assert.equal(isSubscribedTo(restored, 'any'), false);
});
