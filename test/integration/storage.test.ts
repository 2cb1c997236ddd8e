/** `automq storage` and `automq broker --check-config` as programs. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Partitioners } from 'kafkajs';
import { fsck, startBroker } from '../lab/broker.ts';
import { runCommand } from '../lab/run-command.ts';
import { kafkajs } from './read-topic.ts';

const program = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));
const automq = (...args: string[]) => runCommand(process.execPath, [program, ...args]);
const timeout = 60_000;
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'automq-storage-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('a folder is fit, and the check leaves no object behind', { timeout }, async () => {
  const store = join(folder, 'fit');
  const { code, stdout, stderr } = await automq('storage', 'check', store);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /fit/);
  const files = readdirSync(store, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.deepEqual(files, []);
});

test('what is no store is refused in words', { timeout }, async () => {
  const { code, stderr } = await automq('storage', 'check', 'gopher://here');
  assert.equal(code, 1);
  assert.match(stderr, /unknown kind of object store "gopher:"/);
  assert.doesNotMatch(stderr, /at .*\.js:\d+/);
});

test('fsck knows every object of a broker that wrote, and names one that was taken away', { timeout }, async () => {
  const home = join(folder, 'checked');
  const broker = await startBroker({ folder: home });
  const producer = kafkajs(broker.bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  for (let i = 0; i < 5; i++) await producer.send({ topic: 'checked', messages: [{ value: `value ${i}` }] });
  await producer.disconnect();
  const whileRunning = await fsck({ folder: home });
  assert.equal(whileRunning.code, 1);
  assert.match(whileRunning.stderr, /process \d+ uses the folder/);
  assert.equal((await broker.program.stop()).code, 0, broker.program.logTail());
  const clean = await fsck({ folder: home });
  assert.equal(clean.code, 0, clean.stdout + clean.stderr);
  assert.match(clean.stdout, /live: \d+ objects/);

  const objects = join(home, 'data', 'objects');
  const all = await automq('storage', 'fsck', '--objects', `--data.folder=${join(home, 'data')}`);
  const live = /^live\s+\d+ (\S+)/m.exec(all.stdout)?.[1];
  assert.ok(live, all.stdout);
  const inspected = await automq('storage', 'inspect', live, objects);
  assert.equal(inspected.code, 0, inspected.stderr);
  assert.match(inspected.stdout, /checkpoint|group|state/);
  rmSync(join(objects, live));
  assert.equal((await automq('storage', 'inspect', live, objects)).code, 1);
  const damaged = await fsck({ folder: home });
  assert.equal(damaged.code, 1, damaged.stdout);
  assert.ok(damaged.stdout.includes(live), damaged.stdout);
});

test('a configuration is checked without starting anything', { timeout }, async () => {
  const file = join(folder, 'server.properties');
  writeFileSync(file, 'node.id=7\nnum.network.threads=3\nlog.retention.hours=soon\nnum.partition=2\n');
  const wrong = await automq('broker', '--config', file, '--check-config');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /log\.retention\.hours = "soon" \(line 3 of the file\)/);
  assert.match(wrong.stderr, /did you mean num\.partitions/);
  writeFileSync(file, 'node.id=7\nnum.network.threads=3\n');
  const right = await automq('broker', '--check-config', `--config=${file}`);
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stderr, /num\.network\.threads .* has no effect/);
});

test('settings that need more memory than there is are refused with the sum', { timeout }, async () => {
  const { code, stderr } = await automq('broker', '--check-config', '--log.cache.bytes=900000000000000');
  assert.equal(code, 2);
  assert.match(stderr, /not enough memory: .* add up to \d+ MiB/);
});
