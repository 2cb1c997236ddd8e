/** Several processes on one folder need no lock: link(2) lets one of them win each key (F68). */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const racer = fileURLToPath(new URL('./folder-racer.js', import.meta.url));

test('of processes that race for keys in one folder exactly one wins each, and leaves no temporary file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'automq-racers-'));
  const count = 150;
  const names = ['a', 'b', 'c'];
  const outputs = await Promise.all(names.map((name) => promisify(execFile)(process.execPath, [racer, folder, name, String(count)])));
  const owners = new Map<number, string>();
  outputs.forEach(({ stdout }, index) => {
    for (const key of JSON.parse(stdout) as number[]) {
      assert.equal(owners.get(key), undefined, `key ${key} was won twice`);
      owners.set(key, names[index]!);
    }
  });
  assert.equal(owners.size, count);
  for (const [key, owner] of owners) assert.equal(await readFile(join(folder, 'race', String(key)), 'utf8'), owner);
  assert.deepEqual(await readdir(join(folder, '.tmp')), []);
  await rm(folder, { recursive: true });
});
