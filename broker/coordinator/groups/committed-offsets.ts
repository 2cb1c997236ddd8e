/** The committed offsets of the groups of one `__consumer_offsets` partition: what the log says, nothing else. */
import { type CommittedOffset, offsetRecordBytes, type OffsetRecord } from './group-records.ts';

export type OffsetsByPartition = ReadonlyMap<number, CommittedOffset>;
export type OffsetsByTopic = ReadonlyMap<string, OffsetsByPartition>;

interface StoredOffset extends CommittedOffset {
  /** Where the log has it. */
  readonly recordOffset: number;
}

const nothing: OffsetsByTopic = new Map();

export class CommittedOffsets {
  readonly #groups = new Map<string, Map<string, Map<number, StoredOffset>>>();
  #size = 0;
  #sizeBytes = 0;

  get size(): number {
    return this.#size;
  }

  /** At most so much do they take in the log, each once. */
  get sizeBytes(): number {
    return this.#sizeBytes;
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

  /** Those whose record lies below `offset`. May be gone through while offsets are applied: what is there all the time is visited. */
  *recordsBelow(offset: number): Generator<OffsetRecord> {
    for (const [groupId, topics] of this.#groups)
      for (const [topic, partitions] of topics)
        for (const [partition, value] of partitions) if (value.recordOffset < offset) yield { kind: 'offset', groupId, topic, partition, value };
  }

  apply(record: OffsetRecord, recordOffset: number): void {
    if (record.value) this.#set(record, { ...record.value, recordOffset });
    else this.#remove(record);
  }

  #set(record: OffsetRecord, value: StoredOffset): void {
    const { groupId, topic, partition } = record;
    const topics = getOrAdd(this.#groups, groupId, () => new Map<string, Map<number, StoredOffset>>());
    const partitions = getOrAdd(topics, topic, () => new Map<number, StoredOffset>());
    const former = partitions.get(partition);
    if (former) this.#sizeBytes += Buffer.byteLength(value.metadata) - Buffer.byteLength(former.metadata);
    else {
      this.#size += 1;
      this.#sizeBytes += offsetRecordBytes(groupId, topic, value);
    }
    partitions.set(partition, value);
  }

  #remove({ groupId, topic, partition }: OffsetRecord): void {
    const topics = this.#groups.get(groupId);
    const partitions = topics?.get(topic);
    const former = partitions?.get(partition);
    if (!topics || !partitions || !former) return;
    partitions.delete(partition);
    this.#size -= 1;
    this.#sizeBytes -= offsetRecordBytes(groupId, topic, former);
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
