/** Brokers that start and are killed while others write into the same folder: cleaning up after the dead takes nothing from the living. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '../../system-clock.ts';
import { systemRandom } from '../../system-random.ts';
import { FolderObjectStore } from '../folder-object-store.ts';

const racer = fileURLToPath(new URL('../../../test/stores/folder-racer.js', import.meta.url));
const count = 400;

test('of two processes one wins each key, whatever processes start and are killed beside them', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'automq-many-'));
  const open = () => FolderObjectStore.open({ folder, clock: systemClock, random: systemRandom });
  await (await open()).close();
  // A racer throws when a call of it is unknown, as one would be whose temporary file was taken away.
  const racing = ['a', 'b'].map(async (name) => ({ name, won: await promisify(execFile)(process.execPath, [racer, folder, name, String(count)]) }));
  let isRacing = true;
  const outcome = Promise.all(racing).finally(() => (isRacing = false));
  const killing = (async () => {
    while (isRacing) await killInTheMiddle(folder);
  })();
  const owners = new Map<number, string>();
  for (const { name, won } of await outcome) {
    for (const key of JSON.parse(won.stdout) as number[]) {
      assert.equal(owners.get(key), undefined, `key ${key} was won twice`);
      owners.set(key, name);
    }
  }
  await killing;
  for (let key = 0; key < count; key++) assert.equal(await readFile(join(folder, 'race', String(key)), 'utf8'), owners.get(key) ?? 'killed');
  await (await open()).close();
  assert.deepEqual(await readdir(join(folder, '.tmp')), []);
  await rm(folder, { recursive: true });
});

/** A process that has begun to write. */
async function killInTheMiddle(folder: string): Promise<void> {
  const child = spawn(process.execPath, [racer, folder, 'killed', String(count)], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const ownFiles = async () => (await readdir(join(folder, '.tmp'))).some((name) => name.split('.').includes(String(child.pid)));
  while (child.exitCode === null && !(await ownFiles()));
  child.kill('SIGKILL');
  await ended;
}
