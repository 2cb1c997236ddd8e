import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import type { ProbeOutcome, Subject } from './internal-protocol.ts';
import {
  type DeathReason,
  initialSuspicion,
  step,
  type SuspicionEffect,
  type SuspicionEvent,
  type SuspicionState,
  unprovenBound,
  verdictOn,
} from './suspicion.ts';

const subjectOf = (node: number, epoch = 1): Subject => ({ incarnation: { node: node as NodeId, epoch }, host: `host-${node}`, port: 9_000 + node });

/** One observer on a hand-moved clock; remembers the newest link and round of each subject, as the shell would. */
class Observer {
  state: SuspicionState;
  nowMs = 0;
  readonly said: string[] = [];
  readonly links = new Map<number, { id: number; dueMs: number }>();
  readonly rounds = new Map<number, { id: number; asked: number[] }>();
  readonly leaseLooks: { node: NodeId; round: number }[] = [];
  pings = 0;

  constructor(nodes: readonly number[], watched = nodes) {
    this.state = initialSuspicion(0);
    this.feed({ kind: 'watch', subjects: watched.map((node) => subjectOf(node)), brokers: nodes.map((node) => subjectOf(node)) });
  }

  feed(event: SuspicionEvent): void {
    const { state, effects } = step(this.state, event, this.nowMs);
    this.state = state;
    for (const effect of effects) this.#take(effect);
  }

  /** Lets time pass in ticks; `answering` ones pong at each. */
  pass(ms: number, answering: readonly number[] = []): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs = Math.min(endMs, this.nowMs + 250);
      for (const node of answering) this.pong(node);
      this.feed({ kind: 'tick' });
    }
  }

  link(kind: 'connected' | 'refused' | 'unreachable' | 'closed', node: number): void {
    const link = this.links.get(node);
    assert.ok(link, 'no link');
    this.feed({ kind, node: node as NodeId, link: link.id });
  }

  pong(node: number, { epoch = 1, living = true, from = node } = {}): void {
    this.feed({ kind: 'pong', node: node as NodeId, link: this.links.get(node)?.id ?? 0, pong: { kind: 'pong', node: from as NodeId, epoch, living } });
  }

  meet(...nodes: readonly number[]): void {
    for (const node of nodes) {
      this.link('connected', node);
      this.pong(node);
    }
  }

  probed(node: number, outcome: ProbeOutcome, witness?: number): void {
    const round = this.rounds.get(node);
    assert.ok(round, 'nobody was asked');
    const from = witness === undefined ? round.asked : [witness];
    for (const one of from) this.feed({ kind: 'probed', node: node as NodeId, round: round.id, witness: one as NodeId, outcome });
  }

  lease(held: boolean | undefined): void {
    const look = this.leaseLooks.at(-1);
    assert.ok(look, 'nobody looked for the lease');
    this.feed({ kind: 'lease', ...look, held });
  }

  /** What was said about brokers since the last call. */
  heard(): readonly string[] {
    return this.said.splice(0);
  }

  #take(effect: SuspicionEffect): void {
    switch (effect.kind) {
      case 'connect':
        this.links.set(effect.subject.incarnation.node, { id: effect.link, dueMs: this.nowMs + effect.afterMs });
        break;
      case 'ask witness': {
        const before = this.rounds.get(effect.subject.incarnation.node);
        const asked = before?.id === effect.round ? before.asked : [];
        this.rounds.set(effect.subject.incarnation.node, { id: effect.round, asked: [...asked, effect.witness.incarnation.node] });
        break;
      }
      case 'look for lease':
        this.leaseLooks.push({ node: effect.subject.incarnation.node, round: effect.round });
        break;
      case 'ping':
        this.pings++;
        break;
      case 'suspected':
        this.said.push(`suspected ${effect.incarnation.node} ${effect.why}`);
        break;
      case 'dead':
        this.said.push(`dead ${effect.incarnation.node} ${effect.reason}`);
        break;
      case 'held back':
      case 'withdrawn':
        this.said.push(`${effect.kind} ${effect.incarnation.node}`);
        break;
      case 'was asleep':
        this.said.push(effect.kind);
        break;
      case 'disconnect':
        break;
    }
  }
}

