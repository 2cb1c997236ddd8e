/**
 * The metadata store over real etcd servers, started here from the binaries that AUTOMQ_ETCD names (run-etcd.sh): the contract, then what goes
 * wrong between them and us.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, afterEach, before, describe, test } from 'node:test';
import { Etcd3, Range } from 'etcd3';
import { EtcdMetaStore, type EtcdOptions } from '../../io/meta/etcd-meta-store.ts';
import { type MetaEvent, MetaRefused, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import { metaStoreContract } from '../../io/meta/meta-store-contract.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { CutProxy } from './cut-proxy.ts';
import { localhostCertificate, localhostKey } from './test-certificate.ts';
import { EtcdProcess, type EtcdProcessOptions } from './etcd-process.ts';

const timeout = 120_000;
/** Closed after each test, also after one that failed. */
const opened: { close(): unknown }[] = [];
const closedLater = <T extends { close(): unknown }>(thing: T): T => {
  opened.push(thing);
  return thing;
};
async function closeAll(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing.close();
}

const storeAt = (endpoint: string | readonly string[], options: Partial<EtcdOptions> = {}) =>
  closedLater(
    new EtcdMetaStore({
      endpoints: typeof endpoint === 'string' ? [endpoint] : endpoint,
      clock: systemClock,
      random: systemRandom,
      callDeadlineMs: 2_000,
      watchSilenceMs: 1_000,
      ...options,
    }),
  );
const rawAt = (endpoint: string) => closedLater(new Etcd3({ hosts: endpoint }));
const proxyTo = async (etcd: EtcdProcess) => closedLater(await CutProxy.to(etcd.clientPort));
const set = (store: MetaStore, key: string, value = '') => store.txn({ compare: [], then: [{ kind: 'put', key, value }] });

/** Repeats `run` while the store is away. */
async function eventually<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof MetaUnavailable || error instanceof MetaUnknown)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

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

for (const binary of (process.env['AUTOMQ_ETCD'] ?? '').split(/\s+/).filter((part) => part !== '')) describe(binary, () => testsOf(binary));

