/**
 * Executes what is asked of this broker's partitions (docs/design/0004-many-brokers.md): wishes under `moves/`, and leaving altogether when
 * it drains. Level-triggered: looks again whenever the cluster image changed, and after a while when something could not be done.
 */
import { sleep } from '../../../io/clock.ts';
import { MetaUnavailable, MetaUnknown } from '../../../io/meta/meta-store.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import { keys } from '../../../cluster/meta-records.ts';
import { incarnationOf, ownersForOrphans } from '../owner-placement.ts';
import { handOver, type HandoverOptions, type PlannedMove } from './handover.ts';

/** What cannot be done now (target away, metadata store silent) is tried again after so long; longer, when that fails, too: each attempt writes an object. */
const retryMs = 500;
const maxRetryMs = 4_000;
/** In one handover object, which is made in one turn. */
const mostAtOnce = 2_000;
const mostEntriesAtOnce = 100_000;

export class Mover {
  readonly #options: HandoverOptions;
  readonly #arrived = new Set<string>();
  #wanted = false;
  #running: Promise<void> | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Something changed that may ask for a move. */
  wake(): void {
    this.#wanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#wanted && !this.#options.signal.aborted) this.wake();
    });
  }

  async close(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, clock, logger } = this.#options;
    // What changes in one turn is looked at once.
    await new Promise<void>((resolve) => clock.defer(resolve));
    for (let failed = 0; this.#wanted && !signal.aborted; ) {
      this.#wanted = false;
      let again = false;
      try {
        const moves = this.#plan();
        const moved = moves.length === 0 ? 0 : await handOver(this.#firstOf(moves), this.#options);
        // There may be more of them.
        if (moved > 0) this.#wanted = true;
        failed = moved > 0 || moves.length === 0 ? 0 : failed + 1;
        await this.#forgetArrived();
      } catch (error) {
        again = true;
        if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown))
          logger.error('moving partitions failed, trying again', { error: String(error) });
      }
      if (!again && (this.#wanted || this.#plan().length === 0)) continue;
      this.#wanted = true;
      await sleep(clock, Math.min(maxRetryMs, retryMs * 2 ** Math.max(0, failed - 1)), signal);
    }
  }

  #plan(): PlannedMove[] {
    const { image, log, self, owned } = this.#options;
    if (log.wal.refusal === 'ended') return [];
    if (image.node(self.node)?.state !== 'active') return this.#leave();
    const moves: PlannedMove[] = [];
    const targets = new Map(image.brokers().map((broker) => [broker.node, broker]));
    for (const { topicId, partition, target } of image.moves()) {
      if (owned.find(topicId, partition).kind !== 'owned') continue;
      if (target === self.node) this.#arrived.add(keys.move(topicId, partition));
      else if (targets.get(target)?.draining === false) moves.push({ topicId, partition, target: incarnationOf(image, target) });
    }
    return moves;
  }

  #firstOf(moves: readonly PlannedMove[]): readonly PlannedMove[] {
    let entries = 0;
    const first = moves.slice(0, mostAtOnce);
    const end = first.findIndex(
      ({ topicId, partition }) => (entries += this.#options.log.find(topicId, partition)?.index.entries.length ?? 0) > mostEntriesAtOnce,
    );
    return end < 0 ? first : first.slice(0, Math.max(1, end));
  }

  #leave(): PlannedMove[] {
    const { image, log, self, owned } = this.#options;
    if (!image.brokers().some(({ node, draining }) => node !== self.node && !draining)) return [];
    const leaving: { readonly topicId: TopicId; readonly partition: number }[] = [];
    for (const { topicId, partition } of log.partitions) {
      // More of them are placed when these have moved.
      if (leaving.length >= mostAtOnce) break;
      if (owned.find(topicId, partition).kind === 'owned') leaving.push({ topicId, partition });
    }
    const owners = ownersForOrphans(image, leaving, new Set([self.node]));
    if (!owners) return [];
    return leaving.flatMap((each, i) => {
      const target = owners[i];
      return target ? [{ ...each, target }] : [];
    });
  }

  /** Wishes that are fulfilled go, unless somebody wished for something else meanwhile. */
  async #forgetArrived(): Promise<void> {
    const { meta, image } = this.#options;
    if (this.#arrived.size === 0) return;
    const revisions = new Map(image.moves().map(({ topicId, partition, modRevision }) => [keys.move(topicId, partition), modRevision]));
    for (const key of this.#arrived) {
      const modRevision = revisions.get(key);
      if (modRevision !== undefined) await meta.txn({ compare: [{ key, modRevision }], then: [{ kind: 'delete', key }] });
      this.#arrived.delete(key);
    }
  }
}
