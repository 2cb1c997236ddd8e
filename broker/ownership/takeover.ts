/**
 * Taking over claimed incarnations (design §4): seal, then reassign every partition record that names them, then mark them
 * fenced and make sure that no record names them any more. By the same node restarted, or by the controller. Level-triggered:
 * every step may be repeated, by us or by another broker, after any failure. The holds: docs/design/0004-many-brokers.md.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaCompare, type MetaEntry, type MetaOperation, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { Incarnation, TopicId } from '../../cluster/identifiers.ts';
import {
  type HoldRecord,
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
import { type ObjectKey, parseKey } from '../log/format/object-keys.ts';
import { type RecoveryOptions, sealIncarnation } from '../log/recovery.ts';
import type { StoredStates } from '../log/stored-states.ts';
import { livingGuard } from './incarnation.ts';

/** A partition record that names this incarnation on the result of a compare-and-set of our own, or by an event: it may be opened. */
export interface AcquiredPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: PartitionRecord;
}

export interface TakeoverOptions extends RecoveryOptions {
  readonly meta: MetaStore;
  readonly states: StoredStates;
  /** Compared by every write: whether we may still do this (the controller's term). */
  readonly guards: readonly MetaCompare[];
  /** A new owner for each, in their order. */
  readonly place: (orphans: readonly { readonly topicId: TopicId; readonly partition: number }[]) => readonly Incarnation[];
  /** Ours by a compare-and-set of our own. When its answer is lost the event opens them. */
  readonly open: (acquired: readonly AcquiredPartition[]) => Promise<void>;
}

/** etcd takes 128 operations in a transaction; each record costs a compare, a put and up to two holds, each owner two compares. */
const recordsPerTxn = 40;
const parallelTxns = 4;
const retryMs = 200;

export interface Takeover {
  /** They have ended: what is their own may be collected. */
  readonly ended: readonly Incarnation[];
  /** Partition records that fit no schema: nobody knows whom they name, so nothing of the past may be given up for now (C15). */
  readonly unreadable: readonly string[];
  /** May have records in what cannot be read (docs/design/0005-damage.md): they keep their dead owner, which does not end. */
  readonly inDoubt: readonly InDoubt[];
}

export interface InDoubt {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: PartitionRecord;
}

type NotReassigned = Pick<Takeover, 'unreadable' | 'inDoubt'>;

/** An incarnation with its recovery record, as read. */
export interface Claimed {
  readonly incarnation: Incarnation;
  readonly record: RecoveryRecord;
  readonly modRevision: number;
}

/** Recovers all incarnations of this node that have not ended, and opens everything that is ours afterwards. */
export async function takeOverOwnPast(options: TakeoverOptions): Promise<Takeover> {
  const past = await ownPast(options);
  const { ended, ...left } = await takeOver(
    past.filter(({ record }) => !record.ended),
    options,
  );
  return { ended: [...past.filter(({ record }) => record.ended).map(({ incarnation }) => incarnation), ...ended], ...left };
}

/** Recovers claimed incarnations. */
export async function takeOver(claimed: readonly Claimed[], options: TakeoverOptions): Promise<Takeover> {
  const sealedStates = new Map<string, ObjectKey>();
  const sealed: SealedPast = { states: sealedStates };
  const ended: Incarnation[] = [];
  const open: Claimed[] = [];
  for (const each of claimed) {
    const state = await sealOne(each, options);
    if (state === 'ended') ended.push(each.incarnation);
    else {
      sealedStates.set(incarnationKey(each.incarnation), state);
      open.push(each);
    }
  }
  let left = await reassign(sealed, 0, options);
  for (const each of open) {
    const fenced = await mark(each, { fenced: true }, options);
    left = await reassign(sealed, fenced.revision, options);
    if (left.unreadable.length > 0 || left.inDoubt.some(({ record }) => incarnationKey(record.owner) === incarnationKey(each.incarnation))) continue;
    // Before anything of it is collected: whoever read its WAL after that would find holes.
    await mark(fenced, { fenced: true, ended: true }, options);
    ended.push(each.incarnation);
  }
  if (left.unreadable.length > 0) {
    const advice = 'mend or remove them and restart; until then earlier incarnations stay recoverable and nothing of theirs is deleted';
    options.logger.error(`partition records in the metadata store do not fit their schema: ${advice}`, { keys: left.unreadable });
  }
  if (left.inDoubt.length > 0) {
    const advice = 'put whole objects there and restart; until then nothing is deleted';
    const some = left.inDoubt.slice(0, 20).map(({ topicId, partition }) => `${topicId}/${partition}`);
    options.logger.error(`partitions may have records in objects that cannot be read, and stay closed: ${advice}`, { count: left.inDoubt.length, some });
  }
  return { ended, ...left };
}

