/**
 * Working off tombstones: closes what is open of a deleted topic, removes its partition records, and removes the
 * tombstone once a proven checkpoint no longer reaches the topic's objects. Each step may be repeated.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaEntry, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import { keys, parsePartitionKey, parseRecord, type TombstoneRecord, tombstoneRecord, topicRecord } from '../../cluster/meta-records.ts';

export interface TopicRemovalOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: Incarnation;
  readonly signal: AbortSignal;
  readonly closeTopic: (topicId: TopicId, partitionCount: number) => void;
  /** Writes a checkpoint; true when its pointer is proven. */
  readonly checkpoint: () => Promise<boolean>;
}

const recordsPerTxn = 40;
const retryMs = 1_000;
/** A tombstone that is worked off once nothing reaches the topic's objects. */
type Removable = Pick<MetaEntry, 'key' | 'modRevision'>;

/** A topic may have grown while it was being deleted: records past the tombstone's count are looked for by prefix. */
export class TopicRemoval {
  readonly #options: TopicRemovalOptions;
  #wanted = false;
  #running: Promise<void> | undefined;

  constructor(options: TopicRemovalOptions) {
    this.#options = options;
  }

  /** There is (or may be) a tombstone to work off. */
  wake(): void {
    this.#wanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Woken after the last look, before this.
      if (this.#wanted && !this.#options.signal.aborted) this.wake();
    });
  }

  async close(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, clock, logger } = this.#options;
    while (this.#wanted && !signal.aborted) {
      this.#wanted = false;
      try {
        if (!(await this.#pass())) this.#wanted = true;
      } catch (error) {
        if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown))
          logger.error('removing a deleted topic failed, trying again', { error: String(error) });
        this.#wanted = true;
      }
      if (this.#wanted) await sleep(clock, retryMs, signal);
    }
  }

  /** Whether nothing is left to do. */
  async #pass(): Promise<boolean> {
    const { meta } = this.#options;
    const removable: Removable[] = [];
    for (const entry of (await meta.list(keys.tombstones)).entries) {
      const topicId = entry.key.slice(keys.tombstones.length) as TopicId;
      const tombstone = parseRecord(tombstoneRecord, entry.value);
      if (!tombstone || !this.#isOurs(tombstone)) continue;
      const settled = await this.#markDeleted(entry, tombstone, topicId);
      if (settled === 'again') return false;
      if (settled === 'exists') continue;
      const records = (await meta.list(keys.partitionsOf(topicId))).entries;
      this.#options.closeTopic(topicId, partitionCount(tombstone, records));
      await this.#removeRecords(records);
      removable.push(settled);
    }
    if (removable.length === 0) return true;
    if (!(await this.#options.checkpoint())) return false;
    for (const { key, modRevision } of removable) await meta.txn({ compare: [{ key, modRevision }], then: [{ kind: 'delete', key }] });
    return true;
  }

  /** A creation in progress is its creator's, unless that was an earlier life of this node. */
  #isOurs(tombstone: TombstoneRecord): boolean {
    const { self } = this.#options;
    return tombstone.state === 'deleted' || (tombstone.by.node === self.node && tombstone.by.epoch < self.epoch);
  }

  /** By compare-and-set, so that the creator cannot commit the name any more. An intent of a topic that exists came late: it goes, the topic stays. */
  async #markDeleted({ key, modRevision }: MetaEntry, tombstone: TombstoneRecord, topicId: TopicId): Promise<Removable | 'exists' | 'again'> {
    if (tombstone.state === 'deleted') return { key, modRevision };
    const { meta } = this.#options;
    const name = await meta.get(keys.topic(tombstone.name));
    const exists = name !== undefined && parseRecord(topicRecord, name.value)?.topicId === topicId;
    const value = JSON.stringify({ ...tombstone, state: 'deleted' } satisfies TombstoneRecord);
    const result = await meta.txn({
      compare: [
        { key, modRevision },
        { key: keys.topic(tombstone.name), modRevision: name?.modRevision ?? 0 },
      ],
      then: [exists ? { kind: 'delete', key } : { kind: 'put', key, value }],
    });
    if (!result.committed) return 'again';
    return exists ? 'exists' : { key, modRevision: result.revision };
  }

  async #removeRecords(records: readonly MetaEntry[]): Promise<void> {
    for (let i = 0; i < records.length; i += recordsPerTxn) {
      await this.#options.meta.txn({ compare: [], then: records.slice(i, i + recordsPerTxn).map(({ key }) => ({ kind: 'delete', key })) });
    }
  }
}

/** A growth that failed half-way left more partitions than the topic ever showed. */
function partitionCount({ partitions }: TombstoneRecord, records: readonly MetaEntry[]): number {
  return records.reduce((count, { key }) => Math.max(count, (parsePartitionKey(key)?.partition ?? -1) + 1), partitions);
}
