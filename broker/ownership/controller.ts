/**
 * What the elected controller does (design §4): claims incarnations that were found dead, and sees every claim that nobody else works on to
 * its end. All of its writes compare the election's revision, so that one which was deposed in its sleep changes nothing.
 */
import { sleep } from '../../io/clock.ts';
import { type MetaCompare, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation, NodeId } from '../../cluster/identifiers.ts';
import { keys, nodeRecord, parseRecord, type RecoveryRecord, recoveryRecord } from '../../cluster/meta-records.ts';
import { FormatError } from '../../std/byte-reader.ts';
import { Interrupted } from '../log/certain-reads.ts';
import type { StoredStates } from '../log/stored-states.ts';
import { livingGuard } from './incarnation.ts';
import type { MetadataImage } from './metadata-image.ts';
import { ownersForOrphans } from './owner-placement.ts';
import { type Claimed, claimedIncarnations, incarnationKey, takeOver, type TakeoverOptions } from './takeover.ts';

export interface ControllerOptions extends Omit<TakeoverOptions, 'guards' | 'place' | 'states'> {
  readonly image: MetadataImage;
  readonly newStates: () => StoredStates;
  /** A verdict may be withdrawn. */
  readonly isDead: (incarnation: Incarnation) => boolean;
  /** How many takeovers run, and the revision of the last claim: the state objects that they write must stay while one has not ended. */
  readonly onTakeovers: (running: number, claimedAt: number) => void;
  /** A write found another controller's election. */
  readonly onDeposed: () => void;
}

