/* oxlint-disable typescript/no-floating-promises -- node:test awaits its tests itself */
/**
 * What every `MetaStore` must do, as tests: the embedded one, etcd's, and the simulation's fake run them. Keys lie
 * under a prefix of their own per test, so that stores may be shared.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { InvariantError } from '../../std/invariant.ts';
import { type MetaEvent, type MetaLease, type MetaOperation, MetaRefused, type MetaStore, type MetaTxnResult, MetaUnavailable } from './meta-store.ts';

export interface MetaStoreUnderTest {
  readonly store: MetaStore;
  /** Another handle on the same state; may be `store` itself. */
  readonly peer: MetaStore;
  /** Forgets all history up to now: watches from before it must get a gap. */
  readonly compact: () => Promise<void>;
  /** Ends the lease from the store's side, as if its time had run out. */
  readonly expire: (lease: MetaLease) => Promise<void>;
  /** Closes what `store` and `peer` stand on; both may be closed already. */
  readonly close: () => Promise<void>;
}

const testTimeoutMs = 60_000;

export function metaStoreContract(name: string, makeStore: () => Promise<MetaStoreUnderTest>): void {
  function contract(sentence: string, run: (at: MetaStoreUnderTest & { readonly prefix: string }) => Promise<void>): void {
    test(sentence, { timeout: testTimeoutMs }, async () => {
      const made = await makeStore();
      try {
        await run({ ...made, prefix: `/contract/${randomUUID()}/` });
      } finally {
        await made.store.close();
        await made.peer.close();
        await made.close();
      }
    });
  }

  describe(`${name}: transactions`, () => transactionContract(contract));
  describe(`${name}: lists`, () => listContract(contract));
  describe(`${name}: watches`, () => watchContract(contract));
  describe(`${name}: leases`, () => leaseContract(contract));
  describe(`${name}: life`, () => lifeContract(contract));
}

type Contract = (sentence: string, run: (at: MetaStoreUnderTest & { readonly prefix: string }) => Promise<void>) => void;

const put = (key: string, value: string, lease?: MetaLease): MetaOperation => (lease ? { kind: 'put', key, value, lease } : { kind: 'put', key, value });
const remove = (key: string): MetaOperation => ({ kind: 'delete', key });
const read = (key: string): MetaOperation => ({ kind: 'get', key });
const write = (store: MetaStore, ...then: MetaOperation[]): Promise<MetaTxnResult> => store.txn({ compare: [], then });

