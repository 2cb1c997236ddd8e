/**
 * Finalizing a storage version (docs/design/0006-versions.md): a version may be written once every broker that lives reads it, and no other
 * can come. So first the door is closed (`upgradingTo`: each registration compares the key's revision), then the brokers that are there are
 * looked at, at a revision not older than that, then the version is finalized, comparing that the door stayed closed. Whoever dies in between
 * leaves it closed; asking again goes on, asking for the finalized version opens it.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import { type MetaEntry, MetaRefused, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import { type FeaturesRecord, featuresRecord, keys, nodeRecord, parseRecord } from '../../cluster/meta-records.ts';
import { finalizedStorage, type NodeVersions, storageFeature, supportedStorage, upgradeProblem, type VersionRange } from '../../cluster/storage-versions.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import type { AdminOutcome, StorageFeature } from '../server/services.ts';
import type { MetadataImage } from './metadata-image.ts';

export interface FinalizeOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly validateOnly?: boolean;
}

type Outcome = AdminOutcome<{ readonly revision: number }>;
/** `again`: somebody changed something, or a list was too old. */
type Step = Outcome | 'again';

const maxAttempts = 20;
const retryMs = 100;
const imageWaitMs = 5_000;

/** Makes `wanted` the version that writers may use. */
export async function finalizeStorage(wanted: number, by: string, options: FinalizeOptions): Promise<Outcome> {
  for (let attempt = 0; attempt < maxAttempts && !options.signal.aborted; attempt++) {
    try {
      const step = await takeStep(wanted, by, options);
      if (step !== 'again') return step;
      // What was read may have been old.
      if (attempt > 1) await sleep(options.clock, retryMs, options.signal);
    } catch (error) {
      if (error instanceof MetaRefused) return problem(ErrorCodes.POLICY_VIOLATION, `The metadata store refuses it: ${error.message}`);
      // Whether the step was taken is seen by the next.
      if (!(error instanceof MetaUnknown) && !(error instanceof MetaUnavailable)) throw error;
      await sleep(options.clock, retryMs, options.signal);
    }
  }
  return problem(ErrorCodes.REQUEST_TIMED_OUT, 'The metadata store did not answer in time, or others kept changing the same; try again.');
}

async function takeStep(wanted: number, by: string, options: FinalizeOptions): Promise<Step> {
  const entry = await options.meta.get(keys.features);
  const record = entry && parseRecord(featuresRecord, entry.value);
  if (entry && !record) return problem(ErrorCodes.FEATURE_UPDATE_FAILED, `${keys.features} in the metadata store does not fit its schema; mend it.`);
  const finalized = finalizedStorage(record);
  if (wanted < finalized) return problem(ErrorCodes.INVALID_UPDATE_VERSION, noWayBack(wanted, finalized));
  if (wanted === finalized) {
    if (record?.upgradingTo === undefined || options.validateOnly) return { kind: 'done', revision: entry?.modRevision ?? 0 };
    return (await write({ finalized, by }, entry, options)) ?? 'again';
  }
  const closed = record?.upgradingTo === wanted;
  const living = await livingNodes(entry?.modRevision ?? 0, options.meta);
  if (living === 'again') return living;
  const inTheWay =
    wanted > supportedStorage.max ? `This cluster's programs support ${storageFeature} up to ${supportedStorage.max}.` : upgradeProblem(wanted, living);
  if (inTheWay !== undefined) {
    if (closed && !options.validateOnly && !(await write({ finalized, by }, entry, options))) return 'again';
    return problem(ErrorCodes.INVALID_UPDATE_VERSION, inTheWay);
  }
  if (options.validateOnly) return { kind: 'done', revision: 0 };
  if (closed) return (await write({ finalized: wanted, by }, entry, options)) ?? 'again';
  await write({ finalized, upgradingTo: wanted, by }, entry, options);
  return 'again';
}

async function write(record: FeaturesRecord, before: MetaEntry | undefined, { meta }: FinalizeOptions): Promise<Outcome | undefined> {
  const { committed, revision } = await meta.txn({
    compare: [{ key: keys.features, modRevision: before?.modRevision ?? 0 }],
    then: [{ kind: 'put', key: keys.features, value: JSON.stringify(record) }],
  });
  return committed ? { kind: 'done', revision } : undefined;
}

/** A broker lives while nobody has claimed its node's newest incarnation; claims are never withdrawn. */
async function livingNodes(notOlderThan: number, meta: MetaStore): Promise<readonly NodeVersions[] | 'again'> {
  const nodes = await meta.list(keys.nodes);
  if (nodes.revision < notOlderThan) return 'again';
  const { entries: recoveries } = await meta.list(keys.recoveries);
  const claimed = new Set(recoveries.map(({ key }) => key));
  const living: NodeVersions[] = [];
  for (const { key, value } of nodes.entries) {
    const record = parseRecord(nodeRecord, value);
    const node = Number(key.slice(keys.nodes.length));
    // What cannot be read may live, and may be old.
    if (!record || !claimed.has(keys.recovery(node, record.epoch))) living.push({ node, versions: record?.versions });
  }
  return living;
}

function noWayBack(wanted: number, finalized: number): string {
  return `${storageFeature} ${finalized} is finalized and cannot be taken back to ${wanted}: objects of version ${finalized} may exist, and brokers of version ${wanted} would take them for damaged.`;
}

function problem(error: Extract<Outcome, { kind: 'error' }>['error'], message: string): Outcome {
  return { kind: 'error', error, message };
}

export interface MetaStorageFeatureOptions extends FinalizeOptions {
  /** By this broker. */
  readonly supported: VersionRange;
  readonly image: Pick<MetadataImage, 'features' | 'waitFor'>;
}

export class MetaStorageFeature implements StorageFeature {
  readonly supported: VersionRange;
  readonly #options: MetaStorageFeatureOptions;

  constructor(options: MetaStorageFeatureOptions) {
    this.supported = options.supported;
    this.#options = options;
  }

  get finalized(): number {
    return finalizedStorage(this.#options.image.features?.record);
  }

  get epoch(): number {
    return this.#options.image.features?.modRevision ?? 0;
  }

  async finalize(version: number, { by, validateOnly }: { readonly by: string; readonly validateOnly: boolean }): Promise<AdminOutcome<object>> {
    const outcome = await finalizeStorage(version, by, { ...this.#options, validateOnly });
    if (outcome.kind === 'done') await this.#options.image.waitFor(outcome.revision, imageWaitMs);
    return outcome;
  }
}