test('who answers is pinged and never suspected', () => {
  const observer = new Observer([1, 2, 3]);
  observer.meet(1, 2, 3);
  observer.pass(10_000, [1, 2, 3]);
  assert.deepEqual(observer.heard(), []);
  assert.equal(observer.pings, 3 + 40 * 3);
});

test('a closed connection and two refusals are a verdict, within a tenth of a second', () => {
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  observer.link('closed', 1);
  assert.deepEqual(observer.heard(), ['suspected 1 closed']);
  assert.equal(observer.links.get(1)?.dueMs, 0);
  observer.link('refused', 1);
  assert.deepEqual(observer.heard(), []);
  assert.equal(observer.links.get(1)?.dueMs, 100);
  observer.nowMs = 100;
  observer.link('refused', 1);
  assert.deepEqual(observer.heard(), ['dead 1 refused']);
  assert.equal(verdictOn(observer.state, subjectOf(1).incarnation), 'refused');
  assert.equal(verdictOn(observer.state, subjectOf(1, 2).incarnation), undefined);
});

test('a connection that comes about, or fails in another way, between two refusals starts the count again', () => {
  for (const between of ['connected', 'unreachable'] as const) {
    const observer = new Observer([1]);
    observer.link('refused', 1);
    observer.link(between, 1);
    if (between === 'connected') observer.link('closed', 1);
    observer.link('refused', 1);
    assert.deepEqual(observer.heard(), [], between);
  }
});

test('what a closed connection was followed by an answer on a new one is no verdict', () => {
  const observer = new Observer([1]);
  observer.meet(1);
  observer.link('closed', 1);
  observer.meet(1);
  observer.pass(5_000, [1]);
  assert.deepEqual(observer.heard(), ['suspected 1 closed']);
});

test('what is told of a connection that was replaced counts no more', () => {
  const observer = new Observer([1]);
  observer.meet(1);
  const old = observer.links.get(1)!.id;
  observer.link('closed', 1);
  observer.pass(1_250);
  observer.feed({ kind: 'pong', node: 1 as NodeId, link: old, pong: { kind: 'pong', node: 1 as NodeId, epoch: 2, living: true } });
  for (let i = 0; i < 2; i++) observer.feed({ kind: 'refused', node: 1 as NodeId, link: old });
  assert.deepEqual(observer.heard(), ['suspected 1 closed']);
});

test('one that accepts and closes is not asked in a tight loop', () => {
  const observer = new Observer([1]);
  observer.link('connected', 1);
  observer.link('closed', 1);
  assert.equal(observer.links.get(1)?.dueMs, 250);
});

const weighed: readonly { readonly answers: readonly ProbeOutcome[]; readonly verdict: DeathReason | undefined }[] = [
  { answers: ['silent', 'silent'], verdict: 'witness' },
  { answers: ['refused', 'silent'], verdict: 'witness' },
  { answers: ['silent', 'unavailable'], verdict: 'witness' },
  { answers: ['silent', 'reached'], verdict: undefined },
  { answers: ['reached', 'refused'], verdict: undefined },
  { answers: ['unavailable', 'unavailable'], verdict: undefined },
  { answers: ['replaced', 'reached'], verdict: 'over' },
];
for (const { answers, verdict } of weighed) {
  test(`silence, and witnesses say ${answers.join(' and ')}: ${verdict ?? 'no verdict'}`, () => {
    const observer = new Observer([1, 2, 3, 4]);
    observer.meet(1, 2, 3, 4);
    observer.pass(1_250, [2, 3, 4]);
    assert.deepEqual(observer.heard(), []);
    observer.pass(250, [2, 3, 4]);
    assert.deepEqual(observer.heard(), ['suspected 1 silent']);
    assert.deepEqual(observer.rounds.get(1)?.asked, [2, 3]);
    observer.probed(1, answers[0]!, 2);
    observer.probed(1, answers[1]!, 3);
    assert.deepEqual(observer.heard(), verdict ? [`dead 1 ${verdict}`] : []);
    assert.equal(verdictOn(observer.state, subjectOf(1).incarnation), verdict);
  });
}