function transactionContract(contract: Contract): void {
  contract('an absent key is undefined; a written one has the revision of its transaction', async ({ store, prefix }) => {
    assert.equal(await store.get(`${prefix}a`), undefined);
    const { committed, revision } = await write(store, put(`${prefix}a`, 'one'));
    assert.equal(committed, true);
    assert.deepEqual(await store.get(`${prefix}a`), { key: `${prefix}a`, value: 'one', modRevision: revision });
  });

  contract('a compare holds for the very revision, 0 for an absent key, or the very value; an absent key has no value', async ({ store, prefix }) => {
    const present = `${prefix}present`;
    const absent = `${prefix}absent`;
    const { revision: first } = await write(store, put(present, 'x'));
    const { revision } = await write(store, put(present, ''));
    const holds = async (...compare: Parameters<MetaStore['txn']>[0]['compare']) => (await store.txn({ compare, then: [] })).committed;
    assert.equal(await holds({ key: present, modRevision: revision }), true);
    assert.equal(await holds({ key: present, modRevision: first }), false);
    assert.equal(await holds({ key: present, modRevision: 0 }), false);
    assert.equal(await holds({ key: absent, modRevision: 0 }), true);
    assert.equal(await holds({ key: absent, modRevision: revision }), false);
    assert.equal(await holds({ key: present, value: '' }), true);
    assert.equal(await holds({ key: present, value: 'x' }), false);
    assert.equal(await holds({ key: absent, value: '' }), false);
    assert.equal(await holds({ key: present, value: '' }, { key: absent, modRevision: 0 }), true);
    assert.equal(await holds({ key: present, value: '' }, { key: absent, modRevision: 1 }), false);
    assert.equal(await holds(), true);
  });

  contract('a compare that fails applies the other branch, or nothing', async ({ store, prefix }) => {
    const key = `${prefix}k`;
    const { revision } = await write(store, put(key, 'old'));
    const refused = await store.txn({ compare: [{ key, modRevision: 0 }], then: [put(key, 'new'), read(key)], otherwise: [read(key), read(`${prefix}none`)] });
    assert.deepEqual(
      { committed: refused.committed, reads: refused.reads },
      { committed: false, reads: [{ key, value: 'old', modRevision: revision }, undefined] },
    );
    const silent = await store.txn({ compare: [{ key, value: 'other' }], then: [put(key, 'new')] });
    assert.deepEqual({ committed: silent.committed, reads: silent.reads }, { committed: false, reads: [] });
    assert.equal((await store.get(key))?.value, 'old');
    const other = await store.txn({ compare: [{ key, value: 'other' }], then: [], otherwise: [put(key, 'by the other branch')] });
    assert.deepEqual(await store.get(key), { key, value: 'by the other branch', modRevision: other.revision });
  });

  contract('reads of a branch see what the branch wrote before them', async ({ store, prefix }) => {
    await write(store, put(`${prefix}b`, 'old'));
    const { reads, revision } = await write(store, read(`${prefix}a`), put(`${prefix}a`, '1'), read(`${prefix}a`), remove(`${prefix}b`), read(`${prefix}b`));
    assert.deepEqual(reads, [undefined, { key: `${prefix}a`, value: '1', modRevision: revision }, undefined]);
  });

  contract('128 operations are one revision', async ({ store, prefix }) => {
    const { revision } = await write(store, ...Array.from({ length: 128 }, (_, i) => put(`${prefix}${i}`, `${i}`)));
    const { entries } = await store.list(prefix);
    assert.equal(entries.length, 128);
    for (const entry of entries) assert.equal(entry.modRevision, revision);
  });

  contract('more than 128 operations, or a key changed twice, is a bug of the caller', async ({ store, prefix }) => {
    await assert.rejects(write(store, ...Array.from({ length: 129 }, (_, i) => put(`${prefix}${i}`, ''))), InvariantError);
    await assert.rejects(write(store, put(`${prefix}a`, '1'), remove(`${prefix}a`)), InvariantError);
    assert.deepEqual((await store.list(prefix)).entries, []);
  });

  contract('a deletion removes; deleting what is absent changes nothing', async ({ store, prefix }) => {
    await write(store, put(`${prefix}a`, '1'));
    const { revision } = await write(store, remove(`${prefix}a`));
    assert.equal(await store.get(`${prefix}a`), undefined);
    const again = await write(store, remove(`${prefix}a`));
    assert.equal(again.committed, true);
    assert.ok(again.revision >= revision);
    const born = await store.txn({ compare: [{ key: `${prefix}a`, modRevision: 0 }], then: [put(`${prefix}a`, '2')] });
    assert.equal(born.committed, true);
    assert.ok(born.revision > revision);
  });

  contract('any text comes back as it went in, a megabyte, too; what is larger is refused and not applied', async ({ store, prefix }) => {
    const texts = ['', '\0\u0001', 'é\u{1f600}\u2028', '"\\', 'x'.repeat(1_000_000)];
    for (const [i, text] of texts.entries()) await write(store, put(`${prefix}${i}-\u{1f600}`, text));
    const { entries } = await store.list(prefix);
    assert.deepEqual(
      entries.map(({ value }) => value),
      texts,
    );
    await assert.rejects(write(store, put(`${prefix}small`, ''), put(`${prefix}large`, 'x'.repeat(2_000_000))), MetaRefused);
    assert.equal(await store.get(`${prefix}small`), undefined);
  });

  contract('of many writers that race one compare-and-set, exactly one wins', async ({ store, peer, prefix }) => {
    let modRevision = 0;
    for (let round = 0; round < 20; round++) {
      const key = `${prefix}raced`;
      const results = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          (i % 2 === 0 ? store : peer).txn({ compare: [{ key, modRevision }], then: [put(key, `${round}/${i}`)], otherwise: [read(key)] }),
        ),
      );
      const winners = results.flatMap((result, i) => (result.committed ? [{ ...result, value: `${round}/${i}` }] : []));
      assert.equal(winners.length, 1);
      const [winner] = winners;
      assert.deepEqual(await store.get(key), { key, value: winner?.value, modRevision: winner?.revision });
      modRevision = winner?.revision ?? 0;
    }
  });

  contract('counting by compare-and-set loses no step', async ({ store, peer, prefix }) => {
    const key = `${prefix}count`;
    const step = async (from: MetaStore) => {
      for (;;) {
        const before = await from.get(key);
        const { committed } = await from.txn({
          compare: [{ key, modRevision: before?.modRevision ?? 0 }],
          then: [put(key, String(Number(before?.value ?? 0) + 1))],
        });
        if (committed) return;
      }
    };
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        for (let n = 0; n < 10; n++) await step(i % 2 === 0 ? store : peer);
      }),
    );
    assert.equal((await store.get(key))?.value, '80');
  });
}

