/**
 * LZ4 in its frame format (KIP-57). The native decoder has no limit of its own, so the frame's blocks are counted first:
 * each gives at most the frame's block size.
 */
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';

const magic = 0x184d2204;
const uncompressedBlockFlag = 0x8000_0000;

export function decompressLz4(input: Buffer, maxOutputBytes: number): Buffer {
  const frame = measureFrame(input);
  // Blocks need not be full, but a frame that only could be too large is not worth the risk twice over.
  if (frame.mostOutputBytes > Math.max(maxOutputBytes, frame.blockBytes) * 2)
    throw new RangeError(`lz4: up to ${frame.mostOutputBytes} bytes, more than ${maxOutputBytes}`);
  const output = decompressFrameSync(input.subarray(0, frame.sizeBytes));
  if (output.length > maxOutputBytes) throw new RangeError(`lz4: ${output.length} bytes, more than ${maxOutputBytes}`);
  return output;
}

export function compressLz4(input: Buffer): Buffer {
  return compressFrameSync(input);
}

interface Frame {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly mostOutputBytes: number;
}

function measureFrame(input: Buffer): Frame {
  if (input.length < 7 || input.readUInt32LE(0) !== magic) throw new RangeError('lz4: not a frame');
  const flags = input[4]!;
  const blockSizeCode = (input[5]! >> 4) & 7;
  if (flags >> 6 !== 1 || blockSizeCode < 4) throw new RangeError('lz4: unknown version or block size');
  if ((flags & 0x01) !== 0) throw new RangeError('lz4: needs a dictionary');
  const blockBytes = 1 << (8 + 2 * blockSizeCode);
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4;
  const headerBytes = (flags & 0x08) === 0 ? 7 : 15;
  let mostOutputBytes = 0;
  let position = headerBytes;
  for (;;) {
    if (input.length - position < 4) throw new RangeError('lz4: a frame without its end');
    const word = input.readUInt32LE(position);
    position += 4;
    if (word === 0) break;
    const sizeBytes = word % uncompressedBlockFlag;
    if (sizeBytes > blockBytes || sizeBytes + blockChecksumBytes > input.length - position) throw new RangeError(`lz4: a block of ${sizeBytes} bytes`);
    // LZ4 makes at most 255 bytes out of one.
    mostOutputBytes += word >= uncompressedBlockFlag ? sizeBytes : Math.min(blockBytes, sizeBytes * 255);
    position += sizeBytes + blockChecksumBytes;
  }
  const sizeBytes = position + ((flags & 0x04) === 0 ? 0 : 4);
  if (sizeBytes > input.length) throw new RangeError('lz4: a frame without its checksum');
  return { sizeBytes, blockBytes, mostOutputBytes };
}
