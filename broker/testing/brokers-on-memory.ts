/**
 * Several brokers over shared stores in memory and a clock that is moved by hand. Each has its real life, with liveness over a network in memory;
 * any of them may be killed at any call, and begin again under its node id.
 */
import assert from 'node:assert/strict';
import { silentLogger } from '../../io/logger.ts';
import { openEmbeddedMetaStore } from '../../io/meta/embedded-meta-store.ts';
import type { MetaList, MetaStore, MetaTxn, MetaTxnResult } from '../../io/meta/meta-store.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import type { CreateOutcome } from '../../io/object/object-store.ts';
import { SeededRandom } from '../../io/seeded-random.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import {
  controllerRecord,
  holdRecord,
  keys,
  parseHoldKey,
  parseRecord,
  partitionRecord,
  type PartitionRecord,
  type RecoveryRecord,
} from '../../cluster/meta-records.ts';
import { beginLife, type BrokerLife } from '../broker-life.ts';
import { brokerConfig } from '../config.ts';
import { buildBatch } from '../log/batch/build-batch.ts';
import { fsck, type FsckReport } from '../log/fsck/fsck.ts';
import type { Mutants } from '../log/mutants.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import { InternalListener } from '../ownership/liveness/internal-listener.ts';
import { readStoredMetadata } from '../ownership/stored-metadata.ts';
import { ManualClock } from '../server/testing/manual-clock.ts';
import { cuttable, type Fault, never } from './cut-store.ts';
import { MemoryNetwork } from './memory-network.ts';
import { readAll } from './records-on-memory.ts';

/** Everything is due soon. */
const settings = {
  'merge.threshold.objects': '8',
  'merge.interval.ms': '1000',
  'checkpoint.interval.ms': '500',
  'gc.delay.ms': '200',
  'log.retention.check.interval.ms': '300',
};

/** What happens to the calls of one broker. */
export interface Faults {
  txn?: Fault<MetaTxn, MetaTxnResult> | undefined;
  list?: Fault<string, MetaList> | undefined;
  create?: Fault<string, CreateOutcome> | undefined;
}

interface Running {
  readonly life: BrokerLife;
  readonly listener: InternalListener;
  readonly cut: AbortController;
}

export class BrokersOnMemory {
  readonly clock: ManualClock;
  readonly objects = new MemoryObjectStore();
  readonly meta: MetaStore;
  readonly mutants: Mutants;
  readonly #network: MemoryNetwork;
  readonly #random = new SeededRandom(21);
  readonly #settings: Readonly<Record<string, string>>;
  readonly #running = new Map<number, Running>();
  readonly #faults = new Map<number, Faults>();
  readonly #cuts = new Map<number, AbortController>();

  /** Nodes 1 to `count`; waits until one of them is controller. */
  static async start(count: number, more: Readonly<Record<string, string>> = {}, mutants: Mutants = new Set()): Promise<BrokersOnMemory> {
    const clock = new ManualClock();
    const meta = await openEmbeddedMetaStore({ clock, random: new SeededRandom(12) });
    const on = new BrokersOnMemory(clock, meta, { ...settings, ...more }, mutants);
    for (let node = 1; node <= count; node++) await on.begin(node);
    await on.eventually('a controller is elected', async () => (await on.controller()) !== undefined);
    return on;
  }

  private constructor(clock: ManualClock, meta: MetaStore, all: Readonly<Record<string, string>>, mutants: Mutants) {
    this.clock = clock;
    this.#network = new MemoryNetwork(clock);
    this.meta = meta;
    this.#settings = all;
    this.mutants = mutants;
  }