function testsOf(binary: string): void {
  let shared: EtcdProcess;
  before(async () => {
    shared = await EtcdProcess.start(binary);
  });
  after(() => shared.destroy());
  afterEach(closeAll);

  metaStoreContract('etcd', async () => {
    const raw = rawAt(shared.endpoint);
    const store = storeAt(shared.endpoint);
    return {
      store,
      peer: storeAt(shared.endpoint),
      compact: async () => {
        await raw.kv.compact({ revision: (await store.list('/contract/')).revision, physical: true });
      },
      expire: async (lease) => {
        await raw.leaseClient.leaseRevoke({ ID: lease.id });
        // The next keep-alive hears of it: every third of the lease's time.
      },
      close: async () => {},
    };
  });

  async function withEtcd(run: (etcd: EtcdProcess) => Promise<void>, options: EtcdProcessOptions = {}): Promise<void> {
    const etcd = await EtcdProcess.start(binary, options);
    opened.unshift({ close: () => etcd.destroy() });
    await run(etcd);
  }

  test('a long list of small values with a few large ones behind them comes whole', { timeout }, async () => {
    const store = storeAt(shared.endpoint);
    const small = Array.from({ length: 1_500 }, (_, i) => `long/${String(i).padStart(5, '0')}`);
    const large = Array.from({ length: 6 }, (_, i) => `long/z${i}`);
    for (let i = 0; i < small.length; i += 100)
      await store.txn({ compare: [], then: small.slice(i, i + 100).map((key) => ({ kind: 'put', key, value: 'small' })) });
    for (const key of large) await set(store, key, 'x'.repeat(1_000_000));
    const { entries } = await store.list('long/');
    assert.deepEqual(
      entries.map(({ key, value }) => [key, value.length]),
      [...small.map((key) => [key, 5]), ...large.map((key) => [key, 1_000_000])],
    );
  });

  describe('the link breaks', () => {
    test('a watch that is cut again and again in a backlog of thousands of writes, and through kill -9 of etcd, loses and repeats nothing', { timeout }, () =>
      withEtcd(async (etcd) => {
        const proxy = await proxyTo(etcd);
        const writer = storeAt(etcd.endpoint);
        const watcher = storeAt(proxy.endpoint);
        const seen = new Seen();
        const { revision } = await set(writer, 'k/0', 'start');
        watcher.watch('k/', revision, seen);
        await set(writer, 'k/0', '0');
        await seen.until(({ events }) => events.length === 1);
        proxy.cut();
        const total = 3_000;
        for (let n = 1; n <= total; n += 50)
          await Promise.all(Array.from({ length: Math.min(50, total - n + 1) }, (_, i) => set(writer, `k/${n + i}`, `${n + i}`.padEnd(100))));
        proxy.heal();
        for (let broken = 0; broken < 10; broken++) {
          proxy.breakAfter(20_000);
          const before = seen.events.length;
          if (before >= total) break;
          await seen.until(({ events }) => events.length > before);
        }
        await etcd.kill();
        await etcd.start();
        await eventually(() => set(writer, 'k/end'));
        await seen.until(({ events }) => events.at(-1)?.key === 'k/end');
        assert.equal(seen.gaps, 0);
        assert.deepEqual(seen.events.map(({ key }) => key).sort(), ['k/0', ...Array.from({ length: total }, (_, i) => `k/${i + 1}`), 'k/end'].sort());
        const revisions = seen.events.map(({ modRevision }) => modRevision);
        assert.deepEqual(
          revisions,
          [...revisions].sort((a, b) => a - b),
        );
      }),
    );

    test('a watch whose link went silent is resumed over another endpoint', { timeout }, async () => {
      const proxy = await proxyTo(shared);
      const store = storeAt([proxy.endpoint, shared.endpoint]);
      const seen = new Seen();
      const { revision } = await set(store, 'silent', '1');
      store.watch('silent', revision, seen);
      await set(store, 'silent', '2');
      await seen.until(({ events }) => events.length === 1);
      proxy.silence();
      const writer = storeAt(shared.endpoint);
      await set(writer, 'silent', '3');
      await seen.until(({ events }) => events.length === 2);
      // Reads pass over the silent endpoint, too.
      assert.equal((await store.get('silent'))?.value, '3');
    });

    test('a quiet watch is not replaced: its stream answers when it is asked', { timeout }, async () => {
      const proxy = await proxyTo(shared);
      const warnings: string[] = [];
      const logger = { error: () => {}, warn: (text: string) => void warnings.push(text), info: () => {}, debug: () => {}, child: () => logger };
      const store = storeAt(proxy.endpoint, { watchSilenceMs: 2_000, logger });
      const seen = new Seen();
      store.watch('quiet', (await store.list('quiet')).revision, seen);
      // Three times nothing happens for so long that the stream is asked, and it answers.
      while (proxy.answers === 0) await delay(10);
      for (let asked = 0; asked < 3; asked++) for (const before = proxy.answers; proxy.answers === before; ) await delay(10);
      assert.deepEqual(warnings, []);
      await set(store, 'quiet');
      await seen.until(({ events }) => events.length === 1);
    });

    test('a watch that was cut off while its place was compacted gets a gap', { timeout }, async () => {
      const proxy = await proxyTo(shared);
      const watcher = storeAt(proxy.endpoint);
      const writer = storeAt(shared.endpoint);
      const raw = rawAt(shared.endpoint);
      const seen = new Seen();
      const { revision } = await set(writer, 'compacted', '1');
      watcher.watch('compacted', revision, seen);
      await set(writer, 'compacted', '2');
      await seen.until(({ events }) => events.length === 1);
      proxy.cut();
      await set(writer, 'compacted', '3');
      const last = await set(writer, 'compacted', '4');
      await raw.kv.compact({ revision: last.revision, physical: true });
      proxy.heal();
      await seen.until(({ gaps }) => gaps === 1);
      assert.equal(seen.events.length, 1);
    });

    test('an answer that was lost on the way is unknown, although it was applied', { timeout }, async () => {
      const proxy = await proxyTo(shared);
      const store = storeAt(proxy.endpoint, { callDeadlineMs: 500 });
      const direct = storeAt(shared.endpoint);
      await set(store, 'lost-answer', 'warm');
      proxy.dropAnswers();
      await assert.rejects(set(store, 'lost-answer', 'applied'), MetaUnknown);
      assert.equal((await direct.get('lost-answer'))?.value, 'applied');
    });
  });

  describe('etcd is away', () => {
    test('a transaction during SIGSTOP is unknown by its own deadline, and a later compare-and-set settles it', { timeout }, () =>
      withEtcd(async (etcd) => {
        const store = storeAt(etcd.endpoint, { callDeadlineMs: 500 });
        const { revision } = await set(store, 'k', 'before');
        etcd.pause();
        await assert.rejects(store.txn({ compare: [{ key: 'k', modRevision: revision }], then: [{ kind: 'put', key: 'k', value: 'attempt' }] }), MetaUnknown);
        await assert.rejects(store.get('k'), MetaUnavailable);
        await assert.rejects(store.list('k'), MetaUnavailable);
        await assert.rejects(store.lease(10_000), MetaUnavailable);
        etcd.resume();
        // Whoever comes second loses: either the attempt was applied, or now it never will be.
        const settled = await eventually(() =>
          store.txn({
            compare: [{ key: 'k', modRevision: revision }],
            then: [{ kind: 'put', key: 'k', value: 'settled' }],
            otherwise: [{ kind: 'get', key: 'k' }],
          }),
        );
        const outcome = settled.committed ? 'settled' : settled.reads[0]?.value;
        assert.ok(outcome === 'settled' || outcome === 'attempt');
        assert.equal((await store.get('k'))?.value, outcome);
      }),
    );

    test('while nothing listens, reads are unavailable, transactions are unknown; afterwards all works without a restart', { timeout }, () =>
      withEtcd(async (etcd) => {
        const store = storeAt(etcd.endpoint);
        await set(store, 'k', '1');
        const seen = new Seen();
        store.watch('k', (await store.list('')).revision, seen);
        await etcd.kill();
        await assert.rejects(store.get('k'), MetaUnavailable);
        await assert.rejects(set(store, 'k', '2'), MetaUnknown);
        await etcd.start();
        await eventually(() => set(store, 'k', '3'));
        await seen.until(({ events }) => events.at(-1)?.kind === 'put');
        assert.equal((await store.get('k'))?.value, '3');
      }),
    );

    test('a lease is lost by our own deadline, not before, when etcd does not answer', { timeout }, () =>
      withEtcd(async (etcd) => {
        const store = storeAt(etcd.endpoint);
        const lease = await store.lease(2_000);
        let isLost = false;
        void lease.lost.then(() => (isLost = true));
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        assert.equal(isLost, false, 'it is kept alive');
        etcd.pause();
        const pausedMs = systemClock.monotonicMs();
        await lease.lost;
        const silentMs = systemClock.monotonicMs() - pausedMs;
        // The last success was sent at most a third of the lease's time (and a bit) before the pause.
        assert.ok(silentMs > 900, `${silentMs}`);
        etcd.resume();
      }),
    );

    test('a store with older revisions than a watch has seen is a gap', { timeout }, () =>
      withEtcd(async (etcd) => {
        const store = storeAt(etcd.endpoint);
        for (let i = 0; i < 10; i++) await set(store, 'k', `${i}`);
        const seen = new Seen();
        store.watch('k', (await store.list('')).revision, seen);
        await set(store, 'k', 'last');
        await seen.until(({ events }) => events.length === 1);
        await etcd.kill();
        await etcd.wipe();
        await etcd.start();
        await seen.until(({ gaps }) => gaps === 1);
      }),
    );

    test('with three members, writes and watches go on when the leader is paused or killed', { timeout }, async () => {
      const members = await EtcdProcess.startCluster(binary, 3);
      for (const member of members) opened.unshift({ close: () => member.destroy() });
      const store = storeAt(
        members.map(({ endpoint }) => endpoint),
        { callDeadlineMs: 1_000 },
      );
      const seen = new Seen();
      const { revision } = await eventually(() => set(store, 'n', '0'));
      store.watch('n', revision, seen);
      let n = 0;
      const step = () => eventually(() => set(store, 'n', `${++n}`));
      for (const [index, member] of members.entries()) {
        if (index % 2 === 0) member.pause();
        else await member.kill();
        for (let i = 0; i < 10; i++) await step();
        if (index % 2 === 0) member.resume();
        else await member.start();
        for (let i = 0; i < 10; i++) await step();
      }
      const { value } = (await eventually(() => store.get('n'))) ?? {};
      await seen.until(({ events }) => events.some((event) => event.kind === 'put' && event.value === value));
      // A write that was unknown was tried again with the next number, so numbers may be missing; none may come twice or go back.
      const told = seen.events.map((event) => Number(event.kind === 'put' && event.value));
      assert.equal(seen.gaps, 0);
      assert.equal(new Set(told).size, told.length);
    });
  });

  describe('etcd refuses', () => {
    test('a full database is a refusal that says so, and not applied', { timeout }, () =>
      withEtcd(
        async (etcd) => {
          const store = storeAt(etcd.endpoint);
          let refused: unknown;
          for (let i = 0; refused === undefined && i < 200; i++) {
            refused = await set(store, `k${i}`, 'x'.repeat(500_000)).then(
              () => undefined,
              (error: unknown) => error,
            );
          }
          assert.ok(refused instanceof MetaRefused, String(refused));
          assert.match(refused.message, /space exceeded/);
          await store.list('no such key');
        },
        { extraArgs: ['--quota-backend-bytes', '4000000'] },
      ),
    );

    test(
      'a wrong password and a missing permission are refusals; with the right ones calls and watches work, also after etcd forgot its tokens',
      { timeout },
      () =>
        withEtcd(async (etcd) => {
          const raw = rawAt(etcd.endpoint);
          await raw.role('root').create();
          const root = await raw.user('root').create('root-password');
          await root.addRole('root');
          const role = await raw.role('broker').create();
          await role.grant({ permission: 'Readwrite', range: new Range('/automq/', '/automq0') });
          const broker = await raw.user('broker').create('broker-password');
          await broker.addRole('broker');
          await raw.auth.authEnable();

          const anonymous = storeAt(etcd.endpoint);
          await assert.rejects(set(anonymous, '/automq/a'), MetaRefused);
          const wrong = storeAt(etcd.endpoint, { user: 'broker', password: 'hunter2' });
          await assert.rejects(set(wrong, '/automq/a'), (error: unknown) => error instanceof MetaRefused && !error.message.includes('hunter2'));
          const store = storeAt(etcd.endpoint, { user: 'broker', password: 'broker-password' });
          const { revision } = await set(store, '/automq/a', '1');
          await assert.rejects(set(store, '/elsewhere', ''), MetaRefused);
          await assert.rejects(store.get('/elsewhere'), MetaRefused);
          const seen = new Seen();
          store.watch('/automq/', revision, seen);
          await set(store, '/automq/a', '2');
          await seen.until(({ events }) => events.length === 1);
          await etcd.kill();
          await etcd.start();
          await eventually(() => set(store, '/automq/a', '3'));
          await seen.until(({ events }) => events.length === 2);
          const lease = await store.lease(10_000);
          await lease.close();
        }),
    );

    test('over TLS calls, watches and leases work for whoever trusts the certificate, and nothing is sent to a server that is not trusted', {
      timeout,
    }, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'automq-tls-'));
      const certificate = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
      await Promise.all([writeFile(certificate.certFile, localhostCertificate), writeFile(certificate.keyFile, localhostKey)]);
      opened.push({ close: () => rm(folder, { recursive: true }) });
      await withEtcd(
        async (etcd) => {
          const stranger = storeAt(etcd.endpoint);
          await assert.rejects(set(stranger, 'tls', 'from a stranger'), /certificate/);
          const store = storeAt(etcd.endpoint, { tls: { ca: Buffer.from(localhostCertificate) } });
          const { revision } = await set(store, 'tls', '1');
          const seen = new Seen();
          store.watch('tls', revision, seen);
          const lease = await store.lease(10_000);
          await store.txn({ compare: [{ key: 'tls', value: '1' }], then: [{ kind: 'put', key: 'tls', value: '2', lease }] });
          await seen.until(({ events }) => events.length === 1);
          assert.equal(revision, 2);
        },
        { certificate },
      );
    });
  });
}
