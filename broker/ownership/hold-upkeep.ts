/**
 * Drops the holds of this incarnation's partitions when they are not needed any more, and says in the others which objects they mean
 * (docs/design/0004-many-brokers.md). What a partition reaches is looked at when a checkpoint is built, and acted on when that is proven:
 * until then a recovery would start from an older state, which may reach more.
 */
import type { Clock } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaCompare, type MetaOperation, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation, NodeId } from '../../cluster/identifiers.ts';
import { type HoldRecord, keys } from '../../cluster/meta-records.ts';
import { ObjectRanges, objectRanges } from '../../cluster/object-ranges.ts';
import { dataPrefix, objectPrefixes, walPrefix } from '../log/format/object-keys.ts';
import type { CheckpointListener, Log } from '../log/log.ts';
import type { Mutants } from '../log/mutants.ts';
import type { Partition } from '../log/partition.ts';
import type { MetadataImage } from './metadata-image.ts';
import type { ShownHold } from './shown-records.ts';

export interface HoldUpkeepOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: Incarnation;
  readonly image: MetadataImage;
  readonly log: () => Log;
  readonly mutants?: Mutants;
}

interface Change {
  readonly hold: ShownHold;
  readonly leaderEpoch: number;
  /** The hold's new list; undefined: it goes. */
  readonly objects: readonly string[] | undefined;
}

/** In one hold. */
export const mostRanges = 200;
/** Two compares and an operation each. */
const changesPerTxn = 40;
const tightenAfterMs = 120_000;

export class HoldUpkeep implements CheckpointListener {
  readonly #options: HoldUpkeepOptions;
  #built: readonly Change[] = [];
  #running: Promise<void> | undefined;
  /** Changes were not written: a checkpoint is wanted although nothing else may change any more. */
  #again = false;
  /** Since when a hold names more than the partition reaches, by key. */
  #looseSince = new Map<string, number>();

  constructor(options: HoldUpkeepOptions) {
    this.#options = options;
  }

  wanted(): boolean {
    if (this.#again) return true;
    const { image, log, clock } = this.#options;
    for (const since of this.#looseSince.values()) if (clock.monotonicMs() - since >= tightenAfterMs) return true;
    for (const { record, topicId, partition } of image.holds()) if (record.objects === undefined && log().find(topicId, partition)) return true;
    return false;
  }

  built(): void {
    const looseBefore = this.#looseSince;
    this.#looseSince = new Map();
    this.#built = [...this.#options.image.holds()].flatMap((hold) => this.#changeOf(hold, looseBefore) ?? []);
    for (const { hold } of this.#built) this.#looseSince.delete(keys.hold(hold.node, hold.topicId, hold.partition));
  }

  proven(): void {
    const changes = this.#built;
    this.#built = [];
    this.#again = changes.length > 0 && this.#running !== undefined;
    if (changes.length === 0 || this.#running) return;
    this.#running = this.#write(changes)
      .catch((error: unknown) => {
        // The next checkpoint finds the same.
        this.#again = true;
        if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown))
          this.#options.logger.error('holds could not be changed', { error: String(error) });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async close(): Promise<void> {
    await this.#running;
  }

  #changeOf(hold: ShownHold, looseBefore: ReadonlyMap<string, number>): Change | undefined {
    const { log, self } = this.#options;
    const partition = log().find(hold.topicId, hold.partition);
    if (!partition) return undefined;
    const { leaderEpoch } = partition;
    const before = hold.record.objects;
    const reached = foreignObjects(partition, hold.node, self);
    if (reached.size === 0) return { hold, leaderEpoch, objects: undefined };
    const objects = objectRanges(reached, mostRanges);
    if (before === undefined) return { hold, leaderEpoch, objects };
    const held = new ObjectRanges(before).count;
    const needed = new ObjectRanges(objects).count;
    if (needed < held && (needed * 2 <= held || this.#isLooseForLong(hold, looseBefore))) return { hold, leaderEpoch, objects };
    return undefined;
  }

  /** Retention trims a little with every checkpoint: that is written now and then. */
  #isLooseForLong({ node, topicId, partition }: ShownHold, looseBefore: ReadonlyMap<string, number>): boolean {
    const key = keys.hold(node, topicId, partition);
    const now = this.#options.clock.monotonicMs();
    const since = looseBefore.get(key) ?? now;
    this.#looseSince.set(key, since);
    return now - since >= tightenAfterMs;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    for (let i = 0; i < changes.length; i += changesPerTxn) {
      const compare: MetaCompare[] = [];
      const then: MetaOperation[] = [];
      for (const { hold, leaderEpoch, objects } of changes.slice(i, i + changesPerTxn)) {
        const shown = this.#options.image.partition(hold.topicId, hold.partition);
        if (!shown || shown.record.leaderEpoch !== leaderEpoch || !this.#isOurs(shown.record.owner)) continue;
        const key = keys.hold(hold.node, hold.topicId, hold.partition);
        // A late delete must not remove the hold of a later move.
        if (!this.#options.mutants?.has('drop-hold-without-comparing'))
          compare.push({ key: keys.partition(hold.topicId, hold.partition), modRevision: shown.modRevision }, { key, modRevision: hold.modRevision });
        then.push(
          objects === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: JSON.stringify({ objects: [...objects] } satisfies HoldRecord) },
        );
      }
      if (then.length > 0 && !(await this.#options.meta.txn({ compare, then })).committed) this.#again = true;
    }
  }

  #isOurs({ node, epoch }: Incarnation): boolean {
    const { self } = this.#options;
    return node === self.node && epoch === self.epoch;
  }
}

/** What the partition reaches of a node, besides this very incarnation's: of its objects our own catalog counts the references. */
function foreignObjects(partition: Partition, node: NodeId, self: Incarnation): ReadonlySet<string> {
  const objects = new Set<string>();
  const prefixes = objectPrefixes(node);
  const own = node === self.node ? [walPrefix(self), dataPrefix(self)] : [];
  for (const { object } of partition.index.entries)
    if (prefixes.some((prefix) => object.startsWith(prefix)) && !own.some((prefix) => object.startsWith(prefix))) objects.add(object);
  return objects;
}
