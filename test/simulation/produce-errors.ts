/** What each error of Produce says about the batch (contract C2), and what a client does next. */
import { type ErrorCode, ErrorCodes, type ErrorName } from '../../broker/protocol/errors.ts';

export type ProduceVerdict =
  | 'stored'
  /** It was stored by an earlier attempt; where is not said. */
  | 'stored before'
  /** Not appended by this attempt; the same batch may be sent again. */
  | 'again'
  /** Appended or not; the same batch may be sent again. */
  | 'unknown'
  /** Not appended, for good. */
  | 'refused'
  /** Not appended: something before it is missing. */
  | 'out of sequence'
  /** No answer that a broker may give. */
  | 'forbidden';

export function verdictOn(code: number): ProduceVerdict {
  switch (code as ErrorCode) {
    case ErrorCodes.NONE:
      return 'stored';
    case ErrorCodes.DUPLICATE_SEQUENCE_NUMBER:
      return 'stored before';
    case ErrorCodes.NOT_LEADER_OR_FOLLOWER:
    case ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION:
    case ErrorCodes.UNKNOWN_TOPIC_ID:
    case ErrorCodes.NOT_ENOUGH_REPLICAS:
    case ErrorCodes.FENCED_LEADER_EPOCH:
    case ErrorCodes.UNKNOWN_LEADER_EPOCH:
      return 'again';
    case ErrorCodes.REQUEST_TIMED_OUT:
    case ErrorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case ErrorCodes.KAFKA_STORAGE_ERROR:
      return 'unknown';
    case ErrorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER:
      return 'out of sequence';
    case ErrorCodes.INVALID_PRODUCER_EPOCH:
    case ErrorCodes.UNKNOWN_PRODUCER_ID:
    case ErrorCodes.INVALID_TIMESTAMP:
      return 'refused';
    default:
      return 'forbidden';
  }
}

export function errorName(code: number): string {
  return (Object.entries(ErrorCodes) as [ErrorName, number][]).find(([, value]) => value === code)?.[0] ?? `error ${code}`;
}
