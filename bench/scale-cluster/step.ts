/** One size of cluster, from its first start to the drain of a broker: every figure of the table. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { controllerRecord, keys, parseRecord } from '../../cluster/meta-records.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import { KafkaAdmin } from '../availability/kafka-admin.ts';
import type { Address } from '../availability/kafka-socket.ts';
import { difference, usageOf } from '../process-usage.ts';
import type { LogLine, ManyBrokers } from './cluster.ts';
import { untilAllServe, writeEverywhere } from './every-partition.ts';
import { WatchedOwners } from './watched-owners.ts';

export interface StepSize {
  readonly brokers: number;
  readonly partitions: number;
}

export interface StepOptions extends StepSize {
  readonly partitionsPerTopic: number;
  readonly settleSeconds: number;
  readonly idleSeconds: number;
  /** Ends after the recovery: whoever is profiled writes that when it ends. */
  readonly toRecovery: boolean;
}

/** By the names of report.ts; absent: not measured. */
export type Figures = Record<string, number>;

export async function measureStep(cluster: ManyBrokers, options: StepOptions, figures: Figures): Promise<void> {
  const say = (what: string) => console.error(`scale: ${options.brokers} brokers, ${options.partitions} partitions: ${what}`);
  const step = new Step(cluster, options, figures);
  say('the brokers serve');
  await step.create();
  say('the topics are there');
  const owners = await WatchedOwners.open(cluster.meta);
  try {
    await writeEverywhere([...owners.partitions.values()], step.addressOf);
    say('a record is in every partition');
    await delay(options.settleSeconds * 1_000);
    await step.rest(owners);
    say(`at rest: ${JSON.stringify(figures)}`);
    await step.startEmpty(await step.recover(owners));
    say(`recovered and restarted: ${JSON.stringify(figures)}`);
    if (options.toRecovery) return;
    await step.drain(owners);
    await delay(options.settleSeconds * 1_000);
    await step.restAfter();
    say('drained');
    await step.startAll(owners);
  } finally {
    await owners.close();
  }
}

class Step {
  readonly #cluster: ManyBrokers;
  readonly #options: StepOptions;
  readonly #figures: Figures;

  constructor(cluster: ManyBrokers, options: StepOptions, figures: Figures) {
    this.#cluster = cluster;
    this.#options = options;
    this.#figures = figures;
  }

  readonly addressOf = (node: number): Address => this.#cluster.bootstrap[node] as Address;

