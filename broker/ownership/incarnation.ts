/**
 * Beginning a life (design §4): takes the next node epoch, creates the incarnation's object 0, registers the node and,
 * in the same transaction, keeps the earlier incarnation's checkpoint pointer and claims that incarnation.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaCompare, type MetaOperation, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import type { Incarnation, NodeId } from '../../cluster/identifiers.ts';
import { featuresRecord, keys, type NodeRecord, nodeRecord, parseRecord, type RecoveryRecord } from '../../cluster/meta-records.ts';
import { joinProblem, type VersionRange } from '../../cluster/storage-versions.ts';
import { Interrupted, untilCertain } from '../log/certain-reads.ts';
import { type ObjectKey, walKey } from '../log/format/object-keys.ts';
import { assembleObject, isSameObject } from '../log/format/stored-object.ts';
import { trailerBytes } from '../log/format/trailer.ts';
import type { PointerProof } from '../log/log.ts';
import type { Mutants } from '../log/mutants.ts';
import { finalizeStorage } from './storage-upgrade.ts';

export interface NodeIdentity {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | undefined;
  /** Where other brokers reach it. */
  readonly internal: { readonly host: string; readonly port: number } | undefined;
}

/** This program must not write here; its message says which one may. */
export class StorageVersionRefused extends Error {
  override readonly name = 'StorageVersionRefused';
}

export interface IncarnationOptions {
  readonly identity: NodeIdentity;
  readonly meta: MetaStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** What this program reads. */
  readonly storage: VersionRange;
  readonly mutants?: Mutants;
}

const retryMs = 200;

/** Registers a new incarnation. Waits, and says for what, while a store cannot be reached. Throws a `StorageVersionRefused` when this program is too old, or too new, for what is stored. */
export async function beginIncarnation(options: IncarnationOptions): Promise<Incarnation> {
  const { identity, meta } = options;
  let lowestFree = 1;
  for (;;) {
    if (options.signal.aborted) throw new Interrupted('stopped before it began');
    const before = await patiently(options, 'the metadata store', () => meta.get(keys.node(identity.node)));
    const earlier = before && parseRecord(nodeRecord, before.value);
    if (before && !earlier) throw new Error(`${keys.node(identity.node)} in the metadata store does not fit its schema; mend or remove it`);
    const features = await mayJoin(options);
    const epoch = Math.max(lowestFree, (earlier?.epoch ?? 0) + (options.mutants?.has('reuse-node-epoch') && earlier ? 0 : 1));
    const incarnation = { node: identity.node, epoch };
    if (!(await createFirstObject(incarnation, options))) {
      options.logger.warn('node epoch is taken in the object store, skipping it', { ...incarnation });
      lowestFree = epoch + 1;
      continue;
    }
    const claimed = earlier && (await patiently(options, 'the metadata store', () => meta.get(keys.recovery(identity.node, earlier.epoch))));
    if (await register(incarnation, earlier, { node: before?.modRevision ?? 0, claim: claimed?.modRevision ?? 0, features }, options)) return incarnation;
    lowestFree = epoch + 1;
  }
}

/** What a transaction compares that names `incarnation` as an owner: it is its node's newest, and nobody has claimed it. */
export function livingGuard({ node, epoch }: Incarnation): readonly MetaCompare[] {
  return [
    { key: keys.incarnation(node), value: String(epoch) },
    { key: keys.recovery(node, epoch), modRevision: 0 },
  ];
}

/** The revision of the key that says which storage version is finalized; the registration compares it. */
async function mayJoin(options: IncarnationOptions): Promise<number> {
  const { meta, storage, identity, clock, logger, signal } = options;
  const read = () => patiently(options, 'the metadata store', () => meta.get(keys.features));
  let entry = await read();
  if (!entry && storage.max > 1 && (await patiently(options, 'the metadata store', () => meta.list(keys.nodes))).entries.length === 0) {
    // A new cluster: there is nothing that an older program wrote or could go back to.
    const outcome = await finalizeStorage(storage.max, `node ${identity.node}, in a new cluster`, { meta, clock, signal });
    if (outcome.kind === 'error') logger.warn('the storage version of this cluster stays as it is', { reason: outcome.message });
    entry = await read();
  }
  const record = entry && parseRecord(featuresRecord, entry.value);
  if (entry && !record) throw new Error(`${keys.features} in the metadata store does not fit its schema; mend it`);
  const problem = joinProblem(record, storage);
  if (problem !== undefined) throw new StorageVersionRefused(problem);
  return entry?.modRevision ?? 0;
}

