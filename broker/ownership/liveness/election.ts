/**
 * Who acts as controller: a compare-and-set on one key (design §4). The winner learns the key's revision, and every write of a controller
 * compares it, so that one that was deposed and does not know it yet changes nothing.
 *
 * A record that names this very incarnation is its own write, also when the answer was lost or it was applied late.
 */
import { type Clock, sleep } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import { type MetaCompare, type MetaStore, MetaUnavailable, MetaUnknown } from '../../../io/meta/meta-store.ts';
import type { Random } from '../../../io/random.ts';
import type { Incarnation } from '../../../cluster/identifiers.ts';
import { type ControllerRecord, keys } from '../../../cluster/meta-records.ts';

/** The controller's record, and the revision of its key. */
export interface ControllerView {
  readonly record: ControllerRecord;
  readonly modRevision: number;
}

export interface Term {
  readonly term: number;
  /** Of the controller's key: what every write in this term compares. */
  readonly modRevision: number;
}

export interface ElectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meta: MetaStore;
  readonly self: Incarnation;
  /** Compared with every candidacy: that this incarnation is its node's newest and nobody has claimed it. */
  readonly guard: readonly MetaCompare[];
  /** What the image shows. */
  readonly controller: () => ControllerView | undefined;
  /** Whether the controller that the image shows is gone. */
  readonly isGone: (record: ControllerRecord) => boolean;
  readonly onElected: (term: Term) => void;
  readonly onDeposed: () => void;
}

/** Candidates spread over this, so that most see who was first instead of losing to it. */
const candidacyMs = 80;
const retryMs = 200;
const attemptsPerLine = 25;

export class Election {
  readonly #options: ElectionOptions;
  readonly #closing = new AbortController();
  #term: Term | undefined;
  /** Revisions up to this one are known to be lost: an image that still shows them is behind. */
  #lostUpTo = 0;
  #running: Promise<void> | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  /** Since when this incarnation is controller, as far as it knows. */
  get term(): Term | undefined {
    return this.#term;
  }

  /** The image or the verdict on the controller changed. */
  look(): void {
    if (this.#closing.signal.aborted || this.#running) return;
    const shown = this.#options.controller();
    if (shown && shown.modRevision > Math.max(this.#term?.modRevision ?? 0, this.#lostUpTo)) {
      if (this.#isOwn(shown.record)) return this.#won({ term: shown.record.term, modRevision: shown.modRevision });
      if (this.#term) this.#lost('another was elected', { by: `${shown.record.node}/${shown.record.epoch}`, term: shown.record.term });
    }
    if (!this.#isVacant()) return;
    this.#running = this.#run()
      .catch((error: unknown) => this.#options.logger.error('a candidacy failed', { error: String(error) }))
      .finally(() => {
        this.#running = undefined;
        this.look();
      });
  }

  /** A write of this term found that its revision is no longer the key's. */
  stepDown(): void {
    if (this.#term) this.#lost('a write found another term', {});
    this.look();
  }

  /** Waits for a candidacy that is under way; the term ends without a word. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#term = undefined;
    await this.#running;
  }

  #isVacant(): boolean {
    if (this.#term) return false;
    const shown = this.#options.controller();
    if (!shown) return true;
    return this.#isOwn(shown.record) ? shown.modRevision <= this.#lostUpTo : this.#options.isGone(shown.record);
  }

  async #run(): Promise<void> {
    const { clock, random, logger } = this.#options;
    const { signal } = this.#closing;
    await sleep(clock, random.float() * candidacyMs, signal);
    for (let attempt = 0; !signal.aborted && this.#isVacant(); attempt++) {
      const term = await this.#stand(this.#options.controller()).catch((error: unknown) => {
        if (attempt % attemptsPerLine === 0) logger.warn('nobody can be elected: the metadata store does not take the record', { error: String(error) });
      });
      if (signal.aborted) return;
      if (term) return this.#won(term);
      await sleep(clock, retryMs * (0.5 + random.float()), signal);
    }
  }

  /** Writes the record with the next term, comparing what the image showed. Undefined: somebody else was first. */
  async #stand(shown: ControllerView | undefined): Promise<Term | undefined> {
    const { meta, self, guard } = this.#options;
    const term = (shown?.record.term ?? 0) + 1;
    const record: ControllerRecord = { node: self.node, epoch: self.epoch, term };
    const value = JSON.stringify(record);
    try {
      const result = await meta.txn({
        compare: [{ key: keys.controller, modRevision: shown?.modRevision ?? 0 }, ...guard],
        then: [{ kind: 'put', key: keys.controller, value }],
      });
      return result.committed ? { term, modRevision: result.revision } : undefined;
    } catch (error) {
      if (!(error instanceof MetaUnknown)) throw error;
      return this.#settle(term, value);
    }
  }

  /** The answer was lost: only another compare-and-set write on the key tells. */
  async #settle(term: number, value: string): Promise<Term | undefined> {
    const { meta, clock, logger, guard } = this.#options;
    const { signal } = this.#closing;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const key = keys.controller;
        const settled = await meta.txn({ compare: [{ key, value }, ...guard], then: [{ kind: 'put', key, value }] });
        return settled.committed ? { term, modRevision: settled.revision } : undefined;
      } catch (error) {
        if (!isUncertain(error)) throw error;
        if (attempt % attemptsPerLine === 0) logger.warn('waiting for the metadata store to say who is controller', { error: String(error) });
        await sleep(clock, retryMs, signal);
      }
    }
    return undefined;
  }

  #isOwn(record: ControllerRecord): boolean {
    return record.node === this.#options.self.node && record.epoch === this.#options.self.epoch;
  }

  #won(term: Term): void {
    this.#term = term;
    this.#options.logger.info('elected controller', { ...term });
    this.#options.onElected(term);
  }

  #lost(reason: string, fields: Readonly<Record<string, unknown>>): void {
    this.#lostUpTo = this.#term?.modRevision ?? this.#lostUpTo;
    this.#term = undefined;
    this.#options.logger.warn('no longer controller', { reason, ...fields });
    this.#options.onDeposed();
  }
}

function isUncertain(error: unknown): boolean {
  return error instanceof MetaUnknown || error instanceof MetaUnavailable;
}
