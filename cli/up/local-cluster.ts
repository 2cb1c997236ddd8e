/** The brokers of a local cluster and what can be done with them while they run. */
import { type MetaStore, MetaUnavailable } from '../../io/meta/meta-store.ts';
import { ListenError } from '../../io/transport.ts';
import { StartRefused } from '../start-refusal.ts';
import { BrokerProcess, type BrokerState } from './broker-process.ts';
import { brokerLog } from './cluster-folder.ts';
import { checkFree, freePorts, host } from './free-ports.ts';
import { readNodes, setNodeState } from './node-state.ts';

export interface LocalClusterOptions {
  /** Of the first broker; the others have the next ones. */
  readonly port: number;
  readonly data: string;
  /** Of every broker. */
  readonly settings: readonly string[];
  readonly file: string | undefined;
  readonly nodeOptions: readonly string[];
  readonly meta: MetaStore;
  readonly endWithinMs: number;
  readonly say: (line: string) => void;
}

export interface BrokerReport {
  readonly node: number;
  readonly address: string;
  readonly state: BrokerState;
  /** As the metadata store has it: active, draining or stopping; absent for one that never registered. */
  readonly registered: string | undefined;
  /** Undefined while the metadata store does not answer. */
  readonly partitions: number | undefined;
  readonly metricsUrl: string | undefined;
}

const mostBrokers = 100;

export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #brokers = new Map<number, BrokerProcess>();
  #isClosing = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  get bootstrap(): string {
    return [...this.#brokers.values()].map(({ port }) => `${host}:${port}`).join(',');
  }

  /** Resolves when all serve. The ports must be free, or a `ListenError` says who holds one. */
  async start(count: number): Promise<void> {
    if (count > mostBrokers) throw new StartRefused(`${count} brokers on one machine: at most ${mostBrokers}`);
    for (let node = 0; node < count; node++) {
      const port = this.#options.port + node;
      await checkFree(port);
      this.#brokers.set(node, this.#newBroker(node, port));
    }
    await Promise.all([...this.#brokers.values()].map((broker) => broker.start()));
  }

  /** The new broker's node id; it serves. */
  async add(): Promise<number> {
    if (this.#brokers.size >= mostBrokers) throw new StartRefused(`${mostBrokers} brokers run already`);
    const node = Math.max(...this.#brokers.keys()) + 1;
    const broker = this.#newBroker(node, await this.#portFor(node));
    this.#brokers.set(node, broker);
    try {
      await broker.start();
    } catch (error) {
      this.#brokers.delete(node);
      throw error;
    }
    return node;
  }

  async drain(node: number): Promise<void> {
    this.#find(node);
    await setNodeState(this.#options.meta, node, 'draining');
  }

  async undrain(node: number): Promise<void> {
    this.#find(node);
    await setNodeState(this.#options.meta, node, 'active');
  }

  async kill(node: number): Promise<void> {
    await this.#find(node).kill();
  }

  async stop(node: number): Promise<void> {
    await this.#find(node).stop();
  }

  /** Ends it when it runs, and starts it; resolves when it serves. */
  async restart(node: number): Promise<void> {
    const broker = this.#find(node);
    await broker.stop();
    if (this.#isClosing) throw new StartRefused('the cluster is ending');
    await broker.start();
  }

  async report(): Promise<BrokerReport[]> {
    const nodes = await readNodes(this.#options.meta).catch((error: unknown) => {
      if (error instanceof MetaUnavailable) return undefined;
      throw error;
    });
    return Promise.all(
      [...this.#brokers.values()].map(async (broker) => {
        const state = await broker.state();
        const summary = nodes?.get(broker.node);
        const metricsUrl = 'metricsPort' in state ? `http://${host}:${state.metricsPort}/metrics` : undefined;
        return {
          node: broker.node,
          address: `${host}:${broker.port}`,
          state,
          registered: summary?.state,
          partitions: nodes && (summary?.partitions ?? 0),
          metricsUrl,
        };
      }),
    );
  }

  /** Ends all of them; each has its time, then it is killed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#brokers.values()].map((broker) => broker.stop()));
  }

  killNow(): void {
    for (const broker of this.#brokers.values()) broker.killNow();
  }

  #find(node: number): BrokerProcess {
    const broker = this.#brokers.get(node);
    if (!broker) throw new StartRefused(`there is no broker ${node}. There are: ${[...this.#brokers.keys()].join(', ')}`);
    if (this.#isClosing) throw new StartRefused('the cluster is ending');
    return broker;
  }

  async #portFor(node: number): Promise<number> {
    const port = this.#options.port + node;
    try {
      await checkFree(port);
      return port;
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      const [free = 0] = await freePorts(1);
      return free;
    }
  }

  #newBroker(node: number, port: number): BrokerProcess {
    const { data, file, settings, nodeOptions, endWithinMs, say } = this.#options;
    return new BrokerProcess({
      node,
      port,
      settings: ({ metrics, internal }) => [
        ...(file === undefined ? [] : ['--config', file]),
        `--node.id=${node}`,
        `--listeners=PLAINTEXT://${host}:${port}`,
        `--metrics.listener=${host}:${metrics}`,
        `--internal.listener=${host}:${internal}`,
        ...settings,
      ],
      nodeOptions,
      logFile: () => brokerLog(data, node),
      endWithinMs,
      say,
    });
  }
}
