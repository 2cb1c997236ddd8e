import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { Clock } from '../clock.ts';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { type EmbeddedOptions, openEmbeddedMetaStore } from './embedded-meta-store.ts';
import { encodeFrame } from './journal-frames.ts';
import { type MetaStore, MetaRefused, MetaUnavailable, MetaUnknown } from './meta-store.ts';
import { metaStoreContract } from './meta-store-contract.ts';

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'automq-meta-'));
  folders.push(folder);
  return folder;
}
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const io = { clock: systemClock, random: systemRandom };
const openIn = (folder: string, options: Partial<EmbeddedOptions> = {}) => openEmbeddedMetaStore({ ...io, folder, ...options });
const set = (store: MetaStore, key: string, value = '') => store.txn({ compare: [], then: [{ kind: 'put', key, value }] });
const keysOf = async (store: MetaStore) => (await store.list('')).entries.map(({ key }) => key);

for (const kind of ['in memory', 'in a folder'] as const) {
  metaStoreContract(`embedded ${kind}`, async () => {
    let skewMs = 0;
    // Leases look at the clock every third of their time: let that pass at once, and the rest by a jump.
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + skewMs,
      setTimer: (delayMs, callback) => systemClock.setTimer(delayMs > 1_000 ? 5 : delayMs, callback),
    };
    const folder = kind === 'in a folder' ? await newFolder() : undefined;
    const historyEvents = 1_000;
    const store = await openEmbeddedMetaStore({ ...io, clock, historyEvents, ...(folder ? { folder, rewriteBytes: 100_000 } : {}) });
    return {
      store,
      peer: store,
      compact: async () => {
        for (let i = 0; i < 2 * historyEvents; i += 100)
          await store.txn({ compare: [], then: Array.from({ length: 100 }, (_, n) => ({ kind: 'put', key: `/filler/${n}`, value: `${i}` })) });
        await new Promise((resolve) => setImmediate(resolve));
      },
      expire: async (lease) => {
        skewMs += 60_000;
        await lease.lost;
      },
      close: async () => {},
    };
  });
}

describe('the folder', () => {
  test('everything acknowledged is there after a restart, with its revisions; leases of the earlier process are gone', async () => {
    const folder = await newFolder();
    const first = await openIn(folder);
    await set(first, 'a', '1');
    const { revision } = await set(first, 'b', '\u{1f600}');
    const lease = await first.lease(10_000);
    await first.txn({ compare: [], then: [{ kind: 'put', key: 'alive', value: '', lease }] });
    const copy = await newFolder();
    for (const name of await readdir(folder)) await writeFile(join(copy, name), await readFile(join(folder, name)));
    await first.close();

    const second = await openIn(folder);
    assert.deepEqual(await second.get('b'), { key: 'b', value: '\u{1f600}', modRevision: revision });
    assert.deepEqual(await keysOf(second), ['a', 'b']);
    assert.ok((await set(second, 'c')).revision > revision);
    await second.close();

    for (const name of await readdir(copy)) if (name.startsWith('lock')) await rm(join(copy, name));
    const crashed = await openIn(copy);
    assert.deepEqual(await keysOf(crashed), ['a', 'b']);
    await crashed.close();
  });

  test('the file is rewritten when its journal outgrew it, and stays bounded', async () => {
    const folder = await newFolder();
    const store = await openIn(folder, { rewriteBytes: 10_000 });
    for (let i = 0; i < 200; i++) await set(store, `k${i % 10}`, 'x'.repeat(500));
    const names = (await readdir(folder)).filter((name) => name.startsWith('meta-'));
    assert.equal(names.length, 1);
    assert.ok(Number(names[0]?.split('-')[1]) > 5);
    assert.ok((await readFile(join(folder, names[0] as string))).length < 30_000);
    const { revision } = await store.list('');
    await store.close();
    const again = await openIn(folder);
    assert.equal((await again.list('')).revision, revision);
    assert.equal((await keysOf(again)).length, 10);
    await again.close();
  });

  test('waiting transactions share an fsync', async () => {
    let syncs = 0;
    const store = await openIn(await newFolder(), { failPoint: (step) => void (step === 'sync' && syncs++) });
    await Promise.all(Array.from({ length: 200 }, (_, i) => set(store, `k${i}`)));
    assert.ok(syncs <= 3, `${syncs}`);
    await store.close();
  });

  test('a file that ends anywhere within its last write opens with everything before it', async () => {
    const folder = await newFolder();
    const first = await openIn(folder);
    await set(first, 'kept', 'x');
    const path = join(folder, 'meta-1');
    const before = (await readFile(path)).length;
    await set(first, 'torn', 'y'.repeat(100));
    const whole = await readFile(path);
    await first.close();
    for (let length = before; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      // A machine that crashed may also leave zeros where data should be.
      if (length % 2 === 0) await truncate(path, whole.length);
      const store = await openIn(folder);
      assert.deepEqual(await keysOf(store), ['kept']);
      if (length % 16 === 0) await set(store, 'kept', 'again');
      await store.close();
      const reopened = await openIn(folder);
      assert.deepEqual(await keysOf(reopened), ['kept']);
      await reopened.close();
    }
  });

  test('a byte changed in front of committed changes is refused, and the file is left as it is', async () => {
    const folder = await newFolder();
    const first = await openIn(folder);
    await set(first, 'a', '1');
    await set(first, 'b', '2');
    await first.close();
    const path = join(folder, 'meta-1');
    const whole = await readFile(path);
    const lastFrame = whole.lastIndexOf('AMF1');
    for (let at = 0; at < lastFrame; at += 3) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      await writeFile(path, damaged);
      await assert.rejects(
        openIn(folder),
        (error: unknown) => error instanceof MetaRefused && error.message.includes(path) && error.message.includes('damaged'),
        `byte ${at}`,
      );
      assert.deepEqual(await readFile(path), damaged);
    }
  });

  test('a file of a newer format is refused', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'meta-7'), encodeFrame(0, { format: 2, revision: 5, entries: 0 }));
    await assert.rejects(openIn(folder), /format 2/);
  });
});

