/**
 * The folder store on a disk that loses power (F67): a model of a file system that keeps only what POSIX promises. File content counts after
 * fdatasync (or a write with O_DSYNC), a name after fsync of its folder; of the rest any part may survive, writes torn at a sector.
 * Calls end in any order, the power goes after any of them, and a new store looks at what is left.
 */
import assert from 'node:assert/strict';
import type { Dirent, Stats } from 'node:fs';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { SeededRandom } from '../seeded-random.ts';
import { createFlags, directFlag, type FileCalls, syncedFlag } from './folder/file-calls.ts';
import { FolderObjectStore } from './folder-object-store.ts';
import { objectBody } from './object-store.ts';

const folder = '/disk/store';
const sectorBytes = 512;
const blockBytes = 4096;

/** A small one is written through the cache, a large one past it where the disk allows that. */
interface Create {
  readonly key: string;
  readonly sizeBytes: number;
  /** Deletes it again when it was created. */
  readonly thenDelete: boolean;
  readonly store: number;
}

interface Scenario {
  readonly creates: readonly Create[];
  readonly seed: number;
  /** So many file system calls end before the power goes. */
  readonly cutAfter: number;
  readonly direct: boolean;
}

type Forgets = 'fsync' | 'fdatasync' | 'synced writes' | 'nothing';

const scenario: fc.Arbitrary<Scenario> = fc.record({
  creates: fc.array(
    fc.record({
      key: fc.constantFrom('k', 'a/1', 'a/2', 'a/b/1', 'a/b/2'),
      sizeBytes: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 3_000 }) }, { weight: 1, arbitrary: fc.integer({ min: 65_536, max: 75_000 }) }),
      thenDelete: fc.boolean(),
      store: fc.nat(1),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  seed: fc.nat(),
  cutAfter: fc.nat(160),
  direct: fc.boolean(),
});

test('what was answered is there after a power cut, whole; what was not answered is whole or not there', async () => {
  const seen = { created: 0, open: 0, deleted: 0 };
  await fc.assert(
    fc.asyncProperty(scenario, async (drawn) => assert.equal(await lostBy(drawn, 'nothing', seen), undefined)),
    { numRuns: 300 },
  );
  assert.ok(Math.min(seen.created, seen.open, seen.deleted) > 30, `the power went at times that tell nothing: ${JSON.stringify(seen)}`);
});

for (const forgets of ['fsync', 'fdatasync', 'synced writes'] as const) {
  test(`a disk whose ${forgets} does nothing is found out: the model can tell`, async () => {
    const found = await fc.check(
      fc.asyncProperty(scenario, async (drawn) => assert.equal(await lostBy(drawn, forgets), undefined)),
      { numRuns: 2_000, seed: 1, endOnFailure: true },
    );
    assert.ok(found.failed);
    assert.match(String(found.errorInstance), /was answered|is neither/);
  });
}

/** Runs until the power goes; answers what the store's promise was broken by. */
async function lostBy(
  { creates, seed, cutAfter, direct }: Scenario,
  forgets: Forgets,
  seen = { created: 0, open: 0, deleted: 0 },
): Promise<string | undefined> {
  const random = new SeededRandom(seed);
  const disk = new ModelDisk({ random, direct, forgets });
  const opening = Promise.all([0, 1].map(() => FolderObjectStore.open({ folder, clock: stillClock, random, files: disk.calls })));
  while (await disk.step());
  const stores = await opening;
  const attempts = creates.map((create, i) => new Attempt(create, Buffer.alloc(create.sizeBytes, `${i} `)));
  const waiting = [...attempts];
  for (let ended = 0; ended < cutAfter; ) {
    const next = waiting[0];
    if (next && random.below(4) === 0) {
      waiting.shift();
      void next.run(stores[next.create.store]!);
    } else if (await disk.step()) ended++;
    else if (!next) break;
  }
  for (const { begun, answer, deletion } of attempts) {
    if (answer === 'created') seen.created++;
    else if (begun && answer === undefined) seen.open++;
    if (deletion === 'deleted') seen.deleted++;
  }
  return broken(attempts, disk.afterPowerCut(), random);
}

async function broken(attempts: readonly Attempt[], disk: ModelDisk, random: Random): Promise<string | undefined> {
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {});
    while (await disk.step());
    return promise;
  };
  const store = await settle(FolderObjectStore.open({ folder, clock: stillClock, random, files: disk.calls }));
  for (const key of new Set(attempts.map(({ create }) => create.key))) {
    const ofKey = attempts.filter(({ create }) => create.key === key);
    const found = await settle(store.read(key));
    const deleting = ofKey.some(({ deletion }) => deletion !== undefined);
    if (found.kind === 'missing') {
      const answered = ofKey.find(({ answer }) => answer === 'created' || answer === 'exists');
      if (answered && !deleting) return `${key} was answered ${answered.answer} and is missing`;
      continue;
    }
    assert.ok(found.kind === 'found');
    // Somebody may have created it anew, if there was anybody.
    const creators = ofKey.filter(({ answer, begun, deletion }) => begun && answer !== 'exists' && deletion !== 'deleted');
    if (ofKey.some(({ deletion }) => deletion === 'deleted') && creators.length === 0) return `${key} was answered deleted and is there`;
    const created = ofKey.find(({ answer }) => answer === 'created');
    const possible = created && !deleting ? [created] : creators;
    if (!possible.some(({ body }) => body.equals(found.bytes))) return `${key} with ${found.bytes.length} bytes is neither missing nor whole`;
  }
  await settle(store.close());
  return undefined;
}

