/**
 * The liveness key of a broker (design §4): on a lease, so that it vanishes when the broker no longer reaches the metadata store. That it
 * is missing proves nothing; see suspicion.ts for the one case in which it counts.
 */
import { type Clock, sleep } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import type { MetaLease, MetaStore } from '../../../io/meta/meta-store.ts';
import type { Incarnation } from '../../../cluster/identifiers.ts';
import { keys } from '../../../cluster/meta-records.ts';

export interface LivenessKeyOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meta: MetaStore;
  readonly self: Incarnation;
}

const leaseTtlMs = 10_000;
const retryMs = 1_000;

export class LivenessKey {
  readonly #options: LivenessKeyOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #closed: () => void = () => {};

  constructor(options: LivenessKeyOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#closed();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#closing;
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve;
    });
    while (!signal.aborted) {
      let lease: MetaLease | undefined;
      try {
        lease = await this.#put();
        await Promise.race([lease.lost, closed]);
        if (!signal.aborted) logger.warn('the lease of the liveness key is lost, taking another');
      } catch (error) {
        logger.debug('the liveness key cannot be written', { error: String(error) });
      }
      await sleep(clock, retryMs, signal);
      await lease?.close().catch((error: unknown) => logger.debug('a lease ends by itself', { error: String(error) }));
    }
  }

  async #put(): Promise<MetaLease> {
    const { meta, self } = this.#options;
    const lease = await meta.lease(leaseTtlMs);
    try {
      await meta.txn({ compare: [], then: [{ kind: 'put', key: keys.alive(self.node), value: livenessValue(self), lease }] });
    } catch (error) {
      await lease.close().catch(() => {});
      throw error;
    }
    return lease;
  }
}

/** Whether the key is there; undefined when the metadata store does not say. */
export async function hasLivenessKey(meta: MetaStore, incarnation: Incarnation): Promise<boolean | undefined> {
  try {
    const entry = await meta.get(keys.alive(incarnation.node));
    return entry?.value === livenessValue(incarnation);
  } catch {
    return undefined;
  }
}

function livenessValue({ epoch }: Incarnation): string {
  return String(epoch);
}
