/** Who may join at which storage version, and what is finalized while others come (docs/design/0006-versions.md). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../io/logger.ts';
import { openEmbeddedMetaStore } from '../../io/meta/embedded-meta-store.ts';
import { type MetaStore, type MetaTxn, MetaUnknown } from '../../io/meta/meta-store.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import { systemClock } from '../../io/system-clock.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import { featuresRecord, keys, parseRecord, type RecoveryRecord } from '../../cluster/meta-records.ts';
import { finalizedStorage, supportedStorage, type VersionRange } from '../../cluster/storage-versions.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import { beginIncarnation, StorageVersionRefused } from './incarnation.ts';
import { finalizeStorage } from './storage-upgrade.ts';

const old: VersionRange = { min: 1, max: 1 };
const signal = new AbortController().signal;

class Cluster {
  readonly objects = new MemoryObjectStore();
  readonly random = new SeededRandom(3);
  readonly meta: MetaStore;

  private constructor(meta: MetaStore) {
    this.meta = meta;
  }

  static async open(): Promise<Cluster> {
    return new Cluster(await openEmbeddedMetaStore({ clock: systemClock, random: new SeededRandom(2) }));
  }

  register(node: number, storage: VersionRange) {
    const { objects, meta, random } = this;
    const identity = { node: node as NodeId, host: '127.0.0.1', port: 9092, rack: undefined, internal: undefined };
    return beginIncarnation({ identity, meta, objects, clock: systemClock, random, logger: silentLogger, signal, storage });
  }

  finalize(version: number, meta = this.meta, validateOnly = false) {
    return finalizeStorage(version, 'test', { meta, clock: systemClock, signal, validateOnly });
  }

  async record() {
    const entry = await this.meta.get(keys.features);
    return entry && parseRecord(featuresRecord, entry.value);
  }

  async finalized(): Promise<number> {
    return finalizedStorage(await this.record());
  }

  /** Somebody has taken over this life. */
  async claim(node: number, epoch: number): Promise<void> {
    const record: RecoveryRecord = { claim: { node: 9 as NodeId, epoch: 1 }, fenced: false, ended: false };
    await this.meta.txn({ compare: [], then: [{ kind: 'put', key: keys.recovery(node, epoch), value: JSON.stringify(record) }] });
  }
}

/** Calls `before(n)` before, and `after(n)` after the n-th call. */
function around(
  meta: MetaStore,
  hooks: { readonly before?: (call: number) => Promise<void>; readonly after?: (call: number, txn?: MetaTxn) => Promise<void> },
) {
  let calls = 0;
  const wrap = async <T>(run: () => Promise<T>, txn?: MetaTxn): Promise<T> => {
    const call = ++calls;
    await hooks.before?.(call);
    const answer = await run();
    await hooks.after?.(call, txn);
    return answer;
  };
  const wrapped: Partial<MetaStore> = {
    get: (key) => wrap(() => meta.get(key)),
    list: (prefix) => wrap(() => meta.list(prefix)),
    txn: (txn) => wrap(() => meta.txn(txn), txn),
  };
  return { meta: wrapped as MetaStore, calls: () => calls };
}

describe('a new cluster', () => {
  test('begins at the newest version of its first broker', async () => {
    const cluster = await Cluster.open();
    await cluster.register(0, supportedStorage);
    assert.equal(await cluster.finalized(), supportedStorage.max);
    assert.equal((await cluster.record())?.upgradingTo, undefined);
    await assert.rejects(cluster.register(1, old), StorageVersionRefused);
  });

  test('of an older program stays at its version when newer brokers come', async () => {
    const cluster = await Cluster.open();
    await cluster.register(0, old);
    await cluster.register(1, supportedStorage);
    await cluster.register(0, supportedStorage);
    assert.equal(await cluster.finalized(), 1);
    await cluster.register(0, old);
  });
});

