/** What a coordinator knows is what its log says (contract C10): random lives of groups, then the log read by another one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type Action, action, GroupLife } from '../../../test/coordinator/group-life.ts';
import { buildBatch } from '../../log/batch/build-batch.ts';
import { decodeRecords } from '../../log/batch/records.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';

test('what a coordinator knows after any life is what another one reads from its log', async () => {
  let stable = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.constantFrom(Number.POSITIVE_INFINITY, 7, 100),
      async (actions, chunkBytes) => {
        const life = new GroupLife();
        for (const next of actions) await life.play(next);
        await life.settle();
        const offsets = life.offsets();
        const groups = life.groups();
        life.log.chunkBytes = chunkBytes;
        await life.broker.takeOver();
        assert.deepEqual(life.offsets(), offsets);
        const reread = life.groups();
        for (const [id, snapshot] of groups) assert.equal(reread.get(id), snapshot, id);
        stable += [...groups.values()].filter((text) => text.includes('"memberId"')).length;
        await life.broker.coordinator.close();
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(stable > 0, 'some of these lives had stable groups');
});

test('a compacted log in any compression reads as the log did', async () => {
  for (const compression of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const life = new GroupLife();
    life.log.held = false;
    for (let offset = 0; offset < 40; offset += 1)
      await life.play({ kind: 'commit', groupId: `g${offset % 3}`, topic: 't', partition: offset % 2, offset, metadata: '' } as Action);
    await life.play({ kind: 'delete-group', groupId: 'g2' });
    const offsets = life.offsets();
    const { log } = life;
    const last = new Map<string, { offset: number; record: { key: Buffer | null; value: Buffer | null; timestampMs: number } }>();
    for (const batch of log.batches) {
      const decoded = decodeRecords(batch, { maxOutputBytes: 1 << 20 });
      assert.equal(decoded.kind, 'ok');
      if (decoded.kind === 'ok') for (const record of decoded.records) last.set(record.key?.toString('hex') ?? '', { offset: record.offset, record });
    }
    const kept = [...last.values()].sort((a, b) => a.offset - b.offset);
    const first = kept[0]?.offset ?? 0;
    log.batches = [buildBatch({ compression, baseOffset: first, records: kept.map(({ offset, record }) => ({ ...record, offsetDelta: offset - first })) })];
    await life.broker.takeOver();
    assert.equal(offsets.length, 4);
    assert.deepEqual(life.offsets(), offsets, compression);
  }
});

test('records of other kinds of groups, and those without a key, are passed over', async () => {
  const life = new GroupLife();
  life.log.held = false;
  await life.play({ kind: 'commit', groupId: 'g0', topic: 't', partition: 0, offset: 3, metadata: '' });
  const consumerGroup = Buffer.from([0, 3, 0, 1, 0x67]);
  const nameless = { key: null, value: Buffer.from('x'), timestampMs: 0 };
  life.log.append(buildBatch({ records: [{ key: consumerGroup, value: Buffer.from([0, 0, 0]), timestampMs: 0 }, nameless] }), { origin: 'coordinator' });
  const offsets = life.offsets();
  await life.broker.takeOver();
  assert.deepEqual(life.offsets(), offsets);
  assert.equal(offsets.length, 1);
});

test('a value of an unknown version stops the loading: half a memory would make consumers start over', async () => {
  const life = new GroupLife();
  life.log.held = false;
  const key = Buffer.from([0, 2, 0, 1, 0x67]);
  life.log.append(buildBatch({ records: [{ key, value: Buffer.from([0, 99, 0]), timestampMs: 0 }] }), { origin: 'coordinator' });
  await life.broker.takeOver();
  const { errorCode } = await life.broker.ask(ApiKeys.ListGroups, 5, {});
  assert.equal(errorCode, 14);
});