/** The state object that the seal names. `ended`: another recoverer was faster, and what we would have read is being collected. */
async function sealOne({ incarnation, record }: Claimed, options: TakeoverOptions): Promise<ObjectKey | 'ended'> {
  const started = options.clock.monotonicMs();
  try {
    const state = await sealIncarnation(incarnation, record.checkpoint as ObjectKey | undefined, { ...options, damage: 'doubt' });
    options.logger.info('incarnation sealed', { sealed: incarnationKey(incarnation), tookMs: Math.round(options.clock.monotonicMs() - started) });
    return state;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const entry = await certain(options, () => options.meta.get(keys.recovery(incarnation.node, incarnation.epoch)));
    if (entry && parseRecord(recoveryRecord, entry.value)?.ended) return 'ended';
    throw error;
  }
}

/** A revision at which our own registration stands: an older list may lack the incarnation that it claimed, and its partitions would stay closed. */
async function registeredAt(options: TakeoverOptions): Promise<number> {
  for (;;) {
    const entry = await certain(options, () => options.meta.get(keys.node(options.self.node)));
    const epoch = (entry && parseRecord(nodeRecord, entry.value)?.epoch) ?? 0;
    if (entry && epoch === options.self.epoch) return entry.modRevision;
    if (epoch > options.self.epoch) throw new Interrupted('this incarnation was replaced by another process');
    await sleep(options.clock, retryMs, options.signal);
  }
}

export function incarnationKey({ node, epoch }: Incarnation): string {
  return `${node}/${epoch}`;
}

interface SealedPast {
  /** What the seals of those that had not ended name. */
  readonly states: ReadonlyMap<string, ObjectKey>;
}

async function ownPast(options: TakeoverOptions): Promise<readonly Claimed[]> {
  return claimedIncarnations(`${keys.recoveries}${options.self.node}/`, await registeredAt(options), options);
}

/** Recovery records under `prefix` at a revision not older than `notOlderThan`, by node and epoch. */
export async function claimedIncarnations(
  prefix: string,
  notOlderThan: number,
  options: Pick<TakeoverOptions, 'meta' | 'clock' | 'signal' | 'logger'>,
): Promise<readonly Claimed[]> {
  let list = await certain(options, () => options.meta.list(prefix));
  while (list.revision < notOlderThan) {
    await sleep(options.clock, retryMs, options.signal);
    list = await certain(options, () => options.meta.list(prefix));
  }
  const found: Claimed[] = [];
  for (const { key, value, modRevision } of list.entries) {
    const incarnation = parseRecoveryKey(key);
    const record = parseRecord(recoveryRecord, value);
    if (incarnation && record) found.push({ incarnation, record, modRevision });
    else options.logger.error('a recovery record does not fit its schema and is ignored', { key });
  }
  return found.sort((a, b) => a.incarnation.node - b.incarnation.node || a.incarnation.epoch - b.incarnation.epoch);
}

/**
 * Until no record (at a revision not older than `notOlderThan`) names a sealed incarnation: gives each a new owner and leader epoch.
 * Answers what is left: records that fit no schema, and partitions in doubt.
 */
