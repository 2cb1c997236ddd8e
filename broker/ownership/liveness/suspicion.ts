/**
 * Who looks dead from here (design §4, "Suspicion"): one observer, the incarnations it watches, pure. Quick but not rash:
 *
 * - a *suspicion* is a connection that closed, or 1.5 s without a pong;
 * - it becomes a *verdict* by a witness: a new connection is refused twice; or the silence goes on and another broker's probe fails,
 *   too; or the subject's own process says that this incarnation is over;
 * - when no other broker can look, 10 s of silence and a liveness key that is gone from the metadata store are enough;
 * - without a refusal, at most max(1, n/3) verdicts a minute: when many look dead the observer is the likelier culprit;
 * - an observer that was asleep forgets all it thinks and starts again.
 *
 * A verdict is about time, so it may be wrong; a wrong one costs a takeover, never a record. A pong withdraws it.
 */
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import { meaningOf, type Pong, type ProbeOutcome, type Subject } from './internal-protocol.ts';

export const tickMs = 250;
const asleepMs = 1_000;
const silenceMs = 1_500;
const refusalsNeeded = 2;
const witnessesAsked = 2;
/** How long a witness may take: it has a second to look. */
export const witnessDeadlineMs = 1_300;
/** A silent one is asked for anew so often: with a new connection, other witnesses' words. */
const betweenRoundsMs = 3_000;
const leaseMs = 10_000;
const boundWindowMs = 60_000;
const betweenRefusalsMs = 100;
const reconnectMs = 250;
/** A subject with a verdict is watched all the same, until others have seen to it. */
const reconnectToDeadMs = 1_000;

/** `refused` and `over` are proof; `witness` and `lease` are bounded. */
export type DeathReason = 'refused' | 'over' | 'witness' | 'lease';

export interface SuspicionState {
  readonly tickedAtMs: number;
  /** Names links and rounds, so that late answers are known as such. */
  readonly nextId: number;
  readonly watched: ReadonlyMap<NodeId, Watched>;
  /** Live brokers besides the observer: witnesses, and the size of the cluster. */
  readonly brokers: readonly Subject[];
  /** When verdicts without proof were given, within the last minute. */
  readonly unprovenAtMs: readonly number[];
}

interface Watched {
  readonly subject: Subject;
  readonly link: { readonly id: number; readonly open: boolean; readonly heard: boolean };
  /** New connections refused in a row. */
  readonly refusals: number;
  /** The last pong, or when the watch began. */
  readonly heardAtMs: number;
  readonly round: Round | undefined;
  readonly verdict: DeathReason | undefined;
}

/** One time that witnesses are asked. */
interface Round {
  readonly id: number;
  readonly startedAtMs: number;
  readonly answers: ReadonlyMap<NodeId, ProbeOutcome | 'asked'>;
  readonly phase: 'witnesses' | 'lease' | 'over';
}

export type LinkEvent =
  | { readonly kind: 'connected' | 'refused' | 'unreachable' | 'closed'; readonly node: NodeId; readonly link: number }
  | { readonly kind: 'pong'; readonly node: NodeId; readonly link: number; readonly pong: Pong };

export type SuspicionEvent =
  | LinkEvent
  | { readonly kind: 'tick' }
  | { readonly kind: 'watch'; readonly subjects: readonly Subject[]; readonly brokers: readonly Subject[] }
  | { readonly kind: 'probed'; readonly node: NodeId; readonly round: number; readonly witness: NodeId; readonly outcome: ProbeOutcome }
  /** Whether the subject's liveness key is there; undefined: the metadata store did not say. */
  | { readonly kind: 'lease'; readonly node: NodeId; readonly round: number; readonly held: boolean | undefined };

