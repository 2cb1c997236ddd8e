/**
 * Where an object is written before it gets its name: `.tmp/` in the store's folder. A process that was killed leaves files there; the next
 * start removes those whose process is gone, and old ones. A mistake in that is harmless: a file taken away from a living
 * process makes its link(2) fail, so nothing is created and the same bytes are sent again (F68).
 */
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../clock.ts';
import type { Random } from '../../random.ts';
import { errorCode, type FileCalls } from './file-calls.ts';

/** No living process keeps a temporary file for so long. */
const abandonedAfterMs = 600_000;

export class TemporaryFiles {
  readonly folder: string;
  readonly #owner: Owner;
  readonly #token: string;
  #count = 0;

  constructor(root: string, random: Random) {
    this.folder = join(root, '.tmp');
    this.#owner = thisProcess();
    this.#token = `${this.#owner.place}.${this.#owner.pid}.${random.bytes(6).toString('hex')}`;
  }

  /** A path that nobody else uses. */
  next(): string {
    return join(this.folder, `${this.#token}.${this.#count++}`);
  }

  async removeAbandoned(files: FileCalls, clock: Clock): Promise<void> {
    for (const entry of await files.readdir(this.folder)) {
      const path = join(this.folder, entry.name);
      try {
        if (this.#isDead(entry.name) || clock.wallMs() - (await files.stat(path)).mtimeMs > abandonedAfterMs) await files.unlink(path);
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
      }
    }
  }

  /** Only a process of the same host and pid namespace can be judged by its pid. */
  #isDead(name: string): boolean {
    const [host, namespace, pid] = name.split('.');
    if (`${host}.${namespace}` !== this.#owner.place || Number(pid) === this.#owner.pid) return false;
    try {
      process.kill(Number(pid), 0);
      return false;
    } catch (error) {
      return errorCode(error) === 'ESRCH';
    }
  }
}

interface Owner {
  readonly place: string;
  readonly pid: number;
}

function thisProcess(): Owner {
  let namespace = '0';
  try {
    namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    // Only Linux has pid namespaces.
  }
  return { place: `${hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')}.${namespace}`, pid: process.pid };
}