class Attempt {
  readonly create: Create;
  readonly body: Buffer;
  begun = false;
  answer: string | undefined;
  deletion: 'begun' | 'deleted' | undefined;

  constructor(create: Create, body: Buffer) {
    this.create = create;
    this.body = body;
  }

  async run(store: FolderObjectStore): Promise<void> {
    this.begun = true;
    const { key, thenDelete } = this.create;
    this.answer = (await store.create(key, objectBody([this.body.subarray(0, 7), this.body.subarray(7)]))).kind;
    if (this.answer !== 'created' || !thenDelete) return;
    this.deletion = 'begun';
    if ((await store.delete([key])).kind === 'deleted') this.deletion = 'deleted';
  }
}

interface Write {
  readonly position: number;
  /** A number truncates. */
  readonly bytes: Buffer | number;
}

/** A file or a folder: what is on the disk for certain, and what happened since. */
class Inode {
  readonly entries: Map<string, Inode> | undefined;
  content = Buffer.alloc(0);
  durableContent = Buffer.alloc(0);
  readonly durableEntries = new Map<string, Inode>();
  writes: Write[] = [];
  names: { readonly name: string; readonly inode: Inode | undefined }[] = [];

  constructor(kind: 'file' | 'folder') {
    this.entries = kind === 'folder' ? new Map() : undefined;
  }

  write(write: Write): void {
    this.content = applied(this.content, write);
    this.writes.push(write);
  }

  name(name: string, inode: Inode | undefined): void {
    set(this.entries!, name, inode);
    this.names.push({ name, inode });
  }

  /** The first so many of what happened since the last time are durable. */
  settle(writes: number, names: number): void {
    for (const write of this.writes.splice(0, writes)) this.durableContent = applied(this.durableContent, write);
    for (const { name, inode } of this.names.splice(0, names)) set(this.durableEntries, name, inode);
  }
}

class ModelDisk {
  readonly calls: FileCalls;
  readonly #options: { readonly random: Random; readonly direct: boolean; readonly forgets: Forgets };
  readonly #root: Inode;
  readonly #open = new Map<number, { readonly inode: Inode; readonly flags: number }>();
  /** Calls that have not ended: each step ends one. */
  readonly #running: (() => void)[] = [];
  #nextFd = 3;

  constructor(options: { readonly random: Random; readonly direct: boolean; readonly forgets: Forgets }, root = new Inode('folder')) {
    this.#options = options;
    this.#root = root;
    this.calls = {
      open: (path, flags) => this.#call(() => this.#openFile(path, flags)),
      close: (fd) => this.#call(() => void this.#open.delete(fd)),
      fstat: (fd) => this.#call(() => statsOf(this.#inode(fd))),
      stat: (path) => this.#call(() => statsOf(this.#at(path))),
      writev: (fd, chunks, position) => this.#write(fd, Buffer.concat(chunks), position, 1),
      write: (fd, bytes, length, position) => this.#write(fd, Buffer.from(bytes.subarray(0, length)), position, blockBytes),
      read: (fd, into, at, length, position) =>
        this.#call(() => this.#inode(fd).content.copy(into as Buffer, at, position, Math.min(position + length, this.#inode(fd).content.length))),
      ftruncate: (fd, length) => this.#call(() => this.#inode(fd).write({ position: 0, bytes: length })),
      fdatasync: (fd) => this.#sync(this.#inode(fd), options.forgets === 'fdatasync'),
      fsync: (fd) => this.#sync(this.#inode(fd), options.forgets === 'fsync'),
      link: (from, to) => this.#call(() => this.#name(to, this.#at(from))),
      unlink: (path) => this.#call(() => (this.#at(path), this.#at(dirname(path)).name(basename(path), undefined))),
      mkdir: (path) => this.#call(() => this.#makeFolders(path)),
      readdir: (path) =>
        this.#call(() => [...this.#at(path).entries!].map(([name, { entries }]) => ({ name, isDirectory: () => entries !== undefined }) as unknown as Dirent)),
    };
  }

  /** Ends one call, any of those that run; false when there is none. Everybody who waited for it has gone on when it resolves. */
  async step(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const end = this.#running.splice(this.#options.random.below(Math.max(1, this.#running.length)), 1)[0];
    end?.();
    await new Promise((resolve) => setImmediate(resolve));
    return end !== undefined;
  }

