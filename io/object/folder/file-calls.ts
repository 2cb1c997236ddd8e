/** The file system as the folder store uses it. Tests hand in one that fails, or that records the order of the calls. */
import {
  type Dirent,
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  link,
  mkdir,
  open,
  readdir,
  read,
  stat,
  type Stats,
  unlink,
  write,
  writev,
} from 'node:fs';
import { promisify } from 'node:util';

export interface FileCalls {
  open(path: string, flags: number): Promise<number>;
  close(fd: number): Promise<void>;
  fstat(fd: number): Promise<Stats>;
  /** All of them end to end; answers how many bytes were written. */
  writev(fd: number, chunks: readonly Uint8Array[], position: number): Promise<number>;
  write(fd: number, bytes: Uint8Array, length: number, position: number): Promise<number>;
  read(fd: number, into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  ftruncate(fd: number, length: number): Promise<void>;
  fdatasync(fd: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** With its parents; answers the topmost folder that was made. */
  mkdir(path: string): Promise<string | undefined>;
  readdir(path: string): Promise<Dirent[]>;
  stat(path: string): Promise<Stats>;
}

const makeFolders = promisify(mkdir);
const listFolder = promisify(readdir);

export const realFileCalls: FileCalls = {
  open: promisify(open) as (path: string, flags: number) => Promise<number>,
  close: promisify(close),
  fstat: promisify(fstat),
  // The plain callbacks answer a count; the promisified ones an object per call.
  writev: (fd, chunks, position) => counted((done) => writev(fd, chunks as Uint8Array[], position, done)),
  write: (fd, bytes, length, position) => counted((done) => write(fd, bytes, 0, length, position, done)),
  read: (fd, into, at, length, position) => counted((done) => read(fd, into, at, length, position, done)),
  ftruncate: promisify(ftruncate),
  fdatasync: promisify(fdatasync),
  fsync: promisify(fsync),
  link: promisify(link),
  unlink: promisify(unlink),
  mkdir: (path) => makeFolders(path, { recursive: true }),
  readdir: (path) => listFolder(path, { withFileTypes: true }),
  stat: promisify(stat),
};

export const readFlags = constants.O_RDONLY;
export const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
/** Each write is durable when it returns. */
export const syncedFlag = constants.O_DSYNC;
/** Undefined where the system has none (macOS). */
export const directFlag: number | undefined = constants.O_DIRECT;

function counted(call: (done: (error: Error | null, count: number) => void) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    call((error, count) => (error ? reject(error) : resolve(count)));
  });
}

export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
