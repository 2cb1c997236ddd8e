/** The metadata store served to other processes: the contract over a real socket, then what goes wrong between the two. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import type { Clock } from '../../clock.ts';
import { systemClock } from '../../system-clock.ts';
import { systemRandom } from '../../system-random.ts';
import { tcpTransport } from '../../tcp-transport.ts';
import type { Connection, Transport } from '../../transport.ts';
import { openEmbeddedMetaStore } from '../embedded-meta-store.ts';
import { type MetaEvent, MetaRefused, type MetaStore, MetaUnavailable, MetaUnknown } from '../meta-store.ts';
import { metaStoreContract } from '../meta-store-contract.ts';
import { encodeFrame } from './meta-frames.ts';
import { RemoteMetaStore, type RemoteMetaOptions } from './remote-meta-store.ts';
import { type MetaServer, serveMetaStore, type ServeMetaOptions } from './serve-meta-store.ts';

const timeout = 60_000;
const real = { clock: systemClock, random: systemRandom, transport: tcpTransport() };
const opened: { close(): Promise<void> }[] = [];
const closedLater = <T extends { close(): Promise<void> }>(thing: T): T => {
  opened.push(thing);
  return thing;
};
afterEach(async () => {
  for (const thing of opened.splice(0).toReversed()) await thing.close();
});

const embedded = async (historyEvents = 40_000) => closedLater(await openEmbeddedMetaStore({ ...real, historyEvents }));
const serve = async (store: MetaStore, options: Partial<ServeMetaOptions> = {}) =>
  closedLater(await serveMetaStore(store, { ...real, host: '127.0.0.1', port: 0, identity: 'one', ...options }));
const clientOf = ({ port }: Pick<MetaServer, 'port'>, options: Partial<RemoteMetaOptions> = {}) =>
  closedLater(new RemoteMetaStore({ ...real, host: '127.0.0.1', port, callDeadlineMs: 2_000, ...options }));
const set = (store: MetaStore, key: string, value = '') => store.txn({ compare: [], then: [{ kind: 'put', key, value }] });

class Seen {
  readonly events: MetaEvent[] = [];
  gaps = 0;
  #look: () => void = () => {};
  readonly onEvents = (events: readonly MetaEvent[]): void => {
    this.events.push(...events);
    this.#look();
  };
  readonly onGap = (): void => {
    this.gaps++;
    this.#look();
  };
  async until(condition: (seen: Seen) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => (this.#look = resolve));
  }
}

metaStoreContract('served over a socket', async () => {
  let skewMs = 0;
  // Leases look at the clock every third of their time: let that pass at once, and the rest by a jump.
  const quick: Clock = { ...systemClock, setTimer: (delayMs, callback) => systemClock.setTimer(delayMs > 3_000 ? 5 : delayMs, callback) };
  const serverClock: Clock = { ...quick, monotonicMs: () => systemClock.monotonicMs() + skewMs };
  const historyEvents = 1_000;
  const behind = await openEmbeddedMetaStore({ ...real, clock: serverClock, historyEvents });
  const server = await serveMetaStore(behind, { ...real, clock: serverClock, host: '127.0.0.1', port: 0, identity: 'one' });
  const connect = (clock: Clock) => new RemoteMetaStore({ ...real, clock, host: '127.0.0.1', port: server.port, callDeadlineMs: 3_000 });
  return {
    store: connect(quick),
    peer: connect(systemClock),
    compact: async () => {
      for (let i = 0; i < 2 * historyEvents; i += 100)
        await behind.txn({ compare: [], then: Array.from({ length: 100 }, (_, n) => ({ kind: 'put', key: `/filler/${n}`, value: `${i}` })) });
      await new Promise((resolve) => setImmediate(resolve));
    },
    expire: async (lease) => {
      skewMs += 60_000;
      await lease.lost;
    },
    close: async () => {
      await server.close();
      await behind.close();
    },
  };
});

/** A transport whose connections a test can cut, keep silent, or keep from being made. */
class Wire implements Transport {
  readonly listen: Transport['listen'] = (address, onConnection) => real.transport.listen(address, onConnection);
  isCut = false;
  /** Drop what arrives from the server. */
  isDeaf = false;
  made = 0;
  readonly #open = new Set<Connection>();

  readonly connect: Transport['connect'] = async (address, options) => {
    if (this.isCut) throw new Error('the wire is cut');
    const connection = await real.transport.connect(address, options);
    this.made++;
    this.#open.add(connection);
    return {
      remote: connection.remote,
      setHandler: (handler) =>
        connection.setHandler({
          onData: (chunk) => this.isDeaf || handler.onData(chunk),
          onDrain: () => handler.onDrain(),
          onClose: () => {
            this.#open.delete(connection);
            handler.onClose();
          },
        }),
      write: (chunks) => connection.write(chunks),
      pendingWriteBytes: () => connection.pendingWriteBytes(),
      pauseReading: () => connection.pauseReading(),
      resumeReading: () => connection.resumeReading(),
      end: () => connection.end(),
      destroy: () => connection.destroy(),
    };
  };

