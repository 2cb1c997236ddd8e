/**
 * What an etcd client's error means for a caller. gRPC's status stands as number and name in the message (etcd3
 * replaces the error object by one of its classes, which cannot tell all cases apart, and may wrap the message).
 *
 * A status proves "not applied" only where etcd decides it before or while applying; everything about a
 * connection, a deadline or a leader change proves nothing about a transaction that was sent.
 */
export type EtcdVerdict =
  /** Will not work soon; provably not applied. */
  | 'refused'
  /** It never left this process: another endpoint may be asked, for writes, too. */
  | 'not-sent'
  /** The revision asked for is gone, or this member does not have it yet. */
  | 'wrong-revision'
  /** The answer was larger than we take. */
  | 'answer-too-large'
  /** Reads: try again. Writes: applied, not applied, or applied later. */
  | 'unknown';

export function judgeEtcdError(error: unknown): EtcdVerdict {
  const text = error instanceof Error ? error.message : String(error);
  const code = Number(/\b(\d+) [A-Z_]+: /.exec(text)?.[1] ?? -1);
  switch (code) {
    case 3: // INVALID_ARGUMENT
      return text.includes('revision of auth store is old') ? 'unknown' : 'refused';
    case 5: // NOT_FOUND
    case 7: // PERMISSION_DENIED
    case 9: // FAILED_PRECONDITION
    case 12: // UNIMPLEMENTED
    case 16: // UNAUTHENTICATED
      return 'refused';
    case 8: // RESOURCE_EXHAUSTED
      if (text.includes('Received message larger than max')) return 'answer-too-large';
      return /space exceeded|too large|larger than max/.test(text) ? 'refused' : 'unknown';
    case 11: // OUT_OF_RANGE
      return 'wrong-revision';
    case 14: // UNAVAILABLE
      return /No connection established|Name resolution failed|Channel closed before call started/.test(text) ? 'not-sent' : 'unknown';
    default:
      return 'unknown';
  }
}

/** The status and details, without etcd3's stack and without what a server might put behind them. */
export function describeEtcdError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
