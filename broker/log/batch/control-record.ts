/** Control batches (KIP-98): one record whose key says what it is. Clients never see them; transactions end with one. */
import { buildBatch } from './build-batch.ts';
import { decodeRecords } from './records.ts';

export type MarkerKind = 'abort' | 'commit';

const controlTypes = { abort: 0, commit: 1 } as const;
const keyVersion = 0;
const markerVersion = 0;
const largestMarkerBytes = 64 * 1024;

export interface EndOfTransaction {
  readonly kind: MarkerKind;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly timestampMs: number;
}

export function buildMarker(end: EndOfTransaction): Buffer {
  const key = Buffer.alloc(4);
  key.writeInt16BE(keyVersion, 0);
  key.writeInt16BE(controlTypes[end.kind], 2);
  const value = Buffer.alloc(6);
  value.writeInt16BE(markerVersion, 0);
  value.writeInt32BE(end.coordinatorEpoch, 2);
  const { producerId, producerEpoch, timestampMs } = end;
  return buildBatch({ records: [{ key, value, timestampMs }], producerId, producerEpoch, transactional: true, control: true });
}

/** What a control batch says; undefined when it is no end of a transaction. */
export function markerKind(batch: Buffer): MarkerKind | undefined {
  const decoded = decodeRecords(batch, { maxOutputBytes: largestMarkerBytes });
  const key = decoded.kind === 'ok' ? decoded.records[0]?.key : undefined;
  if (key == null || key.length < 4) return undefined;
  const type = key.readInt16BE(2);
  return type === controlTypes.abort ? 'abort' : type === controlTypes.commit ? 'commit' : undefined;
}
