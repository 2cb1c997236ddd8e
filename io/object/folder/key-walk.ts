/**
 * Keys of a folder in key order, without reading folders that cannot hold any wanted key. A folder sorts as its name and a slash, which is
 * how its keys begin: `a-b` < `a/b` < `a0`.
 */
import { join } from 'node:path';
import { errorCode, type FileCalls } from './file-calls.ts';

export interface KeyWalk {
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
}

export async function* walkKeys(files: FileCalls, walk: KeyWalk, folder = ''): AsyncGenerator<string> {
  for (const name of await sortedNames(files, join(walk.root, folder))) {
    const path = folder + name;
    if (name.endsWith('/')) {
      const mayHold = path.startsWith(walk.prefix) || walk.prefix.startsWith(path);
      // Everything inside begins with `path`, so when `after` is behind all of that, nothing is wanted.
      if (mayHold && (path > walk.after || walk.after.startsWith(path))) yield* walkKeys(files, walk, path);
    } else if (path.startsWith(walk.prefix) && path > walk.after) yield path;
  }
}

async function sortedNames(files: FileCalls, folder: string): Promise<string[]> {
  try {
    const entries = await files.readdir(folder);
    return entries.flatMap((entry) => (entry.name.startsWith('.') ? [] : entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
