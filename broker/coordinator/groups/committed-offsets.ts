/** The committed offsets of the groups of one `__consumer_offsets` partition: what the log says, nothing else. */
import type { CommittedOffset, OffsetRecord } from './group-records.ts';

export type OffsetsByPartition = ReadonlyMap<number, CommittedOffset>;
export type OffsetsByTopic = ReadonlyMap<string, OffsetsByPartition>;

const nothing: OffsetsByTopic = new Map();

export class CommittedOffsets {
  readonly #groups = new Map<string, Map<string, Map<number, CommittedOffset>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  groupIds(): IterableIterator<string> {
    return this.#groups.keys();
  }

  ofGroup(groupId: string): OffsetsByTopic {
    return this.#groups.get(groupId) ?? nothing;
  }

  get(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(groupId)?.get(topic)?.get(partition);
  }

  apply(record: OffsetRecord): void {
    if (record.value) this.#set(record, record.value);
    else this.#remove(record);
  }

  #set({ groupId, topic, partition }: OffsetRecord, value: CommittedOffset): void {
    const topics = getOrAdd(this.#groups, groupId, () => new Map<string, Map<number, CommittedOffset>>());
    const partitions = getOrAdd(topics, topic, () => new Map<number, CommittedOffset>());
    if (!partitions.has(partition)) this.#size += 1;
    partitions.set(partition, value);
  }

  #remove({ groupId, topic, partition }: OffsetRecord): void {
    const topics = this.#groups.get(groupId);
    const partitions = topics?.get(topic);
    if (!topics || !partitions?.delete(partition)) return;
    this.#size -= 1;
    if (partitions.size === 0) topics.delete(topic);
    if (topics.size === 0) this.#groups.delete(groupId);
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
