import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { openEmbeddedMetaStore } from './embedded-meta-store.ts';
import { MetaRefused } from './meta-store.ts';

/** Writes without end, eight at a time, each over its own key, and prints what was acknowledged. */
const writerProgram = `
  const [{ openEmbeddedMetaStore }, { systemClock }, { systemRandom }] = await Promise.all(['./embedded-meta-store.js', '../system-clock.js', '../system-random.js'].map((name) => import(new URL(name, process.argv[1]))));
  const store = await openEmbeddedMetaStore({ clock: systemClock, random: systemRandom, folder: process.argv[2], rewriteBytes: 20_000 });
  const lease = await store.lease(60_000);
  await store.txn({ compare: [], then: [{ kind: 'put', key: 'alive', value: '', lease }] });
  for (let w = 0; w < 8; w++) void (async () => {
    for (let n = Number((await store.get('w' + w))?.value ?? 0) + 1; ; n++) {
      await store.txn({ compare: [], then: [{ kind: 'put', key: 'w' + w, value: String(n) }, { kind: 'put', key: 'pad' + w + '/' + (n % 5), value: 'x'.repeat(n % 300) }] });
      process.stdout.write(w + ' ' + n + '\\n');
    }
  })();
`;

test('what a process acknowledged before kill -9 is there after it, ten times in a row', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'automq-crash-'));
  const acknowledged = new Map<string, number>();
  for (let round = 1; round <= 10; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', writerProgram, import.meta.url, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    const enough = new Promise<void>((resolve) => {
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString();
        if (text.length > 200 * round) resolve();
      });
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    await enough;
    await assert.rejects(
      openEmbeddedMetaStore({ clock: systemClock, random: systemRandom, folder }),
      (error: unknown) => error instanceof MetaRefused && error.message.includes(`process ${child.pid} `),
    );
    child.kill('SIGKILL');
    await closed;
    for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
      const [writer, n] = line.split(' ');
      acknowledged.set(`w${writer}`, Number(n));
    }
    const store = await openEmbeddedMetaStore({ clock: systemClock, random: systemRandom, folder });
    for (const [key, n] of acknowledged) {
      const found = Number((await store.get(key))?.value);
      assert.ok(found === n || found === n + 1, `${key}: ${n} was acknowledged, ${found} is there`);
      acknowledged.set(key, found);
    }
    assert.equal(await store.get('alive'), undefined);
    await store.close();
  }
  await rm(folder, { recursive: true });
});
