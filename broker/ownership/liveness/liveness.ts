/**
 * Who watches whom, and who is controller (design §4, docs/design/0004): the controller watches all brokers, every other broker watches the
 * controller. One for each incarnation; the shell around `suspicion.ts` and `election.ts`.
 */
import type { Clock, Timer } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { Counter, Metrics } from '../../../io/metrics.ts';
import type { MetaCompare, MetaStore } from '../../../io/meta/meta-store.ts';
import type { Random } from '../../../io/random.ts';
import type { Transport } from '../../../io/transport.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import { type ControllerView, Election, type Term } from './election.ts';
import { askWitness } from './internal-exchange.ts';
import type { Subject } from './internal-protocol.ts';
import { hasLivenessKey, LivenessKey } from './liveness-key.ts';
import { SubjectLinks } from './subject-links.ts';
import {
  type DeathReason,
  initialSuspicion,
  step,
  type SuspicionEffect,
  type SuspicionEvent,
  type SuspicionState,
  tickMs,
  verdictOn,
  witnessDeadlineMs,
} from './suspicion.ts';

export interface LivenessOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly transport: Transport;
  readonly meta: MetaStore;
  readonly self: Incarnation;
  /** What a transaction compares that names this incarnation: the node's newest, claimed by nobody. */
  readonly guard: readonly MetaCompare[];
  /** Live brokers besides this one, as the image shows them, that say where they can be asked. */
  readonly peers: () => readonly Subject[];
  /** As the image shows it. */
  readonly controller: () => ControllerView | undefined;
  /** Whether the image shows this incarnation as its node's newest that nobody has claimed. */
  readonly isLive: (incarnation: Incarnation) => boolean;
  /**
   * An incarnation looks dead from here: on the controller any broker, elsewhere the controller. Once for each verdict; again after an
   * election for those that were found dead before. Before each attempt to take it over ask `isDead`: a verdict may be withdrawn.
   */
  readonly onDead: (incarnation: Incarnation, reason: DeathReason) => void;
  /** This incarnation is controller. Comes again with a newer revision when the record was written again. */
  readonly onElected: (term: Term) => void;
  readonly onDeposed: () => void;
}

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #links: SubjectLinks;
  readonly #election: Election;
  readonly #key: LivenessKey;
  readonly #suspicions: Counter;
  readonly #verdicts: Counter;
  #state: SuspicionState;
  #watching = '';
  #lookDue = false;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: LivenessOptions) {
    const { clock, random, logger, metrics, transport, meta, self } = options;
    this.#options = options;
    this.#suspicions = metrics.counter('automq_liveness_suspicions_total', 'Brokers that looked dead from here', ['why']);
    this.#verdicts = metrics.counter('automq_liveness_verdicts_total', 'Brokers that were found dead from here', ['reason']);
    metrics.observedGauge('automq_controller', '1 while this broker acts as controller', () => (this.term ? 1 : 0));
    this.#state = initialSuspicion(clock.monotonicMs());
    this.#links = new SubjectLinks({ clock, transport, onEvent: (event) => this.#step(event) });
    this.#key = new LivenessKey({ clock, logger, meta, self });
    this.#election = new Election({
      clock,
      random,
      logger,
      meta,
      self,
      guard: options.guard,
      controller: options.controller,
      isGone: (record) => !options.isLive(record) || this.isDead(record),
      onElected: (term) => this.#elected(term),
      onDeposed: () => {
        options.onDeposed();
        this.#watch();
      },
    });
    this.#schedule();
    this.clusterChanged();
  }

  /** Since when this incarnation is controller; undefined: it is not. */
  get term(): Term | undefined {
    return this.#election.term;
  }

  /** Whether this incarnation looks dead from here, now. */
  isDead(incarnation: Incarnation): boolean {
    return verdictOn(this.#state, incarnation) !== undefined;
  }

  /** The image changed: other brokers, another controller. */
  clusterChanged(): void {
    if (this.#lookDue) return;
    // A thousand moves are a thousand changes: one look at them.
    this.#lookDue = true;
    this.#options.clock.defer(() => {
      this.#lookDue = false;
      if (this.#closed) return;
      this.#election.look();
      this.#watch();
    });
  }

  /** A write that compared the term's revision was refused because of it. */
  stepDown(): void {
    this.#election.stepDown();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#links.close();
    await this.#election.close();
    await this.#key.close();
  }

  #elected(term: Term): void {
    this.#options.onElected(term);
    for (const { incarnation } of this.#options.peers()) {
      const verdict = verdictOn(this.#state, incarnation);
      if (verdict) this.#options.onDead(incarnation, verdict);
    }
    this.#watch();
  }

  /** Who is to be watched follows from who is controller. */
  #watch(): void {
    const peers = this.#options.peers();
    const controller = this.#options.controller()?.record;
    const subjects = this.term ? peers : peers.filter(({ incarnation }) => incarnation.node === controller?.node && incarnation.epoch === controller.epoch);
    const watching = JSON.stringify([subjects, peers]);
    if (watching === this.#watching) return;
    this.#watching = watching;
    this.#step({ kind: 'watch', subjects, brokers: peers });
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(tickMs, () => {
      if (this.#closed) return;
      this.#step({ kind: 'tick' });
      this.#election.look();
      this.#schedule();
    });
  }

  #step(event: SuspicionEvent): void {
    if (this.#closed) return;
    const { state, effects } = step(this.#state, event, this.#options.clock.monotonicMs());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: SuspicionEffect): void {
    const { logger, meta } = this.#options;
    switch (effect.kind) {
      case 'connect':
        return this.#links.connect(effect.subject, effect.link, effect.afterMs);
      case 'disconnect':
        return this.#links.disconnect(effect.link);
      case 'ping':
        return this.#links.ping(effect.incarnation, effect.link);
      case 'ask witness':
        return this.#ask(effect.witness, effect.subject, effect.round);
      case 'look for lease': {
        const { node } = effect.subject.incarnation;
        hasLivenessKey(meta, effect.subject.incarnation)
          .then((held) => this.#step({ kind: 'lease', node, round: effect.round, held }))
          .catch((error: unknown) => logger.error('what followed a look for a liveness key failed', { error: String(error) }));
        return;
      }
      case 'suspected':
        this.#suspicions.add(1, effect.why);
        return logger.info('a broker is under suspicion', { ...named(effect.incarnation), why: effect.why });
      case 'dead':
        return this.#dead(effect.incarnation, effect.reason);
      case 'held back':
        return logger.warn('a broker looks dead, but too many do: waiting', named(effect.incarnation));
      case 'withdrawn':
        return logger.warn('a broker that looked dead may live', named(effect.incarnation));
      case 'was asleep':
        return logger.warn('this process was asleep: what it thought of others is forgotten', { lateMs: Math.round(effect.lateMs) });
    }
  }

  #ask(witness: Subject, subject: Subject, round: number): void {
    const { transport, clock, logger } = this.#options;
    askWitness(witness, subject, { transport, clock, deadlineMs: witnessDeadlineMs })
      .then((outcome) => this.#step({ kind: 'probed', node: subject.incarnation.node, round, witness: witness.incarnation.node, outcome }))
      .catch((error: unknown) => logger.error('what followed a probe failed', { error: String(error) }));
  }

  #dead(incarnation: Incarnation, reason: DeathReason): void {
    this.#verdicts.add(1, reason);
    this.#options.logger.warn('a broker looks dead', { ...named(incarnation), reason });
    this.#options.onDead(incarnation, reason);
    this.#election.look();
  }
}

/** Our own logger carries our own node and epoch. */
function named({ node, epoch }: { readonly node: NodeId; readonly epoch: number }): Readonly<Record<string, number>> {
  return { subject: node, subjectEpoch: epoch };
}
