/**
 * What a history proves about one partition: which value lies at which offset (the version order), who sent what,
 * what was read. Contradictions between two observations are found while it is put together.
 */
import type { ListOffsetsOperation, Operation, PollOperation, ResendOperation, SeekOperation, SendOperation, Violation } from './history.ts';

export interface Evidence {
  readonly key: string;
  readonly sends: readonly SendOperation[];
  readonly resends: readonly ResendOperation[];
  readonly polls: readonly PollOperation[];
  readonly listed: readonly ListOffsetsOperation[];
  readonly seeks: readonly SeekOperation[];
  readonly sendOf: ReadonlyMap<number, SendOperation>;
  /** Every offset at which a value was seen, acknowledged or read. */
  readonly offsetsOf: ReadonlyMap<number, ReadonlySet<number>>;
  /** The first value proved at each offset. */
  readonly valueAt: ReadonlyMap<number, number>;
  readonly epochAt: ReadonlyMap<number, number>;
  /** Offsets that somebody read, ascending. */
  readonly readOffsets: readonly number[];
  readonly readValues: ReadonlySet<number>;
  /** Highest offset up to which the log was proved deleted on demand. */
  readonly deletedBefore: number;
}

type Report = (name: string, detail: string) => void;

export function evidenceOf(key: string, operations: readonly Operation[], violations: Violation[]): Evidence {
  const report: Report = (name, detail) => violations.push({ name, key, detail });
  const sends = only(operations, 'send') as SendOperation[];
  const polls = (only(operations, 'poll') as PollOperation[]).filter((poll) => poll.type === 'ok');
  const sendOf = new Map<number, SendOperation>();
  for (const send of sends) {
    for (const value of send.values) {
      if (sendOf.has(value)) throw new Error(`value ${value} of ${key} was sent twice: the history is not usable`);
      sendOf.set(value, send);
    }
  }
  const offsets = new OffsetTable(report);
  for (const send of sends) {
    if (send.type !== 'ok' || send.baseOffset === null) continue;
    const base = send.baseOffset;
    send.values.forEach((value, i) => offsets.add(base + i, value, `acknowledged to ${send.process}`));
  }
  const epochAt = new Map<number, number>();
  const readOffsets = new Set<number>();
  const readValues = new Set<number>();
  for (const poll of polls) {
    for (const [offset, value, epoch] of poll.records) {
      offsets.add(offset, value, `read by ${poll.process}`);
      readOffsets.add(offset);
      readValues.add(value);
      const known = epochAt.get(offset);
      if (known === undefined) epochAt.set(offset, epoch);
      else if (known !== epoch) report('leader-epoch', `offset ${offset} has leader epoch ${known} and ${epoch} (${poll.process})`);
    }
  }
  let deletedBefore = 0;
  for (const operation of operations)
    if (operation.f === 'deleteRecords' && operation.type !== 'fail') deletedBefore = Math.max(deletedBefore, operation.before);
  return {
    key,
    sends,
    resends: (only(operations, 'resend') as ResendOperation[]).filter((resend) => resend.type === 'ok'),
    polls,
    listed: (only(operations, 'listOffsets') as ListOffsetsOperation[]).filter((list) => list.type === 'ok'),
    seeks: only(operations, 'seek') as SeekOperation[],
    sendOf,
    offsetsOf: offsets.offsetsOf,
    valueAt: offsets.valueAt,
    epochAt,
    readOffsets: [...readOffsets].sort((a, b) => a - b),
    readValues,
    deletedBefore,
  };
}

class OffsetTable {
  readonly valueAt = new Map<number, number>();
  readonly offsetsOf = new Map<number, Set<number>>();
  readonly #seenBy = new Map<number, string>();
  readonly #contradicted = new Set<number>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  add(offset: number, value: number, seenBy: string): void {
    const known = this.valueAt.get(offset);
    if (known === undefined) {
      this.valueAt.set(offset, value);
      this.#seenBy.set(offset, seenBy);
    } else if (known !== value && !this.#contradicted.has(offset)) {
      this.#contradicted.add(offset);
      this.#report('inconsistent-offsets', `offset ${offset} is ${known} (${this.#seenBy.get(offset)}) and ${value} (${seenBy})`);
    }
    const offsets = this.offsetsOf.get(value);
    if (offsets === undefined) this.offsetsOf.set(value, new Set([offset]));
    else offsets.add(offset);
  }
}

function only(operations: readonly Operation[], f: Operation['f']): Operation[] {
  return operations.filter((operation) => operation.f === f);
}

/** Index of the first item that is not below `bound`, in an ascending list. */
export function lowerBound(ascending: readonly number[], bound: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
