/**
 * One process at a time in a folder. Node has no flock, so the lock is a series of files `lock-<n>`: the holder is
 * whoever made the highest one. A lock is taken by making the next number atomically (link(2) fails when it
 * exists) when the holder of the highest is dead, and by seeing afterwards that no higher one is there; the
 * highest is never deleted, not even on a clean end, so that a slow starter cannot slip in beneath another.
 *
 * Dead is judged by pid and start time where the holder's pids are ours (same host, boot and pid namespace: a
 * pid comes back, its start time does not). Elsewhere (a container with the same volume) the holder's heartbeat,
 * the file's mtime, must stand still for a while.
 */
import { link, mkdir, readFile, readdir, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Clock, sleep, type Timer } from '../clock.ts';
import type { Random } from '../random.ts';

const namePattern = /^lock-(\d+)$/;
const heartbeatMs = 2_000;
const silentMs = 3 * heartbeatMs;
const pollMs = 200;

export class FolderLocked extends Error {
  override readonly name = 'FolderLocked';
}

export interface FolderLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly host: string;
  /** Boot and pid namespace: where the pid means something. */
  readonly place: string;
  readonly released?: boolean;
}

/** Rejects with `FolderLocked`, naming the holder, when another process (or this one) has the folder. */
export async function lockFolder(folder: string, { clock, random }: { readonly clock: Clock; readonly random: Random }): Promise<FolderLock> {
  await mkdir(folder, { recursive: true });
  const self = await describeSelf();
  const highest = (await lockNumbers(folder)).at(-1) ?? 0;
  if (highest > 0) await refuseIfHeld(folder, highest, self, clock);

  const own = join(folder, `lock-${highest + 1}`);
  const candidate = join(folder, `lock.${process.pid}.${random.bytes(6).toString('hex')}`);
  await writeFile(candidate, JSON.stringify(self));
  try {
    await link(candidate, own);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new FolderLocked(await refusal(folder, own));
    throw error;
  } finally {
    await rm(candidate, { force: true });
  }
  const numbers = await lockNumbers(folder);
  const newest = numbers.at(-1) ?? 0;
  if (newest > highest + 1) {
    await rm(own, { force: true });
    throw new FolderLocked(await refusal(folder, join(folder, `lock-${newest}`)));
  }
  for (const number of numbers) if (number <= highest) await rm(join(folder, `lock-${number}`), { force: true });
  return held(own, self, clock);
}

function held(path: string, self: Holder, clock: Clock): FolderLock {
  let timer: Timer | undefined;
  let beating: Promise<void> = Promise.resolve();
  let released: Promise<void> | undefined;
  const beat = () => {
    const now = clock.wallMs() / 1000;
    beating = utimes(path, now, now).catch(() => {});
    timer = clock.setTimer(heartbeatMs, beat);
  };
  timer = clock.setTimer(heartbeatMs, beat);
  return {
    release: () => {
      timer?.cancel();
      released ??= beating.then(() => writeFile(path, JSON.stringify({ ...self, released: true }))).catch(() => {});
      return released;
    },
  };
}

async function refuseIfHeld(folder: string, number: number, self: Holder, clock: Clock): Promise<void> {
  const path = join(folder, `lock-${number}`);
  const holder = await readHolder(path);
  if (!holder || holder.released) return;
  if (holder.host === self.host && holder.place === self.place) {
    if (await isAlive(holder)) throw new FolderLocked(await refusal(folder, path));
    return;
  }
  // Another boot of this host: whatever ran before it is gone.
  if (holder.host === self.host && bootOf(holder) !== bootOf(self)) return;
  const before = await modifiedMs(path);
  for (const endMs = clock.monotonicMs() + silentMs; clock.monotonicMs() < endMs; await sleep(clock, pollMs)) {
    if ((await modifiedMs(path)) !== before) throw new FolderLocked(await refusal(folder, path));
  }
}

async function refusal(folder: string, path: string): Promise<string> {
  const holder = await readHolder(path);
  const self = await describeSelf();
  const who = !holder
    ? 'another process'
    : holder.host !== self.host
      ? `process ${holder.pid} on ${holder.host}`
      : holder.pid === self.pid && holder.place === self.place
        ? `this process (${holder.pid}) already`
        : `process ${holder.pid}`;
  return `${who} uses the folder ${folder}. Stop it first, or give this one another folder.`;
}

async function lockNumbers(folder: string): Promise<number[]> {
  return (await readdir(folder))
    .flatMap((name) => namePattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Undefined when the file is gone or is none of ours: its maker replaced or never finished it. */
async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return undefined;
  }
}

async function modifiedMs(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? -1;
}

async function isAlive(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return (await startTimeOf(holder.pid)) === holder.startTime; // both are empty where there is no /proc
}

async function describeSelf(): Promise<Holder> {
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')).trim();
  const pids = await readlink('/proc/self/ns/pid').catch(() => '');
  return { pid: process.pid, startTime: await startTimeOf(process.pid), host: hostname(), place: `${boot} ${pids}` };
}

function bootOf(holder: Holder): string {
  return holder.place.split(' ')[0] ?? '';
}

/** Clock ticks since boot at which the process started; empty for one that is gone or only waits to be reaped. */
async function startTimeOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The second field, the program's name, may contain anything: fields are counted from its closing parenthesis.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}
