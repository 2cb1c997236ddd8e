/** What a failed system call means for an object store call: whether it is worth trying again soon. */
import type { Refused, Unknown } from '../object-store.ts';
import { errorCode } from './file-calls.ts';

/** These stay until somebody acts: frees space, mounts writable, grants permission. */
const lasting = new Map([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EXDEV', 'the folder spans file systems: an object cannot get its name atomically'],
  ['ENOTDIR', 'an object has the name of a folder that is needed'],
  ['ENAMETOOLONG', 'the name is too long for the file system'],
  ['EFBIG', 'the object is too big for the file system'],
  ['ENOTSUP', 'the file system lacks what is needed (hard links)'],
]);

export function failureOf(error: unknown): Unknown | Refused {
  const code = errorCode(error);
  if (code === undefined) throw error;
  const text = lasting.get(code);
  const message = (error as Error).message;
  return text ? { kind: 'refused', cause: `${text} (${message})` } : { kind: 'unknown', cause: message };
}
