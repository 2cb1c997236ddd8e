/**
 * Buffers for writing past the page cache (O_DIRECT). Such memory must lie on a block boundary, which JavaScript cannot ask for: we probe
 * at which offset of one big buffer the kernel takes it. They are reused for ever, since fresh memory costs page faults.
 *
 * Why: an 8 MiB object through the page cache and fdatasync cost 0.3–2.4 CPU-ms per MB here, directly and in pieces 0.2–0.25,
 * the copy into these buffers included; and what was just written is in the log cache anyway.
 */
import { createFlags, directFlag, errorCode, type FileCalls } from './file-calls.ts';

/** Covers every logical block size in use; lengths and positions are multiples of it. */
export const blockSizeBytes = 4096;
/** Offsets that malloc may have: it aligns to 16. */
const offsetStep = 16;

export class DirectBuffers {
  readonly pieceSizeBytes: number;
  readonly #free: Buffer[];
  readonly #waiting: ((piece: Buffer) => void)[] = [];

  /** Undefined when the file system refuses direct writes (tmpfs, some network file systems). */
  static async probe(
    files: FileCalls,
    probePath: string,
    options: { readonly pieces: number; readonly pieceSizeBytes: number },
  ): Promise<DirectBuffers | undefined> {
    if (directFlag === undefined || options.pieces === 0) return undefined;
    let fd: number;
    try {
      fd = await files.open(probePath, createFlags | directFlag);
    } catch (error) {
      if (errorCode(error) === 'EINVAL' || errorCode(error) === 'EOPNOTSUPP') return undefined;
      throw error;
    }
    try {
      const memory = new ArrayBuffer(options.pieces * options.pieceSizeBytes + blockSizeBytes);
      for (let offset = 0; offset < blockSizeBytes; offset += offsetStep) {
        if (await takes(files, fd, Buffer.from(memory, offset, blockSizeBytes))) return new DirectBuffers(memory, offset, options);
      }
      return undefined;
    } finally {
      await files.close(fd);
      await files.unlink(probePath);
    }
  }

  private constructor(memory: ArrayBuffer, offset: number, { pieces, pieceSizeBytes }: { readonly pieces: number; readonly pieceSizeBytes: number }) {
    this.pieceSizeBytes = pieceSizeBytes;
    this.#free = Array.from({ length: pieces }, (_, index) => Buffer.from(memory, offset + index * pieceSizeBytes, pieceSizeBytes));
  }

  /** Callers are bounded by the store's slots, so this queue is. */
  take(): Promise<Buffer> {
    const piece = this.#free.pop();
    return piece ? Promise.resolve(piece) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(piece: Buffer): void {
    const next = this.#waiting.shift();
    if (next) next(piece);
    else this.#free.push(piece);
  }
}

async function takes(files: FileCalls, fd: number, block: Buffer): Promise<boolean> {
  try {
    return (await files.write(fd, block, blockSizeBytes, 0)) === blockSizeBytes;
  } catch (error) {
    if (errorCode(error) === 'EINVAL' || errorCode(error) === 'EOPNOTSUPP') return false;
    throw error;
  }
}
