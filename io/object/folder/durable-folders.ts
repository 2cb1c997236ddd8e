/**
 * Makes folder entries durable: a new name counts only when fsync of the folder that holds it has answered, and a new folder only
 * when its own name counts. Creates that end at the same time share one fsync.
 */
import { dirname } from 'node:path';
import { type FileCalls, readFlags } from './file-calls.ts';

/** Open folders and known ones; an incarnation writes to few. */
const maxOpen = 16;
const maxKnown = 4096;

interface OpenFolder {
  readonly fd: Promise<number>;
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
  users: number;
}

export class DurableFolders {
  readonly #files: FileCalls;
  readonly #root: string;
  readonly #open = new Map<string, OpenFolder>();
  readonly #known = new Map<string, Promise<void>>();

  constructor(files: FileCalls, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** The folder exists, and so do the names of all folders above it, after a power cut, too. */
  ensure(folder: string): Promise<void> {
    const known = this.#known.get(folder);
    if (known) return known;
    const made = this.#make(folder);
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.set(folder, made);
    made.catch(() => this.#known.delete(folder));
    return made;
  }

  /** What was known is doubtful: somebody removed a folder under us. */
  forget(): void {
    this.#known.clear();
    for (const [folder, open] of this.#open) this.#drop(folder, open);
  }

  /** Resolves when every name that was in the folder at the time of the call is durable. */
  async sync(folder: string): Promise<void> {
    const open = this.#openFolder(folder);
    open.users++;
    try {
      await this.#joinSync(open);
    } catch (error) {
      this.#open.delete(folder);
      throw error;
    } finally {
      open.users--;
      if (open.users === 0 && this.#open.get(folder) !== open) this.#closeQuietly(open);
    }
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(async (open) => this.#files.close(await open.fd).catch(() => {})));
  }

  /** A running fsync may have begun before our name was there: only one that begins later counts. */
  #joinSync(open: OpenFolder): Promise<void> {
    if (!open.running) return this.#startSync(open);
    open.next ??= open.running.catch(() => {}).then(() => this.#startSync(open));
    return open.next;
  }

  #startSync(open: OpenFolder): Promise<void> {
    open.next = undefined;
    const run = open.fd
      .then((fd) => this.#files.fsync(fd))
      .finally(() => {
        if (open.running === run) open.running = undefined;
      });
    open.running = run;
    return run;
  }

  async #make(folder: string): Promise<void> {
    await this.#files.mkdir(folder);
    // Who made them before us may have died before its fsync, so all names up to the root count as new once.
    for (let path = folder; path !== this.#root && path.length > this.#root.length; path = dirname(path)) await this.sync(dirname(path));
  }

  #openFolder(folder: string): OpenFolder {
    const found = this.#open.get(folder);
    if (found) {
      this.#open.delete(folder);
      this.#open.set(folder, found);
      return found;
    }
    for (const [path, open] of this.#open) {
      if (this.#open.size < maxOpen) break;
      this.#drop(path, open);
    }
    const open: OpenFolder = { fd: this.#files.open(folder, readFlags), running: undefined, next: undefined, users: 0 };
    this.#open.set(folder, open);
    return open;
  }

  /** Nobody finds it any more; whoever uses it last closes it. */
  #drop(folder: string, open: OpenFolder): void {
    this.#open.delete(folder);
    if (open.users === 0) this.#closeQuietly(open);
  }

  #closeQuietly(open: OpenFolder): void {
    open.fd.then((fd) => this.#files.close(fd)).catch(() => {});
  }
}
