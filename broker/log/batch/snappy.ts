/**
 * Snappy as Kafka clients write it: in the framing of xerial's snappy-java (Java clients) or as one raw block
 * (librdkafka and others). Readers tell them apart by the magic.
 */
import { compressSync, uncompressSync } from 'snappy';

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderBytes = 16;
const xerialBlockBytes = 32 * 1024;
/** No snappy element makes more than 64 bytes out of 2, so that a longer length is a lie. */
const largestRatio = 32;

export function decompressSnappy(input: Buffer, maxOutputBytes: number): Buffer {
  if (!startsWithMagic(input, 0)) return decompressBlock(input, maxOutputBytes);
  const blocks: Buffer[] = [];
  let sizeBytes = 0;
  for (let position = xerialHeaderBytes; position < input.length; ) {
    // Streams may be joined.
    if (startsWithMagic(input, position)) {
      position += xerialHeaderBytes;
      continue;
    }
    if (input.length - position < 4) throw new RangeError('snappy: a block without its length');
    const blockBytes = input.readInt32BE(position);
    position += 4;
    if (blockBytes <= 0 || blockBytes > input.length - position) throw new RangeError(`snappy: a block of ${blockBytes} bytes`);
    const block = decompressBlock(input.subarray(position, position + blockBytes), maxOutputBytes - sizeBytes);
    blocks.push(block);
    sizeBytes += block.length;
    position += blockBytes;
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks, sizeBytes);
}

/** In xerial's framing, which every client reads. */
export function compressSnappy(input: Buffer): Buffer {
  const parts: Buffer[] = [xerialMagic, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])];
  for (let position = 0; position < input.length; position += xerialBlockBytes) {
    const block = compressSync(input.subarray(position, position + xerialBlockBytes));
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function decompressBlock(block: Buffer, maxOutputBytes: number): Buffer {
  const claimed = uncompressedLength(block);
  if (claimed > maxOutputBytes) throw new RangeError(`snappy: ${claimed} bytes, more than ${maxOutputBytes}`);
  if (claimed > block.length * largestRatio) throw new RangeError(`snappy: ${block.length} bytes cannot hold ${claimed}`);
  return uncompressSync(block, { asBuffer: true }) as Buffer;
}

/** The block begins with it, as an unsigned varint. */
function uncompressedLength(block: Buffer): number {
  let length = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = block[index];
    if (byte === undefined) throw new RangeError('snappy: a block without its length');
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return length;
  }
  throw new RangeError('snappy: a length past 2^35');
}

function startsWithMagic(input: Buffer, position: number): boolean {
  return input.length - position >= xerialHeaderBytes && input.compare(xerialMagic, 0, xerialMagic.length, position, position + xerialMagic.length) === 0;
}
