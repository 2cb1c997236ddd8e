/**
 * A checkpoint: a WAL object from which all partitions of an incarnation can be read (design §5). States lie in pages
 * of some partitions each; the object carries the pages that changed, and its footer names where all the others lie,
 * so that it costs what changed and not what exists.
 */
import { ByteReader, FormatError } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import { decodeKeys, encodeKeys } from './key-list.ts';
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
  const writer = new ByteWriter(32 + references.length * 24);
  encodeKeys(
    writer,
    references.map(({ object }) => object),
  );
  for (const reference of references) {
    writer.varint(reference.page);
    writer.varint(reference.position);
    writer.varint(reference.length);
    writer.u32(reference.crc);
  }
  return writer.finish();
}

export function decodePageTable(footer: Buffer): PageReference[] {
  const reader = new ByteReader(footer);
  const objects = decodeKeys(reader);
  if (objects.length * 7 > reader.remaining) throw new FormatError('page table ends early');
  return objects.map((object) => ({ object, page: reader.varint(), position: reader.varint(), length: reader.varint(), crc: reader.u32() }));
}
