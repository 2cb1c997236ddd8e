/** The seal: ends an incarnation's WAL at its number (design §4) and names the state object of what came before. Never deleted. */
import { ByteReader } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import type { ObjectKey } from './object-keys.ts';

export interface Seal {
  /** Who wrote it. */
  readonly sealedBy: Incarnation;
  readonly state: ObjectKey;
}

/** Footer and trailer: a larger object is no seal. */
export const maxSealBytes = 512;

export function encodeSeal(seal: Seal): Buffer {
  const writer = new ByteWriter(64);
  writer.u32(seal.sealedBy.node);
  writer.u32(seal.sealedBy.epoch);
  writer.string(seal.state);
  return writer.finish();
}

export function decodeSeal(footer: Buffer): Seal {
  const reader = new ByteReader(footer);
  return { sealedBy: { node: reader.u32() as NodeId, epoch: reader.u32() }, state: reader.string() as ObjectKey };
}
