/**
 * Zstandard (KIP-110, RFC 8878). Node has it in zlib from 22.15 on; before that a decoder in plain JavaScript reads, and
 * the writer stores: frames of raw blocks, which every reader takes, but nothing gets smaller.
 */
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';

interface NativeZstd {
  readonly zstdCompressSync?: (input: Buffer) => Buffer;
  readonly zstdDecompressSync?: (input: Buffer, options: { readonly maxOutputLength: number; readonly params: Readonly<Record<number, number>> }) => Buffer;
}

const native = zlib as NativeZstd;
const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const checksumFlag = 0x04;
const rawBlockBytes = 128 * 1024;
/** ZSTD_d_windowLogMax. */
const windowLogMaxParameter = 100;
/** 128 MiB is the largest window that writers choose without being asked for more. */
const largestWindowLog = 27;
/** Producers write one. */
const mostFrames = 16;
const mostMovedBytes = 4 * 1024 ** 3;

export function decompressZstd(input: Buffer, maxOutputBytes: number): Buffer {
  const frames = splitFrames(input, maxOutputBytes);
  if (native.zstdDecompressSync === undefined) checkPortableWork(frames);
  const outputs: Buffer[] = [];
  let sizeBytes = 0;
  for (const { bytes } of frames) {
    const output = decompressFrame(bytes, maxOutputBytes - sizeBytes);
    sizeBytes += output.length;
    outputs.push(output);
  }
  return outputs.length === 1 ? outputs[0]! : Buffer.concat(outputs, sizeBytes);
}

export function compressZstd(input: Buffer): Buffer {
  return native.zstdCompressSync === undefined ? storeAsZstd(input) : native.zstdCompressSync(input);
}

function decompressFrame(frame: Buffer, maxOutputBytes: number): Buffer {
  if (native.zstdDecompressSync === undefined) return decompressPortably(frame, maxOutputBytes);
  return native.zstdDecompressSync(frame, { maxOutputLength: Math.max(1, maxOutputBytes), params: { [windowLogMaxParameter]: largestWindowLog } });
}

/** One frame. Exported for the tests on a Node that has its own. */
export function decompressPortably(frame: Buffer, maxOutputBytes: number): Buffer {
  const blocks: Uint8Array[] = [];
  let sizeBytes = 0;
  const stream = new Decompress((block) => {
    sizeBytes += block.length;
    if (sizeBytes > maxOutputBytes) throw new RangeError(`zstd: more than ${maxOutputBytes} bytes`);
    blocks.push(block);
  });
  stream.push(frame, true);
  return Buffer.concat(blocks, sizeBytes);
}

/** Frame header: single segment, no checksum, content size in 4 bytes; then raw blocks. */
export function storeAsZstd(input: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt32LE(frameMagic, 0);
  header[4] = 0b1010_0000;
  header.writeUInt32LE(input.length, 5);
  const parts: Buffer[] = [header];
  let position = 0;
  do {
    const block = input.subarray(position, position + rawBlockBytes);
    position += block.length;
    const blockHeader = Buffer.alloc(3);
    blockHeader.writeUIntLE(block.length * 8 + (position === input.length ? 1 : 0), 0, 3);
    parts.push(blockHeader, block);
  } while (position < input.length);
  return Buffer.concat(parts);
}

interface Frame {
  readonly bytes: Buffer;
  readonly windowBytes: number;
  readonly blocks: number;
}

/** The portable reader moves its whole window for every block: many small blocks in a large window would keep it busy for hours. */
export function checkPortableWork(frames: readonly Pick<Frame, 'windowBytes' | 'blocks'>[]): void {
  let movedBytes = 0;
  for (const { windowBytes, blocks } of frames) movedBytes += windowBytes * blocks;
  if (movedBytes > mostMovedBytes) throw new RangeError('zstd: blocks too small for their window');
}

/** The frames, skippable ones left out, each with its header checked: a decoder asks for the memory that a header claims. */
function splitFrames(input: Buffer, maxOutputBytes: number): Frame[] {
  const frames: Frame[] = [];
  let count = 0;
  for (let position = 0; position < input.length; ) {
    if (count++ >= mostFrames) throw new RangeError(`zstd: more than ${mostFrames} frames`);
    if (input.length - position >= 8 && (input.readUInt32LE(position) & 0xffff_fff0) >>> 0 === skippableMagic) {
      position += 8 + input.readUInt32LE(position + 4);
      continue;
    }
    const frame = frameAt(input, position, maxOutputBytes);
    frames.push(frame);
    position += frame.bytes.length;
  }
  return frames;
}

function frameAt(input: Buffer, start: number, maxOutputBytes: number): Frame {
  const header = checkHeader(input, start, maxOutputBytes);
  let position = header.end;
  let blocks = 0;
  for (let last = false; !last; blocks += 1) {
    if (input.length - position < 3) throw new RangeError('zstd: a frame without its end');
    const blockHeader = input.readUIntLE(position, 3);
    last = (blockHeader & 1) === 1;
    const isRunLength = ((blockHeader >> 1) & 3) === 1;
    position += 3 + (isRunLength ? 1 : blockHeader >> 3);
  }
  if ((input[start + 4]! & checksumFlag) !== 0) position += 4;
  if (position > input.length) throw new RangeError('zstd: a frame without its end');
  return { bytes: input.subarray(start, position), windowBytes: header.windowBytes, blocks };
}

function checkHeader(input: Buffer, start: number, maxOutputBytes: number): { readonly end: number; readonly windowBytes: number } {
  if (input.length - start < 6 || input.readUInt32LE(start) !== frameMagic) throw new RangeError('zstd: not a frame');
  const descriptor = input[start + 4]!;
  if ((descriptor & 0x03) !== 0) throw new RangeError('zstd: needs a dictionary');
  const singleSegment = (descriptor & 0x20) !== 0;
  const windowLog = 10 + (input[start + 5]! >> 3);
  if (!singleSegment && windowLog > largestWindowLog) throw new RangeError('zstd: a window past 128 MiB');
  const contentSizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const position = start + (singleSegment ? 5 : 6);
  if (input.length < position + contentSizeBytes) throw new RangeError('zstd: a frame without its header');
  const claimed = contentSize(input, position, contentSizeBytes);
  if (claimed > maxOutputBytes) throw new RangeError(`zstd: ${claimed} bytes, more than ${maxOutputBytes}`);
  return { end: position + contentSizeBytes, windowBytes: singleSegment ? claimed : 2 ** (windowLog + 1) };
}

function contentSize(input: Buffer, position: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 0:
      return 0;
    case 2:
      return input.readUInt16LE(position) + 256;
    case 8:
      return input.readUInt32LE(position) + input.readUInt32LE(position + 4) * 0x1_0000_0000;
    default:
      return input.readUIntLE(position, sizeBytes);
  }
}