  async create(): Promise<void> {
    const admin = new KafkaAdmin(this.#cluster.bootstrap);
    const { partitions, partitionsPerTopic } = this.#options;
    for (let from = 0, topic = 0; from < partitions; from += partitionsPerTopic, topic++) {
      const count = Math.min(partitionsPerTopic, partitions - from);
      const startMs = performance.now();
      await admin.createTopic(`many-${topic}`, count, 1);
      const tookMs = performance.now() - startMs;
      this.#figures['createMs'] ??= tookMs;
      this.#figures['createLastMs'] = tookMs;
      console.error(`scale: many-${topic} with ${count} partitions was made in ${Math.round(tookMs)} ms`);
      this.#figures['topicPartitions'] ??= count;
    }
    const startMs = performance.now();
    await admin.leaders('many-0');
    this.#figures['metadataAnswerMs'] = performance.now() - startMs;
    admin.close();
  }

  async rest(owners: WatchedOwners): Promise<void> {
    const { idleSeconds } = this.#options;
    const pids = await Promise.all(this.#cluster.brokers.map(({ node }) => this.#cluster.pidOf(node)));
    const before = [...pids, this.#cluster.metadata.pid].map(usageOf);
    const revisionBefore = await revisionOf(this.#cluster.meta);
    await delay(idleSeconds * 1_000);
    const cpu = [...pids, this.#cluster.metadata.pid].map((pid, i) => (difference(usageOf(pid), before[i]!).cpuSeconds / idleSeconds) * 100);
    const metadataCpu = cpu.pop() ?? 0;
    const memory = pids.map(residentMiB);
    this.#set({
      idleCpu: mean(cpu),
      metadataCpu,
      writesPerSecond: ((await revisionOf(this.#cluster.meta)) - revisionBefore) / idleSeconds,
      brokerMiB: mean(memory),
      brokerMostMiB: Math.max(...memory),
      ownedPerBroker: owners.partitions.size / pids.length,
      metadataMiB: residentMiB(this.#cluster.metadata.pid),
      ...(await this.#metadataSize()),
    });
  }

  /** Kills one that is not controller; answers which. */
  async recover(owners: WatchedOwners): Promise<number> {
    const controller = await controllerOf(this.#cluster.meta);
    const victim = this.#cluster.brokers.length - 1 === controller ? 0 : this.#cluster.brokers.length - 1;
    const lost = owners.ownedBy(victim);
    const logFrom = this.#cluster.logBytes(controller);
    const cpuOfController = cpuClock(await this.#cluster.pidOf(controller));
    const cpuOfMetadata = cpuClock(this.#cluster.metadata.pid);
    const startMs = performance.now();
    await this.#cluster.broker(victim).kill();
    await owners.until(() => lost.every(({ owner }) => owner.node !== victim), 'the partitions of the killed broker have another owner');
    this.#figures['recoverOwnedMs'] = performance.now() - startMs;
    await untilAllServe(lost, this.addressOf);
    this.#figures['recoverMs'] = performance.now() - startMs;
    this.#figures['recoverPartitions'] = lost.length;
    await delay(2_000);
    const lines = this.#cluster.logLines(controller, logFrom);
    this.#set({ recoverControllerCpu: cpuOfController(), recoverMetadataCpu: cpuOfMetadata() });
    this.#set({ recoverSealMs: tookMs(lines, 'incarnation sealed'), recoverTakeoverMs: tookMs(lines, 'a dead broker was taken over') });
    return victim;
  }

  /** A broker that owns nothing: the metadata image is what its start and its memory cost. */
  async startEmpty(node: number): Promise<void> {
    const lines = await this.#timedStart(node, 'startMs');
    this.#set({ startImageMs: tookMs(lines, 'metadata listed'), startLifeMs: tookMs(lines, 'incarnation serves') });
    await delay(this.#options.settleSeconds * 1_000);
    this.#figures['emptyMiB'] = residentMiB(await this.#cluster.pidOf(node));
  }

  /** Whoever owns the most. */
  async drain(owners: WatchedOwners): Promise<void> {
    const counts = this.#cluster.brokers.map(({ node }) => owners.ownedBy(node).length);
    const node = counts.indexOf(Math.max(...counts));
    const leaving = owners.ownedBy(node);
    const logFrom = this.#cluster.logBytes(node);
    const startMs = performance.now();
    const stopped = this.#cluster
      .broker(node)
      .stop()
      .then(() => performance.now() - startMs);
    await owners.until(() => leaving.every(({ owner }) => owner.node !== node), 'the partitions of the drained broker have another owner');
    this.#figures['drainOwnedMs'] = performance.now() - startMs;
    await untilAllServe(leaving, this.addressOf);
    this.#set({ drainPartitions: leaving.length, drainMs: performance.now() - startMs, drainEndMs: await stopped });
    this.#set({ drainOwnMs: tookMs(this.#cluster.logLines(node, logFrom), 'drained') });
    await this.#cluster.broker(node).start();
  }

  /** Every broker killed and started at once: each recovers its own past. */
  async startAll(owners: WatchedOwners): Promise<void> {
    await Promise.all(this.#cluster.brokers.map((broker) => broker.kill()));
    const cpuOfMetadata = cpuClock(this.#cluster.metadata.pid);
    const startMs = performance.now();
    const starts = await Promise.all(this.#cluster.brokers.map((broker) => broker.start().then(() => performance.now() - startMs)));
    this.#figures['startAllMs'] = Math.max(...starts);
    await untilAllServe([...owners.partitions.values()], this.addressOf);
    this.#figures['startAllServedMs'] = performance.now() - startMs;
    this.#figures['startAllMetadataCpu'] = cpuOfMetadata();
    const pids = await Promise.all(this.#cluster.brokers.map(({ node }) => this.#cluster.pidOf(node)));
    this.#figures['startAllBrokerCpu'] = mean(pids.map((pid) => usageOf(pid).cpuSeconds));
  }

  async restAfter(): Promise<void> {
    const { metadataKeys, metadataBytes, metadataFileBytes } = await this.#metadataSize();
    this.#set({ metadataKeysAfter: metadataKeys, metadataBytesAfter: metadataBytes, metadataFileBytesAfter: metadataFileBytes });
  }

  async #timedStart(node: number, figure: string): Promise<readonly LogLine[]> {
    const logFrom = this.#cluster.logBytes(node);
    const startMs = performance.now();
    await this.#cluster.broker(node).start();
    this.#figures[figure] = performance.now() - startMs;
    this.#figures[`${figure}Cpu`] = usageOf(await this.#cluster.pidOf(node)).cpuSeconds;
    return this.#cluster.logLines(node, logFrom);
  }

  async #metadataSize(): Promise<Record<'metadataKeys' | 'metadataBytes' | 'metadataFileBytes', number>> {
    const { entries } = await this.#cluster.meta.list('');
    const bytes = entries.reduce((sum, { key, value }) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
    return { metadataKeys: entries.length, metadataBytes: bytes, metadataFileBytes: this.#cluster.metadataFileBytes() };
  }

  #set(figures: Readonly<Record<string, number | undefined>>): void {
    for (const [name, value] of Object.entries(figures)) if (value !== undefined) this.#figures[name] = value;
  }
}

async function controllerOf(meta: MetaStore): Promise<number> {
  const entry = await meta.get(keys.controller);
  return (entry && parseRecord(controllerRecord, entry.value)?.node) ?? -1;
}

async function revisionOf(meta: MetaStore): Promise<number> {
  return (await meta.list(keys.controller)).revision;
}

/** Of the first such line: what was asked for comes before what follows from it. */
function tookMs(lines: readonly LogLine[], message: string): number | undefined {
  const took = lines.find((line) => line.message === message)?.['tookMs'];
  return typeof took === 'number' ? took : undefined;
}

/** Answers the CPU-seconds that the process took since: they say more than times where many share a machine. */
function cpuClock(pid: number): () => number {
  const before = usageOf(pid);
  return () => difference(usageOf(pid), before).cpuSeconds;
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
