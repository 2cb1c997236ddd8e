/** Compaction over the real log: the history goes from the store's index, too, and the next incarnation loads what is left. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { MemoryMetrics } from '../../../io/memory-metrics.ts';
import { silentLogger } from '../../../io/logger.ts';
import { brokerConfig } from '../../config.ts';
import { LogOnMemory } from '../../log/testing/log-on-memory.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { Deadlines } from '../deadlines.ts';
import { CompactionQueue } from './compaction-queue.ts';
import { GroupPartition } from './group-partition.ts';
import { type GroupRecord, zeroTopicId } from './group-records.ts';
import { groupSettings } from './group-settings.ts';

const { limits, storage } = groupSettings(brokerConfig({}));

function coordinate(on: LogOnMemory, log: PartitionLog): GroupPartition {
  const { clock } = on;
  const queue = new CompactionQueue({ logger: silentLogger, metrics: new MemoryMetrics() });
  return new GroupPartition({
    log,
    clock,
    limits,
    logger: silentLogger,
    deadlines: new Deadlines(clock),
    storage: { ...storage, compaction: { ...storage.compaction, minHistoryBytes: 20_000 } },
    answerJoin: () => {},
    answerSync: () => {},
    phaseChanged: () => {},
    loaded: () => {},
    compactable: (partition) => queue.offer(partition),
  });
}

function committed(groupId: string, offset: number): GroupRecord {
  const value = { offset, leaderEpoch: -1, metadata: '', commitTimestampMs: 1, expireTimestampMs: -1, topicId: zeroTopicId };
  return { kind: 'offset', groupId, topic: 't', partition: 0, value };
}

test('after commits, merges and a checkpoint another incarnation loads the live keys from a short log', async () => {
  const on = new LogOnMemory();
  const log = on.create(0);
  const groups = coordinate(on, log);
  await on.clock.settle();
  let mostBytes = 0;
  for (let n = 0; n < 1_000; n += 1) {
    const done = new Promise((resolve) => groups.append([committed(`g${n % 20}`, n)], resolve));
    assert.equal(await on.until(done), ErrorCodes.NONE);
    mostBytes = Math.max(mostBytes, log.sizeBytes);
    if (n % 300 === 0) await on.merge();
  }
  await on.rest();
  assert.ok(log.logStartOffset > 500, `the log starts at ${log.logStartOffset}`);
  assert.ok(mostBytes < 60_000, `${mostBytes} bytes at most`);
  await on.checkpoint();
  const live = [...groups.live.below(Number.POSITIVE_INFINITY)];
  await groups.close();

  const next = new LogOnMemory({ objects: on.objects, clock: on.clock, incarnation: { node: 0 as never, epoch: 2 } });
  assert.ok(on.pointer);
  const loaded = coordinate(next, await next.reopen(0, on.pointer));
  await next.rest();
  assert.equal(loaded.unavailable, ErrorCodes.NONE);
  assert.equal(loaded.offsets.get('g19', 't', 0)?.offset, 999);
  const byGroup = (records: readonly GroupRecord[]) => new Map(records.map((record) => [record.groupId, record]));
  assert.deepEqual(byGroup([...loaded.live.below(Number.POSITIVE_INFINITY)]), byGroup(live));
  assert.ok(loaded.live.historyBytes < 30_000, `${loaded.live.historyBytes} bytes were read`);
  await loaded.close();
});
