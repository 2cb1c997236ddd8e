/**
 * One planned move of many partitions at once (design §5): they take no more appends, their final states are stored in a handover object
 * right behind what is in flight, and when that counts one transaction per 40 of them names the new owners. A transaction whose answer
 * is lost is settled by a write; until then the partitions stay closed.
 */
import { type Clock, sleep } from '../../../io/clock.ts';
import type { Logger } from '../../../io/logger.ts';
import {
  type MetaCompare,
  type MetaEntry,
  type MetaOperation,
  MetaRefused,
  type MetaStore,
  MetaUnavailable,
  MetaUnknown,
} from '../../../io/meta/meta-store.ts';
import type { Incarnation, TopicId } from '../../../cluster/identifiers.ts';
import { type HoldRecord, keys, type PartitionRecord, parseRecord, partitionRecord } from '../../../cluster/meta-records.ts';
import { objectRanges } from '../../../cluster/object-ranges.ts';
import { objectPrefixes, type ObjectKey } from '../../log/format/object-keys.ts';
import type { Log } from '../../log/log.ts';
import type { Mutants } from '../../log/mutants.ts';
import type { Partition } from '../../log/partition.ts';
import { mostRanges } from '../hold-upkeep.ts';
import { livingGuard } from '../incarnation.ts';
import type { MetadataImage } from '../metadata-image.ts';
import type { OwnedPartitions } from '../owned-partitions.ts';

export interface HandoverOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly self: Incarnation;
  readonly image: MetadataImage;
  readonly log: Log;
  readonly owned: OwnedPartitions;
  readonly mutants?: Mutants;
}

export interface PlannedMove {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly target: Incarnation;
}

const movesPerTxn = 40;
const parallelTxns = 4;
const retryMs = 100;
const attemptsPerLine = 50;
/** How long requests are held for the image to show the new owner: so that the answer names it. */
const shownWithinMs = 1_000;

interface Moving {
  readonly partition: Partition;
  readonly target: Incarnation;
  /** Its record as the image shows it. */
  readonly record: PartitionRecord;
  readonly modRevision: number;
  /** Our node's objects that the handed state needs. */
  held: readonly string[];
}

type Settled = 'moved' | 'stays';

/** Resolves when it is known of each partition whose it is; with how many have moved. */
export async function handOver(moves: readonly PlannedMove[], options: HandoverOptions): Promise<number> {
  const moving = moves.flatMap((move) => movingOf(move, options) ?? []);
  if (moving.length === 0) return 0;
  const { log, owned, clock } = options;
  const settle = new Map<Moving, () => void>();
  for (const each of moving) {
    each.partition.setMovesAway(true);
    const settled = new Promise<void>((resolve) => settle.set(each, resolve));
    owned.setMoving(each.partition.topicId, each.partition.partition, settled);
  }
  const started = clock.monotonicMs();
  let moved = 0;
  const finish = (each: Moving, how: Settled) => {
    if (how === 'moved') {
      moved++;
      owned.closeMoved(each.partition.topicId, each.partition.partition, each.record.leaderEpoch + 1);
    } else each.partition.setMovesAway(false);
    settle.get(each)?.();
  };
  const handover = log.handOver(moving.map(({ partition }) => partition));
  try {
    const counts = handover !== undefined && (options.mutants?.has('count-handover-early') || (await handover.counted));
    if (!handover || !counts) return 0;
    if (options.mutants?.has('forget-unsettled-handover')) handover.release();
    const prefixes = objectPrefixes(options.self.node);
    for (const [i, each] of moving.entries())
      each.held = objectRanges(
        [...(handover.reached[i] ?? []), handover.key].filter((object) => prefixes.some((prefix) => object.startsWith(prefix))),
        mostRanges,
      );
    const chunks: Moving[][] = [];
    for (let i = 0; i < moving.length; i += movesPerTxn) chunks.push(moving.slice(i, i + movesPerTxn));
    for (let i = 0; i < chunks.length; i += parallelTxns)
      await Promise.all(chunks.slice(i, i + parallelTxns).map((chunk) => moveChunk(chunk, handover.key, finish, options)));
    return moved;
  } finally {
    handover?.release();
    // Of a life that ended nobody knows; its partitions answer nothing any more.
    for (const resolve of settle.values()) resolve();
    options.logger.info('partitions handed over', { moved, asked: moving.length, tookMs: Math.round(clock.monotonicMs() - started) });
  }
}

