/**
 * The embedded store's file: a snapshot of all entries followed by what was committed since, as frames
 * (journal-frames.ts). It is rewritten as the next generation when the second part outgrows the first: the new
 * file is complete and synced before its name exists, so the highest `meta-<generation>` is always whole.
 */
import { type FileHandle, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeFrame, parseFrames } from './journal-frames.ts';
import { type MetaCommit, MetaMap, type MetaMapEntry } from './meta-map.ts';
import { MetaRefused } from './meta-store.ts';

const formatVersion = 1;
const entriesPerFrame = 1_000;
const namePattern = /^meta-(\d+)$/;

/** Called before each step; throwing makes the step fail. For tests. */
export type JournalFailPoint = (step: 'write' | 'sync' | 'rewrite') => void;

export class MetaJournal {
  readonly #folder: string;
  readonly #failPoint: JournalFailPoint;
  #file: FileHandle | undefined;
  #generation = 0;
  #sequence = 0;
  #snapshotBytes = 0;
  #endOffset = 0;

  constructor(folder: string, failPoint: JournalFailPoint = () => {}) {
    this.#folder = folder;
    this.#failPoint = failPoint;
  }

  /** Bytes committed since the snapshot at the file's front. */
  get committedBytes(): number {
    return this.#endOffset - this.#snapshotBytes;
  }

  get snapshotBytes(): number {
    return this.#snapshotBytes;
  }

  /** Reads the newest generation and stands ready to append. The remains of an interrupted write, never acknowledged, are cut off. */
  async load(): Promise<MetaMap> {
    await this.close();
    await mkdir(this.#folder, { recursive: true });
    const generations = (await readdir(this.#folder)).flatMap((name) => namePattern.exec(name)?.[1] ?? []).map(Number);
    if (generations.length === 0) {
      const map = new MetaMap();
      await this.rewrite(map);
      return map;
    }
    this.#generation = Math.max(...generations);
    const path = this.#path(this.#generation);
    const { payloads, endOffset, tail } = parseFrames(await readFile(path));
    if (tail === 'corrupt')
      throw new MetaRefused(
        `${path} is damaged at byte ${endOffset}, with committed changes behind the damage. Nothing was changed; restore the file from a copy.`,
      );
    const { map, snapshotFrames } = restoreMap(path, payloads);
    this.#sequence = payloads.length;
    this.#endOffset = endOffset;
    this.#snapshotBytes = snapshotFrames === payloads.length ? endOffset : 0;
    this.#file = await open(path, 'r+');
    if (tail === 'torn') {
      await this.#file.truncate(endOffset);
      await this.#file.sync();
    }
    await this.#removeOthers();
    return map;
  }

  /** Durable when it resolves. When it rejects, the commits may or may not be: `load` and `rewrite` before anything else. */
  async append(commits: readonly MetaCommit[]): Promise<void> {
    if (!this.#file) throw new Error('the journal is not open');
    const frame = encodeFrame(this.#sequence, { commits: commits.map(packCommit) });
    this.#failPoint('write');
    await writeAll(this.#file, frame, this.#endOffset);
    this.#failPoint('sync');
    await this.#file.datasync();
    this.#sequence++;
    this.#endOffset += frame.length;
  }

  /** Writes `map` as the next generation and continues there. When it rejects, the old generation stands. */
  async rewrite(map: MetaMap): Promise<void> {
    const generation = this.#generation + 1;
    const temporary = `${this.#path(generation)}.new`;
    const frames = snapshotFrames(map);
    const file = await open(temporary, 'w');
    let endOffset = 0;
    try {
      for (const frame of frames) {
        this.#failPoint('rewrite');
        await writeAll(file, frame, endOffset);
        endOffset += frame.length;
      }
      await file.sync();
      await rename(temporary, this.#path(generation));
      await syncFolder(this.#folder);
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.close();
    this.#file = file;
    this.#generation = generation;
    this.#sequence = frames.length;
    this.#endOffset = endOffset;
    this.#snapshotBytes = endOffset;
    await this.#removeOthers();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #removeOthers(): Promise<void> {
    const keep = `meta-${this.#generation}`;
    for (const name of await readdir(this.#folder)) if (name.startsWith('meta-') && name !== keep) await rm(join(this.#folder, name), { force: true });
  }

  #path(generation: number): string {
    return join(this.#folder, `meta-${generation}`);
  }
}

interface Header {
  readonly format: number;
  readonly revision: number;
  readonly entries: number;
}

type PackedEntry = readonly [key: string, value: string, modRevision: number, lease?: string];
type PackedChange = readonly [key: string] | readonly [key: string, value: string, lease?: string];

function snapshotFrames(map: MetaMap): Buffer[] {
  const entries = map.entries();
  const header: Header = { format: formatVersion, revision: map.revision, entries: entries.length };
  const frames = [encodeFrame(0, header)];
  for (let at = 0; at < entries.length; at += entriesPerFrame) {
    const packed = entries
      .slice(at, at + entriesPerFrame)
      .map(({ key, value, modRevision, lease }): PackedEntry => (lease === undefined ? [key, value, modRevision] : [key, value, modRevision, lease]));
    frames.push(encodeFrame(frames.length, { entries: packed }));
  }
  return frames;
}

function restoreMap(path: string, payloads: readonly unknown[]): { readonly map: MetaMap; readonly snapshotFrames: number } {
  const header = payloads[0] as Header | undefined;
  if (header === undefined) throw new MetaRefused(`${path} is damaged: it has no header. Restore the file from a copy.`);
  if (header.format !== formatVersion)
    throw new MetaRefused(`${path} has format ${header.format}, this version reads ${formatVersion}: it was written by a newer one.`);
  const entries: MetaMapEntry[] = [];
  let at = 1;
  for (; entries.length < header.entries && at < payloads.length; at++) {
    for (const [key, value, modRevision, lease] of (payloads[at] as { entries: PackedEntry[] }).entries)
      entries.push(lease === undefined ? { key, value, modRevision } : { key, value, modRevision, lease });
  }
  if (entries.length !== header.entries)
    throw new MetaRefused(`${path} is damaged: ${entries.length} of ${header.entries} entries are left. Restore the file from a copy.`);
  const map = MetaMap.restore(header.revision, entries);
  for (const payload of payloads.slice(at))
    for (const [revision, changes] of (payload as { commits: [number, PackedChange[]][] }).commits)
      map.replay({ revision, changes: changes.map(unpackChange) });
  return { map, snapshotFrames: at };
}

function packCommit({ revision, changes }: MetaCommit): [number, PackedChange[]] {
  return [revision, changes.map(({ key, value, lease }) => (value === undefined ? [key] : lease === undefined ? [key, value] : [key, value, lease]))];
}

function unpackChange([key, value, lease]: PackedChange): { key: string; value?: string; lease?: string } {
  return value === undefined ? { key } : lease === undefined ? { key, value } : { key, value, lease };
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