describe('finalizing', () => {
  test('is refused while an older broker lives, and leaves the way back open', async () => {
    const cluster = await Cluster.open();
    const dead = await cluster.register(0, old);
    await cluster.register(1, supportedStorage);
    const refused = await cluster.finalize(2);
    assert.equal(refused.kind === 'error' && refused.error, ErrorCodes.INVALID_UPDATE_VERSION);
    assert.match(refused.kind === 'error' ? refused.message : '', /Broker 0 supports automq\.storage 1 to 1 only/);
    await cluster.register(1, old);
    await cluster.register(1, supportedStorage);
    await cluster.claim(0, dead.epoch);
    assert.equal((await cluster.finalize(2)).kind, 'done');
    assert.equal(await cluster.finalized(), 2);
    await assert.rejects(cluster.register(0, old), /finalized at storage version 2, this program reads 1 to 1.*Start a newer program/);
    await cluster.register(0, supportedStorage);
  });

  test('is for good, and again is nothing', async () => {
    const cluster = await Cluster.open();
    await cluster.register(0, supportedStorage);
    const before = await cluster.meta.get(keys.features);
    assert.equal((await cluster.finalize(2)).kind, 'done');
    const less = await cluster.finalize(1);
    assert.match(less.kind === 'error' ? less.message : '', /cannot be taken back to 1: objects of version 2 may exist/);
    assert.equal((await cluster.finalize(supportedStorage.max + 1)).kind, 'error');
    assert.deepEqual(await cluster.meta.get(keys.features), before);
  });

  test('only validated writes nothing', async () => {
    const cluster = await Cluster.open();
    await cluster.register(0, old);
    assert.equal((await cluster.finalize(2, cluster.meta, true)).kind, 'error');
    await cluster.register(0, supportedStorage);
    assert.equal((await cluster.finalize(2, cluster.meta, true)).kind, 'done');
    assert.equal(await cluster.record(), undefined);
  });

  /** The key says 2 in the end, or the older broker is there: never both. */
  test('and an older broker that registers at any moment exclude each other', async () => {
    let joined = 0;
    let finalized = 0;
    let calls = 10;
    for (let at = 1; at <= calls + 1; at++) {
      const cluster = await Cluster.open();
      await cluster.register(0, old);
      await cluster.register(0, supportedStorage);
      let registered = false;
      const join = async () => {
        registered = await cluster.register(1, old).then(
          () => true,
          () => false,
        );
      };
      const hooked = around(cluster.meta, { before: async (call) => (call === at ? join() : undefined) });
      await cluster.finalize(2, hooked.meta);
      calls = Math.max(calls, hooked.calls());
      assert.ok(!(registered && (await cluster.finalized()) === 2), `at call ${at}`);
      if (registered) joined++;
      if ((await cluster.finalized()) === 2) finalized++;
      if (registered) await cluster.register(0, old);
    }
    assert.ok(joined > 0 && finalized > 0, `${joined} ${finalized}`);
  });

  /** The registration is stopped before each of its calls while a whole finalization runs. */
  test('at any moment of a registration excludes it or is refused', async () => {
    for (let at = 1; ; at++) {
      const cluster = await Cluster.open();
      await cluster.register(0, old);
      await cluster.register(0, supportedStorage);
      const hooked = around(cluster.meta, { before: async (call) => (call === at ? void (await cluster.finalize(2)) : undefined) });
      const outcome = await beginIncarnation({
        identity: { node: 1 as NodeId, host: '', port: 1, rack: undefined, internal: undefined },
        meta: hooked.meta,
        objects: cluster.objects,
        clock: systemClock,
        random: cluster.random,
        logger: silentLogger,
        signal,
        storage: old,
      }).then(
        () => 'registered',
        (error: unknown) => (error instanceof StorageVersionRefused ? 'refused' : String(error)),
      );
      if (hooked.calls() < at) {
        // Undisturbed: it was through before its turn came.
        assert.equal(outcome, 'registered');
        assert.equal(await cluster.finalized(), 1);
        assert.ok(at > 3, 'stopped at reads and at the write');
        return;
      }
      assert.equal(await cluster.finalized(), 2);
      assert.equal(outcome, 'refused', `at call ${at}`);
    }
  });

  test('goes on where somebody died, or is withdrawn; answers that are lost change nothing', async () => {
    const cluster = await Cluster.open();
    await cluster.register(0, old);
    await cluster.register(0, supportedStorage);
    const dies = around(cluster.meta, {
      after: async (_, txn) => {
        if (txn) throw new Error('killed');
      },
    });
    await assert.rejects(cluster.finalize(2, dies.meta), /killed/);
    assert.deepEqual(await cluster.record(), { finalized: 1, upgradingTo: 2, by: 'test' });
    await assert.rejects(cluster.register(1, old), /about to be finalized at storage version 2.*withdraw that/);
    assert.equal((await cluster.finalize(1)).kind, 'done');
    await cluster.register(0, old);
    await cluster.register(0, supportedStorage);
    await assert.rejects(cluster.finalize(2, dies.meta), /killed/);
    const loses = around(cluster.meta, {
      after: async (_, txn) => {
        if (txn) throw new MetaUnknown('answer lost');
      },
    });
    assert.equal((await cluster.finalize(2, loses.meta)).kind, 'done');
    assert.equal(await cluster.finalized(), 2);
  });
});
