/** Lives of one broker, one after the other, over stores in memory and a clock that is moved by hand; a life may end as by kill -9. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../io/logger.ts';
import { openEmbeddedMetaStore } from '../../io/meta/embedded-meta-store.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import { beginLife, type BrokerLife } from '../broker-life.ts';
import { brokerConfig } from '../config.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { batchOf } from '../log/testing/log-on-memory.ts';
import { ManualClock } from '../server/testing/manual-clock.ts';
import { cuttable } from './cut-store.ts';
import { readAll } from './records-on-memory.ts';

/** Everything is due soon. */
const settings = {
  'merge.threshold.objects': '8',
  'merge.interval.ms': '1000',
  'checkpoint.interval.ms': '500',
  'gc.delay.ms': '200',
  'log.retention.check.interval.ms': '300',
};

export class LivesOnMemory {
  readonly clock: ManualClock;
  readonly random = new SeededRandom(11);
  readonly metrics = new MemoryMetrics();
  readonly objects = new MemoryObjectStore();
  readonly meta: MetaStore;
  readonly #settings: Readonly<Record<string, string>>;
  #cut = new AbortController();
  #life: BrokerLife | undefined;

  static async start(more: Readonly<Record<string, string>> = {}): Promise<LivesOnMemory> {
    const clock = new ManualClock();
    const meta = await openEmbeddedMetaStore({ clock, random: new SeededRandom(12) });
    const lives = new LivesOnMemory(clock, meta, { ...settings, ...more });
    await lives.begin();
    return lives;
  }

  private constructor(clock: ManualClock, meta: MetaStore, all: Readonly<Record<string, string>>) {
    this.clock = clock;
    this.meta = meta;
    this.#settings = all;
  }

  get life(): BrokerLife {
    assert.ok(this.#life, 'no life has begun');
    return this.#life;
  }

  async begin(): Promise<BrokerLife> {
    this.#cut = new AbortController();
    const { clock, random, metrics } = this;
    const config = brokerConfig({ 'node.id': '0', ...this.#settings });
    this.#life = await this.until(
      beginLife({
        config,
        io: {
          clock,
          random,
          metrics,
          logger: silentLogger,
          transport: undefined as never,
          objects: cuttable(this.objects, this.#cut.signal),
          meta: cuttable(this.meta, this.#cut.signal),
        },
        clusterId: 'test',
        identity: { node: 0 as NodeId, host: '127.0.0.1', port: 9092, rack: undefined, internal: undefined },
        onMayAnswer: () => {},
        onLiving: () => {},
        signal: new AbortController().signal,
      }),
    );
    return this.#life;
  }

  /** As kill -9: nothing that the life does from here on reaches a store. */
  kill(): void {
    this.#cut.abort();
    this.#life = undefined;
  }

  async end(): Promise<void> {
    await this.until(this.life.close({ graceful: true }));
    this.kill();
  }

  rest(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Moves the clock until the promise has settled. */
  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  async createTopic(name: string, partitionCount: number, config: Readonly<Record<string, string>> = {}): Promise<TopicId> {
    const created = await this.until(this.life.services.admin.createTopic({ name, partitionCount, config }));
    assert.ok(created.kind === 'done', JSON.stringify(created));
    return created.topicId;
  }

  log(topicId: TopicId, partition: number): PartitionLog {
    const found = this.life.services.partitions.find(topicId, partition);
    assert.ok(found.kind === 'owned', found.kind);
    return found.log;
  }

  batch(log: PartitionLog, sizeBytes = 100): Buffer {
    return batchOf(log.logEndOffset, sizeBytes, this.clock.wallMs());
  }

  async append(log: PartitionLog, sizeBytes: number, timestampMs = this.clock.wallMs()): Promise<void> {
    const outcome = log.append(batchOf(log.logEndOffset, sizeBytes, timestampMs), { origin: 'client' });
    assert.ok(outcome.kind === 'appended', JSON.stringify(outcome));
    assert.equal(await this.until(outcome.durable), 'durable');
  }

  /** Offsets of all records, whose content fits their offset. */
  readAll(log: PartitionLog): Promise<number[]> {
    return readAll(log, this.clock);
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
}