function listContract(contract: Contract): void {
  contract('a list has the keys under the prefix and no others, in the order of their bytes', async ({ store, prefix }) => {
    const inside = ['a', 'a/', 'a/b', 'a/\uffff', 'a/\u{1f600}', 'aa', 'é'];
    await write(
      store,
      put(prefix, 'the prefix itself'),
      ...[...inside].reverse().map((key) => put(prefix + key, '')),
      put(`${prefix.slice(0, -1)}0`, 'the byte behind the slash'),
      put(prefix.slice(0, -1), 'shorter'),
    );
    const listed = async (under: string) => (await store.list(under)).entries.map(({ key }) => key.slice(prefix.length));
    assert.deepEqual(await listed(prefix), ['', ...inside]);
    assert.deepEqual(await listed(`${prefix}a/`), ['a/', 'a/b', 'a/\uffff', 'a/\u{1f600}']);
    assert.deepEqual(await listed(`${prefix}nothing`), []);
    await write(store, remove(`${prefix.slice(0, -1)}0`), remove(prefix.slice(0, -1)));
  });

  contract('a long list is of one revision, however much is written meanwhile', async ({ store, peer, prefix }) => {
    const keys = Array.from({ length: 2_600 }, (_, i) => `${prefix}${String(i).padStart(5, '0')}`);
    for (let at = 0; at < keys.length; at += 100) await write(store, ...keys.slice(at, at + 100).map((key) => put(key, '0')));
    const first = keys[0] as string;
    const last = keys.at(-1) as string;
    await write(peer, put(first, '0'), put(last, '0'));
    const done = new AbortController();
    const writing = (async () => {
      for (let n = 1; !done.signal.aborted; n++) await write(peer, put(first, `${n}`), put(last, `${n}`));
    })();
    for (let i = 0; i < 10; i++) {
      const { entries, revision } = await store.list(prefix);
      assert.equal(entries.length, keys.length);
      assert.equal(entries[0]?.value, entries.at(-1)?.value);
      assert.equal(entries[0]?.modRevision, entries.at(-1)?.modRevision);
      assert.ok(revision >= (entries[0]?.modRevision ?? 0));
    }
    done.abort();
    await writing;
  });
}

/** Collects what a watch tells; `until` resolves as soon as the condition holds. */
class Seen {
  readonly events: MetaEvent[] = [];
  readonly revisions: number[] = [];
  gaps = 0;
  #look: () => void = () => {};

