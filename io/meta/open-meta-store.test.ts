import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { silentLogger } from '../logger.ts';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { etcdVersionWarning } from './etcd-version.ts';
import { openMetaStore, parseMetaStoreUrl } from './open-meta-store.ts';

const io = { clock: systemClock, random: systemRandom, logger: silentLogger };

test('a setting names the store', () => {
  assert.deepEqual(parseMetaStoreUrl('etcd://a:1,b:2'), { kind: 'etcd', endpoints: ['http://a:1', 'http://b:2'] });
  assert.deepEqual(parseMetaStoreUrl('etcds://a:1/'), { kind: 'etcd', endpoints: ['https://a:1'] });
  assert.deepEqual(parseMetaStoreUrl('tcp://127.0.0.1:5'), { kind: 'served', host: '127.0.0.1', port: 5, identity: undefined });
  assert.deepEqual(parseMetaStoreUrl('tcp://[::1]:5/a-b'), { kind: 'served', host: '::1', port: 5, identity: 'a-b' });
  assert.deepEqual(parseMetaStoreUrl('file:///var/lib/a%20b'), { kind: 'folder', folder: '/var/lib/a b' });
  assert.deepEqual(parseMetaStoreUrl('memory:'), { kind: 'memory' });
});

for (const url of [
  '',
  'zookeeper://a:1',
  '/folder',
  'file:folder',
  'etcd://',
  'http://root:hunter2@a:1',
  'etcd://root:hunter2@a:1',
  'etcd://a',
  'tcp://a',
  'tcp://root:hunter2@a:1',
]) {
  test(`"${url}" is refused with what is allowed and without a password`, async () => {
    await assert.rejects(
      openMetaStore({ url }, io),
      (error: unknown) => error instanceof Error && /expected/.test(error.message) && !error.message.includes('hunter2'),
    );
  });
}

test('a folder keeps, memory forgets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'automq-open-'));
  for (const [url, kept] of [
    [pathToFileURL(folder).href, true],
    ['memory:', false],
  ] as const) {
    const store = await openMetaStore({ url }, io);
    await store.txn({ compare: [], then: [{ kind: 'put', key: 'k', value: 'v' }] });
    await store.close();
    const again = await openMetaStore({ url }, io);
    assert.equal((await again.get('k')) !== undefined, kept);
    await again.close();
  }
  await rm(folder, { recursive: true });
});

test('an etcd that is not there does not keep the store from opening', async () => {
  const store = await openMetaStore({ url: 'etcd://127.0.0.1:1', callDeadlineMs: 200 }, io);
  await assert.rejects(store.get('k'), { name: 'MetaUnavailable' });
  await assert.rejects(store.txn({ compare: [], then: [] }), { name: 'MetaUnknown' });
  await store.close();
});

test('a server that is not there does not keep the store from opening, and nothing was sent to it', async () => {
  const store = await openMetaStore({ url: 'tcp://127.0.0.1:1', callDeadlineMs: 200 }, io);
  await assert.rejects(store.get('k'), { name: 'MetaUnavailable' });
  await assert.rejects(store.txn({ compare: [], then: [] }), { name: 'MetaUnavailable' });
  await store.close();
});

test('old versions of etcd are warned about', () => {
  for (const version of ['3.4.23', '3.5.27', '3.6.8', '3.6.0-rc.1', '']) assert.match(etcdVersionWarning(version) ?? '', /stale reads/, version);
  for (const version of ['3.5.28', '3.6.9', '3.6.16', '3.7.0', '4.0.0']) assert.equal(etcdVersionWarning(version), undefined, version);
});
