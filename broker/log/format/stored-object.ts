/** Puts an object together (content, footer, trailer) and takes it apart again, checking every CRC on the way. */
import { crc32c, crc32cCombine } from '../../../std/crc32c.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import type { ObjectBody } from '../../../io/object/object-store.ts';
import type { Incarnation } from '../../../cluster/identifiers.ts';
import { decodeTrailer, encodeTrailer, type ObjectKind, type Trailer, trailerBytes } from './trailer.ts';

export interface ObjectParts {
  readonly kind: ObjectKind;
  /** Of its format; without it 1, of kinds that have no other. */
  readonly version?: number;
  readonly incarnation: Incarnation;
  readonly number: number;
  /** 16 random bytes. */
  readonly putId: Buffer;
  readonly content: readonly Uint8Array[];
  readonly contentBytes: number;
  /** CRC-32C of the content when the caller knows it. */
  readonly contentCrc?: number;
  readonly footer: Buffer;
}

export interface AssembledObject {
  readonly body: ObjectBody;
  readonly trailer: Trailer;
}

export function assembleObject(parts: ObjectParts): AssembledObject {
  const footerCrc = crc32c(parts.footer);
  const contentOnlyCrc = parts.contentCrc ?? crcOfChunks(parts.content);
  const trailer: Trailer = {
    kind: parts.kind,
    version: parts.version ?? 1,
    incarnation: parts.incarnation,
    number: parts.number,
    putId: parts.putId,
    footerPosition: parts.contentBytes,
    footerLength: parts.footer.length,
    footerCrc,
    contentCrc: crc32cCombine(contentOnlyCrc, footerCrc, parts.footer.length),
  };
  const trailing = Buffer.concat([parts.footer, encodeTrailer(trailer)]);
  const trailerCrc = crc32c(trailing.subarray(parts.footer.length));
  return {
    trailer,
    body: {
      chunks: [...parts.content, trailing],
      sizeBytes: parts.contentBytes + trailing.length,
      crc32c: crc32cCombine(trailer.contentCrc, trailerCrc, trailerBytes),
    },
  };
}

/** Whether the object whose last bytes are `tail` is the very one that `trailer` describes: same put id, size and CRC. */
export function isSameObject(trailer: Trailer, tail: Buffer, objectBytes: number): boolean {
  const stored = decodeTrailer(tail, objectBytes);
  return stored.putId.equals(trailer.putId) && stored.footerPosition === trailer.footerPosition && stored.contentCrc === trailer.contentCrc;
}

/** The footer, when `tail` (the object's last bytes) reaches back that far. Throws a `FormatError` when its CRC does not match. */
export function footerWithin(trailer: Trailer, tail: Buffer): Buffer | undefined {
  const start = tail.length - trailerBytes - trailer.footerLength;
  if (start < 0) return undefined;
  const footer = tail.subarray(start, start + trailer.footerLength);
  if (crc32c(footer) !== trailer.footerCrc) throw new FormatError('footer CRC does not match');
  return footer;
}

/** Checks a whole object. Throws a `FormatError`. */
export function parseWholeObject(bytes: Buffer): { readonly trailer: Trailer; readonly content: Buffer; readonly footer: Buffer } {
  const trailer = decodeTrailer(bytes, bytes.length);
  if (crc32c(bytes.subarray(0, bytes.length - trailerBytes)) !== trailer.contentCrc) throw new FormatError('content CRC does not match');
  const footer = footerWithin(trailer, bytes);
  if (!footer) throw new FormatError('footer lies outside the object');
  return { trailer, content: bytes.subarray(0, trailer.footerPosition), footer };
}

function crcOfChunks(chunks: readonly Uint8Array[]): number {
  let crc = 0;
  for (const chunk of chunks) crc = crc32c(chunk, crc);
  return crc;
}
