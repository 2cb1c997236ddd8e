/**
 * What happens to a cluster in a fault run, by seed: three lanes at once, for processes, for stores and links, and for what operators
 * do. Each fault is undone by itself; each lane does one at a time, so that two of three brokers always run.
 */
import { sleep } from '../../io/clock.ts';
import { systemClock } from '../../io/system-clock.ts';
import type { SimRandom } from '../simulation/sim-random.ts';
import type { ChaosBroker, LinkName } from './chaos-broker.ts';
import { type ChaosCluster, graceMs } from './chaos-cluster.ts';
import { partitionsOfTopic, topics } from './chaos-load.ts';
import type { ChaosProxy, LinkShape } from './chaos-proxy.ts';
import { kafkajsClient } from './kafkajs-producers.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface NemesisOptions {
  readonly cluster: ChaosCluster;
  readonly record: ChaosRecord;
  readonly random: SimRandom;
  readonly longestOutageMs: number;
}

type Fault = readonly [weight: number, run: () => Promise<void>];

const shortestMs = 500;
const longestPauseMs = 25_000;

export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #random: SimRandom;
  readonly #stopping = new AbortController();
  readonly #lanes: Promise<void>[] = [];
  readonly counts = new Map<string, number>();

  constructor(options: NemesisOptions) {
    this.#options = options;
    this.#random = options.random;
  }

  start(): void {
    const processes: readonly Fault[] = [
      [4, () => this.#kill()],
      [4, () => this.#pause()],
      [1, () => this.#killOften()],
      [2, () => this.#terminate()],
      [1, () => this.#roll()],
    ];
    const stores: readonly Fault[] = [
      [2, () => this.#storeKilled('objects')],
      [2, () => this.#storeKilled('metadata')],
      [2, () => this.#blackHole('objects')],
      [2, () => this.#blackHole('metadata')],
      [10, () => this.#link()],
    ];
    const operators: readonly Fault[] = [
      [4, () => this.#move()],
      [1, () => this.#drain()],
      [1, () => this.#passingTopic()],
    ];
    this.#lanes.push(this.#lane(processes, 3_000), this.#lane(stores, 2_000), this.#lane(operators, 1_000));
  }

  /** Resolves when every lane has undone what it did. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#lanes);
  }

  async #lane(faults: readonly Fault[], gapMs: number): Promise<void> {
    const total = faults.reduce((sum, [weight]) => sum + weight, 0);
    for (;;) {
      await this.#wait(gapMs * this.#random.between(0.3, 1.7));
      if (this.#stopping.signal.aborted) return;
      let at = this.#random.between(0, total);
      const fault = faults.find(([weight]) => (at -= weight) < 0) ?? faults[0];
      try {
        await fault?.[1]();
      } catch (error) {
        this.#options.record.violation('nemesis-failed', error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
    }
  }

  #wait(ms: number): Promise<void> {
    return sleep(systemClock, ms, this.#stopping.signal);
  }

  #begin(kind: string, what: string): () => void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    return this.#options.record.fault(what);
  }

  #anyBroker(): ChaosBroker {
    return this.#random.pick(this.#options.cluster.brokers);
  }

  #outage(): number {
    return this.#random.logBetween(shortestMs, this.#options.longestOutageMs);
  }

  async #kill(): Promise<void> {
    const broker = this.#anyBroker();
    const awayMs = this.#random.chance(0.4) ? 0 : this.#random.logBetween(500, 12_000);
    const over = this.#begin('kill -9', `kill -9 broker ${broker.node}, back after ${seconds(awayMs)}`);
    await broker.kill();
    await this.#wait(awayMs);
    await broker.start();
    over();
  }

  async #killOften(): Promise<void> {
    const broker = this.#anyBroker();
    const over = this.#begin('kill -9 often', `kill -9 broker ${broker.node} every 3 s, four times`);
    for (let i = 0; i < 4; i++) {
      await broker.kill();
      await broker.start();
      await this.#wait(3_000);
    }
    over();
  }

  async #pause(): Promise<void> {
    const broker = this.#anyBroker();
    const forMs = this.#random.logBetween(shortestMs, longestPauseMs);
    const over = this.#begin('SIGSTOP', `SIGSTOP broker ${broker.node} for ${seconds(forMs)}`);
    broker.pause();
    await this.#wait(forMs);
    broker.resume();
    over();
  }

  async #terminate(): Promise<void> {
    const broker = this.#anyBroker();
    const over = this.#begin('SIGTERM', `SIGTERM broker ${broker.node}`);
    await this.#stopAndStart(broker);
    over();
  }

  async #roll(): Promise<void> {
    const over = this.#begin('rolling restart', 'rolling restart');
    for (const broker of this.#options.cluster.brokers) {
      await this.#stopAndStart(broker);
      await broker.becomesReady(10_000);
    }
    over();
  }

  async #stopAndStart(broker: ChaosBroker): Promise<void> {
    const { killed, ms } = await broker.stop(graceMs);
    if (killed) this.#options.record.violation('stop-too-slow', `broker ${broker.node} did not end within ${seconds(ms)} of SIGTERM`);
    await broker.start();
  }

  async #storeKilled(name: 'objects' | 'metadata'): Promise<void> {
    const { cluster } = this.#options;
    const store = cluster[name];
    if (!store) return;
    const forMs = this.#outage();
    const over = this.#begin(`${name} store killed`, `${name} store killed for ${seconds(forMs)}`);
    await store.kill();
    await this.#wait(forMs);
    if (name === 'objects') await cluster.restartObjects();
    else await store.start();
    over();
  }

  async #blackHole(name: 'objects' | 'metadata'): Promise<void> {
    const links = this.#options.cluster.linksTo(name);
    if (links.length === 0) return;
    const forMs = this.#outage();
    const over = this.#begin(`${name} store silent`, `${name} store silent for all for ${seconds(forMs)}`);
    for (const link of links) link.blackHole();
    await this.#wait(forMs);
    for (const link of links) link.heal();
    over();
  }

  /** One link of one broker. */
  async #link(): Promise<void> {
    const random = this.#random;
    const broker = this.#anyBroker();
    const name = random.pick<LinkName>(['objects', 'objects', 'metadata', 'metadata', 'internal', 'clients']);
    const link = broker.links.get(name);
    if (!link) return;
    const [what, apply] = this.#drawLinkFault(link);
    const forMs = what === 'reset' ? 0 : random.logBetween(200, Math.min(15_000, this.#options.longestOutageMs));
    const over = this.#begin(
      `link: ${what.replace(/ [\d.].*/, '')}`,
      `${name} link of broker ${broker.node}: ${what}${forMs > 0 ? ` for ${seconds(forMs)}` : ''}`,
    );
    apply();
    await this.#wait(forMs);
    // A process that died meanwhile keeps its links refused.
    link.heal();
    over();
  }

  #drawLinkFault(link: ChaosProxy): readonly [what: string, apply: () => void] {
    const random = this.#random;
    const shaped = (what: string, shape: Partial<LinkShape>) => [what, () => link.shape(shape)] as const;
    const delayMs = Math.round(random.logBetween(5, 1_500));
    const bytesPerSecond = Math.round(random.logBetween(20_000, 2_000_000));
    const afterBytes = Math.round(random.logBetween(100, 200_000));
    return random.pick([
      ['reset', () => link.reset()] as const,
      [`reset in the middle of an answer, after ${afterBytes} bytes`, () => link.resetAfter(afterBytes)] as const,
      ['black hole', () => link.blackHole()] as const,
      shaped('requests held', { requests: { bytes: 'hold' } }),
      shaped('answers held', { answers: { bytes: 'hold' } }),
      shaped('answers lost', { answers: { bytes: 'swallow' } }),
      shaped(`delay ${delayMs} ms`, { requests: { delayMs }, answers: { delayMs } }),
      shaped(`bandwidth ${bytesPerSecond} B/s`, { requests: { bytesPerSecond }, answers: { bytesPerSecond } }),
    ]);
  }

  async #move(): Promise<void> {
    const { cluster } = this.#options;
    const topic = this.#random.pick(topics);
    const target = this.#anyBroker().node;
    const all = Array.from({ length: partitionsOfTopic }, (_, partition) => partition);
    const partitions = this.#random.chance(0.3) ? all : [this.#random.pick(all)];
    const over = this.#begin('move', `move ${topic}-${partitions.join(',')} to broker ${target}`);
    const admin = kafkajsClient('operator', cluster.bootstrapNames, 1).admin();
    try {
      await admin.connect();
      await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: partitions.map((partition) => ({ partition, replicas: [target] })) }] });
    } catch {
      // A cluster under faults may refuse or not answer.
    } finally {
      await admin.disconnect().catch(() => {});
      over();
    }
  }

  async #drain(): Promise<void> {
    const { cluster } = this.#options;
    const { node } = this.#anyBroker();
    const over = this.#begin('drain', `drain broker ${node}`);
    await cluster.drain(node).catch(() => {});
    await this.#wait(this.#random.logBetween(1_000, 8_000));
    while (!(await this.#undrained(node))) await sleep(systemClock, 300);
    over();
  }

  async #undrained(node: number): Promise<boolean> {
    try {
      await this.#options.cluster.undrain(node);
      return true;
    } catch {
      return false;
    }
  }

  async #passingTopic(): Promise<void> {
    const topic = `passing-${this.#random.below(1_000_000)}`;
    const over = this.#begin('topic', `topic ${topic} comes and goes`);
    const admin = kafkajsClient('operator', this.#options.cluster.bootstrapNames, 1).admin();
    try {
      await admin.connect();
      await admin.createTopics({ topics: [{ topic, numPartitions: this.#random.integer(1, 8) }], waitForLeaders: false });
      await this.#wait(this.#random.between(0, 3_000));
      await admin.deleteTopics({ topics: [topic] });
    } catch {
      // As above.
    } finally {
      await admin.disconnect().catch(() => {});
      over();
    }
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
