/** Writes an object's chunks into a new file and makes its bytes durable: past the page cache when it is big, in one writev when it is small. */
import { invariant } from '../../../std/invariant.ts';
import type { ObjectBody } from '../object-store.ts';
import { blockSizeBytes, type DirectBuffers } from './direct-buffers.ts';
import { createFlags, directFlag, type FileCalls } from './file-calls.ts';
import type { CallProgress } from './running-call.ts';

/** Below it the two ways cost the same, and the page cache needs no padding. */
const directFromBytes = 65_536;
/** IOV_MAX of Linux and macOS. */
const maxChunksPerWrite = 1024;

export interface FileTarget {
  readonly files: FileCalls;
  readonly path: string;
  readonly direct: DirectBuffers | undefined;
}

/** Leaves early, with an unfinished file, when the call has ended: look at it afterwards. */
export async function writeFileBody({ files, path, direct }: FileTarget, body: ObjectBody, call: CallProgress): Promise<void> {
  const buffers = body.sizeBytes >= directFromBytes ? direct : undefined;
  const fd = await files.open(path, createFlags | (buffers ? (directFlag ?? 0) : 0));
  try {
    const written = buffers ? await writeDirectly(files, fd, buffers, body, call) : await writeThroughCache(files, fd, body, call);
    if (call.ended) return;
    invariant(written === body.sizeBytes, 'the chunks of a body add up to its size', { written, sizeBytes: body.sizeBytes });
    await files.fdatasync(fd);
  } finally {
    await files.close(fd);
  }
}

async function writeThroughCache(files: FileCalls, fd: number, body: ObjectBody, call: CallProgress): Promise<number> {
  let position = 0;
  call.holdBuffers();
  for (let first = 0; first < body.chunks.length && !call.ended; first += maxChunksPerWrite) {
    let rest: readonly Uint8Array[] = body.chunks.slice(first, first + maxChunksPerWrite).filter((chunk) => chunk.length > 0);
    while (rest.length > 0 && !call.ended) {
      const count = await files.writev(fd, rest, position);
      position += count;
      rest = behind(rest, count);
    }
  }
  call.releaseBuffers();
  return position;
}

/** What is left of the chunks after their first `count` bytes. */
function behind(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skipped = count;
  for (let index = 0; index < chunks.length; index++) {
    const chunk = chunks[index]!;
    if (skipped < chunk.length) return [chunk.subarray(skipped), ...chunks.slice(index + 1)];
    skipped -= chunk.length;
  }
  return [];
}

/** The caller's buffers are only read here, between two waits, and never after the call has ended. */
async function writeDirectly(files: FileCalls, fd: number, buffers: DirectBuffers, body: ObjectBody, call: CallProgress): Promise<number> {
  const piece = await buffers.take();
  try {
    let filled = 0;
    let position = 0;
    for (const chunk of body.chunks) {
      for (let at = 0; at < chunk.length; ) {
        if (call.ended) return position;
        const length = Math.min(chunk.length - at, piece.length - filled);
        piece.set(chunk.subarray(at, at + length), filled);
        at += length;
        filled += length;
        if (filled < piece.length) continue;
        await writeBlocks(files, fd, piece, position);
        position += filled;
        filled = 0;
      }
    }
    if (filled > 0) {
      const padded = Math.ceil(filled / blockSizeBytes) * blockSizeBytes;
      piece.fill(0, filled, padded);
      await writeBlocks(files, fd, piece.subarray(0, padded), position);
      position += filled;
      if (padded > filled) await files.ftruncate(fd, position);
    }
    return position;
  } finally {
    buffers.give(piece);
  }
}

async function writeBlocks(files: FileCalls, fd: number, blocks: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < blocks.length; ) {
    const count = await files.write(fd, blocks.subarray(done), blocks.length - done, position + done);
    if (count <= 0 || count % blockSizeBytes !== 0) throw Object.assign(new Error(`a direct write took ${count} bytes`), { code: 'EIO' });
    done += count;
  }
}
