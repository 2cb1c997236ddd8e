/**
 * Frames of the embedded store's file. A frame is what one fsync makes durable, so only the last one of a file
 * can be torn by a crash: a damaged frame with a whole one behind it is corruption and is refused, never cut off.
 *
 *   magic "AMF1" · sequence u32 (from 0, by one) · length u32 · CRC-32C u32 of the 12 bytes before and the payload · payload
 *
 * Big-endian. The payload is JSON, so no control byte stands in it and no value can contain a frame.
 */
import { crc32c } from '../../std/crc32c.ts';

const magic = Buffer.from('AMF1', 'latin1');
const headerBytes = 16;
const longestPayload = 256 * 1024 * 1024;

export interface ParsedFrames {
  readonly payloads: readonly unknown[];
  /** Where the next frame goes. */
  readonly endOffset: number;
  /** What lies behind `endOffset`: nothing, the remains of an interrupted write, or damage in front of whole frames. */
  readonly tail: 'clean' | 'torn' | 'corrupt';
}

export function encodeFrame(sequence: number, payload: unknown): Buffer {
  const json = JSON.stringify(payload);
  const length = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(headerBytes + length);
  magic.copy(frame, 0);
  frame.writeUInt32BE(sequence, 4);
  frame.writeUInt32BE(length, 8);
  frame.write(json, headerBytes, 'utf8');
  frame.writeUInt32BE(checksum(frame, 0, length), 12);
  return frame;
}

export function parseFrames(file: Buffer): ParsedFrames {
  const payloads: unknown[] = [];
  let at = 0;
  while (at < file.length) {
    const length = wholeFrameAt(file, at, payloads.length);
    if (length === undefined) return { payloads, endOffset: at, tail: hasFrameBehind(file, at, payloads.length) ? 'corrupt' : 'torn' };
    payloads.push(JSON.parse(file.toString('utf8', at + headerBytes, at + headerBytes + length)));
    at += headerBytes + length;
  }
  return { payloads, endOffset: at, tail: 'clean' };
}

/** The payload's length when a whole frame with this sequence begins at `at`. */
function wholeFrameAt(file: Buffer, at: number, sequence: number): number | undefined {
  if (at + headerBytes > file.length || magic.compare(file, at, at + 4) !== 0 || file.readUInt32BE(at + 4) !== sequence) return undefined;
  const length = file.readUInt32BE(at + 8);
  if (length > longestPayload || at + headerBytes + length > file.length) return undefined;
  return file.readUInt32BE(at + 12) === checksum(file, at, length) ? length : undefined;
}

function hasFrameBehind(file: Buffer, from: number, sequence: number): boolean {
  for (let at = file.indexOf(magic, from); at !== -1 && at + headerBytes <= file.length; at = file.indexOf(magic, at + 1)) {
    const found = file.readUInt32BE(at + 4);
    if (found >= sequence && wholeFrameAt(file, at, found) !== undefined) return true;
  }
  return false;
}

function checksum(file: Buffer, at: number, length: number): number {
  return crc32c(file.subarray(at + headerBytes, at + headerBytes + length), crc32c(file.subarray(at, at + 12)));
}
