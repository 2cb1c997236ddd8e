/** The fakes without faults keep the same contracts as the real stores; with faults they do what the fault says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metaStoreContract } from '../../io/meta/meta-store-contract.ts';
import { objectStoreContract } from '../../io/object/object-store-contract.ts';
import { objectBody } from '../../io/object/object-store.ts';
import { FakeMetaStore } from './fake-meta-store.ts';
import { FakeObjectStore } from './fake-object-store.ts';
import { noObjectStoreFaults } from './object-store-faults.ts';
import { runningScheduler } from './running-scheduler.ts';

function fakeObjects(seed: string) {
  const running = runningScheduler(seed);
  const violations: string[] = [];
  const objects = new FakeObjectStore({
    ...running,
    minLatencyMs: 1,
    maxLatencyMs: 20,
    deadlineMs: 10_000,
    listPageSize: 7,
    onViolation: (name) => violations.push(name),
  });
  return { running, objects, violations };
}

objectStoreContract('FakeObjectStore', async () => {
  const { running, objects } = fakeObjects('contract');
  return { store: objects.clientOf(running.process('p')), dispose: async () => running.stop() };
});

metaStoreContract('FakeMetaStore', async () => {
  const running = runningScheduler('contract');
  const meta = new FakeMetaStore({ ...running, minLatencyMs: 1, maxLatencyMs: 20, deadlineMs: 1_000 });
  return {
    store: meta.clientOf(running.process('a')),
    peer: meta.clientOf(running.process('b')),
    compact: async () => meta.compact(),
    expire: async (lease) => meta.revoke(lease.id),
    close: async () => running.stop(),
  };
});

test('a create whose answer is lost may be there, and a late one appears after a reader was told that it is missing', async () => {
  const { running, objects } = fakeObjects('late');
  const store = objects.clientOf(running.process('p'));
  objects.faults = { ...noObjectStoreFaults, answerLost: 1 };
  assert.equal((await store.create('lost', objectBody([Buffer.from('x')]))).kind, 'unknown');
  objects.faults = { ...noObjectStoreFaults, appliedLate: 1 };
  const keys = Array.from({ length: 30 }, (_, i) => `late-${i}`);
  for (const key of keys) assert.equal((await store.create(key, objectBody([Buffer.from('x')]))).kind, 'unknown');
  objects.faults = noObjectStoreFaults;
  assert.equal((await store.head('lost')).kind, 'found');
  let appeared = 0;
  for (const key of keys) {
    const before = await store.head(key);
    while ((await store.head(key)).kind !== 'found');
    if (before.kind === 'missing') appeared++;
  }
  assert.ok(appeared > 0, 'none was told missing first');
  running.stop();
});

test('an upload whose buffer changes under way is a violation, and what is stored is what was there when it was applied', async () => {
  const { running, objects, violations } = fakeObjects('recycled');
  const store = objects.clientOf(running.process('p'));
  const buffer = Buffer.from('before');
  const created = store.create('recycled', objectBody([buffer]));
  buffer.write('after!');
  await created;
  const read = await store.read('recycled');
  assert.equal(read.kind === 'found' && read.bytes.toString(), 'after!');
  assert.deepEqual(violations, ['recycled-upload']);
  running.stop();
});

test('nothing of a killed process goes on, and what it had sent may still arrive', async () => {
  const { running, objects } = fakeObjects('killed');
  const watcher = objects.clientOf(running.process('watcher'));
  let settled = 0;
  for (let i = 0; i < 40; i++) {
    const process = running.process(`p${i}`);
    void objects
      .clientOf(process)
      .create(`killed-${i}`, objectBody([Buffer.from('x')]))
      .then(() => settled++);
    process.kill();
  }
  while ((await watcher.list('killed-')).kind !== 'page' || running.scheduler.nowMs < 200_000) await watcher.head('none');
  assert.equal(settled, 0);
  assert.ok(objects.objects.size > 5 && objects.objects.size < 35, `${objects.objects.size} arrived`);
  running.stop();
});