export type SuspicionEffect =
  | { readonly kind: 'connect'; readonly subject: Subject; readonly link: number; readonly afterMs: number }
  | { readonly kind: 'disconnect'; readonly link: number }
  | { readonly kind: 'ping'; readonly incarnation: Incarnation; readonly link: number }
  | { readonly kind: 'ask witness'; readonly subject: Subject; readonly round: number; readonly witness: Subject }
  | { readonly kind: 'look for lease'; readonly subject: Subject; readonly round: number }
  | { readonly kind: 'suspected'; readonly incarnation: Incarnation; readonly why: 'closed' | 'silent' }
  | { readonly kind: 'dead'; readonly incarnation: Incarnation; readonly reason: DeathReason }
  | { readonly kind: 'held back'; readonly incarnation: Incarnation }
  | { readonly kind: 'withdrawn'; readonly incarnation: Incarnation }
  | { readonly kind: 'was asleep'; readonly lateMs: number };

export interface Step {
  readonly state: SuspicionState;
  readonly effects: readonly SuspicionEffect[];
}

export function initialSuspicion(nowMs: number): SuspicionState {
  return { tickedAtMs: nowMs, nextId: 1, watched: new Map(), brokers: [], unprovenAtMs: [] };
}

export function step(state: SuspicionState, event: SuspicionEvent, nowMs: number): Step {
  const draft = new Draft(state, nowMs);
  // Whatever comes first after a sleep tells of it: what arrived meanwhile lies about when it happened.
  const lateMs = nowMs - state.tickedAtMs - tickMs;
  if (lateMs > asleepMs) draft.forget(lateMs);
  switch (event.kind) {
    case 'tick':
      draft.tick();
      break;
    case 'watch':
      draft.watch(event.subjects, event.brokers);
      break;
    case 'probed':
      draft.probed(event.node, event.round, event.witness, event.outcome);
      break;
    case 'lease':
      draft.leaseLookedFor(event.node, event.round, event.held);
      break;
    default:
      draft.linkEvent(event);
  }
  return draft.result();
}

/** Whether this very incarnation has a verdict. */
export function verdictOn(state: SuspicionState, { node, epoch }: Incarnation): DeathReason | undefined {
  const watched = state.watched.get(node);
  return watched?.subject.incarnation.epoch === epoch ? watched.verdict : undefined;
}

/** How many may be found dead without proof within a minute. */
export function unprovenBound(clusterSize: number): number {
  return Math.max(1, Math.floor(clusterSize / 3));
}

/** One step under construction: the given state is never changed. */
class Draft {
  readonly #before: SuspicionState;
  readonly #nowMs: number;
  readonly #watched: Map<NodeId, Watched>;
  readonly #effects: SuspicionEffect[] = [];
  #brokers: readonly Subject[];
  #unprovenAtMs: readonly number[];
  #tickedAtMs: number;
  #nextId: number;

  constructor(before: SuspicionState, nowMs: number) {
    this.#before = before;
    this.#nowMs = nowMs;
    this.#watched = new Map(before.watched);
    this.#brokers = before.brokers;
    this.#unprovenAtMs = before.unprovenAtMs;
    this.#tickedAtMs = before.tickedAtMs;
    this.#nextId = before.nextId;
  }

