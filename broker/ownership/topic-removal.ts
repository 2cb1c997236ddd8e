/**
 * Working off tombstones, on every broker (design §5): each closes what it has open of a deleted topic, and removes the records of its partitions
 * with their holds and wishes once a proven checkpoint no longer reaches their objects. Records of a dead broker are somebody's again
 * when that has been taken over. Who finds no record left removes the tombstone. Each step may be repeated.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaEntry, type MetaOperation, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import {
  keys,
  parseHoldKey,
  parsePartitionKey,
  parseRecord,
  partitionRecord,
  type TombstoneRecord,
  tombstoneRecord,
  topicRecord,
} from '../../cluster/meta-records.ts';
import type { MetadataImage } from './metadata-image.ts';

export interface TopicRemovalOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: Incarnation;
  readonly image: MetadataImage;
  readonly signal: AbortSignal;
  readonly closeTopic: (topicId: TopicId) => void;
  /** Writes a checkpoint; true when its pointer is proven. */
  readonly checkpoint: () => Promise<boolean>;
}

const operationsPerTxn = 60;
/** A compare and two deletions each. */
const recordsPerTxn = 40;
const retryMs = 1_000;

interface Tombstone {
  readonly key: string;
  readonly modRevision: number;
  readonly value: string;
  readonly topicId: TopicId;
}

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
    const deleted: Tombstone[] = [];
    for (const entry of (await meta.list(keys.tombstones)).entries) {
      const topicId = entry.key.slice(keys.tombstones.length) as TopicId;
      const tombstone = parseRecord(tombstoneRecord, entry.value);
      if (!tombstone || !this.#isDeleted(tombstone)) continue;
      const settled = await this.#markDeleted(entry, tombstone, topicId);
      if (settled === 'again') return false;
      if (settled !== 'exists') deleted.push(settled);
    }
    const records = new Map<Tombstone, readonly MetaEntry[]>();
    for (const tombstone of deleted) {
      this.#options.closeTopic(tombstone.topicId);
      records.set(tombstone, (await meta.list(keys.partitionsOf(tombstone.topicId))).entries);
    }
    const ours = [...records.values()].flat().filter((entry) => this.#isOurs(entry));
    // What this checkpoint no longer names may go, and with it the records that led there.
    if (ours.length > 0 && !(await this.#options.checkpoint())) return false;
    let done = true;
    for (const [tombstone, entries] of records) {
      await this.#removePartitions(
        entries.filter((entry) => this.#isOurs(entry)),
        tombstone.topicId,
      );
      if (!entries.every((entry) => this.#isOurs(entry)) || !(await this.#removeTombstone(tombstone))) done = false;
    }
    return done;
  }

  /** A creation in progress is its creator's while that lives. */
  #isDeleted(tombstone: TombstoneRecord): boolean {
    return tombstone.state === 'deleted' || this.#options.image.isOver(tombstone.by);
  }

  /** By compare-and-set, so that the creator cannot commit the name any more. An intent of a topic that exists came late: it goes, the topic stays. */
  async #markDeleted({ key, value, modRevision }: MetaEntry, tombstone: TombstoneRecord, topicId: TopicId): Promise<Tombstone | 'exists' | 'again'> {
    if (tombstone.state === 'deleted') return { key, modRevision, value, topicId };
    const { meta } = this.#options;
    const name = await meta.get(keys.topic(tombstone.name));
    const exists = name !== undefined && parseRecord(topicRecord, name.value)?.topicId === topicId;
    const deleted = JSON.stringify({ ...tombstone, state: 'deleted' } satisfies TombstoneRecord);
    const result = await meta.txn({
      compare: [
        { key, modRevision },
        { key: keys.topic(tombstone.name), modRevision: name?.modRevision ?? 0 },
      ],
      then: [exists ? { kind: 'delete', key } : { kind: 'put', key, value: deleted }],
    });
    if (!result.committed) return 'again';
    return exists ? 'exists' : { key, modRevision: result.revision, value: deleted, topicId };
  }

  /** Whether it is gone: no record is left, and what hung on them is gone. */
  async #removeTombstone({ key, modRevision, value, topicId }: Tombstone): Promise<boolean> {
    const { meta } = this.#options;
    // A write of our own, so that the lists are not older: nothing is added to a topic behind its tombstone.
    const touched = await meta.txn({ compare: [{ key, modRevision }], then: [{ kind: 'put', key, value }] });
    // Another broker was faster; what is left is seen next time.
    if (!touched.committed) return false;
    const records = await meta.list(keys.partitionsOf(topicId));
    if (records.revision < touched.revision || records.entries.length > 0) return false;
    if (!(await this.#removeLeftovers(topicId, touched.revision))) return false;
    const { committed } = await meta.txn({ compare: [{ key, modRevision: touched.revision }], then: [{ kind: 'delete', key }] });
    return committed;
  }

  /** Bad records name nobody: they go, too. */
  #isOurs({ value }: MetaEntry): boolean {
    const { self } = this.#options;
    const record = parseRecord(partitionRecord, value);
    return !record || (record.owner.node === self.node && record.owner.epoch === self.epoch);
  }

  async #removePartitions(entries: readonly MetaEntry[], topicId: TopicId): Promise<void> {
    for (let i = 0; i < entries.length; i += recordsPerTxn) {
      const some = entries.slice(i, i + recordsPerTxn);
      if (await this.#removeTogether(some, topicId)) continue;
      // One of them changed meanwhile: that one stays for now.
      for (const entry of some) await this.#removeTogether([entry], topicId);
    }
  }

  async #removeTogether(entries: readonly MetaEntry[], topicId: TopicId): Promise<boolean> {
    const then = entries.flatMap(({ key }): MetaOperation[] => {
      const partition = parsePartitionKey(key)?.partition;
      const record: MetaOperation = { kind: 'delete', key };
      return partition === undefined ? [record] : [record, { kind: 'delete', key: keys.move(topicId, partition) }];
    });
    const { committed } = await this.#options.meta.txn({ compare: entries.map(({ key, modRevision }) => ({ key, modRevision })), then });
    return committed;
  }

  /** No record is left, so no hold can be written again. A wish for a partition that is not there does nothing. */
  async #removeLeftovers(topicId: TopicId, notOlderThan: number): Promise<boolean> {
    const { meta, image } = this.#options;
    const holds = await meta.list(keys.holds);
    if (holds.revision < notOlderThan) return false;
    const left = holds.entries.map(({ key }) => key).filter((key) => parseHoldKey(key)?.topicId === topicId);
    for (const move of image.moves()) if (move.topicId === topicId) left.push(keys.move(topicId, move.partition));
    for (let i = 0; i < left.length; i += operationsPerTxn)
      await meta.txn({ compare: [], then: left.slice(i, i + operationsPerTxn).map((key) => ({ kind: 'delete', key })) });
    return true;
  }
}
