/**
 * Taking over incarnations that this one has claimed (design §4): seal, then reassign every partition record that names
 * them, then mark them fenced and make sure that no record names them any more. Level-triggered: every step may be
 * repeated, by us or by another broker, after any failure.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaEntry, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import {
  keys,
  nodeRecord,
  type PartitionRecord,
  parsePartitionKey,
  parseRecord,
  parseRecoveryKey,
  partitionRecord,
  type RecoveryRecord,
  recoveryRecord,
} from '../../cluster/meta-records.ts';
import { Interrupted } from '../log/certain-reads.ts';
import type { ObjectKey } from '../log/format/object-keys.ts';
import { type RecoveryOptions, sealIncarnation } from '../log/recovery.ts';
import type { StoredStates } from '../log/stored-states.ts';

/** A partition record that names this incarnation on the result of a compare-and-set of our own: it may be opened. */
export interface AcquiredPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: PartitionRecord;
}

export interface TakeoverOptions extends RecoveryOptions {
  readonly meta: MetaStore;
  readonly states: StoredStates;
  /** Whether the partition is open here already. */
  readonly isOpen: (topicId: TopicId, partition: number) => boolean;
  readonly open: (acquired: readonly AcquiredPartition[]) => Promise<void>;
}

/** etcd takes 128 operations in a transaction; each record costs a compare and a put. */
const recordsPerTxn = 40;
const retryMs = 200;

export interface Takeover {
  /** They have ended: what is their own may be collected. */
  readonly ended: readonly Incarnation[];
  /** Partition records that fit no schema: nobody knows whom they name, so nothing of the past may be given up for now (C15). */
  readonly unreadable: readonly string[];
}

/** Recovers all incarnations of this node that have not ended, and opens everything that is ours afterwards. */
export async function takeOverOwnPast(options: TakeoverOptions): Promise<Takeover> {
  const { claimed: past, known } = await claimedIncarnations(options);
  const open = past.filter(({ record }) => !record.ended);
  const ended = past.filter(({ record }) => record.ended).map(({ incarnation }) => incarnation);
  const sealedStates = new Map<string, ObjectKey>();
  const sealed: SealedPast = { states: sealedStates, known };
  for (const { incarnation, record } of open) {
    const started = options.clock.monotonicMs();
    const state = await sealIncarnation(incarnation, record.checkpoint as ObjectKey | undefined, options);
    sealedStates.set(incarnationKey(incarnation), state);
    options.logger.info('earlier incarnation sealed', { ...incarnation, tookMs: Math.round(options.clock.monotonicMs() - started) });
  }
  let unreadable = await reassign(sealed, 0, options);
  for (const claimed of open) {
    const fenced = await mark(claimed, { fenced: true }, options);
    unreadable = await reassign(sealed, fenced.revision, options);
    if (unreadable.length > 0) continue;
    // Before anything of it is collected: whoever read its WAL after that would find holes.
    await mark(fenced, { fenced: true, ended: true }, options);
    ended.push(claimed.incarnation);
  }
  if (unreadable.length > 0) {
    const advice = 'mend or remove them and restart; until then earlier incarnations stay recoverable and nothing of theirs is deleted';
    options.logger.error(`partition records in the metadata store do not fit their schema: ${advice}`, { keys: unreadable });
  }
  return { ended, unreadable };
}

/** A revision at which our own registration stands: an older list may lack the incarnation that it claimed, and its partitions would stay closed. */
async function registeredAt(options: TakeoverOptions): Promise<number> {
  for (;;) {
    const entry = await certain(options, () => options.meta.get(keys.node(options.self.node)));
    const epoch = (entry && parseRecord(nodeRecord, entry.value)?.epoch) ?? 0;
    if (entry && epoch === options.self.epoch) return entry.modRevision;
    if (epoch > options.self.epoch) throw new Interrupted('this incarnation was claimed by another broker');
    await sleep(options.clock, retryMs, options.signal);
  }
}

function incarnationKey({ node, epoch }: Incarnation): string {
  return `${node}/${epoch}`;
}

interface Claimed {
  readonly incarnation: Incarnation;
  readonly record: RecoveryRecord;
  readonly modRevision: number;
}

interface SealedPast {
  /** What the seals of those that had not ended name. */
  readonly states: ReadonlyMap<string, ObjectKey>;
  /** All of which the metadata store has a key. An earlier incarnation without one has ended, and nothing is left of it. */
  readonly known: ReadonlySet<string>;
}

async function claimedIncarnations(options: TakeoverOptions): Promise<{ readonly claimed: readonly Claimed[]; readonly known: ReadonlySet<string> }> {
  const notOlderThan = await registeredAt(options);
  let list = await certain(options, () => options.meta.list(`${keys.recoveries}${options.self.node}/`));
  while (list.revision < notOlderThan) {
    await sleep(options.clock, retryMs, options.signal);
    list = await certain(options, () => options.meta.list(`${keys.recoveries}${options.self.node}/`));
  }
  const { entries } = list;
  const found: Claimed[] = [];
  const known = new Set<string>();
  for (const { key, value, modRevision } of entries) {
    const incarnation = parseRecoveryKey(key);
    const record = parseRecord(recoveryRecord, value);
    if (incarnation) known.add(incarnationKey(incarnation));
    if (incarnation && record) found.push({ incarnation, record, modRevision });
    else options.logger.error('a recovery record does not fit its schema and is ignored', { key });
  }
  return { claimed: found.sort((a, b) => a.incarnation.epoch - b.incarnation.epoch), known };
}

/**
 * Until no record (at a revision not older than `notOlderThan`) names a sealed incarnation and all that name us are
 * open: gives the former a new owner and leader epoch, settles the latter by a write (design §4: never by a get). Answers the
 * keys of the records that fit no schema.
 */