  result(): Step {
    const state = {
      ...this.#before,
      tickedAtMs: this.#tickedAtMs,
      nextId: this.#nextId,
      watched: this.#watched,
      brokers: this.#brokers,
      unprovenAtMs: this.#unprovenAtMs,
    };
    return { state, effects: this.#effects };
  }

  forget(lateMs: number): void {
    this.#tickedAtMs = this.#nowMs;
    this.#effects.push({ kind: 'was asleep', lateMs });
    for (const { subject, link, verdict } of [...this.#watched.values()]) {
      if (verdict) this.#effects.push({ kind: 'withdrawn', incarnation: subject.incarnation });
      this.#effects.push({ kind: 'disconnect', link: link.id });
      this.#begin(subject);
    }
  }

  watch(subjects: readonly Subject[], brokers: readonly Subject[]): void {
    this.#brokers = brokers;
    const wanted = new Map(subjects.map((subject) => [subject.incarnation.node, subject]));
    for (const [node, { subject, link }] of [...this.#watched]) {
      if (isSame(wanted.get(node), subject)) continue;
      this.#effects.push({ kind: 'disconnect', link: link.id });
      this.#watched.delete(node);
    }
    for (const [node, subject] of wanted) if (!this.#watched.has(node)) this.#begin(subject);
  }

  tick(): void {
    this.#tickedAtMs = this.#nowMs;
    this.#unprovenAtMs = this.#unprovenAtMs.filter((atMs) => this.#nowMs - atMs < boundWindowMs);
    for (const node of [...this.#watched.keys()]) {
      this.#judge(node);
      const { subject, link } = this.#of(node);
      if (link.open) this.#effects.push({ kind: 'ping', incarnation: subject.incarnation, link: link.id });
    }
  }

  linkEvent(event: LinkEvent): void {
    const watched = this.#watched.get(event.node);
    if (!watched || watched.link.id !== event.link) return;
    const { subject, verdict, link } = watched;
    const { incarnation } = subject;
    switch (event.kind) {
      case 'connected':
        this.#set({ ...watched, refusals: 0, link: { ...link, open: true } });
        this.#effects.push({ kind: 'ping', incarnation, link: link.id });
        return;
      case 'refused':
        return this.#refused(watched);
      case 'unreachable':
        return this.#connect({ ...watched, refusals: 0 }, verdict ? reconnectToDeadMs : reconnectMs);
      case 'closed':
        if (!verdict && link.heard) this.#effects.push({ kind: 'suspected', incarnation, why: 'closed' });
        // One that accepts and closes is not asked in a tight loop.
        return this.#connect(watched, link.heard ? 0 : reconnectMs);
      case 'pong':
        return this.#heard(watched, event.pong);
    }
  }

  probed(node: NodeId, round: number, witness: NodeId, outcome: ProbeOutcome): void {
    const watched = this.#watched.get(node);
    if (watched?.round?.id !== round || watched.round.phase !== 'witnesses') return;
    this.#set({ ...watched, round: { ...watched.round, answers: new Map(watched.round.answers).set(witness, outcome) } });
    this.#judge(node);
  }

  leaseLookedFor(node: NodeId, round: number, held: boolean | undefined): void {
    const watched = this.#watched.get(node);
    if (watched?.round?.id !== round || watched.round.phase !== 'lease') return;
    if (held === false) this.#deadUnproven(watched, 'lease');
    else this.#set({ ...watched, round: { ...watched.round, phase: 'over' } });
  }

  #heard(watched: Watched, pong: Pong): void {
    const { subject, link } = watched;
    switch (meaningOf(pong, subject.incarnation)) {
      case 'living':
        if (watched.verdict) this.#effects.push({ kind: 'withdrawn', incarnation: subject.incarnation });
        return this.#set({ ...watched, heardAtMs: this.#nowMs, refusals: 0, round: undefined, verdict: undefined, link: { ...link, heard: true } });
      case 'over':
        return this.#dead(watched, 'over');
      case 'stranger':
        this.#effects.push({ kind: 'disconnect', link: link.id });
        return this.#refused(watched);
      case 'unknown':
        return;
    }
  }

  #refused(watched: Watched): void {
    const refusals = watched.refusals + 1;
    if (refusals >= refusalsNeeded) this.#dead({ ...watched, refusals }, 'refused');
    else this.#set({ ...watched, refusals });
    const next = this.#of(watched.subject.incarnation.node);
    this.#connect(next, next.verdict ? reconnectToDeadMs : betweenRefusalsMs);
  }

  /** What the silence of a subject asks for now. */
  #judge(node: NodeId): void {
    const watched = this.#of(node);
    const silentMs = this.#nowMs - watched.heardAtMs;
    if (watched.verdict || silentMs < silenceMs) return;
    const { round } = watched;
    if (!round) return this.#beginRound(watched);
    const roundMs = this.#nowMs - round.startedAtMs;
    if (roundMs >= betweenRoundsMs) this.#beginRound(watched);
    else if (round.phase === 'witnesses') this.#weigh(watched, round, { silentMs, roundMs });
  }

  #weigh(watched: Watched, round: Round, { silentMs, roundMs }: { readonly silentMs: number; readonly roundMs: number }): void {
    const answers = [...round.answers.values()];
    if (answers.includes('replaced')) return this.#dead(watched, 'over');
    if (answers.includes('asked') && roundMs < witnessDeadlineMs + tickMs) return;
    if (answers.includes('reached')) return this.#set({ ...watched, round: { ...round, phase: 'over' } });
    if (answers.includes('refused') || answers.includes('silent')) return this.#deadUnproven(watched, 'witness');
    // Nobody could look.
    if (silentMs < leaseMs) return this.#set({ ...watched, round: { ...round, phase: 'over' } });
    this.#set({ ...watched, round: { ...round, phase: 'lease' } });
    this.#effects.push({ kind: 'look for lease', subject: watched.subject, round: round.id });
  }

  #beginRound(watched: Watched): void {
    const { subject, link } = watched;
    const id = this.#nextId++;
    const witnesses = this.#witnesses(subject.incarnation.node);
    if (!watched.round) this.#effects.push({ kind: 'suspected', incarnation: subject.incarnation, why: 'silent' });
    for (const witness of witnesses) this.#effects.push({ kind: 'ask witness', subject, round: id, witness });
    const answers = new Map(witnesses.map((witness) => [witness.incarnation.node, 'asked'] as const));
    const next: Watched = { ...watched, round: { id, startedAtMs: this.#nowMs, answers, phase: 'witnesses' } };
    // A connection that lost its other end without a word stays silent for ever: look with a new one, too.
    if (link.open) this.#effects.push({ kind: 'disconnect', link: link.id });
    if (link.open) this.#connect(next, 0);
    else this.#set(next);
  }

  /** Brokers that are not under suspicion themselves; not the same two for everybody. */
  #witnesses(node: NodeId): readonly Subject[] {
    const able = this.#brokers.filter(({ incarnation }) => {
      const watched = this.#watched.get(incarnation.node);
      return incarnation.node !== node && (!watched || (!watched.verdict && this.#nowMs - watched.heardAtMs < silenceMs));
    });
    const later = able.filter((one) => one.incarnation.node > node);
    return [...later, ...able.filter((one) => one.incarnation.node < node)].slice(0, witnessesAsked);
  }

  #dead(watched: Watched, reason: DeathReason): void {
    this.#set({ ...watched, round: undefined, verdict: watched.verdict ?? reason });
    if (!watched.verdict) this.#effects.push({ kind: 'dead', incarnation: watched.subject.incarnation, reason });
  }

