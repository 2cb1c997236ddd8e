/**
 * A metadata store that must not go back in time (F58): when etcd was restored from an older copy its revisions begin again below what we have
 * seen, and what we know of owners is newer than what it says. A write that is answered with a revision that we had seen before it
 * was sent proves that; from then on every transaction is refused. Reads prove nothing: they may be stale.
 */
import {
  type MetaLease,
  type MetaList,
  MetaRefused,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  type MetaWatch,
  type WatchHandler,
} from './meta-store.ts';

export const wentBackAdvice =
  'the metadata store is older than what this broker has seen: it was restored from a copy. Nothing about owners and topics is changed any more; what is owned is served. ' +
  'Put the newer state back, or stop all brokers before you go on with the older one';

export class ForwardOnlyMetaStore implements MetaStore {
  readonly #store: MetaStore;
  readonly #onWentBack: (seen: number, answered: number) => void;
  #seen = 0;
  #wentBack = false;

  constructor(store: MetaStore, onWentBack: (seen: number, answered: number) => void) {
    this.#store = store;
    this.#onWentBack = onWentBack;
  }

  get(key: string) {
    return this.#store.get(key);
  }

  async list(prefix: string): Promise<MetaList> {
    const list = await this.#store.list(prefix);
    this.#see(list.revision);
    return list;
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    if (this.#wentBack) throw new MetaRefused(wentBackAdvice);
    const before = this.#seen;
    const result = await this.#store.txn(txn);
    // A transaction without writes is answered with the revision as it is.
    const wrote = result.committed && txn.then.some(({ kind }) => kind === 'put');
    if (wrote && result.revision <= before && !this.#wentBack) {
      this.#wentBack = true;
      this.#onWentBack(before, result.revision);
    }
    this.#see(result.revision);
    return result;
  }

  watch(prefix: string, after: number, handler: WatchHandler): MetaWatch {
    return this.#store.watch(prefix, after, {
      onEvents: (events, revision) => {
        this.#see(revision);
        handler.onEvents(events, revision);
      },
      onGap: () => handler.onGap(),
    });
  }

  lease(ttlMs: number): Promise<MetaLease> {
    return this.#store.lease(ttlMs);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #see(revision: number): void {
    this.#seen = Math.max(this.#seen, revision);
  }
}
