/**
 * Frames between a metadata store's server and its clients: four bytes of length (big-endian), then that much JSON in UTF-8. Both
 * refuse a frame longer than their limit before any of it is kept.
 */
import { invariant } from '../../../std/invariant.ts';

/** A transaction is at most 1.4 MB, of which JSON's escapes may make six times as much. */
export const mostFrameBytes = 16 * 1024 * 1024;

const lengthBytes = 4;

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function encodeFrame(message: unknown): Buffer {
  const text = JSON.stringify(message);
  const sizeBytes = Buffer.byteLength(text);
  invariant(sizeBytes <= mostFrameBytes, 'a metadata frame is within its limit', { sizeBytes });
  const frame = Buffer.allocUnsafe(lengthBytes + sizeBytes);
  frame.writeUInt32BE(sizeBytes, 0);
  frame.write(text, lengthBytes);
  return frame;
}

/** Cuts what arrives into messages. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #sizeBytes = 0;

  /** The messages that are complete with this chunk. Throws `FrameError` on what is no frame: the connection is of no use then. */
  accept(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    const messages: unknown[] = [];
    for (let frame = this.#next(); frame; frame = this.#next()) messages.push(parse(frame));
    return messages;
  }

  #next(): Buffer | undefined {
    if (this.#sizeBytes < lengthBytes) return undefined;
    if ((this.#chunks[0] as Buffer).length < lengthBytes) this.#join();
    const sizeBytes = (this.#chunks[0] as Buffer).readUInt32BE(0);
    if (sizeBytes > mostFrameBytes) throw new FrameError(`a frame of ${sizeBytes} bytes is longer than ${mostFrameBytes}`);
    if (this.#sizeBytes < lengthBytes + sizeBytes) return undefined;
    this.#join();
    const all = this.#chunks[0] as Buffer;
    const rest = all.subarray(lengthBytes + sizeBytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#sizeBytes = rest.length;
    return all.subarray(lengthBytes, lengthBytes + sizeBytes);
  }

  #join(): void {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
  }
}

function parse(frame: Buffer): unknown {
  try {
    return JSON.parse(frame.toString()) as unknown;
  } catch (error) {
    throw new FrameError('a frame is not JSON', { cause: error });
  }
}
