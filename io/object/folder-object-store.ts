/**
 * Objects as files in a folder of this machine, for one broker or some on one disk (design §1). A key is the file's path below the root.
 *
 * Create: the bytes go into a temporary file, then fdatasync, then link(2), which fails when the name exists, so of two writers one
 * wins, in whatever process; then fsync of the folder. `exists` waits for that fsync, too: whoever finds his own object there treats it as
 * durable. Folders that become empty stay: removing one could take away a name that another process believes durable.
 */
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { CallEnd } from './call-end.ts';
import { DirectBuffers } from './folder/direct-buffers.ts';
import { DurableFolders } from './folder/durable-folders.ts';
import { createFile, writeFileBody } from './folder/file-body.ts';
import { errorCode, type FileCalls, readFlags, realFileCalls } from './folder/file-calls.ts';
import { failureOf } from './folder/file-failures.ts';
import { walkKeys } from './folder/key-walk.ts';
import { type CallProgress, RunningCall } from './folder/running-call.ts';
import { TemporaryFiles } from './folder/temporary-files.ts';
import { checkKey, checkKeyPrefix, checkRange } from './object-key.ts';
import type {
  ByteRange,
  CallOptions,
  CreateOutcome,
  DeleteOutcome,
  HeadOutcome,
  ListedObject,
  ListOutcome,
  ObjectBody,
  ObjectStore,
  ReadOutcome,
  Refused,
  Unknown,
} from './object-store.ts';
import { Slots } from './slots.ts';

export interface FolderObjectStoreOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Calls at a time; Node's thread pool runs four system calls at once. */
  readonly maxInFlight?: number;
  readonly maxWaiting?: number;
  readonly deadlineMs?: number;
  readonly pageSize?: number;
  /** Buffers of 1 MiB for writing past the page cache; 0 writes through it. */
  readonly directBuffers?: number;
  readonly files?: FileCalls;
}

const deletesAtATime = 8;
const defaults = { maxInFlight: 16, maxWaiting: 4096, deadlineMs: 30_000, pageSize: 1000, directBuffers: 4, files: realFileCalls };
const directPieceBytes = 1024 * 1024;

export class FolderObjectStore implements ObjectStore {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #files: FileCalls;
  readonly #deadlineMs: number;
  readonly #pageSize: number;
  readonly #slots: Slots;
  readonly #folders: DurableFolders;
  readonly #temporary: TemporaryFiles;
  readonly #direct: DirectBuffers | undefined;
  readonly #working = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  /** Makes the folder when it is not there. Rejects with the system's error when it cannot be used. */
  static async open(given: FolderObjectStoreOptions): Promise<FolderObjectStore> {
    const options = { ...defaults, ...given, folder: resolve(given.folder) };
    const { files, folder } = options;
    const temporary = new TemporaryFiles(folder, options.random);
    const made = await files.mkdir(temporary.folder);
    const folders = new DurableFolders(files, made ? dirname(made) : folder);
    await folders.ensure(temporary.folder);
    await folders.close();
    await temporary.removeAbandoned(files, options.clock);
    const direct = await DirectBuffers.probe(files, temporary.next(), { pieces: options.directBuffers, pieceSizeBytes: directPieceBytes });
    return new FolderObjectStore(options, temporary, direct);
  }

  private constructor(options: Required<FolderObjectStoreOptions>, temporary: TemporaryFiles, direct: DirectBuffers | undefined) {
    this.#root = options.folder;
    this.#clock = options.clock;
    this.#files = options.files;
    this.#deadlineMs = options.deadlineMs;
    this.#pageSize = options.pageSize;
    this.#slots = new Slots(options);
    this.#folders = new DurableFolders(options.files, options.folder);
    this.#temporary = temporary;
    this.#direct = direct;
  }

  /** Whether big objects are written past the page cache. */
  get writesDirectly(): boolean {
    return this.#direct !== undefined;
  }