const retryMs = 200;
const attemptsPerLine = 100;
const lookIntervalMs = 2_000;
/** What could not be taken over (damage) is read anew after so long, at most: somebody may have mended it. */
const maxRestMs = 60_000;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #abort = new AbortController();
  readonly #guards: readonly MetaCompare[];
  readonly #running = new Map<string, Promise<void>>();
  /** Takeovers that left something: when each is tried again, and how long it rested. */
  readonly #resting = new Map<string, { readonly untilMs: number; readonly restMs: number }>();
  readonly #looking: Promise<void>;

  /** `election` is the revision of the controller's key as this broker wrote it. */
  constructor(options: ControllerOptions, election: number) {
    this.#options = options;
    this.#guards = [{ key: keys.controller, modRevision: election }, ...livingGuard(options.self)];
    options.signal.addEventListener('abort', () => this.#abort.abort(), { once: true, signal: this.#abort.signal });
    this.#looking = this.#look();
  }

  /** Claims an incarnation that was found dead; it is recovered from then on. */
  async dead(incarnation: Incarnation, reason: string): Promise<void> {
    const { logger, clock } = this.#options;
    logger.warn('a broker is dead, taking over its partitions', { dead: incarnationKey(incarnation), reason });
    for (let attempt = 0; ; attempt++) {
      if (this.#abort.signal.aborted || !this.#options.isDead(incarnation)) return;
      try {
        const claimed = await this.#claim(incarnation);
        if (claimed === 'deposed') this.#options.onDeposed();
        if (claimed === 'superseded' || claimed === 'deposed') return;
        this.#recover(claimed);
        return;
      } catch (error) {
        if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown) && attempt % attemptsPerLine === 0)
          logger.error('a dead broker cannot be claimed, trying again', { dead: incarnationKey(incarnation), error: String(error) });
        await sleep(clock, retryMs, this.#abort.signal);
      }
    }
  }

  /** Deposed, or the broker ends. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#looking;
    await Promise.allSettled(this.#running.values());
  }

  /** Claims of controllers and lives that are over. */
  async #look(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const claimed = await claimedIncarnations(keys.recoveries, 0, { ...this.#options, signal });
        const due = claimed.filter((each) => !each.record.ended && !this.#isWorkedOn(each));
        const names = new Set(due.map(({ incarnation }) => incarnationKey(incarnation)));
        for (const name of this.#resting.keys()) if (!names.has(name)) this.#resting.delete(name);
        for (const each of due) if (!this.#rests(each)) this.#recover(each);
      } catch (error) {
        if (error instanceof Interrupted) return;
        logger.error('the controller could not look for dead brokers', { error: String(error) });
      }
      await sleep(clock, lookIntervalMs, signal);
    }
  }

  #rests({ incarnation }: Claimed): boolean {
    return (this.#resting.get(incarnationKey(incarnation))?.untilMs ?? 0) > this.#options.clock.monotonicMs();
  }

  /** A node that was restarted recovers its own past. */
  #isWorkedOn({ incarnation, record }: Claimed): boolean {
    return record.claim.node === incarnation.node && this.#options.image.isLive(record.claim);
  }

  async #claim(incarnation: Incarnation): Promise<Claimed | 'superseded' | 'deposed'> {
    const { meta, self } = this.#options;
    const key = keys.recovery(incarnation.node, incarnation.epoch);
    for (;;) {
      const node = await meta.get(keys.node(incarnation.node));
      const registered = node && parseRecord(nodeRecord, node.value);
      if (node && !registered) throw new Error(`${node.key} in the metadata store does not fit its schema; mend it`);
      if (!node || !registered || registered.epoch > incarnation.epoch) return 'superseded';
      const record: RecoveryRecord = {
        // The pointer as this very transaction finds it: its own writer compares that there is no claim (model, hole 1).
        ...(registered.checkpoint === undefined ? {} : { checkpoint: registered.checkpoint }),
        claim: self,
        fenced: false,
        ended: false,
      };
      if (this.#options.mutants?.has('take-over-without-claim')) return { incarnation, record, modRevision: 0 };
      const result = await meta.txn({
        compare: [{ key: node.key, modRevision: node.modRevision }, { key, modRevision: 0 }, ...this.#guards],
        then: [{ kind: 'put', key, value: JSON.stringify(record) }],
        otherwise: [
          { kind: 'get', key },
          { kind: 'get', key: keys.controller },
        ],
      });
      if (result.committed) return { incarnation, record, modRevision: result.revision };
      const [claim, controller] = result.reads;
      if ((controller?.modRevision ?? 0) !== (this.#guards[0] as { readonly modRevision: number }).modRevision) return 'deposed';
      const stands = claim && parseRecord(recoveryRecord, claim.value);
      if (claim && stands) {
        const found = { incarnation, record: stands, modRevision: claim.modRevision };
        return stands.ended || this.#isWorkedOn(found) ? 'superseded' : found;
      }
      await sleep(this.#options.clock, 5, this.#abort.signal);
      if (this.#abort.signal.aborted) return 'deposed';
    }
  }

  #recover(claimed: Claimed): void {
    const key = incarnationKey(claimed.incarnation);
    if (this.#running.has(key) || this.#abort.signal.aborted) return;
    const { logger, onTakeovers } = this.#options;
    const running = this.#takeOver(claimed)
      .catch((error: unknown) => {
        if (error instanceof Interrupted) return;
        // Corruption: nothing is sealed over it, and its partitions stay without an owner (C15). Others are not concerned.
        logger.error('a dead broker cannot be taken over', { dead: key, reason: error instanceof FormatError ? error.message : String(error) });
      })
      .finally(() => {
        this.#running.delete(key);
        const restMs = Math.min(maxRestMs, 2 * (this.#resting.get(key)?.restMs ?? lookIntervalMs / 2));
        this.#resting.set(key, { restMs, untilMs: this.#options.clock.monotonicMs() + restMs });
        onTakeovers(this.#running.size, claimed.modRevision);
      });
    this.#running.set(key, running);
    onTakeovers(this.#running.size, claimed.modRevision);
  }

  async #takeOver(claimed: Claimed): Promise<void> {
    const { image, self, clock, logger } = this.#options;
    const started = clock.monotonicMs();
    const place = (orphans: Parameters<TakeoverOptions['place']>[0]) =>
      ownersForOrphans(image, orphans, new Set<NodeId>([claimed.incarnation.node].filter((node) => !image.brokers().some((broker) => broker.node === node)))) ??
      orphans.map(() => self);
    const { ended } = await takeOver([claimed], {
      ...this.#options,
      states: this.#options.newStates(),
      signal: this.#abort.signal,
      guards: this.#guards,
      place,
    });
    for (const incarnation of ended)
      logger.info('a dead broker was taken over', { dead: incarnationKey(incarnation), tookMs: Math.round(clock.monotonicMs() - started) });
  }
}
