/** A `Log` over a memory store and a clock that is moved by hand, with partitions that a test appends to and reads. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../io/logger.ts';
import { MemoryMetrics } from '../../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../../io/object/memory-object-store.ts';
import type { ObjectStore } from '../../../io/object/object-store.ts';
import { SeededRandom } from '../../../io/seeded-random.ts';
import type { Incarnation, NodeId, TopicId } from '../../../cluster/identifiers.ts';
import { ManualClock } from '../../server/testing/manual-clock.ts';
import { buildBatch } from '../batch/build-batch.ts';
import { decodeRecords } from '../batch/records.ts';
import { walkBatches } from '../batch/walk-batches.ts';
import type { ObjectKey } from '../format/object-keys.ts';
import { Log, type LogLimits } from '../log.ts';
import type { Partition } from '../partition.ts';
import type { WalEnd } from '../wal/wal-writer.ts';
import { openStoredLogReader } from '../stored-log-reader.ts';
import { StoredStates } from '../stored-states.ts';
import { defaultTopicLogConfig, type TopicLogConfig } from '../topic-log-config.ts';

export const kib = 1024;
export const testTopic = 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId;

/** As small as tests need; nothing is due by itself except what a test sets. */
export const testLogLimits: LogLimits = {
  wal: {
    maxGroupBytes: 64 * kib,
    maxUploads: 4,
    idleUploads: 4,
    smallGroupBytes: 1,
    maxPendingBytes: 1 << 30,
    putsPerSecond: 0,
    putBurst: 1,
    baseBackoffMs: 1,
    maxBackoffMs: 10,
    hedgeMinMs: 0,
    settleMs: 50,
  },
  merge: {
    thresholdBytes: 1 << 30,
    thresholdObjects: 1 << 30,
    intervalMs: 1e12,
    sparseDelayMs: 1000,
    largeEntryBytes: 16 * kib,
    fanIn: 8,
    smallObjectBytes: 16 * kib,
    streamObjectMinBytes: 48 * kib,
    maxOutputBytes: 128 * kib,
    maxSlicesPerOutput: 1000,
    maxEntriesPerPartition: 1000,
    maxIndexEntries: 1e6,
    maxPlanBytes: 1 << 30,
    concurrentReads: 2,
    readAttempts: 3,
    baseBackoffMs: 1,
    maxBackoffMs: 10,
  },
  logCacheBytes: 1 << 30,
  checkpointBytes: 1 << 30,
  checkpointObjects: 1 << 30,
  checkpointSlices: 1 << 30,
  checkpointIntervalMs: 1e12,
  retentionIntervalMs: 1e12,
  tickMs: 100,
  collectionDelayMs: 0,
  maxProducersPerPartition: 100,
  producerExpirationMs: 1e12,
  maxDecompressedBytes: 1 << 20,
};

export interface LogOnMemoryOptions {
  readonly limits?: Partial<Omit<LogLimits, 'merge'>> & { readonly merge?: Partial<LogLimits['merge']> };
  readonly objects?: ObjectStore;
  readonly clock?: ManualClock;
  readonly incarnation?: Incarnation;
  readonly collectable?: 'nothing' | 'own' | 'everything';
}

export class LogOnMemory {
  readonly clock: ManualClock;
  readonly random = new SeededRandom(7);
  readonly metrics = new MemoryMetrics();
  readonly objects: ObjectStore;
  readonly log: Log;
  config: TopicLogConfig = defaultTopicLogConfig;
  /** What the metadata store would hold. */
  pointer: ObjectKey | undefined;
  proof: 'proven' | 'refused' | 'given up' = 'proven';
  prove = () => Promise.resolve(this.proof);
  /** What other brokers would hold; undefined: nobody knows. */
  held: ReadonlySet<ObjectKey> | undefined = new Set();
  ended: WalEnd | undefined;

  constructor(options: LogOnMemoryOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.objects = options.objects ?? new MemoryObjectStore();
    const { objects, clock, random, metrics } = this;
    this.log = new Log({
      objects,
      clock,
      random,
      metrics,
      logger: silentLogger,
      incarnation: options.incarnation ?? { node: 0 as NodeId, epoch: 1 },
      limits: { ...testLogLimits, ...options.limits, merge: { ...testLogLimits.merge, ...options.limits?.merge } },
      stored: openStoredLogReader({ objects, clock, random, metrics, budgetBytes: 0 }),
      provePointer: async (key) => {
        const proof = await this.prove();
        if (proof !== 'proven') return { kind: proof };
        this.pointer = key;
        return { kind: proof, revision: 1 };
      },
      heldOf: () => Promise.resolve(this.held),
      onEnd: (end) => {
        this.ended = end;
      },
    });
    const { collectable = 'everything' } = options;
    if (collectable !== 'nothing') this.log.allowCollection(() => collectable);
  }

