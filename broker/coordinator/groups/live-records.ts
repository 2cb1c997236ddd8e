/**
 * The live records of one `__consumer_offsets` partition: of each key the value that a replay of the log would end with.
 * Groups in their coordinator's memory are ahead of their log; this is what the log has of them, as far as it is durable.
 */
import { CommittedOffsets } from './committed-offsets.ts';
import type { GroupSnapshot } from './group.ts';
import { type GroupMetadataRecord, type GroupRecord, groupRecordBytes } from './group-records.ts';

interface StoredSnapshot {
  readonly value: GroupSnapshot;
  readonly recordOffset: number;
  readonly sizeBytes: number;
}

export class LiveRecords {
  readonly offsets = new CommittedOffsets();
  readonly #groups = new Map<string, StoredSnapshot>();
  #groupBytes = 0;
  #historyBytes = 0;
  #endOffset: number;
  #complete = true;
  #cut = Number.POSITIVE_INFINITY;
  #bytesPastCut = 0;

  /** `startOffset`: of the log that is replayed. */
  constructor(startOffset: number) {
    this.#endOffset = startOffset;
  }

  /** At most so much would the log take with each key once. */
  get sizeBytes(): number {
    return this.#groupBytes + this.offsets.sizeBytes;
  }

  /** What a replay would read. */
  get historyBytes(): number {
    return this.#historyBytes;
  }

  /** The log has nothing that is not here, except what came before: nobody else wrote, and all kinds of records are known. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Everything below has been applied. */
  get endOffset(): number {
    return this.#endOffset;
  }

  snapshots(): Iterable<readonly [groupId: string, stored: { readonly value: GroupSnapshot }]> {
    return this.#groups;
  }

  /** Those whose last record lies below `offset`. May be gone through while records are applied: what is there all the time is visited. */
  *below(offset: number): Generator<GroupRecord> {
    for (const [groupId, { value, recordOffset }] of this.#groups) if (recordOffset < offset) yield { kind: 'group', groupId, value };
    yield* this.offsets.recordsBelow(offset);
  }

  apply(record: GroupRecord, recordOffset: number): void {
    if (record.kind === 'offset') this.offsets.apply(record, recordOffset);
    else this.#applyGroup(record, recordOffset);
  }

  /** A batch of our own became durable. */
  applyBatch(records: readonly GroupRecord[], baseOffset: number, sizeBytes: number): void {
    // Somebody wrote in between (a tool may): what, is not known until the next load.
    if (baseOffset !== this.#endOffset) this.#complete = false;
    for (const [index, record] of records.entries()) this.apply(record, baseOffset + index);
    this.#endOffset = baseOffset + records.length;
    this.#historyBytes += sizeBytes;
    if (baseOffset >= this.#cut) this.#bytesPastCut += sizeBytes;
  }

  /** The log was read up to `endOffset`; `unknownRecords` of it were of no kind that this version knows. */
  replayed(endOffset: number, sizeBytes: number, unknownRecords: number): void {
    this.#endOffset = endOffset;
    this.#historyBytes = sizeBytes;
    this.#complete = unknownRecords === 0;
  }

  /** From now on what lies at or past `offset` is counted apart, too. */
  plan(offset: number): void {
    this.#cut = offset;
    this.#bytesPastCut = 0;
  }

  /** Below the offset of the plan nothing is read any more. How many bytes that were. */
  cutOff(): number {
    const droppedBytes = this.#historyBytes - this.#bytesPastCut;
    this.#historyBytes = this.#bytesPastCut;
    return droppedBytes;
  }

  #applyGroup({ groupId, value }: GroupMetadataRecord, recordOffset: number): void {
    this.#groupBytes -= this.#groups.get(groupId)?.sizeBytes ?? 0;
    if (!value) {
      this.#groups.delete(groupId);
      return;
    }
    const sizeBytes = groupRecordBytes(groupId, value);
    this.#groups.set(groupId, { value, recordOffset, sizeBytes });
    this.#groupBytes += sizeBytes;
  }
}
