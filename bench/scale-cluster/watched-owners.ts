/** Who owns each partition, by a watch of the metadata store: it says within milliseconds when the last one has a living owner. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Incarnation, partitionKey } from '../../cluster/identifiers.ts';
import { keys, nodeRecord, parsePartitionKey, parseRecord, type PartitionRecord, topicRecord } from '../../cluster/meta-records.ts';
import type { MetaEvent, MetaStore } from '../../io/meta/meta-store.ts';

export interface WatchedPartition {
  readonly topic: string;
  readonly partition: number;
  owner: Incarnation;
}

const pollMs = 5;

export class WatchedOwners {
  readonly partitions = new Map<string, WatchedPartition>();
  readonly #topics = new Map<string, string>();
  readonly #epochs = new Map<number, number>();
  #close = async (): Promise<void> => {};
  #gap = false;

  static async open(meta: MetaStore): Promise<WatchedOwners> {
    const watched = new WatchedOwners();
    const { entries, revision } = await meta.list('');
    // Topics first: partitions name only their ids.
    for (const entry of entries) if (entry.key.startsWith(keys.topics)) watched.#put(entry.key, entry.value);
    for (const entry of entries) watched.#put(entry.key, entry.value);
    const watch = meta.watch('', revision, { onEvents: (events) => events.forEach((event) => watched.#apply(event)), onGap: () => (watched.#gap = true) });
    watched.#close = () => watch.close();
    return watched;
  }

  ownedBy(node: number): WatchedPartition[] {
    return [...this.partitions.values()].filter(({ owner }) => owner.node === node);
  }

  epochOf(node: number): number {
    return this.#epochs.get(node) ?? 0;
  }

  async until(condition: () => boolean, what: string, withinMs = 180_000): Promise<void> {
    for (const deadlineMs = performance.now() + withinMs; !condition(); await delay(pollMs)) {
      if (this.#gap) throw new Error('the watch of the benchmark has a gap');
      if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    }
  }

  close(): Promise<void> {
    return this.#close();
  }

  #apply(event: MetaEvent): void {
    if (event.kind === 'put') return this.#put(event.key, event.value);
    const id = parsePartitionKey(event.key);
    if (id) this.partitions.delete(partitionKey(id.topicId, id.partition));
  }

  #put(key: string, value: string): void {
    if (key.startsWith(keys.topics)) {
      const topicId = parseRecord(topicRecord, value)?.topicId;
      if (topicId) this.#topics.set(topicId, key.slice(keys.topics.length));
    } else if (key.startsWith(keys.nodes)) {
      this.#epochs.set(Number(key.slice(keys.nodes.length)), parseRecord(nodeRecord, value)?.epoch ?? 0);
    }
    const id = parsePartitionKey(key);
    if (!id) return;
    const { owner } = JSON.parse(value) as PartitionRecord;
    // The same object for good: who holds some of them sees how they change.
    const known = this.partitions.get(partitionKey(id.topicId, id.partition));
    if (known) known.owner = owner;
    else this.partitions.set(partitionKey(id.topicId, id.partition), { topic: this.#topics.get(id.topicId) ?? '', partition: id.partition, owner });
  }
}