async function reassign(sealed: SealedPast, notOlderThan: number, options: TakeoverOptions): Promise<readonly string[]> {
  for (let round = 0; ; round++) {
    if (round > 0) await sleep(options.clock, Math.min(retryMs, 10 * round), options.signal);
    const list = await certain(options, () => options.meta.list(keys.partitions));
    if (list.revision < notOlderThan) continue;
    const wanted = await planRecords(list.entries, sealed, options);
    if (wanted.length === 0) return unreadableRecords(list.entries);
    for (let i = 0; i < wanted.length; i += recordsPerTxn) {
      const some = wanted.slice(i, i + recordsPerTxn);
      if (await writeRecords(some, options)) await options.open(some);
    }
  }
}

interface WantedRecord extends AcquiredPartition {
  readonly key: string;
  readonly modRevision: number;
}

function unreadableRecords(entries: readonly MetaEntry[]): string[] {
  return entries.filter(({ key, value }) => parsePartitionKey(key) && !parseRecord(partitionRecord, value)).map(({ key }) => key);
}

async function planRecords(entries: readonly MetaEntry[], sealed: SealedPast, options: TakeoverOptions): Promise<WantedRecord[]> {
  const wanted: WantedRecord[] = [];
  for (const { key, value, modRevision } of entries) {
    const id = parsePartitionKey(key);
    const record = parseRecord(partitionRecord, value);
    if (!id || !record) continue;
    const sealedState = sealed.states.get(incarnationKey(record.owner));
    if (sealedState) wanted.push({ ...id, key, modRevision, record: await takenOver(id, record, sealedState, options) });
    // Whenever a record names a sealed incarnation it is reassigned: also when a write that slept for hours named it after it had ended.
    else if (isForgotten(record.owner, sealed, options))
      wanted.push({ ...id, key, modRevision, record: { ...record, owner: options.self, leaderEpoch: record.leaderEpoch + 1 } });
    else if (incarnationKey(record.owner) === incarnationKey(options.self) && !options.isOpen(id.topicId, id.partition))
      wanted.push({ ...id, key, modRevision, record });
  }
  return wanted;
}

function isForgotten(owner: Incarnation, { known }: SealedPast, { self }: TakeoverOptions): boolean {
  return owner.node === self.node && owner.epoch < self.epoch && !known.has(incarnationKey(owner));
}

/** The state object is the new pointer if it knows the record's leader epoch; else the old pointer stays. */
async function takenOver(
  id: { readonly topicId: TopicId; readonly partition: number },
  record: PartitionRecord,
  sealedState: ObjectKey,
  options: TakeoverOptions,
): Promise<PartitionRecord> {
  const states = await options.states.load(sealedState);
  const known = states.get(`${id.topicId}/${id.partition}`)?.leaderEpoch === record.leaderEpoch;
  return { owner: options.self, leaderEpoch: record.leaderEpoch + 1, state: known ? sealedState : record.state };
}

async function writeRecords(records: readonly WantedRecord[], options: TakeoverOptions): Promise<boolean> {
  try {
    const result = await options.meta.txn({
      compare: [
        ...records.map(({ key, modRevision }) => ({ key, modRevision })),
        // The target, this very incarnation, must not be claimed or fenced by anybody.
        { key: keys.recovery(options.self.node, options.self.epoch), modRevision: 0 },
      ],
      then: records.map(({ key, record }) => ({ kind: 'put', key, value: JSON.stringify(record) })),
      otherwise: [{ kind: 'get', key: keys.recovery(options.self.node, options.self.epoch) }],
    });
    if (result.reads[0] && !result.committed) throw new Interrupted('this incarnation was claimed by another broker');
    return result.committed;
  } catch (error) {
    if (error instanceof MetaUnknown || error instanceof MetaUnavailable) return false;
    throw error;
  }
}

/**
 * Marks a sealed incarnation; answers a revision at which the mark stands. By compare-and-set: a write that is applied late must
 * not take back that it has ended, for what is collected cannot be recovered again.
 */
async function mark(claimed: Claimed, marks: Partial<RecoveryRecord>, options: TakeoverOptions): Promise<Claimed & { readonly revision: number }> {
  const key = keys.recovery(claimed.incarnation.node, claimed.incarnation.epoch);
  for (let { record, modRevision } = claimed; ; ) {
    if (options.signal.aborted) throw new Interrupted('stopped while it recovered');
    try {
      const wanted = { ...record, ...marks };
      const { committed, revision, reads } = await options.meta.txn({
        compare: [{ key, modRevision }],
        then: [{ kind: 'put', key, value: JSON.stringify(wanted) }],
        otherwise: [{ kind: 'get', key }],
      });
      if (committed) return { ...claimed, record: wanted, modRevision: revision, revision };
      const [entry] = reads;
      const stands = entry && parseRecord(recoveryRecord, entry.value);
      // Only what has ended is removed.
      if (!stands) return { ...claimed, record: wanted, modRevision, revision };
      if (stands.fenced && (stands.ended || !marks.ended)) return { ...claimed, record: stands, modRevision: entry.modRevision, revision };
      record = stands;
      modRevision = entry.modRevision;
    } catch (error) {
      if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
      await sleep(options.clock, retryMs, options.signal);
    }
  }
}

/** Repeats a read while the store cannot be reached. */
async function certain<T>(options: { readonly clock: Clock; readonly signal: AbortSignal; readonly logger: Logger }, read: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    if (options.signal.aborted) throw new Interrupted('stopped while it recovered');
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof MetaUnavailable)) throw error;
      if (attempt % 25 === 0) options.logger.warn('recovery waits for the metadata store', { error: error.message });
      await sleep(options.clock, retryMs, options.signal);
    }
  }
}
