/**
 * Who drains brokers: marks one in the metadata store as the operator does (design §10), and takes the mark off again.
 * One at a time; when it stops, no mark is left.
 */
import { keys, nodeRecord, parseRecord } from '../../cluster/meta-records.ts';
import { type Clock, sleep } from '../../io/clock.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import type { SimRandom } from './sim-random.ts';

export interface SimOperatorOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly random: SimRandom;
  readonly nodes: number;
  /** Mean time from one drain to the next. */
  readonly gapMs: number;
  readonly onFault: (what: string) => void;
}

export class SimOperator {
  readonly #options: SimOperatorOptions;
  #stopping = false;
  #marked: number | undefined;

  constructor(options: SimOperatorOptions) {
    this.#options = options;
  }

  /** No mark is left. */
  get idle(): boolean {
    return this.#marked === undefined;
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { clock, random, gapMs, nodes, onFault } = this.#options;
    while (!this.#stopping) {
      await sleep(clock, gapMs * random.between(0.3, 1.7));
      if (this.#stopping) return;
      const node = random.below(nodes);
      onFault(`drain broker ${node}`);
      this.#marked = node;
      await this.#mark(node, 'draining');
      await sleep(clock, random.logBetween(300, 15_000));
      while (!(await this.#mark(node, 'active'))) await sleep(clock, 100);
      this.#marked = undefined;
    }
  }

  /** False when it is not known to be so. */
  async #mark(node: number, state: 'active' | 'draining'): Promise<boolean> {
    const { meta } = this.#options;
    try {
      const entry = await meta.get(keys.node(node));
      const record = entry && parseRecord(nodeRecord, entry.value);
      if (entry === undefined || record === undefined) return false;
      // A read may be stale: only a write that compares it proves what is there.
      const value = JSON.stringify({ ...record, state });
      const { committed } = await meta.txn({
        compare: [{ key: entry.key, modRevision: entry.modRevision }],
        then: [{ kind: 'put', key: entry.key, value }],
      });
      return committed;
    } catch {
      return false;
    }
  }
}