test('one witness that does not answer at all does not delay the other one for ever', () => {
  const observer = new Observer([1, 2, 3]);
  observer.meet(1, 2, 3);
  observer.pass(1_500, [2, 3]);
  observer.probed(1, 'silent', 2);
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
  observer.pass(1_750, [2, 3]);
  assert.deepEqual(observer.heard(), ['dead 1 witness']);
});

test('a silence is looked at with a new connection, too: one that lost its other end without a word is replaced', () => {
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  const before = observer.links.get(1)?.id;
  observer.pass(1_500, [2]);
  assert.notEqual(observer.links.get(1)?.id, before);
  observer.meet(1);
  observer.probed(1, 'silent');
  observer.pass(5_000, [1, 2]);
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
});

test('a witness that reaches it is asked again as long as the silence lasts', () => {
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  observer.pass(1_500, [2]);
  observer.probed(1, 'reached');
  const first = observer.rounds.get(1)?.id;
  observer.pass(3_000, [2]);
  assert.notEqual(observer.rounds.get(1)?.id, first);
  observer.feed({ kind: 'probed', node: 1 as NodeId, round: first!, witness: 2 as NodeId, outcome: 'silent' });
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
  observer.probed(1, 'silent');
  assert.deepEqual(observer.heard(), ['dead 1 witness']);
});

test('its own process says that the incarnation is over: dead at once', () => {
  for (const pong of [{ epoch: 2 }, { epoch: 1, living: false }]) {
    const observer = new Observer([1, 2]);
    observer.meet(2);
    observer.link('connected', 1);
    observer.pong(1, pong);
    assert.deepEqual(observer.heard(), ['dead 1 over']);
  }
});

test('a process that does not know of the incarnation yet is neither dead nor heard', () => {
  const observer = new Observer([1, 2]);
  observer.meet(2);
  observer.link('connected', 1);
  for (let i = 0; i < 5; i++) {
    observer.pong(1, { epoch: 0, living: false });
    observer.pass(250, [2]);
  }
  assert.deepEqual(observer.heard(), []);
  observer.pass(250, [2]);
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
});

test('another node at its address is as good as a refusal', () => {
  const observer = new Observer([1]);
  for (let i = 0; i < 2; i++) {
    if (i === 1) observer.link('refused', 1);
    else {
      observer.link('connected', 1);
      observer.pong(1, { from: 9 });
    }
  }
  assert.deepEqual(observer.heard(), ['dead 1 refused']);
});

test('when nobody else can look: ten seconds of silence and a liveness key that is gone', () => {
  const observer = new Observer([1]);
  observer.meet(1);
  observer.pass(9_750);
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
  assert.equal(observer.leaseLooks.length, 0);
  observer.pass(3_000);
  assert.equal(observer.leaseLooks.length, 1);
  observer.lease(true);
  observer.pass(3_000);
  assert.equal(observer.leaseLooks.length, 2);
  observer.lease(undefined);
  assert.deepEqual(observer.heard(), []);
  observer.pass(3_000);
  observer.lease(false);
  assert.deepEqual(observer.heard(), ['dead 1 lease']);
});

test('a witness that can look makes the missing key worth nothing', () => {
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  for (let i = 0; i < 10; i++) {
    observer.pass(3_000, [2]);
    observer.probed(1, 'reached');
  }
  assert.equal(observer.leaseLooks.length, 0);
  assert.deepEqual(observer.heard(), ['suspected 1 silent']);
});

test('those under suspicion are asked nothing', () => {
  const observer = new Observer([1, 2, 3]);
  observer.meet(1, 2, 3);
  observer.pass(1_500, [3]);
  assert.deepEqual([observer.rounds.get(1)?.asked, observer.rounds.get(2)?.asked], [[3], [3]]);
});

