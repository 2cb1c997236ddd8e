/**
 * The footer of a state object that was written although something of the incarnation cannot be read: the damaged objects.
 * What the state object does not list may have records in them (docs/design/0005-damage.md). Empty: nothing is in doubt.
 */
import { ByteReader } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import { decodeKeys, encodeKeys } from './key-list.ts';
import type { ObjectKey } from './object-keys.ts';

/** The storage version in which state objects may have doubts: their format version 2. */
export const doubtsSince = 2;

export function encodeDoubts(damaged: readonly ObjectKey[]): Buffer {
  if (damaged.length === 0) return Buffer.alloc(0);
  const writer = new ByteWriter(64);
  encodeKeys(writer, damaged);
  return writer.finish();
}

export function decodeDoubts(footer: Buffer): ObjectKey[] {
  return footer.length === 0 ? [] : decodeKeys(new ByteReader(footer));
}
