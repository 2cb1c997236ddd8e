import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import type { Io } from '../io/io.ts';
import { silentLogger } from '../io/logger.ts';
import { MemoryMetrics } from '../io/memory-metrics.ts';
import { openEmbeddedMetaStore } from '../io/meta/embedded-meta-store.ts';
import { MetaRefused } from '../io/meta/meta-store.ts';
import { MemoryObjectStore } from '../io/object/memory-object-store.ts';
import { SeededRandom } from '../io/seeded-random.ts';
import { type Broker, startBroker } from './broker.ts';
import { beginLife } from './broker-life.ts';
import { brokerConfig } from './config.ts';
import { FakeTransport } from './server/testing/fake-transport.ts';
import { ManualClock } from './server/testing/manual-clock.ts';

describe('a broker', () => {
  test('that ends while its next life begins leaves nothing open', async () => {
    const on = await startDoomed();
    let listen: () => void = () => {};
    const held = new Promise<void>((resolve) => (listen = resolve));
    const before = on.transport.listen.bind(on.transport);
    let asked = false;
    on.transport.listen = async (...address) => {
      asked = true;
      await held;
      return before(...address);
    };
    on.doom();
    while (!asked) await on.clock.advance(100);
    assert.equal(on.transport.listening, 0);
    const closed = on.broker.close();
    await on.clock.settle();
    listen();
    await on.until(closed);
    assert.equal(on.transport.listening, 0);
  });

  test('whose lives cannot begin tries again ever more rarely: each attempt leaves an object for ever', async () => {
    const on = await startDoomed();
    const txn = on.io.meta.txn.bind(on.io.meta);
    on.io.meta.txn = () => Promise.reject(new MetaRefused('no space'));
    on.doom();
    for (let second = 0; second < 600; second++) await on.clock.advance(1_000);
    const page = await on.objects.list('wal/0/');
    assert.ok(page.kind === 'page');
    const attempts = page.objects.filter(({ key }) => key.endsWith('/000000000000')).length;
    assert.ok(attempts > 10 && attempts < 100, `${attempts}`);
    on.io.meta.txn = txn;
    for (let second = 0; second < 60; second++) await on.clock.advance(1_000);
    assert.ok(on.broker.ready);
    await on.until(on.broker.close());
  });

  test('ends within shutdown.timeout.ms although the object store does not answer', async () => {
    const on = await startDoomed({ 'shutdown.timeout.ms': '3000' });
    await on.until(on.broker.close(), 10_000);
  });
});

test('a life that cannot begin leaves no listener on the signal that it was given', async () => {
  const on = await testIo();
  on.io.meta.txn = () => Promise.reject(new MetaRefused('no space'));
  const { signal } = new AbortController();
  const begun = beginLife({
    config: brokerConfig({ 'node.id': '0' }),
    io: on.io,
    clusterId: 'test',
    identity: { node: 0 as never, host: '127.0.0.1', port: 9092, rack: undefined, internal: undefined },
    signal,
    onMayAnswer: () => {},
    onLiving: () => {},
  });
  await assert.rejects(begun, MetaRefused);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

async function testIo() {
  const clock = new ManualClock();
  const random = new SeededRandom(3);
  const objects = new MemoryObjectStore();
  const transport = new FakeTransport();
  const meta = await openEmbeddedMetaStore({ clock, random });
  const io: Io = { clock, random, objects, meta, transport, logger: silentLogger, metrics: new MemoryMetrics() };
  return { clock, objects, transport, io };
}

/**
 * A broker whose first checkpoint is not confirmed by the store; `doom` lets it hear that something stands there, which it does
 * not find, so that its life ends.
 */
async function startDoomed(settings: Readonly<Record<string, string>> = {}) {
  const on = await testIo();
  const config = brokerConfig({ 'node.id': '0', listeners: 'PLAINTEXT://127.0.0.1:19092', 'internal.listener': '', ...settings });
  /** Moves the clock, `withinMs` at most, until the promise has settled. */
  async function until<T>(promise: Promise<T>, withinMs = 100_000): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let ms = 0; !settled; ms += 10) {
      assert.ok(ms < withinMs, 'the promise does not settle');
      await on.clock.advance(10);
    }
    return promise;
  }
  const identity = { node: 0 as never, host: '127.0.0.1', port: 9092, rack: undefined, internal: undefined };
  const life = await until(
    beginLife({ config, io: on.io, clusterId: 'test', identity, signal: new AbortController().signal, onMayAnswer: () => {}, onLiving: () => {} }),
  );
  await until(life.services.admin.createTopic({ name: 'rides', partitionCount: 1, config: {} }));
  await until(life.close({ graceful: true }));
  const checkpoint = 'wal/0/000000000002/000000000002';
  const create = on.objects.create.bind(on.objects);
  let doomed = false;
  let over = false;
  on.objects.create = (key, ...rest) => {
    if (key !== checkpoint || over) return create(key, ...rest);
    over = doomed;
    return Promise.resolve(doomed ? { kind: 'exists' } : { kind: 'unknown', cause: 'away' });
  };
  const broker: Broker = await until(startBroker(config, on.io, { clusterId: 'test' }));
  const doom = () => {
    doomed = true;
  };
  return { ...on, broker, until, doom };
}
