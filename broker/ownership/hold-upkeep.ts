/**
 * Drops the holds of this incarnation's partitions when they are not needed any more, and says in the others which objects they mean
 * (docs/design/0004-many-brokers.md). What a partition reaches is looked at when a checkpoint is built, and acted on when that is proven:
 * until then a recovery would start from an older state, which may reach more.
 */
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

export class HoldUpkeep implements CheckpointListener {
  readonly #options: HoldUpkeepOptions;
  #built: readonly Change[] = [];
  #running: Promise<void> | undefined;
  /** Changes were not written: a checkpoint is wanted although nothing else may change any more. */
  #again = false;

  constructor(options: HoldUpkeepOptions) {
    this.#options = options;
  }

  wanted(): boolean {
    if (this.#again) return true;
    const { image, log } = this.#options;
    for (const { record, topicId, partition } of image.holds()) if (record.objects === undefined && log().find(topicId, partition)) return true;
    return false;
  }

  built(): void {
    this.#built = [...this.#options.image.holds()].flatMap((hold) => this.#changeOf(hold) ?? []);
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

  #changeOf(hold: ShownHold): Change | undefined {
    const { log, self } = this.#options;
    const partition = log().find(hold.topicId, hold.partition);
    if (!partition) return undefined;
    const { leaderEpoch } = partition;
    const before = hold.record.objects;
    const reached = foreignObjects(partition, hold.node, self);
    if (reached.size === 0) return { hold, leaderEpoch, objects: undefined };
    if (before === undefined || reached.size * 2 <= new ObjectRanges(before).count) {
      const objects = objectRanges(reached, mostRanges);
      // Bridged gaps may make it as long as it was.
      if (before === undefined || objects.length < before.length) return { hold, leaderEpoch, objects };
    }
    return undefined;
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
