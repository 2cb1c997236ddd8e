/**
 * Transactions of one partition (KIP-98): which are open, which were aborted, and therefore how far a reader of
 * committed records may go. Kafka's ProducerStateManager and transaction index in one.
 *
 * A transaction is *open* from its first record to its marker. Its end is *unstable* until the marker counts: until
 * then a reader of committed records must not pass the transaction's first offset.
 */
import type { ByteReader } from '../../std/byte-reader.ts';
import type { ByteWriter } from '../../std/byte-writer.ts';
import { invariant } from '../../std/invariant.ts';
import type { AbortedTransaction } from './partition-log.ts';

interface Ended {
  readonly firstOffset: number;
  readonly markerOffset: number;
}

interface Aborted extends Ended {
  readonly producerId: number;
  /** First offset of the next open transaction when the marker was written: all that end later begin at or behind it. */
  readonly lastStableOffset: number;
}

export class TransactionState {
  /** First offset → producer; ascending, for transactions begin in the order of the log. */
  readonly #open = new Map<number, number>();
  /** Ended, but the marker does not count yet; ascending by marker. */
  #unstable: Ended[] = [];
  /** Ascending by marker. */
  #aborted: Aborted[] = [];

  /** Where the first transaction begins that is open, or whose marker does not count yet. */
  get firstUnstableOffset(): number | undefined {
    let first = this.#firstOpenOffset();
    for (const { firstOffset } of this.#unstable) if (first === undefined || firstOffset < first) first = firstOffset;
    return first;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#aborted.length === 0;
  }

  begin(producerId: number, firstOffset: number): void {
    this.#open.set(firstOffset, producerId);
  }

  end(transaction: { readonly firstOffset: number; readonly markerOffset: number; readonly outcome: 'commit' | 'abort' }): void {
    const { firstOffset, markerOffset, outcome } = transaction;
    const producerId = this.#open.get(firstOffset);
    invariant(producerId !== undefined, 'a transaction ended that had not begun', { firstOffset, markerOffset });
    this.#open.delete(firstOffset);
    this.#unstable.push({ firstOffset, markerOffset });
    if (outcome === 'commit') return;
    this.#aborted.push({ producerId, firstOffset, markerOffset, lastStableOffset: this.#firstOpenOffset() ?? markerOffset + 1 });
  }

  highWatermarkAdvanced(highWatermark: number): void {
    if (this.#unstable.length === 0) return;
    this.#unstable = this.#unstable.filter(({ markerOffset }) => markerOffset >= highWatermark);
  }

  /** What a reader of [fromOffset, endOffset) has to leave out. */
  abortedTransactions(fromOffset: number, endOffset: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = [];
    for (let index = this.#firstMarkerAtOrAfter(fromOffset); index < this.#aborted.length; index += 1) {
      const { producerId, firstOffset, lastStableOffset } = this.#aborted[index]!;
      if (firstOffset < endOffset) found.push({ producerId, firstOffset });
      if (lastStableOffset >= endOffset) break;
    }
    return found;
  }

  /** Forgets what lies before a new log start. */
  trim(logStartOffset: number): void {
    const first = this.#firstMarkerAtOrAfter(logStartOffset);
    if (first > 0) this.#aborted = this.#aborted.slice(first);
  }

  /** Open transactions are stored with their producers; what is stored counts, so that nothing is unstable in it. */
  encodeAborted(writer: ByteWriter): void {
    writer.varint(this.#aborted.length);
    for (const { producerId, firstOffset, markerOffset, lastStableOffset } of this.#aborted) {
      writer.varint(producerId);
      writer.varint(firstOffset);
      writer.varint(markerOffset - firstOffset);
      writer.signedVarint(lastStableOffset - markerOffset);
    }
  }

  decodeAborted(reader: ByteReader): void {
    for (let left = reader.count(4); left > 0; left -= 1) {
      const producerId = reader.varint();
      const firstOffset = reader.varint();
      const markerOffset = firstOffset + reader.varint();
      this.#aborted.push({ producerId, firstOffset, markerOffset, lastStableOffset: markerOffset + reader.signedVarint() });
    }
  }

  #firstOpenOffset(): number | undefined {
    for (const firstOffset of this.#open.keys()) return firstOffset;
    return undefined;
  }

  #firstMarkerAtOrAfter(offset: number): number {
    let low = 0;
    let high = this.#aborted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#aborted[middle]!.markerOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
