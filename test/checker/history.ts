/**
 * What clients saw, one operation a line (JSON lines), in the order in which they ended: the only thing that the
 * checker looks at. A process is one client session; whoever loses his session goes on under a new name.
 *
 * `ok`: answered. `fail`: provably never happened (contract C2). `info`: may or may not have happened, or may yet.
 */
export type Operation =
  | SendOperation
  | ResendOperation
  | PollOperation
  | ListOffsetsOperation
  | SeekOperation
  | DeleteRecordsOperation
  | CommitOperation
  | CommittedOperation
  | AssignedOperation
  | FaultOperation;

interface OperationBase {
  readonly process: string;
  readonly type: 'ok' | 'fail' | 'info';
  /** Virtual milliseconds; `t1` of what never ended is null. */
  readonly t0: number;
  readonly t1: number | null;
  /** `topicId/partition`. */
  readonly key: string;
  readonly error?: string;
}

/** One batch; its values get consecutive offsets. Sends of one process are in the history's `order`. */
export interface SendOperation extends OperationBase {
  readonly f: 'send';
  readonly values: readonly number[];
  readonly idempotent: boolean;
  /** Place among this process's sends to this key. */
  readonly order: number;
  /** How often it was on the wire. */
  readonly attempts: number;
  /** Offset of the first value. Null when unknown (also of an acknowledgement as "duplicate"). */
  readonly baseOffset: number | null;
  /** Refused as out of sequence although everything before it had been acknowledged. */
  readonly sequenceLost?: boolean;
}

/** An acknowledged idempotent batch sent once more, with the same sequence. */
export interface ResendOperation extends OperationBase {
  readonly f: 'resend';
  readonly values: readonly number[];
  readonly baseOffset: number | null;
}

export interface PollOperation extends OperationBase {
  readonly f: 'poll';
  readonly from: number;
  readonly isolation: 'uncommitted' | 'committed';
  /** [offset, value, leader epoch], as they came. */
  readonly records: readonly (readonly [number, number, number])[];
  /** Where the consumer stood afterwards: behind the last batch that it was given. */
  readonly next: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  /** −1: not told (Fetch before version 5). */
  readonly logStart: number;
  /** Belongs to the reading of everything after all faults were healed. */
  readonly final?: boolean;
}

export interface ListOffsetsOperation extends OperationBase {
  readonly f: 'listOffsets';
  readonly spec: 'earliest' | 'latest';
  readonly offset: number;
}

/** The consumer moved its position (start, out of range): what follows does not continue what was before. */
export interface SeekOperation extends OperationBase {
  readonly f: 'seek';
  readonly to: number;
}

export interface DeleteRecordsOperation extends OperationBase {
  readonly f: 'deleteRecords';
  readonly before: number;
}

/** A member of a consumer group commits an offset. */
export interface CommitOperation extends OperationBase {
  readonly f: 'commit';
  readonly group: string;
  readonly generation: number;
  readonly offset: number;
  /** Kept with the offset, unique in the whole run: what is fetched later names its commit. */
  readonly text: string;
}

/** What the coordinator says is committed; −1: nothing. */
export interface CommittedOperation extends OperationBase {
  readonly f: 'committed';
  readonly group: string;
  readonly offset: number;
  readonly text: string;
}

/** A member was given the partition in this generation. */
export interface AssignedOperation extends OperationBase {
  readonly f: 'assigned';
  readonly group: string;
  readonly generation: number;
  readonly member: string;
}

/** What the nemesis did; for the reader of a history. */
export interface FaultOperation extends OperationBase {
  readonly f: 'fault';
  readonly what: string;
}

export interface Violation {
  readonly name: string;
  readonly key: string;
  readonly detail: string;
}

export function historyLines(history: readonly Operation[]): string {
  return history.map((operation) => JSON.stringify(operation)).join('\n') + '\n';
}