  readonly onEvents = (events: readonly MetaEvent[], revision: number): void => {
    assert.ok(events.length > 0);
    assert.ok(revision >= (events.at(-1)?.modRevision ?? 0));
    this.events.push(...events);
    this.revisions.push(revision);
    this.#look();
  };

  readonly onGap = (): void => {
    this.gaps++;
    this.#look();
  };

  async until(condition: (seen: Seen) => boolean): Promise<void> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }
}

function watchContract(contract: Contract): void {
  contract('a watch tells puts and deletions under its prefix in order, from a past revision on', async ({ store, prefix }) => {
    await write(store, put(`${prefix}a`, 'too early'));
    const { revision: after } = await store.list(prefix);
    const one = await write(store, put(`${prefix}a`, '1'), put(`${prefix}b`, '1'));
    await write(store, put(`${prefix.slice(0, -1)}0`, 'elsewhere'));
    const seen = new Seen();
    const watch = store.watch(prefix, after, seen);
    const two = await write(store, remove(`${prefix}a`), put(`${prefix}c`, ''));
    await seen.until(({ events }) => events.length >= 4);
    assert.deepEqual(seen.events, [
      { kind: 'put', key: `${prefix}a`, value: '1', modRevision: one.revision },
      { kind: 'put', key: `${prefix}b`, value: '1', modRevision: one.revision },
      { kind: 'delete', key: `${prefix}a`, modRevision: two.revision },
      { kind: 'put', key: `${prefix}c`, value: '', modRevision: two.revision },
    ]);
    assert.equal(seen.gaps, 0);
    await watch.close();
    await write(store, remove(`${prefix.slice(0, -1)}0`));
  });

  contract('list and watch from its revision together miss nothing and repeat nothing, under concurrent writers', async ({ store, peer, prefix }) => {
    const writersCount = 4;
    const writesEach = 100;
    const writing = Promise.all(
      Array.from({ length: writersCount }, async (_, w) => {
        for (let n = 1; n <= writesEach; n++) {
          const key = `${prefix}${w}/${n % 7}`;
          await write(w % 2 === 0 ? store : peer, n % 5 === 0 ? remove(key) : put(key, `${n}`), put(`${prefix}${w}/n`, `${n}`));
        }
      }),
    );
    // Begin somewhere in the middle.
    while (Number((await store.get(`${prefix}0/n`))?.value ?? 0) < 10);
    const { entries, revision } = await store.list(prefix);
    const state = new Map(entries.map(({ key, value }) => [key, value]));
    const seen = new Seen();
    const watch = store.watch(prefix, revision, seen);
    await writing;
    await write(store, put(`${prefix}end`, ''));
    await seen.until(({ events }) => events.at(-1)?.key === `${prefix}end`);
    let last = revision;
    const counts = new Map<string, number>();
    for (const event of seen.events) {
      assert.ok(event.modRevision >= last);
      last = event.modRevision;
      if (event.kind === 'put' && event.key.endsWith('/n')) {
        const before = counts.get(event.key) ?? Number(state.get(event.key) ?? 0);
        assert.equal(Number(event.value), before + 1);
        counts.set(event.key, before + 1);
      }
      if (event.kind === 'put') state.set(event.key, event.value);
      else state.delete(event.key);
    }
    const now = (await store.list(prefix)).entries;
    assert.deepEqual(Object.fromEntries(state), Object.fromEntries(now.map(({ key, value }) => [key, value])));
    assert.equal(seen.gaps, 0);
    await watch.close();
  });

  contract('a revision is told as a whole: 128 changes of one transaction come together', async ({ store, prefix }) => {
    const { revision } = await store.list(prefix);
    const seen = new Seen();
    const watch = store.watch(prefix, revision, seen);
    for (let n = 0; n < 5; n++) await write(store, ...Array.from({ length: 128 }, (_, i) => put(`${prefix}${i}`, 'x'.repeat(8_000))));
    await seen.until(({ events }) => events.length >= 5 * 128);
    assert.equal(seen.events.length, 5 * 128);
    let at = 0;
    for (const told of seen.revisions) {
      while (at < seen.events.length && (seen.events[at]?.modRevision ?? 0) <= told) at++;
      assert.equal(at % 128, 0);
    }
    await watch.close();
  });

  contract('a watch from before the compaction gets one gap and nothing else; one from after it is served', async ({ store, prefix, compact }) => {
    const { revision: before } = await write(store, put(`${prefix}a`, '1'));
    await write(store, put(`${prefix}a`, '2'));
    await write(store, remove(`${prefix}a`));
    await compact();
    const { revision: after } = await store.list(prefix);
    const old = new Seen();
    const current = new Seen();
    const watches = [store.watch(prefix, before, old), store.watch(prefix, after, current)];
    await old.until(({ gaps }) => gaps > 0);
    await write(store, put(`${prefix}a`, '3'));
    await current.until(({ events, gaps }) => events.length + gaps > 0);
    assert.deepEqual([old.events, old.gaps, current.gaps], [[], 1, 0]);
    assert.equal(current.events[0]?.key, `${prefix}a`);
    for (const watch of watches) await watch.close();
  });

  contract('a watch from a revision that this store never reached gets a gap', async ({ store, prefix }) => {
    const seen = new Seen();
    const watch = store.watch(prefix, (await store.list(prefix)).revision + 1_000_000, seen);
    await seen.until(({ gaps }) => gaps > 0);
    await watch.close();
  });

  contract('a closed watch tells nothing more', async ({ store, prefix }) => {
    const { revision } = await store.list(prefix);
    const closed = new Seen();
    const open = new Seen();
    const first = store.watch(prefix, revision, closed);
    const second = store.watch(prefix, revision, open);
    await first.close();
    await first.close();
    await write(store, put(`${prefix}a`, ''));
    await open.until(({ events }) => events.length === 1);
    assert.deepEqual(closed.events, []);
    await second.close();
  });
}