  /** A new, empty partition. */
  create(partition: number): Partition {
    const state = {
      kind: 'full',
      topicId: testTopic,
      partition,
      leaderEpoch: 0,
      logStartOffset: 0,
      endOffset: 0,
      epochStarts: [],
      entries: [],
      producers: Buffer.alloc(0),
    } as const;
    return this.log.open({ topicId: testTopic, topic: () => 'test', partition, leaderEpoch: 0, state, base: '', config: () => this.config });
  }

  /** Opens a partition from a checkpoint. */
  async reopen(partition: number, pointer: ObjectKey): Promise<Partition> {
    const { objects, clock, random } = this;
    const states = new StoredStates({
      objects,
      clock,
      random,
      signal: new AbortController().signal,
      parallel: 4,
      maxProducers: 100,
      producerExpirationMs: 1e12,
    });
    const state = await this.until(states.resolve(pointer, { topicId: testTopic, partition }));
    assert.ok(state);
    return this.log.open({
      topicId: testTopic,
      topic: () => 'test',
      partition,
      leaderEpoch: state.leaderEpoch + 1,
      state,
      base: pointer,
      config: () => this.config,
    });
  }

  /** One batch of one record; durable when it resolves. */
  async append(partition: Partition, sizeBytes: number, timestampMs = 1): Promise<void> {
    const outcome = partition.append(batchOf(partition.logEndOffset, sizeBytes, timestampMs), { origin: 'client' });
    assert.equal(outcome.kind, 'appended');
    if (outcome.kind === 'appended') assert.equal(await this.until(outcome.durable), 'durable');
  }

  /** Every partition gets one batch, all in one WAL group. */
  async appendGroup(partitions: readonly Partition[], sizeBytes: number, timestampMs = 1): Promise<void> {
    await Promise.all(partitions.map((partition) => this.append(partition, sizeBytes, timestampMs)));
  }

  merge(): Promise<void> {
    return this.until(this.log.merge());
  }

  checkpoint(): Promise<boolean> {
    return this.until(this.log.checkpoint());
  }

  /** Lets ticks pass: collection deletes what is due. */
  async rest(ms = 1_000): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Moves the clock until the promise has settled. */
  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  async keys(prefix = ''): Promise<string[]> {
    const keys: string[] = [];
    for (let more = true; more; ) {
      const page = await this.objects.list(prefix, keys.at(-1));
      assert.ok(page.kind === 'page');
      keys.push(...page.objects.map(({ key }) => key));
      more = page.more;
    }
    return keys;
  }

  /** First offset of each batch, as read from the log start on. */
  async readAll(partition: Partition, maxBytes = 100_000): Promise<number[]> {
    const offsets: number[] = [];
    for (let offset = partition.logStartOffset; offset < partition.highWatermark; ) {
      const outcome = await this.until(Promise.resolve(partition.read(offset, { maxBytes, isolation: 'uncommitted' })));
      assert.equal(outcome.kind, 'records', JSON.stringify(outcome));
      if (outcome.kind !== 'records') break;
      for (const chunk of outcome.chunks as readonly Buffer[]) {
        for (const batch of walkBatches(chunk)) {
          const decoded = decodeRecords(chunk.subarray(batch.position, batch.position + batch.sizeBytes), { maxOutputBytes: 1 << 20 });
          const value = decoded.kind === 'ok' ? decoded.records[0]?.value : undefined;
          assert.ok(value && Buffer.from(value).equals(valueOf(batch.baseOffset, value.byteLength)));
          offsets.push(batch.baseOffset);
          offset = batch.lastOffset + 1;
        }
      }
    }
    return offsets;
  }
}

/** Content that its offset tells, so that bytes in the wrong place are noticed. */
function valueOf(offset: number, sizeBytes: number): Buffer {
  return Buffer.alloc(sizeBytes, `${offset} `);
}

export function batchOf(offset: number, sizeBytes: number, timestampMs: number): Buffer {
  return buildBatch({ records: [{ key: null, value: valueOf(offset, sizeBytes), timestampMs }] });
}