  create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    checkKey(key);
    return this.#run<CreateOutcome>(options, false, (call) => this.#create(key, body, call));
  }

  read(key: string, range?: ByteRange, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    if (range) checkRange(range);
    const choose = (size: number) => ({ start: Math.min(range?.start ?? 0, size), end: Math.min(range?.end ?? size, size) });
    return this.#run<ReadOutcome>(options, options?.into !== undefined, async (call) => call.answer(await this.#read(key, choose, options?.into)));
  }

  readTail(key: string, length: number, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    checkRange({ start: 0, end: length });
    const choose = (size: number) => ({ start: Math.max(0, size - length), end: size });
    return this.#run<ReadOutcome>(options, options?.into !== undefined, async (call) => call.answer(await this.#read(key, choose, options?.into)));
  }

  head(key: string, options?: CallOptions): Promise<HeadOutcome> {
    checkKey(key);
    return this.#run<HeadOutcome>(options, false, async (call) => call.answer(await this.#head(key)));
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteOutcome> {
    for (const key of keys) checkKey(key);
    return this.#run<DeleteOutcome>(options, false, async (call) => call.answer(await this.#delete(keys, call)));
  }

  list(prefix: string, after = '', options?: CallOptions): Promise<ListOutcome> {
    checkKeyPrefix(prefix);
    return this.#run<ListOutcome>(options, false, async (call) => call.answer(await this.#list(prefix, after, call)));
  }

  /** Waits for the work that calls have left behind. */
  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#working).then(() => this.#folders.close());
    return this.#closed;
  }

  async #run<Outcome>(
    options: CallOptions | undefined,
    holdsBuffers: boolean,
    work: (call: RunningCall<Outcome>) => Promise<void>,
  ): Promise<Outcome | Unknown | Refused> {
    if (this.#closed) return { kind: 'refused', cause: 'the store is closed' };
    const end = CallEnd.of(this.#clock, options, this.#deadlineMs);
    const noSlot = await this.#slots.take(end);
    if (noSlot !== undefined) {
      end.release();
      return { kind: 'unknown', cause: noSlot };
    }
    const call = new RunningCall<Outcome | Unknown | Refused>(end, { holdsBuffers });
    const working = this.#work(call, () => work(call as RunningCall<Outcome>));
    this.#working.add(working);
    void working.finally(() => this.#working.delete(working));
    try {
      return await call.outcome;
    } finally {
      end.release();
    }
  }

  /** The slot belongs to the work until it has really ended. */
  async #work<Outcome>(call: RunningCall<Outcome | Unknown | Refused>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      try {
        call.answer(failureOf(error));
      } catch (bug) {
        call.fail(bug);
      }
    } finally {
      this.#slots.free();
    }
  }

  async #create(key: string, body: ObjectBody, call: RunningCall<CreateOutcome>): Promise<void> {
    const path = join(this.#root, key);
    const temporary = this.#temporary.next();
    await this.#folders.ensure(dirname(path));
    const file = await createFile(this.#files, temporary, body, this.#direct);
    try {
      await writeFileBody(this.#files, file, body, call);
      if (call.ended) return;
      const outcome = await this.#link(temporary, path);
      call.answer(await this.#durable(dirname(path), outcome));
    } finally {
      call.releaseBuffers();
      await this.#files.close(file.fd).catch(() => {});
      await this.#files.unlink(temporary).catch(() => {});
    }
  }

  async #link(temporary: string, path: string): Promise<CreateOutcome> {
    try {
      await this.#files.link(temporary, path);
      return { kind: 'created' };
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return { kind: 'exists' };
      // Somebody removed the folder or the temporary file: the next attempt makes both again.
      if (errorCode(error) === 'ENOENT') this.#folders.forget();
      throw error;
    }
  }

  /** From here on the name is there: no failure may say that it is not. */
  async #durable(folder: string, outcome: CreateOutcome): Promise<CreateOutcome> {
    try {
      await this.#folders.sync(folder);
      return outcome;
    } catch (error) {
      return { kind: 'unknown', cause: failureOf(error).cause };
    }
  }

  async #read(key: string, choose: (sizeBytes: number) => ByteRange, into: Buffer | undefined): Promise<ReadOutcome> {
    let fd: number;
    try {
      fd = await this.#files.open(join(this.#root, key), readFlags);
    } catch (error) {
      if (isMissing(error)) return this.#missing();
      throw error;
    }
    try {
      const found = await this.#files.fstat(fd);
      if (!found.isFile()) return { kind: 'missing' };
      const { start, end } = choose(found.size);
      const length = end - start;
      const bytes = into && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
      for (let at = 0; at < length; ) {
        const count = await this.#files.read(fd, bytes, at, length - at, start + at);
        if (count === 0) return { kind: 'unknown', cause: `the file ends ${length - at} bytes early` };
        at += count;
      }
      return { kind: 'found', bytes, sizeBytes: found.size };
    } finally {
      await this.#files.close(fd);
    }
  }

  async #head(key: string): Promise<HeadOutcome> {
    try {
      const found = await this.#files.stat(join(this.#root, key));
      return found.isFile() ? { kind: 'found', sizeBytes: found.size } : { kind: 'missing' };
    } catch (error) {
      if (isMissing(error)) return this.#missing();
      throw error;
    }
  }

  /** A folder that was removed or unmounted holds no object, but that is not the same as an object that is missing. */
  async #missing(): Promise<{ readonly kind: 'missing' } | Refused> {
    try {
      await this.#files.stat(this.#temporary.folder);
      return { kind: 'missing' };
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      return { kind: 'refused', cause: `the folder ${this.#root} is no longer there: was it removed or unmounted?` };
    }
  }

  async #delete(keys: readonly string[], call: CallProgress): Promise<DeleteOutcome> {
    const left: string[] = [];
    const touched = new Set<string>();
    let failure: Unknown | Refused | undefined;
    let next = 0;
    const deleteSome = async () => {
      while (next < keys.length) {
        const key = keys[next++]!;
        try {
          if (call.ended) throw Object.assign(new Error('no time left'), { code: 'ETIMEDOUT' });
          const path = join(this.#root, key);
          await this.#files.unlink(path);
          touched.add(dirname(path));
        } catch (error) {
          if (isMissing(error)) continue;
          failure ??= failureOf(error);
          left.push(key);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(deletesAtATime, keys.length) }, deleteSome));
    for (const folder of touched) await this.#folders.sync(folder);
    if (!failure) return { kind: 'deleted' };
    return left.length === keys.length ? failure : { kind: 'partial', left };
  }

  async #list(prefix: string, after: string, call: CallProgress): Promise<ListOutcome> {
    const objects: ListedObject[] = [];
    for await (const key of walkKeys(this.#files, { root: this.#root, prefix, after })) {
      if (objects.length === this.#pageSize) return { kind: 'page', objects, more: true };
      if (call.ended) return { kind: 'unknown', cause: 'no time left' };
      const found = await this.#files.stat(join(this.#root, key)).catch(() => undefined);
      if (found) objects.push({ key, sizeBytes: found.size });
    }
    return { kind: 'page', objects, more: false };
  }
}

function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
}