function movingOf({ topicId, partition: number, target }: PlannedMove, { log, image, self }: HandoverOptions): Moving | undefined {
  const partition = log.find(topicId, number);
  const shown = image.partition(topicId, number);
  // A record that is older than what we hold: its event is on its way, and with it the move is tried again.
  if (!partition || !shown || shown.record.leaderEpoch !== partition.leaderEpoch || shown.record.owner.epoch !== self.epoch) return undefined;
  return { partition, target, record: shown.record, modRevision: shown.modRevision, held: [] };
}

async function moveChunk(chunk: readonly Moving[], state: ObjectKey, finish: (each: Moving, how: Settled) => void, options: HandoverOptions): Promise<void> {
  const { meta, self } = options;
  const targets = new Map(chunk.map(({ target }) => [`${target.node}/${target.epoch}`, target]));
  const compare: MetaCompare[] = chunk.map((each) => ({ key: keyOf(each), modRevision: each.modRevision }));
  if (!options.mutants?.has('move-to-fenced')) for (const target of targets.values()) compare.push(...livingGuard(target));
  const then = chunk.flatMap((each): MetaOperation[] => {
    const { topicId, partition } = each.partition;
    const record: PartitionRecord = { owner: each.target, leaderEpoch: each.record.leaderEpoch + 1, state };
    const hold: HoldRecord = { objects: [...each.held] };
    const put: MetaOperation = { kind: 'put', key: keyOf(each), value: JSON.stringify(record) };
    return options.mutants?.has('drop-hold-on-move')
      ? [put]
      : [put, { kind: 'put', key: keys.hold(self.node, topicId, partition), value: JSON.stringify(hold) }];
  });
  try {
    const result = await meta.txn({ compare, then });
    if (result.committed) {
      await options.image.waitFor(result.revision, shownWithinMs);
      for (const each of chunk) finish(each, 'moved');
      return;
    }
  } catch (error) {
    logUnexpected(error, options);
    if (error instanceof MetaRefused) return chunk.forEach((each) => finish(each, 'stays'));
  }
  for (const each of chunk) finish(each, await settleOne(each, options));
}

/** Whatever it was: what the handover names is needed until it is known of every partition whose it is, so nothing ends it before. */
function logUnexpected(error: unknown, { logger }: HandoverOptions): void {
  if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown)) logger.error('moving partitions failed', { error: String(error) });
}

/**
 * Writes the record as it was, comparing the revision that the move compared, too: when that commits the move did not happen and never
 * will; when not, the record says whose the partition is.
 */
async function settleOne(each: Moving, options: HandoverOptions): Promise<Settled> {
  const { meta, clock, signal, self } = options;
  const key = keyOf(each);
  const value = JSON.stringify(each.record);
  const { modRevision } = each;
  for (let attempt = 0; ; attempt++) {
    if (signal.aborted || options.log.wal.refusal === 'ended') return 'moved';
    try {
      if (options.mutants?.has('settle-move-by-read')) {
        const seen = await meta.get(key);
        const record = seen && parseRecord(partitionRecord, seen.value);
        return record && isOwner(record, self) ? 'stays' : 'moved';
      }
      const result = await meta.txn({ compare: [{ key, modRevision }], then: [{ kind: 'put', key, value }], otherwise: [{ kind: 'get', key }] });
      if (result.committed) return 'stays';
      const entry: MetaEntry | undefined = result.reads[0];
      const record = entry && parseRecord(partitionRecord, entry.value);
      // Deleted: the topic's removal closes what is open of it.
      if (!entry || !record) return 'stays';
      if (!isOwner(record, self) || record.leaderEpoch !== each.record.leaderEpoch) return 'moved';
      // An earlier attempt of ours to settle, or somebody touched it: the move compared the old revision and cannot happen any more.
      return 'stays';
    } catch (error) {
      if (attempt % attemptsPerLine === 0) logUnexpected(error, options);
      await sleep(clock, retryMs, signal);
    }
  }
}

function keyOf({ partition }: Moving): string {
  return keys.partition(partition.topicId, partition.partition);
}

function isOwner({ owner }: PartitionRecord, { node, epoch }: Incarnation): boolean {
  return owner.node === node && owner.epoch === epoch;
}