  /** The disk as another process finds it when the power is back. */
  afterPowerCut(): ModelDisk {
    const { random } = this.#options;
    const seen = new Map<Inode, Inode>();
    const survivor = (inode: Inode): Inode => {
      const known = seen.get(inode);
      if (known) return known;
      const left = new Inode(inode.entries ? 'folder' : 'file');
      seen.set(inode, left);
      let content = inode.durableContent;
      for (const write of inode.writes) if (random.below(2) === 0) content = applied(content, torn(write, random));
      left.content = left.durableContent = content;
      const entries = new Map(inode.durableEntries);
      const gone = new Set<string>();
      for (const { name, inode: named } of inode.names) {
        // What happened to one name happened in order.
        if (random.below(2) === 0) gone.add(name);
        if (!gone.has(name)) set(entries, name, named);
      }
      for (const [name, named] of entries) {
        left.name(name, survivor(named));
        left.settle(0, 1);
      }
      return left;
    };
    return new ModelDisk({ random, direct: this.#options.direct, forgets: 'nothing' }, survivor(this.#root));
  }

  #call<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#running.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** It covers what was there when it began; until it has ended nothing is sure. */
  #sync(inode: Inode, forgotten: boolean): Promise<void> {
    const [writes, names] = [inode.writes, inode.names].map(({ length }) => length) as [number, number];
    const before = { writes: inode.writes.slice(0, writes), names: inode.names.slice(0, names) };
    return this.#call(() => {
      // Another sync that ended in between has taken the first of them.
      if (!forgotten)
        inode.settle(before.writes.filter((each) => inode.writes.includes(each)).length, before.names.filter((each) => inode.names.includes(each)).length);
    });
  }

  /** May take less than all. */
  async #write(fd: number, bytes: Buffer, position: number, unit: number): Promise<number> {
    const { inode, flags } = this.#open.get(fd)!;
    const { random, forgets } = this.#options;
    const units = Math.ceil(bytes.length / unit);
    const count = Math.min(bytes.length, random.below(4) === 0 ? unit * (1 + random.below(units)) : bytes.length);
    await this.#call(() => inode.write({ position, bytes: Buffer.from(bytes.subarray(0, count)) }));
    if ((flags & syncedFlag) !== 0 && forgets !== 'synced writes') await this.#sync(inode, false);
    return count;
  }

  #openFile(path: string, flags: number): number {
    const creates = (flags & createFlags) === createFlags;
    if (creates && directFlag !== undefined && (flags & directFlag) !== 0 && !this.#options.direct) throw failure('EINVAL');
    if (creates) this.#name(path, new Inode('file'));
    const fd = this.#nextFd++;
    this.#open.set(fd, { inode: this.#at(path), flags });
    return fd;
  }

  #name(path: string, inode: Inode): void {
    const parent = this.#at(dirname(path));
    if (parent.entries!.has(basename(path))) throw failure('EEXIST');
    parent.name(basename(path), inode);
  }

  #makeFolders(path: string): string | undefined {
    let made: string | undefined;
    let at = this.#root;
    let here = '';
    for (const name of path.split('/').filter(Boolean)) {
      here += `/${name}`;
      if (!at.entries!.has(name)) {
        at.name(name, new Inode('folder'));
        made ??= here;
      }
      at = at.entries!.get(name)!;
    }
    return made;
  }

  #inode(fd: number): Inode {
    const open = this.#open.get(fd);
    if (!open) throw failure('EBADF');
    return open.inode;
  }

  #at(path: string): Inode {
    let at: Inode | undefined = this.#root;
    for (const name of path.split('/').filter(Boolean)) at = at?.entries?.get(name);
    if (!at) throw failure('ENOENT');
    return at;
  }
}

function applied(content: Buffer, { position, bytes }: Write): Buffer<ArrayBuffer> {
  if (typeof bytes === 'number') return Buffer.concat([content.subarray(0, bytes), Buffer.alloc(Math.max(0, bytes - content.length))]);
  const grown = Buffer.alloc(Math.max(content.length, position + bytes.length));
  content.copy(grown);
  bytes.copy(grown, position);
  return grown;
}

function torn(write: Write, random: Random): Write {
  if (typeof write.bytes === 'number' || random.below(2) === 0) return write;
  return { ...write, bytes: write.bytes.subarray(0, sectorBytes * random.below(1 + Math.ceil(write.bytes.length / sectorBytes))) };
}

function set(entries: Map<string, Inode>, name: string, inode: Inode | undefined): void {
  if (inode) entries.set(name, inode);
  else entries.delete(name);
}

function statsOf({ content, entries }: Inode): Stats {
  return { size: content.length, mtimeMs: 0, isDirectory: () => entries !== undefined, isFile: () => entries === undefined } as unknown as Stats;
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: of the model`), { code });
}

const stillClock: Clock = { wallMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => {} }), defer: (callback) => void setImmediate(callback) };
