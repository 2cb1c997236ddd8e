/** A cluster of a fault run: stores, brokers, and what an operator does to them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setNodeState } from '../../cli/up/node-state.ts';
import { runCommand } from '../lab/run-command.ts';
import { ChaosBroker, type LinkName } from './chaos-broker.ts';
import type { ChaosProxy } from './chaos-proxy.ts';
import { type ChaosMetadata, type ChaosStore, type MetadataKind, type ObjectKind, startMetadata, startObjects } from './chaos-stores.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface ChaosClusterOptions {
  readonly folder: string;
  readonly brokers: number;
  readonly metadata: MetadataKind;
  readonly objects: ObjectKind;
  readonly record: ChaosRecord;
}

const automq = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));
const mib = 1024 * 1024;
const heapMiB = 192;
/** The heap, the budgets below, and what Node itself and native buffers take. */
export const mostRssMiB = heapMiB + 32 + 32 + 48 + 32 + 180;
const memoryEveryMs = 500;
const readyWithinMs = 60_000;
const stopWithinMs = 5_000;
/** SIGTERM is followed by SIGKILL after this. */
export const graceMs = 15_000;

/** Small budgets and short intervals: in a minute everything happens that otherwise takes hours. */
const settings = [
  '--group.initial.rebalance.delay.ms=0',
  '--offsets.topic.num.partitions=8',
  '--auto.create.topics.enable=false',
  '--checkpoint.interval.ms=3000',
  '--merge.interval.ms=4000',
  '--gc.delay.ms=20000',
  '--object.call.deadline.ms=5000',
  '--logger.level=info',
  `--shutdown.timeout.ms=${stopWithinMs}`,
  `--log.cache.bytes=${32 * mib}`,
  `--block.cache.bytes=${32 * mib}`,
  `--upload.max.bytes=${48 * mib}`,
  `--socket.request.max.bytes=${8 * mib}`,
  `--queued.max.request.bytes=${32 * mib}`,
];

export class ChaosCluster {
  readonly brokers: readonly ChaosBroker[];
  readonly metadata: ChaosMetadata;
  readonly objects: ChaosStore | undefined;
  readonly #options: ChaosClusterOptions;
  readonly #memory: NodeJS.Timeout;

  private constructor(options: ChaosClusterOptions, metadata: ChaosMetadata, objects: ChaosStore | undefined, brokers: readonly ChaosBroker[]) {
    this.#options = options;
    this.metadata = metadata;
    this.objects = objects;
    this.brokers = brokers;
    this.#memory = setInterval(() => {
      for (const broker of brokers) broker.sampleMemory();
    }, memoryEveryMs);
  }

  /** Resolves when all brokers are ready. */
  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const { folder, record } = options;
    mkdirSync(folder, { recursive: true });
    const metadata = await startMetadata(options.metadata, folder);
    const objects = await startObjects(options.objects, folder);
    const brokers: ChaosBroker[] = [];
    for (let node = 0; node < options.brokers; node++) {
      const onUncausedExit = (what: string) => record.violation('uncaused-exit', what);
      brokers.push(await ChaosBroker.prepare({ node, folder, metadata, objects, settings, heapMiB, onUncausedExit }));
    }
    const cluster = new ChaosCluster(options, metadata, objects, brokers);
    await cluster.#startBrokers();
    if (record.violations.length === 0) return cluster;
    await cluster.close();
    throw new Error('the cluster did not start');
  }

  get bootstrap(): readonly { readonly host: string; readonly port: number }[] {
    return this.brokers.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  get bootstrapNames(): readonly string[] {
    return this.bootstrap.map(({ host, port }) => `${host}:${port}`);
  }

  /** One kind of link of all brokers. */
  linksTo(name: LinkName): readonly ChaosProxy[] {
    return this.brokers.flatMap((broker) => broker.links.get(name) ?? []);
  }

  async restartObjects(): Promise<void> {
    if (!this.objects) return;
    await this.objects.start();
    for (const link of this.linksTo('objects')) link.retarget(this.objects.port);
  }

  drain(node: number): Promise<void> {
    return setNodeState(this.metadata.client, node, 'draining');
  }

  undrain(node: number): Promise<void> {
    return setNodeState(this.metadata.client, node, 'active');
  }

  /** Everything as it was: stores there, links open, all brokers running. */
  async heal(): Promise<void> {
    await this.metadata.start();
    for (const broker of this.brokers) broker.heal();
    await this.#startBrokers();
  }

  async #startBrokers(): Promise<void> {
    await Promise.all(
      this.brokers.map(async (broker) => {
        await broker.start();
        if (!(await broker.becomesReady(readyWithinMs)))
          this.#options.record.violation('not-live', `broker ${broker.node} is not ready within ${readyWithinMs} ms`);
      }),
    );
  }

  /** Ends the brokers in order, as their operator would. */
  async stopBrokers(): Promise<void> {
    const { record } = this.#options;
    for (const broker of this.brokers) {
      if (!broker.isRunning) continue;
      const { killed, code } = await broker.stop(graceMs);
      if (killed) record.violation('stop-too-slow', `broker ${broker.node} did not end within ${graceMs} ms of SIGTERM`);
      else if (code !== 0) record.violation('uncaused-exit', `broker ${broker.node} ended with ${code} on SIGTERM`);
    }
  }

  /** What `automq storage fsck --verify` says; for brokers that have ended. */
  async fsck(): Promise<{ readonly clean: boolean; readonly text: string }> {
    const { metadata, objects } = this;
    const store = objects ? objects.settings(objects.port) : [`--data.folder=${join(this.#options.folder, 'data')}`];
    const args = [automq, 'storage', 'fsck', '--verify', ...store, ...metadata.settings(metadata.port)];
    const { code, stdout, stderr } = await runCommand(process.execPath, args, { env: { ...metadata.env, ...objects?.env }, timeoutMs: 120_000 });
    return { clean: code === 0, text: `${stdout}${stderr}`.trim() };
  }

  checkMemory(): void {
    for (const { node, peakRssMiB } of this.brokers)
      if (peakRssMiB > mostRssMiB)
        this.#options.record.violation('memory', `broker ${node} took ${peakRssMiB.toFixed(0)} MiB, at most ${mostRssMiB} are expected`);
  }

  async close(): Promise<void> {
    clearInterval(this.#memory);
    await Promise.all(this.brokers.map((broker) => broker.close()));
    await this.objects?.close();
    await this.metadata.close();
    await delay(0);
  }
}
