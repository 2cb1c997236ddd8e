/**
 * What is left of ended incarnations: sweeps their objects again and again until only start and seal are there, then removes their
 * keys in the metadata store (design §4, step 5). Those of this node, and on the controller those of nodes without a living incarnation
 * (docs/design/0004-many-brokers.md). A LIST may be stale: then a few objects stay behind as garbage that `automq storage fsck` shows;
 * nothing that is needed can go.
 */
import { sleep } from '../../io/clock.ts';
import { type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { Interrupted } from '../log/certain-reads.ts';
import { sweepEnded, type SweepOptions } from '../log/sweep.ts';
import { incarnationKey } from './takeover.ts';
import type { MetadataImage } from './metadata-image.ts';

export interface EndedIncarnationsOptions extends SweepOptions {
  readonly meta: MetaStore;
  readonly image: MetadataImage;
  readonly self: Incarnation;
  readonly isController: () => boolean;
  /** From now on its objects are collected here. */
  readonly adopt: (incarnation: Incarnation) => void;
  /** As far as the image knows no takeover is under way. */
  readonly onAllEnded: () => void;
  /** Between two passes. */
  readonly intervalMs: number;
}

/** An incarnation of which the same is left as before is looked at ever more rarely: each look costs LISTs. */
const longestIntervalMs = 3_600_000;

interface Looked {
  readonly left: number;
  readonly intervalMs: number;
  readonly againAtMs: number;
}

export class EndedIncarnations {
  readonly #options: EndedIncarnationsOptions;
  readonly #looked = new Map<string, Looked>();
  #running: Promise<void> | undefined;

  constructor(options: EndedIncarnationsOptions) {
    this.#options = options;
  }

  /** To be called when everything that is ours is open here. */
  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!(error instanceof Interrupted)) this.#options.logger.error('sweeping ended incarnations failed', { error: String(error) });
    });
  }

  /** The signal was given before. */
  async close(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, signal, intervalMs, logger } = this.#options;
    while (!signal.aborted) {
      const ours = this.#ours();
      for (const key of this.#looked.keys()) if (!ours.some((incarnation) => incarnationKey(incarnation) === key)) this.#looked.delete(key);
      for (const incarnation of ours) {
        const key = incarnationKey(incarnation);
        const before = this.#looked.get(key);
        if (before && clock.monotonicMs() < before.againAtMs) continue;
        try {
          const left = await this.#pass(incarnation);
          const nextMs = before?.left === left ? Math.min(longestIntervalMs, before.intervalMs * 2) : intervalMs;
          this.#looked.set(key, { left, intervalMs: nextMs, againAtMs: clock.monotonicMs() + nextMs });
        } catch (error) {
          if (error instanceof Interrupted) throw error;
          if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown))
            logger.error('sweeping failed, trying again', { ...incarnation, error: String(error) });
        }
      }
      await sleep(clock, intervalMs, signal);
    }
  }

  /**
   * None while a takeover is under way anywhere: the seal may name a state object of an incarnation that has ended itself, before
   * any hold does.
   */
  #ours(): readonly Incarnation[] {
    const { image, self, isController } = this.#options;
    const recoveries = [...image.recoveries()];
    if (recoveries.some(({ record }) => !record.ended)) return [];
    this.#options.onAllEnded();
    const lives = new Set(image.brokers().map(({ node }) => node));
    return recoveries.map(({ incarnation }) => incarnation).filter(({ node }) => node === self.node || (isController() && !lives.has(node)));
  }

  /** How many objects are left of it. */
  async #pass(incarnation: Incarnation): Promise<number> {
    this.#options.adopt(incarnation);
    const left = await sweepEnded(incarnation, this.#options);
    if (left > 0) return left;
    const { meta, image, logger } = this.#options;
    // Of a node's newest incarnation the key stays: who names an owner compares that it is absent.
    const newest = String(image.node(incarnation.node)?.epoch ?? incarnation.epoch);
    if (newest === String(incarnation.epoch)) return 0;
    const { committed } = await meta.txn({
      compare: [{ key: keys.incarnation(incarnation.node), value: newest }],
      then: [{ kind: 'delete', key: keys.recovery(incarnation.node, incarnation.epoch) }],
    });
    if (committed) logger.info('nothing is left of an earlier incarnation', { ...incarnation });
    return 0;
  }
}