  #deadUnproven(watched: Watched, reason: DeathReason): void {
    const { incarnation } = watched.subject;
    const recent = this.#unprovenAtMs.filter((atMs) => this.#nowMs - atMs < boundWindowMs);
    if (recent.length >= unprovenBound(this.#brokers.length + 1)) {
      this.#effects.push({ kind: 'held back', incarnation });
      if (watched.round) this.#set({ ...watched, round: { ...watched.round, phase: 'over' } });
      return;
    }
    this.#unprovenAtMs = [...recent, this.#nowMs];
    this.#dead(watched, reason);
  }

  #begin(subject: Subject): void {
    const link = { id: this.#nextId++, open: false, heard: false };
    this.#set({ subject, link, refusals: 0, heardAtMs: this.#nowMs, round: undefined, verdict: undefined });
    this.#effects.push({ kind: 'connect', subject, link: link.id, afterMs: 0 });
  }

  #connect(watched: Watched, afterMs: number): void {
    const link = { id: this.#nextId++, open: false, heard: false };
    this.#set({ ...watched, link });
    this.#effects.push({ kind: 'connect', subject: watched.subject, link: link.id, afterMs });
  }

  #of(node: NodeId): Watched {
    return this.#watched.get(node) as Watched;
  }

  #set(watched: Watched): void {
    this.#watched.set(watched.subject.incarnation.node, watched);
  }
}

function isSame(a: Subject | undefined, b: Subject): boolean {
  return a?.incarnation.epoch === b.incarnation.epoch && a.host === b.host && a.port === b.port;
}