async function reassign(sealed: SealedPast, notOlderThan: number, options: TakeoverOptions): Promise<NotReassigned> {
  for (let round = 0; ; round++) {
    if (round > 0) await sleep(options.clock, Math.min(retryMs, 10 * round), options.signal);
    const list = await certain(options, () => options.meta.list(keys.partitions));
    if (list.revision < notOlderThan) continue;
    const { orphans, inDoubt } = await findOrphans(list.entries, sealed, options);
    const wanted = await planRecords(orphans, sealed, options);
    if (wanted.length === 0 && (await holdInDoubt(inDoubt, options))) return { unreadable: unreadableRecords(list.entries), inDoubt };
    const chunks: WantedRecord[][] = [];
    for (let i = 0; i < wanted.length; i += recordsPerTxn) chunks.push(wanted.slice(i, i + recordsPerTxn));
    for (let i = 0; i < chunks.length; i += parallelTxns) await Promise.all(chunks.slice(i, i + parallelTxns).map((chunk) => writeAndOpen(chunk, options)));
  }
}

async function writeAndOpen(records: readonly WantedRecord[], options: TakeoverOptions): Promise<void> {
  if (!(await writeRecords(records, options))) return;
  await options.open(records.filter(({ record }) => isSelf(record.owner, options)));
}

interface WantedRecord extends AcquiredPartition {
  readonly key: string;
  readonly modRevision: number;
  /** Nodes of whose objects the new owner may need any. */
  readonly holds: readonly number[];
}

function unreadableRecords(entries: readonly MetaEntry[]): string[] {
  return entries.filter(({ key, value }) => parsePartitionKey(key) && !parseRecord(partitionRecord, value)).map(({ key }) => key);
}

interface FoundRecord {
  readonly key: string;
  readonly modRevision: number;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: PartitionRecord;
}

async function findOrphans(
  entries: readonly MetaEntry[],
  sealed: SealedPast,
  options: TakeoverOptions,
): Promise<{ readonly orphans: readonly FoundRecord[]; readonly inDoubt: readonly FoundRecord[] }> {
  const orphans: FoundRecord[] = [];
  const inDoubt: FoundRecord[] = [];
  for (const { key, value, modRevision } of entries) {
    const id = parsePartitionKey(key);
    const record = parseRecord(partitionRecord, value);
    if (!id || !record) continue;
    // Whenever a record names a sealed incarnation it is reassigned: also when a write that slept for hours named it after it had ended.
    const state = sealed.states.get(incarnationKey(record.owner));
    if (!state) continue;
    const found = { ...id, key, modRevision, record };
    const isInDoubt = !(await isListed(found, state, options)) && (await options.states.doubtsOf(state)).length > 0;
    (isInDoubt ? inDoubt : orphans).push(found);
  }
  return { orphans, inDoubt };
}

async function planRecords(orphans: readonly FoundRecord[], sealed: SealedPast, options: TakeoverOptions): Promise<WantedRecord[]> {
  if (orphans.length === 0) return [];
  const owners = options.place(orphans);
  const wanted: WantedRecord[] = [];
  for (const [i, orphan] of orphans.entries()) wanted.push(await reassigned(orphan, owners[i] ?? options.self, sealed, options));
  // Those of one owner side by side: a transaction compares each owner once.
  return wanted.sort((a, b) => a.record.owner.node - b.record.owner.node);
}

/** Nothing of their node may go: what they need is known to nobody. Whether the holds stand. */
async function holdInDoubt(inDoubt: readonly FoundRecord[], options: TakeoverOptions): Promise<boolean> {
  for (let i = 0; i < inDoubt.length; i += recordsPerTxn) {
    const some = inDoubt.slice(i, i + recordsPerTxn);
    if (!(await writeHolds(some, options))) return false;
  }
  return true;
}

function isSelf({ node, epoch }: Incarnation, { self }: TakeoverOptions): boolean {
  return node === self.node && epoch === self.epoch;
}

async function isListed({ topicId, partition, record }: FoundRecord, state: ObjectKey, options: TakeoverOptions): Promise<boolean> {
  return (await options.states.load(state)).get(`${topicId}/${partition}`)?.leaderEpoch === record.leaderEpoch;
}

