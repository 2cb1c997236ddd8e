/** Producer ids: blocks of 1,000 from the metadata store by compare-and-set; an id is never given twice, ids of a lost block are skipped. */
import { type Clock, sleep } from '../../io/clock.ts';
import { MetaRefused, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Random } from '../../io/random.ts';
import { keys, parseRecord, producerIdsRecord } from '../../cluster/meta-records.ts';
import type { ProducerIds } from '../server/services.ts';

const blockSize = 1000;
const maxAttempts = 20;
const retryMs = 100;

export class ProducerIdBlocks implements ProducerIds {
  readonly #options: { readonly meta: MetaStore; readonly clock: Clock; readonly random: Random };
  #next = 0;
  #end = 0;
  #fetching: Promise<void> | undefined;

  constructor(options: { readonly meta: MetaStore; readonly clock: Clock; readonly random: Random }) {
    this.#options = options;
  }

  /** Rejects with `MetaUnavailable` when no block can be had. */
  async next(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#fetching ??= this.#fetchBlock().finally(() => {
        this.#fetching = undefined;
      });
      await this.#fetching;
    }
    return this.#next++;
  }

  async #fetchBlock(): Promise<void> {
    const { meta, clock, random } = this.#options;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      if (attempt > 0) await sleep(clock, retryMs);
      try {
        const before = await meta.get(keys.producerIds);
        const start = before ? nextOf(before.value) : 0;
        const value = JSON.stringify({ next: start + blockSize, attempt: random.bytes(8).toString('hex') });
        const result = await meta.txn({
          compare: [{ key: keys.producerIds, modRevision: before?.modRevision ?? 0 }],
          then: [{ kind: 'put', key: keys.producerIds, value }],
        });
        if (!result.committed) continue;
        this.#next = start;
        this.#end = start + blockSize;
        return;
      } catch (error) {
        // A block whose transaction's answer was lost is skipped.
        if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
      }
    }
    throw new MetaUnavailable('no block of producer ids could be had from the metadata store');
  }
}

/** A value that says nothing is no reason to begin again: an id that is given twice makes partitions drop records as duplicates. */
function nextOf(value: string): number {
  const record = parseRecord(producerIdsRecord, value);
  if (!record) throw new MetaRefused(`${keys.producerIds} in the metadata store does not fit its schema; mend it`);
  return record.next;
}