/** Object 0, created conditionally: node epochs stay unique even when the metadata store was restored from an old copy. */
async function createFirstObject(incarnation: Incarnation, options: IncarnationOptions): Promise<boolean> {
  const object = assembleObject({
    kind: 'start',
    incarnation,
    number: 0,
    putId: options.random.bytes(16),
    content: [],
    contentBytes: 0,
    footer: Buffer.alloc(0),
  });
  const key = walKey(incarnation, 0);
  const outcome = await untilCertain(options, () => options.objects.create(key, object.body));
  if (outcome.kind === 'created' || options.mutants?.has('reuse-node-epoch')) return true;
  const tail = await untilCertain(options, () => options.objects.readTail(key, trailerBytes));
  return tail.kind === 'found' && isSameObject(object.trailer, tail.bytes, tail.sizeBytes);
}

/** An earlier incarnation that somebody else has claimed stays claimed by them; we go on with its recovery all the same. */
async function register(
  incarnation: Incarnation,
  earlier: NodeRecord | undefined,
  before: { readonly node: number; readonly claim: number; readonly features: number },
  options: IncarnationOptions,
): Promise<boolean> {
  const { identity, meta, random } = options;
  const record: NodeRecord = {
    epoch: incarnation.epoch,
    attempt: random.bytes(12).toString('hex'),
    host: identity.host,
    port: identity.port,
    ...(identity.rack === undefined ? {} : { rack: identity.rack }),
    ...(identity.internal === undefined ? {} : { internal: identity.internal }),
    versions: options.storage,
    state: earlier?.state === 'draining' ? 'draining' : 'active',
  };
  const key = keys.node(identity.node);
  const value = JSON.stringify(record);
  const compare: MetaCompare[] = [
    { key, modRevision: before.node },
    { key: keys.features, modRevision: before.features },
  ];
  const then: MetaOperation[] = [
    { kind: 'put', key, value },
    { kind: 'put', key: keys.incarnation(identity.node), value: String(incarnation.epoch) },
  ];
  if (earlier) {
    const recoveryKey = keys.recovery(identity.node, earlier.epoch);
    compare.push({ key: recoveryKey, modRevision: before.claim });
    const claim: RecoveryRecord = {
      ...(earlier.checkpoint === undefined ? {} : { checkpoint: earlier.checkpoint }),
      claim: incarnation,
      fenced: false,
      ended: false,
    };
    if (before.claim === 0) then.push({ kind: 'put', key: recoveryKey, value: JSON.stringify(claim) });
  }
  try {
    return (await meta.txn({ compare, then })).committed;
  } catch (error) {
    if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
    return settleRegistration(key, value, options);
  }
}

/** The answer was lost: only another compare-and-set write on the key tells whether we are registered. */
async function settleRegistration(key: string, value: string, options: IncarnationOptions): Promise<boolean> {
  for (;;) {
    if (options.signal.aborted) throw new Interrupted('stopped before it began');
    try {
      const settled = await options.meta.txn({ compare: [{ key, value }], then: [{ kind: 'put', key, value }], otherwise: [{ kind: 'get', key }] });
      return settled.committed;
    } catch (error) {
      if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
      options.logger.warn('waiting for the metadata store to say whether this broker is registered', { error: String(error) });
      await sleep(options.clock, retryMs, options.signal);
    }
  }
}

async function patiently<T>(options: IncarnationOptions, what: string, call: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    if (options.signal.aborted) throw new Interrupted('stopped before it began');
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof MetaUnavailable)) throw error;
      if (attempt % 25 === 0) options.logger.warn(`waiting for ${what}`, { error: error.message });
      await sleep(options.clock, retryMs, options.signal);
    }
  }
}

export interface PointerWriteOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly incarnation: Incarnation;
  readonly mutants?: Mutants;
}

/**
 * Writes the checkpoint pointer of a living incarnation, comparing that it is still the node's newest and that nobody
 * claimed it. Repeats until the answer is certain: collection goes by proven pointers only.
 */
export async function provePointer(checkpoint: ObjectKey, options: PointerWriteOptions): Promise<PointerProof> {
  const { meta, clock, signal, incarnation } = options;
  const key = keys.node(incarnation.node);
  while (!signal.aborted) {
    try {
      const before = await meta.get(key);
      const record = before && parseRecord(nodeRecord, before.value);
      if (before && record && record.epoch === incarnation.epoch) {
        const result = await meta.txn({
          compare: [
            { key, modRevision: before.modRevision },
            ...(options.mutants?.has('pointer-in-spite-of-claim') ? [] : [{ key: keys.recovery(incarnation.node, incarnation.epoch), modRevision: 0 }]),
          ],
          then: [{ kind: 'put', key, value: JSON.stringify({ ...record, checkpoint }) }],
          otherwise: [{ kind: 'get', key: keys.recovery(incarnation.node, incarnation.epoch) }],
        });
        if (result.committed) return { kind: 'proven', revision: result.revision };
        if (result.reads[0]) return { kind: 'refused' };
      } else if (record && record.epoch > incarnation.epoch) return { kind: 'refused' };
    } catch (error) {
      if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
    }
    await sleep(clock, retryMs, signal);
  }
  return { kind: 'given up' };
}
