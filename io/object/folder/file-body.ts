/**
 * Writes an object's chunks into a new file so that they are durable: a big one past the page cache, then fdatasync; a small one in one writev
 * through it, opened so that the write itself is synchronous, which saves a trip to the thread pool.
 */
import { invariant } from '../../../std/invariant.ts';
import type { ObjectBody } from '../object-store.ts';
import { blockSizeBytes, type DirectBuffers } from './direct-buffers.ts';
import { createFlags, directFlag, type FileCalls, syncedFlag } from './file-calls.ts';
import type { CallProgress } from './running-call.ts';

/** Below it the two ways cost the same, and the page cache needs no padding. */
const directFromBytes = 65_536;
/** IOV_MAX of Linux and macOS. */
const maxChunksPerWrite = 1024;

export interface NewFile {
  readonly fd: number;
  readonly direct: DirectBuffers | undefined;
}

/** The caller closes it. */
export async function createFile(files: FileCalls, path: string, body: ObjectBody, buffers: DirectBuffers | undefined): Promise<NewFile> {
  const direct = body.sizeBytes >= directFromBytes ? buffers : undefined;
  return { fd: await files.open(path, createFlags | (direct ? (directFlag ?? 0) : syncedFlag)), direct };
}

/** Leaves early, with an unfinished file, when the call has ended: look at it afterwards. */
export async function writeFileBody(files: FileCalls, { fd, direct }: NewFile, body: ObjectBody, call: CallProgress): Promise<void> {
  const written = direct ? await writeDirectly(files, fd, direct, body, call) : await writeThroughCache(files, fd, body, call);
  if (call.ended) return;
  invariant(written === body.sizeBytes, 'the chunks of a body add up to its size', { written, sizeBytes: body.sizeBytes });
  if (direct || written === 0) await files.fdatasync(fd);
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