function leaseContract(contract: Contract): void {
  contract('keys of a lease vanish when it is closed, and watches are told', async ({ store, peer, prefix }) => {
    const lease = await store.lease(10_000);
    const { revision } = await write(store, put(`${prefix}a`, '', lease), put(`${prefix}b`, '', lease), put(`${prefix}c`, ''));
    await write(store, put(`${prefix}b`, 'put again without the lease'));
    const seen = new Seen();
    const watch = peer.watch(`${prefix}a`, revision, seen);
    await lease.close();
    await lease.close();
    await lease.lost;
    await seen.until(({ events }) => events.length === 1);
    assert.equal(seen.events[0]?.kind, 'delete');
    assert.deepEqual(
      (await peer.list(prefix)).entries.map(({ key }) => key),
      [`${prefix}b`, `${prefix}c`],
    );
    await watch.close();
  });

  contract('a lease that the store ended is lost, its keys are gone, and nothing can be put with it', async ({ store, prefix, expire }) => {
    const lease = await store.lease(10_000);
    await write(store, put(`${prefix}a`, '', lease));
    await expire(lease);
    await lease.lost;
    assert.equal(await store.get(`${prefix}a`), undefined);
    await assert.rejects(write(store, put(`${prefix}other`, ''), put(`${prefix}a`, '', lease)), MetaRefused);
    assert.deepEqual((await store.list(prefix)).entries, []);
    await lease.close();
  });
}

function lifeContract(contract: Contract): void {
  contract('a closed store refuses calls, tells no events, and may be closed again', async ({ store, prefix }) => {
    const seen = new Seen();
    const watch = store.watch(prefix, (await store.list(prefix)).revision, seen);
    await store.close();
    await store.close();
    await assert.rejects(store.get(`${prefix}a`), MetaUnavailable);
    await assert.rejects(write(store, put(`${prefix}a`, '')), MetaUnavailable);
    await assert.rejects(store.lease(10_000), MetaUnavailable);
    await watch.close();
    assert.deepEqual([seen.events, seen.gaps], [[], 0]);
  });
}