test('many that look dead at once are held back: max(1, n/3) a minute', () => {
  const nodes = [1, 2, 3, 4, 5, 6, 7, 8];
  const observer = new Observer(nodes);
  observer.meet(...nodes);
  observer.pass(1_500, [8]);
  for (const node of nodes.slice(0, 7)) observer.probed(node, 'silent');
  const said = observer.heard();
  assert.equal(said.filter((line) => line.startsWith('dead')).length, unprovenBound(9));
  assert.equal(said.filter((line) => line.startsWith('held back')).length, 4);
  observer.pass(57_000, [8]);
  observer.heard();
  observer.pass(3_250, [8]);
  for (const node of [4, 5, 6, 7]) observer.probed(node, 'silent');
  assert.equal(observer.heard().filter((line) => line.startsWith('dead')).length, 3);
});

test('refusals are not held back', () => {
  const nodes = [1, 2, 3, 4, 5, 6, 7, 8];
  const observer = new Observer(nodes);
  for (const node of nodes) for (let i = 0; i < 2; i++) observer.link('refused', node);
  assert.equal(observer.heard().length, 8);
});

test('an observer that was asleep forgets what it thought, and what arrived meanwhile', () => {
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  observer.pass(1_000, [1, 2]);
  observer.link('closed', 1);
  observer.link('refused', 1);
  const stale = observer.links.get(1)!.id;
  observer.nowMs += 20_000;
  for (let i = 0; i < 2; i++) observer.feed({ kind: 'refused', node: 1 as NodeId, link: stale });
  observer.feed({ kind: 'tick' });
  assert.deepEqual(observer.heard(), ['suspected 1 closed', 'was asleep']);
  observer.meet(1, 2);
  observer.pass(5_000, [1, 2]);
  assert.deepEqual(observer.heard(), []);
});

test('a sleep withdraws verdicts; so does an answer', () => {
  const observer = new Observer([1, 2]);
  for (let i = 0; i < 2; i++) observer.link('refused', 1);
  observer.meet(1);
  assert.deepEqual(observer.heard(), ['dead 1 refused', 'withdrawn 1']);
  observer.link('closed', 1);
  for (let i = 0; i < 2; i++) observer.link('refused', 1);
  observer.heard();
  observer.nowMs += 2_000;
  observer.feed({ kind: 'tick' });
  assert.deepEqual(observer.heard(), ['was asleep', 'withdrawn 1']);
});

test('a new life of a node is watched anew, one that left is watched no more', () => {
  const observer = new Observer([1, 2]);
  for (let i = 0; i < 2; i++) observer.link('refused', 1);
  observer.heard();
  observer.feed({ kind: 'watch', subjects: [subjectOf(1, 2)], brokers: [subjectOf(1, 2), subjectOf(2)] });
  assert.equal(verdictOn(observer.state, subjectOf(1).incarnation), undefined);
  observer.link('refused', 2);
  observer.link('refused', 2);
  assert.deepEqual(observer.heard(), []);
});

interface Evidence {
  refusals: number;
  heardAtMs: number;
  /** Answers of the newest round. */
  failing: boolean;
  round: number;
  over: boolean;
  leaseGone: boolean;
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(50, 250, 250, 250, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sleep' as const), ms: fc.integer({ min: 1_300, max: 90_000 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('link' as const),
      node: fc.integer({ min: 1, max: 5 }),
      kind: fc.constantFrom('connected' as const, 'refused' as const, 'unreachable' as const, 'closed' as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pong' as const), node: fc.integer({ min: 1, max: 5 }), epoch: fc.constantFrom(0, 1, 1, 1, 1, 2) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('probed' as const),
      node: fc.integer({ min: 1, max: 5 }),
      outcome: fc.constantFrom<ProbeOutcome[]>('reached', 'refused', 'silent', 'replaced', 'unavailable'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('lease' as const), held: fc.constantFrom(true, false, undefined) }) },
);

