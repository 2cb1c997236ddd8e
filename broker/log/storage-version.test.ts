/** Which format version of an object is written at which storage version, and that a reader refuses what it does not know. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../io/logger.ts';
import { noMetrics } from '../../io/metrics.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import { supportedStorage } from '../../cluster/storage-versions.ts';
import { sealIncarnation } from './recovery.ts';
import { doubtsSince } from './format/doubts.ts';
import { walKey } from './format/object-keys.ts';
import { assembleObject } from './format/stored-object.ts';
import { decodeTrailer, formatVersionAt, type ObjectKind, trailerBytes } from './format/trailer.ts';
import { WalWriter } from './wal/wal-writer.ts';

const incarnation = { node: 3 as NodeId, epoch: 1 };
const dead = { node: 2 as NodeId, epoch: 1 };
const limits = {
  maxGroupBytes: 1_000,
  maxUploads: 1,
  idleUploads: 1,
  smallGroupBytes: 1,
  maxPendingBytes: 1_000,
  putsPerSecond: 0,
  putBurst: 1,
  baseBackoffMs: 1,
  maxBackoffMs: 1,
  hedgeMinMs: 0,
  settleMs: 100,
};
const io = { clock: systemClock, random: systemRandom, logger: silentLogger, signal: new AbortController().signal };

function writer(objects: MemoryObjectStore, storageVersion: () => number): WalWriter {
  return new WalWriter({
    ...io,
    objects,
    metrics: noMetrics,
    incarnation,
    limits,
    onGroupCounted: () => {},
    onPlaced: () => {},
    onEnd: () => {},
    storageVersion,
  });
}

test('writers go over to what is finalized with their next object', async () => {
  const objects = new MemoryObjectStore();
  let finalized = 1;
  const wal = writer(objects, () => finalized);
  const put = async (kind: ObjectKind) => {
    const { key, counted } = wal.put(() => ({ kind, content: [], contentBytes: 0, footer: Buffer.alloc(0) }));
    assert.equal(await counted, true);
    const tail = await objects.readTail(key, trailerBytes);
    assert.ok(tail.kind === 'found');
    return decodeTrailer(tail.bytes, tail.sizeBytes).version;
  };
  assert.equal(await put('state'), 1);
  finalized = doubtsSince;
  assert.equal(await put('state'), 2);
  assert.equal(await put('handover'), 1);
  await wal.close();
});

test('every storage version that is supported has a format of each kind, and a reader refuses any other by its number', () => {
  const kinds: readonly ObjectKind[] = ['start', 'group', 'checkpoint', 'handover', 'state', 'seal', 'stream', 'stream-set'];
  for (const kind of kinds) {
    const object = (version: number) => {
      const { body } = assembleObject({
        kind,
        version,
        incarnation,
        number: 1,
        putId: Buffer.alloc(16),
        content: [],
        contentBytes: 0,
        footer: Buffer.alloc(0),
      });
      return decodeTrailer(Buffer.concat(body.chunks), body.sizeBytes);
    };
    for (let at = supportedStorage.min; at <= supportedStorage.max; at++) assert.equal(object(formatVersionAt(kind, at)).kind, kind);
    const next = formatVersionAt(kind, supportedStorage.max) + 1;
    assert.throws(() => object(next), new RegExp(`format version ${next} of a ${kind} is not known`));
    assert.throws(() => object(0), FormatError);
  }
});

/** An older broker would not see the doubts: the incarnation is refused as a whole, as that broker would. */
test('a recovery leaves nothing in doubt before the version that can say so is finalized', async () => {
  for (const [finalized, seals] of [
    [doubtsSince - 1, false],
    [doubtsSince, true],
  ] as const) {
    const objects = new MemoryObjectStore();
    const group = assembleObject({
      kind: 'group',
      incarnation: dead,
      number: 1,
      putId: Buffer.alloc(16),
      content: [],
      contentBytes: 0,
      footer: Buffer.alloc(600, 0xff),
    });
    await objects.create(walKey(dead, 1), group.body);
    const wal = writer(objects, () => finalized);
    const sealing = sealIncarnation(dead, undefined, { ...io, objects, self: incarnation, wal, parallel: 1, damage: 'doubt' });
    if (seals) assert.equal(await sealing, walKey(incarnation, 1));
    else await assert.rejects(sealing, FormatError);
    assert.equal((await objects.head(walKey(dead, 2))).kind, seals ? 'found' : 'missing');
    await wal.close();
  }
});
