/**
 * What is left of this node's ended incarnations: sweeps their objects again and again until only start and seal are there,
 * then removes their keys in the metadata store (design §4, step 5). A LIST may be stale: then a few objects stay behind as
 * garbage that `automq storage fsck` shows; nothing that is needed can go.
 */
import { sleep } from '../../io/clock.ts';
import { type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { Interrupted } from '../log/certain-reads.ts';
import { sweepEnded, type SweepOptions } from '../log/sweep.ts';

export interface EndedIncarnationsOptions extends SweepOptions {
  readonly meta: MetaStore;
  /** Between two passes. */
  readonly intervalMs: number;
}

export class EndedIncarnations {
  readonly #options: EndedIncarnationsOptions;
  #running: Promise<void> | undefined;

  constructor(options: EndedIncarnationsOptions) {
    this.#options = options;
  }

  /** To be called once, when everything that was theirs is open here. */
  sweep(ended: readonly Incarnation[]): void {
    this.#running = this.#run(ended).catch((error: unknown) => {
      if (!(error instanceof Interrupted)) this.#options.logger.error('sweeping ended incarnations failed', { error: String(error) });
    });
  }

  /** The signal was given before. */
  async close(): Promise<void> {
    await this.#running;
  }

  async #run(ended: readonly Incarnation[]): Promise<void> {
    const { clock, signal, intervalMs } = this.#options;
    for (let left = ended; left.length > 0 && !signal.aborted; ) {
      const still: Incarnation[] = [];
      for (const incarnation of left) if (!(await this.#pass(incarnation))) still.push(incarnation);
      left = still;
      if (left.length > 0) await sleep(clock, intervalMs, signal);
    }
  }

  /** Whether nothing is left of it. */
  async #pass(incarnation: Incarnation): Promise<boolean> {
    if ((await sweepEnded(incarnation, this.#options)) > 0) return false;
    try {
      await this.#options.meta.txn({ compare: [], then: [{ kind: 'delete', key: keys.recovery(incarnation.node, incarnation.epoch) }] });
      this.#options.logger.info('nothing is left of an earlier incarnation', { ...incarnation });
      return true;
    } catch (error) {
      if (error instanceof MetaUnavailable || error instanceof MetaUnknown) return false;
      throw error;
    }
  }
}