  cut(): void {
    this.isCut = true;
    this.reset();
  }

  reset(): void {
    for (const connection of this.#open) connection.destroy();
  }
}

/** A store whose transactions are applied at once and answered when the test says so. */
function slowToAnswer(store: MetaStore): { readonly store: MetaStore; readonly applied: Promise<void>; answer(): void } {
  let answer = () => {};
  let tell = () => {};
  const answering = new Promise<void>((resolve) => (answer = resolve));
  const applied = new Promise<void>((resolve) => (tell = resolve));
  const slow: MetaStore = {
    get: (key) => store.get(key),
    list: (prefix) => store.list(prefix),
    watch: (prefix, after, handler) => store.watch(prefix, after, handler),
    lease: (ttlMs) => store.lease(ttlMs),
    close: () => store.close(),
    txn: async (txn) => {
      const result = await store.txn(txn);
      tell();
      await answering;
      return result;
    },
  };
  return { store: slow, applied, answer: () => answer() };
}

describe('calls', () => {
  test('a transaction whose connection ended before its answer is unknown, and may have been applied', { timeout }, async () => {
    const behind = await embedded();
    const slow = slowToAnswer(behind);
    const wire = new Wire();
    const client = clientOf(await serve(slow.store), { transport: wire });
    const failing = assert.rejects(set(client, 'k', 'v'), MetaUnknown);
    await slow.applied;
    wire.cut();
    await failing;
    assert.equal((await behind.get('k'))?.value, 'v');
  });

  test('a transaction that is not answered in time is unknown; one that was never sent is unavailable', { timeout }, async () => {
    const slow = slowToAnswer(await embedded());
    const wire = new Wire();
    const client = clientOf(await serve(slow.store), { transport: wire, callDeadlineMs: 300 });
    await assert.rejects(set(client, 'k'), MetaUnknown);
    wire.cut();
    await client.get('k').catch(() => {});
    await assert.rejects(set(client, 'other'), MetaUnavailable);
    slow.answer();
  });

  test('reads outlive a connection that ends: they are asked again', { timeout }, async () => {
    const behind = await embedded();
    await set(behind, 'k', 'v');
    const wire = new Wire();
    const server = await serve(behind);
    const client = clientOf(server, { transport: wire });
    wire.isDeaf = true;
    const reading = client.list('');
    const connected = async () => {
      while (wire.made === 0) await new Promise((resolve) => setImmediate(resolve));
    };
    await connected();
    wire.isDeaf = false;
    wire.reset();
    assert.deepEqual(
      (await reading).entries.map(({ value }) => value),
      ['v'],
    );
  });

  test('a connection that fell silent is replaced', { timeout }, async () => {
    const behind = await embedded();
    const wire = new Wire();
    const client = clientOf(await serve(behind), { transport: wire, callDeadlineMs: 200, pingMs: 20 });
    await client.get('k');
    wire.isDeaf = true;
    const seen = new Seen();
    client.watch('', (await behind.list('')).revision, seen);
    await set(behind, 'k');
    while (wire.made < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    wire.isDeaf = false;
    await seen.until(({ events }) => events.length === 1);
  });

  test('what is more than the limits is refused as unavailable, at the client and at the server', { timeout }, async () => {
    const slow = slowToAnswer(await embedded());
    const server = await serve(slow.store, { clientLimits: { calls: 5, watches: 10, unreadBytes: 1_000_000 } });
    const outcomes = async (client: MetaStore, count: number) => {
      const calls = Array.from({ length: count }, (_, i) =>
        set(client, `k${i}`).then(
          () => 'done',
          (error: Error) => error.name,
        ),
      );
      await slow.applied;
      const reading = client.get('x').catch(() => {});
      await reading;
      slow.answer();
      return (await Promise.all(calls)).sort();
    };
    const few = clientOf(server, { waitingCalls: 3 });
    const many = clientOf(server);
    const [atClient, atServer] = await Promise.all([outcomes(few, 5), outcomes(many, 7)]);
    assert.deepEqual(atClient, ['MetaUnavailable', 'MetaUnavailable', 'done', 'done', 'done']);
    assert.deepEqual(atServer, ['MetaUnavailable', 'MetaUnavailable', ...Array.from({ length: 5 }, () => 'done')]);
  });

  test('a bug of the store behind it leaves a transaction unknown', { timeout }, async () => {
    const behind = await embedded();
    const broken: MetaStore = { ...slowToAnswer(behind).store, txn: () => Promise.reject(new TypeError('a bug')) };
    await assert.rejects(set(clientOf(await serve(broken)), 'k'), MetaUnknown);
  });
});

describe('watches', () => {
  test('a watch that is cut again and again loses and repeats nothing', { timeout }, async () => {
    const behind = await embedded();
    const wire = new Wire();
    const client = clientOf(await serve(behind), { transport: wire });
    const seen = new Seen();
    const total = 500;
    client.watch('k/', (await client.list('')).revision, seen);
    for (let n = 0; n < total; n++) {
      await set(behind, `k/${n}`, 'x'.repeat(1_000));
      if (n % 50 === 25) wire.reset();
    }
    await seen.until(({ events }) => events.length >= total);
    assert.deepEqual(
      seen.events.map(({ key }) => key),
      Array.from({ length: total }, (_, n) => `k/${n}`),
    );
    assert.ok(wire.made > 1);
    assert.equal(seen.gaps, 0);
  });

  test('a watch that was away for longer than history goes back gets a gap', { timeout }, async () => {
    const behind = await embedded(10);
    const wire = new Wire();
    const client = clientOf(await serve(behind), { transport: wire });
    const seen = new Seen();
    client.watch('', (await client.list('')).revision, seen);
    await set(behind, 'seen');
    await seen.until(({ events }) => events.length === 1);
    wire.cut();
    for (let n = 0; n < 50; n++) await set(behind, `k${n}`);
    wire.isCut = false;
    await seen.until(({ gaps }) => gaps > 0);
    assert.equal(seen.events.length, 1);
  });

  test('a delivery larger than a frame comes as one', { timeout }, async () => {
    const behind = await embedded();
    const server = await serve(behind);
    const { revision } = await behind.list('');
    for (let n = 0; n < 30; n++) await set(behind, `k${n}`, 'x'.repeat(1_000_000));
    const deliveries: number[] = [];
    await new Promise<void>((resolve) => {
      clientOf(server).watch('', revision, { onEvents: (events) => (deliveries.push(events.length), resolve()), onGap: () => assert.fail('gap') });
    });
    assert.deepEqual(deliveries, [30]);
  });
});

describe('the server starts anew', () => {
  test('over the same state everything goes on, leases of before are lost', { timeout }, async () => {
    const behind = await embedded();
    const first = await serve(behind);
    const client = clientOf(first);
    const seen = new Seen();
    const lease = await client.lease(300);
    client.watch('', (await client.list('')).revision, seen);
    await first.close();
    await set(behind, 'while it was away');
    await serve(behind, { port: first.port });
    await client.get('while it was away');
    await set(client, 'again');
    await seen.until(({ events }) => events.length === 2);
    await lease.lost;
    await assert.rejects(client.txn({ compare: [], then: [{ kind: 'put', key: 'k', value: '', lease }] }), MetaRefused);
    assert.equal(seen.gaps, 0);
  });

  test('a server of another store on the same port is not talked to', { timeout }, async () => {
    const first = await serve(await embedded());
    const client = clientOf(first, { callDeadlineMs: 300 });
    await client.get('k');
    await first.close();
    const other = await embedded();
    await serve(other, { port: first.port, identity: 'other' });
    await assert.rejects(client.get('k'), MetaUnavailable);
    await assert.rejects(set(client, 'k'), MetaUnavailable);
    assert.deepEqual((await other.list('')).entries, []);
    await assert.rejects(set(clientOf(first, { callDeadlineMs: 300, identity: 'one' }), 'k'), MetaUnavailable);
  });
});

describe('leases', () => {
  test('a client that is cut off believes in its lease no longer than the server, which then deletes its keys', { timeout }, async () => {
    const behind = await embedded();
    const wire = new Wire();
    const client = clientOf(await serve(behind), { transport: wire });
    const lease = await client.lease(400);
    const { revision } = await client.txn({ compare: [], then: [{ kind: 'put', key: 'alive', value: '', lease }] });
    let isLost = false;
    void lease.lost.then(() => (isLost = true));
    const lostWhenDeleted = new Promise<boolean>((resolve) => {
      behind.watch('alive', revision, { onEvents: () => resolve(isLost), onGap: () => assert.fail('gap') });
    });
    wire.cut();
    assert.equal(await lostWhenDeleted, true);
  });

  test('a lease outlives a connection that ends', { timeout }, async () => {
    const behind = await embedded();
    const wire = new Wire();
    const client = clientOf(await serve(behind), { transport: wire });
    const lease = await client.lease(5_000);
    await client.txn({ compare: [], then: [{ kind: 'put', key: 'alive', value: '', lease }] });
    wire.reset();
    await client.get('alive');
    await client.txn({ compare: [], then: [{ kind: 'put', key: 'second', value: '', lease }] });
    assert.equal((await behind.list('')).entries.length, 2);
    await client.close();
    assert.deepEqual((await behind.list('')).entries, []);
  });
});

describe('strangers', () => {
  for (const [what, bytes] of [
    ['what is no frame', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['what is not JSON', Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])],
    ['what is no message', encodeFrame({ call: 'get' })],
    ['more watches than allowed', Buffer.concat(Array.from({ length: 101 }, (_, watch) => encodeFrame({ watch, prefix: '', after: 1 })))],
  ] as const) {
    test(`who sends ${what} is cut off, others are served`, { timeout }, async () => {
      const server = await serve(await embedded());
      const client = clientOf(server);
      await set(client, 'k');
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
      assert.ok(await client.get('k'));
    });
  }

  test('one client too many is cut off', { timeout }, async () => {
    const server = await serve(await embedded(), { clients: 1 });
    await clientOf(server).get('k');
    await assert.rejects(clientOf(server, { callDeadlineMs: 200 }).get('k'), MetaUnavailable);
  });
});
