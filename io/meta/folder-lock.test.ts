import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { FolderLocked, lockFolder } from './folder-lock.ts';

const io = { clock: systemClock, random: systemRandom };
const folders: string[] = [];
const children: ChildProcess[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'automq-lock-'));
  folders.push(folder);
  return folder;
}

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const holderProgram = `
  const [{ lockFolder }, { systemClock }, { systemRandom }] = await Promise.all(['./folder-lock.js', '../system-clock.js', '../system-random.js'].map((name) => import(new URL(name, process.argv[1]))));
  try {
    await lockFolder(process.argv[2], { clock: systemClock, random: systemRandom });
    console.log('held');
  } catch (error) {
    console.log(error.name);
    process.exit();
  }
`;

/** Another process that tries to take the lock; resolves with what became of it. */
function holder(folder: string): Promise<{ readonly child: ChildProcess; readonly word: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', holderProgram, import.meta.url, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve) => child.stdout.once('data', (data: Buffer) => resolve({ child, word: data.toString().trim() })));
}

async function killed(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

const locks = async (folder: string) => (await readdir(folder)).filter((name) => name.startsWith('lock-'));

test('a lock held by a living process is refused with its pid, taken over when it was killed', async () => {
  const folder = await newFolder();
  const { child, word } = await holder(folder);
  assert.equal(word, 'held');
  await assert.rejects(
    lockFolder(folder, io),
    (error: unknown) => error instanceof FolderLocked && error.message.includes(`process ${child.pid} `) && error.message.includes(folder),
  );
  await killed(child);
  const lock = await lockFolder(folder, io);
  assert.equal((await locks(folder)).length, 1);
  assert.equal((await holder(folder)).word, 'FolderLocked');
  await lock.release();
});

test('this process itself is refused, too, until it released', async () => {
  const folder = await newFolder();
  const lock = await lockFolder(folder, io);
  await assert.rejects(lockFolder(folder, io), /this process .* already/);
  await lock.release();
  await lock.release();
  await (await lockFolder(folder, io)).release();
});

test('of many processes that find a dead holder, one takes over', async () => {
  const folder = await newFolder();
  for (let round = 0; round < 3; round++) {
    const words = (await Promise.all(Array.from({ length: 6 }, () => holder(folder)))).map(({ child, word }) => ({ child, word }));
    const winners = words.filter(({ word }) => word === 'held');
    assert.equal(winners.length, 1, words.map(({ word }) => word).join(' '));
    await killed((winners[0] as { child: ChildProcess }).child);
  }
});

test('a pid that came back as another process does not hold the lock', async () => {
  const folder = await newFolder();
  await (await lockFolder(folder, io)).release();
  const [name] = await locks(folder);
  const path = join(folder, name as string);
  const holderOnDisk = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...holderOnDisk, released: false, startTime: '1' }));
  await (await lockFolder(folder, io)).release();
});

test('a holder of another host is judged by its heartbeat: beating is refused, silent is taken over', async () => {
  const folder = await newFolder();
  const path = join(folder, 'lock-1');
  await writeFile(path, JSON.stringify({ pid: 1, startTime: '1', host: 'elsewhere.example', place: 'boot pids' }));
  let heartbeats = 10;
  let nowMs = 0;
  // Time flies: every poll is at once, and the other side beats between two of them while it lives.
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    setTimer: (delayMs: number, run: () => void) => {
      nowMs += delayMs;
      const beat = heartbeats-- > 0 ? utimes(path, 1_000 + heartbeats, 1_000 + heartbeats) : Promise.resolve();
      void beat.then(run);
      return { cancel: () => {} };
    },
  };
  await assert.rejects(lockFolder(folder, { ...io, clock }), /process 1 on elsewhere\.example uses the folder/);
  heartbeats = 0;
  // The lock that is held now would beat without end on this clock.
  const silentClock = {
    ...clock,
    setTimer: (delayMs: number, callback: () => void) => (delayMs < 1_000 ? clock.setTimer(delayMs, callback) : { cancel: () => {} }),
  };
  await (await lockFolder(folder, { ...io, clock: silentClock })).release();
  assert.deepEqual(await locks(folder), ['lock-2']);
});
