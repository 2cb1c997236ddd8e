/**
 * The last 64 bytes of every stored object: what it is, who wrote it, where its footer lies.
 *
 *   0  u64  footer position        24  u64  number               52  u8   kind
 *   8  u32  footer length          32  16 B put id               53  u8   format version
 *  12  u32  footer CRC-32C         48  u32  CRC-32C of all       54  u16  zero
 *  16  u32  node                            bytes before the     56  u32  CRC-32C of bytes 0–55
 *  20  u32  node epoch                      trailer              60  4 B  "AMQ1"
 *
 * The put id makes "something exists under my number" decidable: same id, size and CRC mean that the object is mine.
 */
import { crc32c } from '../../../std/crc32c.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';

export const trailerBytes = 64;
const magic = Buffer.from('AMQ1', 'latin1');

/** `start` is number 0 of an incarnation; `seal` ends it (design §4). */
const kinds = { start: 0, group: 1, checkpoint: 2, handover: 3, state: 4, seal: 5, stream: 6, 'stream-set': 7 } as const;
export type ObjectKind = keyof typeof kinds;

/** By kind, each format version and the storage version (cluster/storage-versions.ts) that brought it. Readers read all of them. */
const formats: Readonly<Record<ObjectKind, readonly { readonly version: number; readonly since: number }[]>> = {
  start: [{ version: 1, since: 1 }],
  group: [{ version: 1, since: 1 }],
  checkpoint: [{ version: 1, since: 1 }],
  handover: [{ version: 1, since: 1 }],
  state: [
    { version: 1, since: 1 },
    // Its footer lists doubts: who ignores them gives partitions an old state.
    { version: 2, since: 2 },
  ],
  seal: [{ version: 1, since: 1 }],
  stream: [{ version: 1, since: 1 }],
  'stream-set': [{ version: 1, since: 1 }],
};

/** What a writer at this storage version writes: the newest that every broker reads. */
export function formatVersionAt(kind: ObjectKind, storageVersion: number): number {
  return Math.max(1, ...formats[kind].filter(({ since }) => since <= storageVersion).map(({ version }) => version));
}

export interface Trailer {
  readonly kind: ObjectKind;
  readonly version: number;
  readonly incarnation: Incarnation;
  readonly number: number;
  readonly putId: Buffer;
  readonly footerPosition: number;
  readonly footerLength: number;
  readonly footerCrc: number;
  /** CRC-32C of every byte before the trailer. */
  readonly contentCrc: number;
}

export function encodeTrailer(trailer: Trailer): Buffer {
  const bytes = Buffer.alloc(trailerBytes);
  writeU64(bytes, trailer.footerPosition, 0);
  bytes.writeUInt32BE(trailer.footerLength, 8);
  bytes.writeUInt32BE(trailer.footerCrc, 12);
  bytes.writeUInt32BE(trailer.incarnation.node, 16);
  bytes.writeUInt32BE(trailer.incarnation.epoch, 20);
  writeU64(bytes, trailer.number, 24);
  trailer.putId.copy(bytes, 32, 0, 16);
  bytes.writeUInt32BE(trailer.contentCrc, 48);
  bytes.writeUInt8(kinds[trailer.kind], 52);
  bytes.writeUInt8(trailer.version, 53);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, 56)), 56);
  magic.copy(bytes, 60);
  return bytes;
}

/** Parses the trailer at the end of `tail`, the last bytes of an object of `objectBytes`. Throws a `FormatError`. */
export function decodeTrailer(tail: Buffer, objectBytes: number): Trailer {
  if (tail.length < trailerBytes) throw new FormatError(`object of ${objectBytes} bytes is shorter than a trailer`);
  const bytes = tail.subarray(tail.length - trailerBytes);
  if (!bytes.subarray(60).equals(magic)) throw new FormatError('no magic number at the end of the object');
  if (crc32c(bytes.subarray(0, 56)) !== bytes.readUInt32BE(56)) throw new FormatError('trailer CRC does not match');
  const version = bytes.readUInt8(53);
  const kindCode = bytes.readUInt8(52);
  const kind = (Object.keys(kinds) as ObjectKind[]).find((name) => kinds[name] === kindCode);
  if (!kind) throw new FormatError(`object kind ${kindCode} is not known to this program`);
  if (!formats[kind].some((known) => known.version === version)) throw new FormatError(`format version ${version} of a ${kind} is not known to this program`);
  const footerPosition = readU64(bytes, 0);
  const footerLength = bytes.readUInt32BE(8);
  if (footerPosition + footerLength + trailerBytes !== objectBytes) throw new FormatError('footer does not lie right before the trailer');
  return {
    kind,
    version,
    incarnation: { node: bytes.readUInt32BE(16) as NodeId, epoch: bytes.readUInt32BE(20) },
    number: readU64(bytes, 24),
    putId: Buffer.from(bytes.subarray(32, 48)),
    footerPosition,
    footerLength,
    footerCrc: bytes.readUInt32BE(12),
    contentCrc: bytes.readUInt32BE(48),
  };
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw new FormatError('64-bit integer out of range');
  return value;
}