  async begin(node: number): Promise<BrokerLife> {
    const cut = new AbortController();
    this.#cuts.set(node, cut);
    const host = `node-${node}`;
    const transport = this.#network.of(host);
    const { clock } = this;
    const random = this.#random;
    const listener = await this.until(
      InternalListener.open({ clock, logger: silentLogger, transport, node: node as NodeId, host, port: 0, maxConnections: 100, maxProbes: 10 }),
    );
    const faults = this.faults(node) as Readonly<Record<string, Fault<never, never> | undefined>>;
    const life = await this.until(
      beginLife({
        config: brokerConfig({ 'node.id': String(node), ...this.#settings }),
        io: {
          clock,
          random,
          metrics: new MemoryMetrics(),
          logger: silentLogger,
          transport,
          objects: cuttable(this.objects, cut.signal, (name) => faults[name]),
          meta: cuttable(this.meta, cut.signal, (name) => faults[name]),
        },
        clusterId: 'test',
        identity: { node: node as NodeId, host, port: 9092, rack: undefined, internal: { host, port: listener.port } },
        onMayAnswer: () => {},
        onLiving: (incarnation) => listener.setSelf(incarnation),
        signal: cut.signal,
        mutants: this.mutants,
      }),
    );
    this.#running.set(node, { life, listener, cut });
    return life;
  }

  /** As kill -9: nothing that it does from here on reaches a store or another broker. */
  kill(node: number): void {
    this.#cuts.get(node)?.abort();
    this.#network.cut(`node-${node}`);
    this.#running.delete(node);
    this.#faults.delete(node);
  }

  /** As SIGTERM. */
  async end(node: number): Promise<void> {
    const { life, listener } = this.#at(node);
    await this.until(life.drain(5_000));
    await this.until(life.close({ graceful: true }));
    await this.until(listener.close());
    this.kill(node);
  }

  faults(node: number): Faults {
    let faults = this.#faults.get(node);
    if (!faults) this.#faults.set(node, (faults = {}));
    return faults;
  }

  /** Kills `node` right before, or right after, its next transaction that `is` the one. Resolves when that has happened. */
  killAtTxn(node: number, when: 'before' | 'after', is: (txn: MetaTxn) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.faults(node).txn = async (asked, run) => {
        if (!is(asked)) return run();
        if (when === 'after') await run();
        this.kill(node);
        resolve();
        return never;
      };
    });
  }

  life(node: number): BrokerLife {
    return this.#at(node).life;
  }

