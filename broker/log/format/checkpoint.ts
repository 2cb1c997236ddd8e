/**
 * A checkpoint: a WAL object from which all partitions of an incarnation can be read (design §5). States lie in pages
 * of some partitions each; the object carries the pages that changed, and its footer names where all the others lie,
 * so that it costs what changed and not what exists.
 */
import { ByteReader } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { ObjectKey } from './object-keys.ts';

export interface PageReference {
  readonly page: number;
  /** The checkpoint object that carries the page. */
  readonly object: ObjectKey;
  readonly position: number;
  readonly length: number;
  readonly crc: number;
}

export function encodePageTable(references: readonly PageReference[]): Buffer {
  const writer = new ByteWriter(32 + references.length * 60);
  writer.varint(references.length);
  for (const reference of references) {
    writer.varint(reference.page);
    writer.string(reference.object);
    writer.varint(reference.position);
    writer.varint(reference.length);
    writer.u32(reference.crc);
  }
  return writer.finish();
}

export function decodePageTable(footer: Buffer): PageReference[] {
  const reader = new ByteReader(footer);
  const references: PageReference[] = [];
  for (let left = reader.count(8); left > 0; left--) {
    references.push({ page: reader.varint(), object: reader.string() as ObjectKey, position: reader.varint(), length: reader.varint(), crc: reader.u32() });
  }
  return references;
}