test('property: no verdict without its evidence, and never more than the bound without proof', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 150 }), (actions) => {
      const observer = new Observer([1, 2, 3, 4, 5]);
      const evidence = new Map<number, Evidence>();
      const fresh = (): Evidence => ({ refusals: 0, heardAtMs: observer.nowMs, failing: false, round: 0, over: false, leaseGone: false });
      for (const node of [1, 2, 3, 4, 5]) evidence.set(node, fresh());
      const unproven: number[] = [];
      const check = (): void => {
        for (const line of observer.heard()) {
          if (line === 'was asleep') for (const node of evidence.keys()) evidence.set(node, fresh());
          const [word, name, reason] = line.split(' ');
          if (word !== 'dead') continue;
          const seen = evidence.get(Number(name))!;
          const silent = observer.nowMs - seen.heardAtMs;
          if (reason === 'refused') assert.ok(seen.refusals >= 2, line);
          else if (reason === 'over') assert.ok(seen.over, line);
          else if (reason === 'witness') assert.ok(silent >= 1_500 && seen.failing, line);
          else assert.ok(silent >= 10_000 && seen.leaseGone, line);
          if (reason === 'witness' || reason === 'lease') {
            unproven.push(observer.nowMs);
            assert.ok(unproven.filter((atMs) => observer.nowMs - atMs < 60_000).length <= unprovenBound(6), 'too many at once');
          }
        }
      };
      for (const one of actions) {
        const seen = 'node' in one ? evidence.get(one.node)! : undefined;
        switch (one.do) {
          case 'pass':
            observer.nowMs += one.ms;
            observer.feed({ kind: 'tick' });
            break;
          case 'sleep':
            observer.nowMs += one.ms;
            observer.feed({ kind: 'tick' });
            break;
          case 'link':
            seen!.refusals = one.kind === 'refused' ? seen!.refusals + 1 : one.kind === 'closed' ? seen!.refusals : 0;
            observer.link(one.kind, one.node);
            break;
          case 'pong':
            if (one.epoch === 1) Object.assign(seen!, fresh());
            if (one.epoch === 2) seen!.over = true;
            observer.pong(one.node, { epoch: one.epoch });
            break;
          case 'probed': {
            const round = observer.rounds.get(one.node);
            if (!round) break;
            if (one.outcome === 'replaced') seen!.over = true;
            if (one.outcome === 'refused' || one.outcome === 'silent') seen!.failing = true;
            observer.probed(one.node, one.outcome);
            break;
          }
          case 'lease': {
            const look = observer.leaseLooks.at(-1);
            if (!look) break;
            if (one.held === false) evidence.get(look.node)!.leaseGone = true;
            observer.lease(one.held);
            break;
          }
        }
        check();
      }
    }),
    { numRuns: 300 },
  );
});

test('property: one that answers within 1.5 s and is never refused twice in a row lives, whatever others say', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom('closed', 'refused', 'unreachable', 'nothing'), fc.integer()), { maxLength: 60 }),
      (moves) => {
        const observer = new Observer([1, 2, 3]);
        observer.meet(1, 2, 3);
        for (const [ticks, what, luck] of moves) {
          observer.pass(Math.min(ticks, 4) * 250, [2, 3]);
          if (what !== 'nothing') {
            observer.link('closed', 1);
            if (what !== 'closed') observer.link(what, 1);
            observer.link('connected', 1);
          }
          const round = observer.rounds.get(1);
          if (round && luck % 2 === 0) observer.probed(1, 'silent');
          observer.pong(1);
        }
        assert.ok(!observer.heard().some((line) => line.startsWith('dead')));
      },
    ),
  );
});

test('property: a step changes nothing that it was given, and gives the same twice', () => {
  const incarnation: Incarnation = subjectOf(1).incarnation;
  const observer = new Observer([1, 2]);
  observer.meet(1, 2);
  observer.pass(1_500, [2]);
  const events: readonly SuspicionEvent[] = [
    { kind: 'tick' },
    { kind: 'watch', subjects: [], brokers: [] },
    { kind: 'probed', node: incarnation.node, round: observer.rounds.get(1)!.id, witness: 2 as NodeId, outcome: 'silent' },
    { kind: 'closed', node: 2 as NodeId, link: observer.links.get(2)!.id },
  ];
  const before = structuredClone(observer.state);
  for (const event of events) {
    for (const nowMs of [observer.nowMs, observer.nowMs + 9_000]) assert.deepEqual(step(observer.state, event, nowMs), step(observer.state, event, nowMs));
  }
  assert.deepEqual(observer.state, before);
});