  get nodes(): readonly number[] {
    return [...this.#running.keys()];
  }

  /** The running broker that is controller. */
  async controller(): Promise<number | undefined> {
    const entry = await this.until(this.meta.get(keys.controller));
    const record = entry && parseRecord(controllerRecord, entry.value);
    return record && this.nodes.find((node) => node === record.node && this.life(node).incarnation.epoch === record.epoch);
  }

  rest(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.clock.until(promise);
  }

  /** Moves the clock until it is so. */
  async eventually(what: string, isSo: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
    const startedMs = this.clock.monotonicMs();
    while (!(await isSo())) {
      assert.ok(this.clock.monotonicMs() - startedMs < withinMs, `not within ${withinMs} ms: ${what}`);
      await this.clock.advance(10);
    }
  }

  /** A topic whose partition i begins at `owners[i]`. */
  async createTopic(name: string, owners: readonly number[], config: Readonly<Record<string, string>> = {}): Promise<TopicId> {
    const { admin } = this.life(owners[0] ?? 1).services;
    const created = await this.until(admin.createTopic({ name, partitionCount: owners.length, config, assignment: owners as readonly NodeId[] }));
    assert.ok(created.kind === 'done', JSON.stringify(created));
    await this.opened(created.topicId, owners);
    return created.topicId;
  }

  /** Waits until partition i is open at `owners[i]`. */
  opened(topicId: TopicId, owners: readonly number[], withinMs?: number): Promise<void> {
    return this.eventually(`open at ${owners.join()}`, () => owners.every((node, i) => this.ownersOf(topicId, i).join() === String(node)), withinMs);
  }

  /** Running brokers that serve it. */
  ownersOf(topicId: TopicId, partition: number): readonly number[] {
    return this.nodes.filter((node) => this.find(node, topicId, partition).kind === 'owned');
  }

  find(node: number, topicId: TopicId, partition: number) {
    return this.life(node).services.partitions.find(topicId, partition);
  }

  log(node: number, topicId: TopicId, partition = 0): PartitionLog {
    const found = this.find(node, topicId, partition);
    assert.ok(found.kind === 'owned', `${node}: ${found.kind}`);
    return found.log;
  }

  /** As `kafka-reassign-partitions` asks for it, through any broker. */
  async ask(topicId: TopicId, partitions: readonly number[], target: number): Promise<void> {
    const [some] = this.nodes;
    const wanted = partitions.map((partition) => ({ topicId, partition, target: target as NodeId }));
    const outcomes = await this.until(this.life(some ?? 0).services.moves.request(wanted, 'test'));
    for (const outcome of outcomes) assert.equal(outcome.kind, 'done');
  }

  async move(topicId: TopicId, target: number, partition = 0): Promise<void> {
    await this.ask(topicId, [partition], target);
    await this.eventually(`open at ${target}`, () => this.ownersOf(topicId, partition).join() === String(target));
  }

  /** One record of an idempotent producer, whose sequence number is the offset. */
  async append(log: PartitionLog, sizeBytes = 100): Promise<void> {
    const outcome = log.append(batchAt(log.logEndOffset, sizeBytes, this.clock.wallMs()), { origin: 'client' });
    assert.ok(outcome.kind === 'appended', JSON.stringify(outcome));
    assert.equal(await this.until(outcome.durable), 'durable');
  }

  readAll(log: PartitionLog): Promise<number[]> {
    return readAll(log, this.clock);
  }

  async record(topicId: TopicId, partition = 0): Promise<PartitionRecord> {
    const entry = await this.until(this.meta.get(keys.partition(topicId, partition)));
    const record = entry && parseRecord(partitionRecord, entry.value);
    assert.ok(record);
    return record;
  }

  /** `node of the objects/partition`, with the list where it has one. */
  async holds(topicId: TopicId): Promise<Readonly<Record<string, readonly string[] | 'any'>>> {
    const { entries } = await this.until(this.meta.list(keys.holds));
    return Object.fromEntries(
      entries.flatMap(({ key, value }) => {
        const hold = parseHoldKey(key);
        const record = parseRecord(holdRecord, value);
        return hold && record && hold.topicId === topicId ? [[`${hold.node}/${hold.partition}`, record.objects ?? ('any' as const)]] : [];
      }),
    );
  }

  async metaKeys(prefix: string): Promise<readonly string[]> {
    return (await this.until(this.meta.list(prefix))).entries.map(({ key }) => key);
  }

  async recovery(node: number, epoch: number): Promise<RecoveryRecord | undefined> {
    const entry = await this.until(this.meta.get(keys.recovery(node, epoch)));
    return entry && (JSON.parse(entry.value) as RecoveryRecord);
  }

  async keys(prefix = ''): Promise<readonly string[]> {
    const page = await this.objects.list(prefix, undefined);
    assert.ok(page.kind === 'page' && !page.more);
    return page.objects.map(({ key }) => key);
  }

  /** `automq storage fsck`: nothing that anybody needs is missing. Answers what it found. */
  async check(): Promise<FsckReport> {
    const { objects, clock, meta } = this;
    const signal = new AbortController().signal;
    const report = await this.until(
      fsck({ objects, clock, random: this.#random, signal, parallel: 16, metadata: () => readStoredMetadata(meta), verify: true }),
    );
    const wrong = report.objects.filter(({ is }) => is === 'missing' || is === 'damaged' || is === 'unknown');
    assert.deepEqual([...report.problems, ...wrong.map(({ key, is, reason }) => `${key} is ${is}: ${reason}`)], []);
    return report;
  }

  /** Ends all lives, so that nothing of them runs on. */
  async close(): Promise<void> {
    for (const node of this.nodes) {
      const { life, listener } = this.#at(node);
      await this.until(life.close({ graceful: false }));
      await this.until(listener.close());
      this.kill(node);
    }
  }

  #at(node: number): Running {
    const running = this.#running.get(node);
    assert.ok(running, `node ${node} does not run`);
    return running;
  }
}

export function batchAt(offset: number, sizeBytes: number, timestampMs: number): Buffer {
  const value = Buffer.alloc(sizeBytes, `${offset} `);
  return buildBatch({ records: [{ key: null, value, timestampMs }], producerId: 7, producerEpoch: 0, baseSequence: offset });
}