/** The state object is the new pointer if it knows the record's leader epoch; else the old pointer stays. */
async function reassigned(orphan: FoundRecord, owner: Incarnation, sealed: SealedPast, options: TakeoverOptions): Promise<WantedRecord> {
  const { topicId, partition, record } = orphan;
  const sealedState = sealed.states.get(incarnationKey(record.owner));
  const found = sealedState !== undefined ? (await options.states.load(sealedState)).get(`${topicId}/${partition}`)?.leaderEpoch : undefined;
  const known =
    sealedState !== undefined && (found === record.leaderEpoch || (found !== undefined && options.mutants?.has('checkpoint-of-another-epoch') === true));
  const state = known ? sealedState : record.state;
  // Also when they are our own: until the partition is open and in a proven checkpoint no catalog counts what it reaches.
  const holds = new Set<number>([record.owner.node]);
  const stateNode = known ? parseKey(sealedState)?.incarnation.node : undefined;
  if (stateNode !== undefined) holds.add(stateNode);
  return { ...orphan, record: { owner, leaderEpoch: record.leaderEpoch + 1, state }, holds: [...holds] };
}

const anyObject = JSON.stringify({} satisfies HoldRecord);

async function writeHolds(records: readonly FoundRecord[], options: TakeoverOptions): Promise<boolean> {
  try {
    const { committed } = await options.meta.txn({
      compare: [...records.map(({ key, modRevision }) => ({ key, modRevision })), ...options.guards],
      then: records.map(({ topicId, partition, record }) => ({ kind: 'put', key: keys.hold(record.owner.node, topicId, partition), value: anyObject })),
    });
    return committed;
  } catch (error) {
    if (error instanceof MetaUnknown || error instanceof MetaUnavailable) return false;
    throw error;
  }
}

async function writeRecords(records: readonly WantedRecord[], options: TakeoverOptions): Promise<boolean> {
  const owners = new Map(records.map(({ record }) => [incarnationKey(record.owner), record.owner]));
  const then = records.flatMap(({ key, topicId, partition, record, holds }): MetaOperation[] => [
    { kind: 'put', key, value: JSON.stringify(record) },
    ...holds.map((node): MetaOperation => ({ kind: 'put', key: keys.hold(node, topicId, partition), value: anyObject })),
  ]);
  try {
    const result = await options.meta.txn({
      compare: [...records.map(({ key, modRevision }) => ({ key, modRevision })), ...[...owners.values()].flatMap(livingGuard), ...options.guards],
      then,
      otherwise: [
        { kind: 'get', key: keys.recovery(options.self.node, options.self.epoch) },
        ...options.guards.map(({ key }): MetaOperation => ({ kind: 'get', key })),
      ],
    });
    if (result.committed) return true;
    const [claim, ...guarded] = result.reads;
    if (claim) throw new Interrupted('this incarnation was claimed by another broker');
    if (options.guards.some((guard, i) => !holds(guard, guarded[i]))) throw new Interrupted('somebody else is controller now');
    return false;
  } catch (error) {
    if (error instanceof MetaUnknown || error instanceof MetaUnavailable) return false;
    throw error;
  }
}

function holds(compare: MetaCompare, entry: MetaEntry | undefined): boolean {
  return 'value' in compare ? entry?.value === compare.value : (entry?.modRevision ?? 0) === compare.modRevision;
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
        compare: [{ key, modRevision }, ...options.guards],
        then: [{ kind: 'put', key, value: JSON.stringify(wanted) }],
        otherwise: [{ kind: 'get', key }],
      });
      if (committed) return { ...claimed, record: wanted, modRevision: revision, revision };
      const [entry] = reads;
      const stands = entry && parseRecord(recoveryRecord, entry.value);
      // Only what has ended is removed.
      if (!stands) return { ...claimed, record: wanted, modRevision, revision };
      if (stands.fenced && (stands.ended || !marks.ended)) return { ...claimed, record: stands, modRevision: entry.modRevision, revision };
      if (entry.modRevision === modRevision) throw new Interrupted('somebody else is controller now');
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
