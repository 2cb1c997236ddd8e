/** What the folder store promises beyond the contract: durability in the right order, failures of the disk (F46, F66–F68), other processes. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Clock } from '../clock.ts';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { directFlag, type FileCalls, realFileCalls, syncedFlag } from './folder/file-calls.ts';
import { FolderObjectStore, type FolderObjectStoreOptions } from './folder-object-store.ts';
import { objectBody } from './object-store.ts';

const small = objectBody([Buffer.from('small')]);
const big = objectBody([Buffer.alloc(3_000_000, 7)]);

describe('FolderObjectStore', () => {
  let folder: string;
  let opened: FolderObjectStore[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'automq-folder-'));
    opened = [];
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  const open = async (options: Partial<FolderObjectStoreOptions> = {}) => {
    const store = await FolderObjectStore.open({ folder, clock: systemClock, random: systemRandom, ...options });
    opened.push(store);
    return store;
  };

  for (const [what, body] of [
    ['small', small],
    ['big', big],
  ] as const) {
    test(`a ${what} object is synced, then named, then its folder is synced, then it is created`, async () => {
      const calls: string[] = [];
      const store = await open({ files: recording(calls) });
      await store.create('wal/1/0', body);
      calls.length = 0;
      assert.deepEqual(await store.create('wal/1/1', body), { kind: 'created' });
      calls.push('created');
      const order = calls.filter((call) => /^(fdatasync|link 1|fsync|created)$/.test(call));
      assert.deepEqual(order, ['fdatasync', 'link 1', 'fsync', 'created']);
    });
  }

  test('the names of new folders are durable before the first object in them', async () => {
    const synced: string[] = [];
    const store = await open({ files: recording([], synced) });
    synced.length = 0;
    await store.create('wal/1/2/0', small);
    assert.deepEqual(synced, [join('wal', '1'), 'wal', '', join('wal', '1', '2')]);
  });

  test('exists waits until the name is durable', async () => {
    const first = await open();
    await first.create('k', small);
    const calls: string[] = [];
    const store = await open({ files: recording(calls) });
    calls.length = 0;
    assert.deepEqual(await store.create('k', small), { kind: 'exists' });
    assert.equal(calls.filter((call) => call === 'fsync').length, 1);
  });

  test('creates that end together share an fsync of their folder', async () => {
    const calls: string[] = [];
    const store = await open({ files: recording(calls) });
    await store.create('wal/first', small);
    calls.length = 0;
    await Promise.all(Array.from({ length: 16 }, (_, index) => store.create(`wal/${index}`, small)));
    assert.ok(calls.filter((call) => call === 'fsync').length < 16);
  });

  for (const [code, kind] of [
    ['ENOSPC', 'refused'],
    ['EROFS', 'refused'],
    ['EACCES', 'refused'],
    ['EIO', 'unknown'],
  ] as const) {
    for (const call of ['write', 'fdatasync', 'link'] as const) {
      test(`${code} from ${call} answers ${kind}, creates nothing, leaves nothing, and goes when it goes`, async () => {
        const failing = failingFiles();
        const store = await open({ files: failing.files });
        failing.fail(call, code);
        assert.equal((await store.create('a/k', big)).kind, kind);
        assert.deepEqual(await store.head('a/k'), { kind: 'missing' });
        failing.fail(call, undefined);
        assert.deepEqual(await store.create('a/k', big), { kind: 'created' });
        await store.close();
        assert.deepEqual(await readdir(join(folder, '.tmp')), []);
      });
    }
  }

  test('a folder that cannot be synced after the name is there answers unknown, never refused', async () => {
    const failing = failingFiles();
    const store = await open({ files: failing.files });
    await store.create('a/0', small);
    failing.fail('fsync', 'ENOSPC');
    assert.equal((await store.create('a/1', small)).kind, 'unknown');
    failing.fail('fsync', undefined);
    assert.deepEqual(await store.create('a/1', small), { kind: 'exists' });
  });

  test('a system call that takes less than all is continued', async () => {
    const files: FileCalls = {
      ...realFileCalls,
      writev: (fd, chunks, position) => realFileCalls.writev(fd, [chunks[0]!.subarray(0, 3)], position),
      read: (fd, into, at, length, position) => realFileCalls.read(fd, into, at, Math.min(length, 7), position),
    };
    const store = await open({ files });
    const chunks = [Buffer.from('abcd'), Buffer.from(''), Buffer.from('efghijk'), Buffer.from('l')];
    assert.deepEqual(await store.create('k', objectBody(chunks)), { kind: 'created' });
    const read = await store.read('k');
    assert.equal(read.kind === 'found' && read.bytes.toString(), 'abcdefghijkl');
  });

  test('a file system without direct writes is written through its cache', async () => {
    const files: FileCalls = {
      ...realFileCalls,
      open: (path, flags) => (directFlag !== undefined && (flags & directFlag) !== 0 ? Promise.reject(failure('EINVAL')) : realFileCalls.open(path, flags)),
    };
    const store = await open({ files });
    assert.equal(store.writesDirectly, false);
    assert.deepEqual(await store.create('k', big), { kind: 'created' });
    assert.deepEqual(await store.head('k'), { kind: 'found', sizeBytes: big.sizeBytes });
  });

  test('the deadline answers for a disk that hangs, and the slot stays taken until it really ended', async () => {
    const clock = new HandClock();
    const disk = gate();
    const syncing = gate();
    const files: FileCalls = { ...realFileCalls, fdatasync: (fd) => (syncing.open(), disk.opened.then(() => realFileCalls.fdatasync(fd))) };
    const store = await open({ clock, files, maxInFlight: 1 });
    const hanging = store.create('k', big);
    await syncing.opened;
    const waiting = store.head('other', { deadlineMs: 500 });
    await clock.advance(1000);
    assert.equal((await waiting).kind, 'unknown');
    await clock.advance(30_000);
    assert.equal((await hanging).kind, 'unknown');
    disk.open();
    assert.deepEqual(await store.head('k'), { kind: 'missing' }, 'nothing gets its name after the deadline');
  });

  test('a create does not settle while the kernel may still read the caller’s buffers', async () => {
    const clock = new HandClock();
    const disk = gate();
    const writing = gate();
    const files: FileCalls = {
      ...realFileCalls,
      writev: (fd, chunks, position) => (writing.open(), disk.opened.then(() => realFileCalls.writev(fd, chunks, position))),
    };
    const store = await open({ clock, files });
    let settled = false;
    const creating = store.create('k', small).finally(() => {
      settled = true;
    });
    await writing.opened;
    await clock.advance(60_000);
    assert.equal(settled, false);
    disk.open();
    assert.equal((await creating).kind, 'unknown');
  });

  test('a folder that was removed is refused, not empty', async () => {
    const store = await open();
    await store.create('k', small);
    await rm(folder, { recursive: true });
    assert.equal((await store.head('k')).kind, 'refused');
    assert.equal((await store.read('k')).kind, 'refused');
  });

  test('left-over temporary files go at the start: of dead processes and old ones, not those of others', async () => {
    await open();
    const temporary = join(folder, '.tmp');
    const namespace = await ownNamespace(folder);
    const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-');
    const dead = `${host}.${namespace}.999999999.aa.0`;
    const living = `${host}.${namespace}.${process.ppid}.aa.0`;
    const elsewhere = 'other.123.1.aa.0';
    const old = 'other.123.1.aa.1';
    for (const name of [dead, living, elsewhere, old]) await writeFile(join(temporary, name), 'x');
    const longAgo = Date.now() / 1000 - 3600;
    await utimes(join(temporary, old), longAgo, longAgo);
    await open();
    assert.deepEqual((await readdir(temporary)).sort(), [elsewhere, living].sort());
  });

  test('two stores on one folder: a temporary file that another removed only costs an attempt', async () => {
    const files: FileCalls = {
      ...realFileCalls,
      link: async (from, to) => {
        if (basename(to) === 'k') await realFileCalls.unlink(from);
        return realFileCalls.link(from, to);
      },
    };
    const store = await open({ files });
    assert.equal((await store.create('k', small)).kind, 'unknown');
    assert.deepEqual(await (await open()).create('k', small), { kind: 'created' });
  });

  test('a bug in a body is thrown, and nothing is created', async () => {
    const store = await open();
    await assert.rejects(store.create('k', { chunks: [Buffer.from('abc')], sizeBytes: 4 }), { name: 'InvariantError' });
    assert.deepEqual(await store.head('k'), { kind: 'missing' });
  });

  test('a closed store refuses', async () => {
    const store = await open();
    await store.close();
    assert.equal((await store.create('k', small)).kind, 'refused');
  });

  /** The name that a store gives its temporary files, as the system shows it. */
  async function ownNamespace(at: string): Promise<string> {
    let seen = '';
    const spy = await FolderObjectStore.open({
      folder: at,
      clock: systemClock,
      random: systemRandom,
      files: { ...realFileCalls, link: (from, to) => ((seen = basename(from)), realFileCalls.link(from, to)) },
    });
    await spy.create('namespace', small);
    await spy.close();
    return seen.split('.')[1] ?? '';
  }

  function recording(calls: string[], synced: string[] = []): FileCalls {
    const paths = new Map<number, string>();
    const synchronous = new Set<number>();
    return {
      ...realFileCalls,
      open: async (path, flags) => {
        const fd = await realFileCalls.open(path, flags);
        paths.set(fd, path);
        if ((flags & syncedFlag) !== 0) synchronous.add(fd);
        return fd;
      },
      close: (fd) => (synchronous.delete(fd), realFileCalls.close(fd)),
      writev: async (fd, chunks, position) => {
        const count = await realFileCalls.writev(fd, chunks, position);
        if (synchronous.has(fd)) calls.push('fdatasync');
        return count;
      },
      fdatasync: (fd) => (calls.push('fdatasync'), realFileCalls.fdatasync(fd)),
      fsync: (fd) => {
        calls.push('fsync');
        const path = paths.get(fd) ?? '';
        if (!path.endsWith('.tmp') && path.startsWith(folder)) synced.push(path.slice(folder.length + 1));
        return realFileCalls.fsync(fd);
      },
      link: (from, to) => (calls.push(`link ${basename(to)}`), realFileCalls.link(from, to)),
    };
  }
});

