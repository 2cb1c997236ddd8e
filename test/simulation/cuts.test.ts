/** What the network separates: hosts from each other, from the bucket, from the metadata store, in one direction or in both. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import { objectBody } from '../../io/object/object-store.ts';
import type { Connection } from '../../io/transport.ts';
import { FakeMetaStore, metaHost } from './fake-meta-store.ts';
import { FakeObjectStore, storeHost } from './fake-object-store.ts';
import { runningScheduler } from './running-scheduler.ts';
import { SimNetwork } from './sim-transport.ts';

function world(seed: string) {
  const running = runningScheduler(seed);
  const network = new SimNetwork({ ...running, shape: { minLatencyMs: 1, maxLatencyMs: 2, windowBytes: 1_000, splitChance: 0 } });
  const isCut = (from: string, to: string) => network.isCut(from, to);
  const objects = new FakeObjectStore({ ...running, isCut, minLatencyMs: 1, maxLatencyMs: 2, deadlineMs: 100, listPageSize: 10, onViolation: () => {} });
  const meta = new FakeMetaStore({ ...running, isCut, minLatencyMs: 1, maxLatencyMs: 2, deadlineMs: 100 });
  network.onHealed(() => meta.wakeStreams());
  const later = (ms: number) => new Promise<void>((resolve) => void running.scheduler.schedule(ms, 'later', resolve));
  return { ...running, network, objects, meta, later };
}

test('a cut in one direction holds what goes that way until it is healed; nobody connects meanwhile', async () => {
  const { network, process, later, stop } = world('one way');
  const [a, b] = [process('a'), process('b')];
  const heard: string[] = [];
  const listenTo = (name: string, connection: Connection) =>
    connection.setHandler({ onData: (bytes) => void heard.push(`${name}:${bytes.toString()}`), onDrain: () => {}, onClose: () => {} });
  let accepted: Connection | undefined;
  await network.transportOf(b).listen({ host: 'b', port: 1 }, (connection) => listenTo('b', (accepted = connection)));
  const dialled = await network.transportOf(a).connect({ host: 'b', port: 1 });
  listenTo('a', dialled);
  const end = network.cut('a', 'b');
  dialled.write([Buffer.from('question')]);
  accepted?.write([Buffer.from('news')]);
  await later(1_000);
  assert.deepEqual(heard, ['a:news']);
  await assert.rejects(network.transportOf(a).connect({ host: 'b', port: 1 }, { timeoutMs: 50 }));
  end();
  await later(100);
  assert.deepEqual(heard, ['a:news', 'b:question']);
  stop();
});

test('cut off from the bucket nothing is stored; where only the answers are lost, it is', async () => {
  const { network, objects, process, stop } = world('bucket');
  const store = objects.clientOf(process('a'));
  const other = objects.clientOf(process('b'));
  const ends = [network.cut('a', storeHost)];
  assert.equal((await store.create('x', objectBody([Buffer.from('x')]))).kind, 'unknown');
  assert.equal((await other.head('x')).kind, 'missing');
  for (const end of ends) end();
  network.cut(storeHost, 'a');
  assert.equal((await store.create('x', objectBody([Buffer.from('x')]))).kind, 'unknown');
  assert.equal((await other.head('x')).kind, 'found');
  network.heal();
  assert.equal((await store.head('x')).kind, 'found');
  stop();
});

test('one host cut off from the metadata store: its writes and reads fail, its watch goes on after healing, its lease runs out', async () => {
  const { network, meta, process, later, stop } = world('meta');
  const [mine, other] = [meta.clientOf(process('a')), meta.clientOf(process('b'))];
  const put = (key: string) => ({ compare: [], then: [{ kind: 'put', key, value: 'v' } as const] });
  const seen: string[] = [];
  mine.watch('', 1, { onEvents: (events) => seen.push(...events.map(({ key }) => key)), onGap: () => seen.push('gap') });
  const lease = await mine.lease(1_000);
  network.cut('a', metaHost);
  network.cut(metaHost, 'a');
  await assert.rejects(mine.txn(put('lost')), (error: unknown) => error instanceof MetaUnknown || error instanceof MetaUnavailable);
  await assert.rejects(mine.get('x'), MetaUnavailable);
  await other.txn(put('theirs'));
  await lease.lost;
  assert.equal(meta.leases.has(lease.id), false);
  assert.deepEqual(seen, []);
  network.heal();
  await later(100);
  assert.deepEqual(seen, ['theirs']);
  network.cut(metaHost, 'a');
  await assert.rejects(mine.txn(put('applied')), MetaUnknown);
  assert.equal((await other.get('applied'))?.value, 'v');
  stop();
});

test('a host whose watches are held is told nothing, and everything afterwards', async () => {
  const { meta, process, later, stop } = world('deaf');
  const store = meta.clientOf(process('a'));
  const seen: string[] = [];
  store.watch('', 1, { onEvents: (events) => seen.push(...events.map(({ key }) => key)), onGap: () => seen.push('gap') });
  meta.holdWatches('a');
  await store.txn({ compare: [], then: [{ kind: 'put', key: 'k', value: 'v' }] });
  await later(1_000);
  assert.deepEqual(seen, []);
  meta.releaseWatches('a');
  await later(100);
  assert.deepEqual(seen, ['k']);
  stop();
});