describe('a disk that fails', () => {
  for (const step of ['write', 'sync'] as const) {
    test(`a failed ${step} is unknown, nothing of it is shown before it is settled, and the store goes on`, async () => {
      const folder = await newFolder();
      let isFailing = false;
      const failPoint = (at: string) => {
        if (isFailing && at === step) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      };
      const store = await openIn(folder, { failPoint });
      const { revision } = await set(store, 'before');
      const events: string[] = [];
      store.watch('', revision, { onEvents: (all) => void events.push(...all.map(({ key }) => key)), onGap: () => assert.fail('gap') });
      isFailing = true;
      await assert.rejects(set(store, 'failed'), MetaUnknown);
      isFailing = false;
      const wasApplied = (await store.get('failed')) !== undefined;
      // What reached the file before the failure counts, what did not does not.
      assert.equal(wasApplied, step === 'sync');
      await set(store, 'after');
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(events, wasApplied ? ['failed', 'after'] : ['after']);
      await store.close();
      const again = await openIn(folder);
      assert.deepEqual((await keysOf(again)).sort(), wasApplied ? ['after', 'before', 'failed'] : ['after', 'before']);
      await again.close();
    });
  }

  test('while it cannot be written anew, writes are refused and reads are unavailable; later it works again', async () => {
    let failing: string[] = [];
    const failPoint = (at: string) => {
      if (failing.includes(at)) throw new Error('EIO');
    };
    const store = await openIn(await newFolder(), { failPoint });
    failing = ['sync', 'rewrite'];
    await assert.rejects(set(store, 'a'), MetaUnknown);
    await assert.rejects(set(store, 'a'), MetaRefused);
    await assert.rejects(store.get('a'), MetaUnavailable);
    failing = [];
    await set(store, 'b');
    assert.ok((await keysOf(store)).includes('b'));
    await store.close();
  });

  test('keys of a lease that was closed while the disk failed are gone once it works again', async () => {
    let isFailing = false;
    const failPoint = (at: string) => {
      if (isFailing && at === 'write') throw new Error('EIO');
    };
    const store = await openIn(await newFolder(), { failPoint });
    const lease = await store.lease(10_000);
    const kept = await store.lease(10_000);
    await store.txn({
      compare: [],
      then: [
        { kind: 'put', key: 'a', value: '', lease },
        { kind: 'put', key: 'b', value: '', lease: kept },
      ],
    });
    isFailing = true;
    await lease.close();
    isFailing = false;
    assert.deepEqual(await keysOf(store), ['b']);
    await store.close();
  });

  test('a rewrite that fails loses nothing', async () => {
    const folder = await newFolder();
    let failing = 0;
    const failPoint = (at: string) => {
      if (at === 'rewrite' && failing > 0) {
        failing--;
        throw new Error('ENOSPC');
      }
    };
    const store = await openIn(folder, { failPoint, rewriteBytes: 1_000 });
    failing = 1;
    for (let i = 0; i < 50; i++) await set(store, `k${i}`, 'x'.repeat(100));
    assert.equal((await keysOf(store)).length, 50);
    await store.close();
    const again = await openIn(folder);
    assert.equal((await keysOf(again)).length, 50);
    await again.close();
  });

  test('calls beyond the bound are refused instead of kept', async () => {
    const store = await openIn(await newFolder(), { waitingCalls: 10 });
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => set(store, `k${i}`)));
    const refused = results.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 20);
    for (const { reason } of refused) assert.ok(reason instanceof MetaUnavailable);
    await store.close();
  });
});

test('the folder holds no open file after the store was closed', async () => {
  const folder = await newFolder();
  const store = await openIn(folder);
  await set(store, 'a');
  const openFiles = async () => {
    const fds = await readdir('/proc/self/fd').catch(() => []);
    const targets = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    return targets.filter((target) => target.startsWith(folder));
  };
  if (process.platform === 'linux') assert.equal((await openFiles()).length, 1);
  await store.close();
  assert.deepEqual(await openFiles(), []);
});