type Failable = 'write' | 'fdatasync' | 'fsync' | 'link';

function failingFiles(): { readonly files: FileCalls; fail(call: Failable, code: string | undefined): void } {
  const failures = new Map<Failable, string | undefined>();
  const unless = <T>(call: Failable, work: () => Promise<T>): Promise<T> => {
    const code = failures.get(call);
    return code ? Promise.reject(failure(code)) : work();
  };
  return {
    files: {
      ...realFileCalls,
      write: (fd, bytes, length, position) => unless('write', () => realFileCalls.write(fd, bytes, length, position)),
      writev: (fd, chunks, position) => unless('write', () => realFileCalls.writev(fd, chunks, position)),
      fdatasync: (fd) => unless('fdatasync', () => realFileCalls.fdatasync(fd)),
      fsync: (fd) => unless('fsync', () => realFileCalls.fsync(fd)),
      link: (from, to) => unless('link', () => realFileCalls.link(from, to)),
    },
    fail: (call, code) => void failures.set(call, code),
  };
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made up`), { code });
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Time that moves by hand; the real files beside it go on. */
class HandClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  wallMs = () => Date.now();
  monotonicMs = () => this.#nowMs;
  defer = (callback: () => void) => void setImmediate(callback);
  setTimer = (delayMs: number, callback: () => void) => {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  };

  async advance(byMs: number): Promise<void> {
    this.#nowMs += byMs;
    for (const timer of this.#timers) {
      if (timer.dueMs > this.#nowMs) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
