/**
 * The object `cluster` at the root of a bucket (or prefix): whose it is, in which format, and that the store was proved to keep its word (design §4,
 * §6). Made by the first broker that opens the bucket, with a conditional create, so that two clusters cannot both have it; never changed.
 */
import type { Clock } from '../../io/clock.ts';
import { type ObjectStore, objectBody } from '../../io/object/object-store.ts';
import { retryCreate, type RetryOptions, retryUnknown } from '../../io/object/retry.ts';
import type { Random } from '../../io/random.ts';
import { checkStore, proveStore } from './store-proof.ts';

export const bucketRootKey = 'cluster';
/** Of everything below the root; a reader of an older one must refuse a newer. */
const formatVersion = 1;
const proofVersion = 1;
const defaultAttempts = 8;

export interface OpenBucketOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  /** The cluster that this broker belongs to; without it the bucket says, and an empty bucket gets a new one. */
  readonly clusterId?: string;
  readonly attempts?: number;
}

/** `refused`: it stays so until somebody acts. `unreachable`: worth another try. The text says what to do. */
export type OpenBucketOutcome =
  | { readonly kind: 'opened'; readonly clusterId: string; readonly made: boolean }
  | { readonly kind: 'refused' | 'unreachable'; readonly text: string };

interface BucketRoot {
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly storeProof: { readonly version: number; readonly provedAtMs: number };
}

export async function openBucket(options: OpenBucketOptions): Promise<OpenBucketOutcome> {
  const { objects } = options;
  const retry = retryOptions(options);
  const found = await retryUnknown(retry, (call) => objects.read(bucketRootKey, undefined, call));
  if (found.kind === 'found') return verify(found.bytes, options);
  if (found.kind === 'missing') return make(options, retry);
  return { kind: 'unreachable', text: `the object store does not answer: ${found.cause}` };
}

/** The cheap check of every start. */
async function verify(bytes: Buffer, options: OpenBucketOptions): Promise<OpenBucketOutcome> {
  const root = parseRoot(bytes);
  if (typeof root === 'string') return { kind: 'refused', text: root };
  if (options.clusterId !== undefined && options.clusterId !== root.clusterId) {
    const text = `this bucket (or prefix) belongs to cluster ${root.clusterId}, this broker to cluster ${options.clusterId}: give each cluster a bucket or prefix of its own`;
    return { kind: 'refused', text };
  }
  const checked = await checkStore(options, bucketRootKey, bytes);
  if (checked.kind === 'fit') return { kind: 'opened', clusterId: root.clusterId, made: false };
  return { kind: checked.kind === 'unfit' ? 'refused' : 'unreachable', text: checked.text };
}

async function make(options: OpenBucketOptions, retry: RetryOptions): Promise<OpenBucketOutcome> {
  const { objects, clock, random } = options;
  const orphaned = await findOrphans(objects, retry);
  if (orphaned) return orphaned;
  const proof = await proveStore(options);
  if (proof.kind !== 'fit') return { kind: proof.kind === 'unfit' ? 'refused' : 'unreachable', text: proof.text };
  const clusterId = options.clusterId ?? newClusterId(random);
  const root: BucketRoot = { formatVersion, clusterId, storeProof: { version: proofVersion, provedAtMs: clock.wallMs() } };
  const bytes = Buffer.from(`${JSON.stringify(root)}\n`);
  const own = { tailBytes: bytes.length, isOwn: (tail: Buffer) => tail.equals(bytes) };
  const outcome = await retryCreate(objects, bucketRootKey, objectBody([bytes]), own, retry);
  if (outcome.kind === 'created') return { kind: 'opened', clusterId, made: true };
  // Another broker of the same cluster, or of another, was quicker.
  if (outcome.kind === 'exists') return openBucket(options);
  return { kind: 'unreachable', text: `the object store does not answer: ${outcome.cause}` };
}

/** Data without a root: somebody deleted it, or the prefix is wrong. A new cluster must not begin on top of it. */
async function findOrphans(objects: ObjectStore, retry: RetryOptions): Promise<OpenBucketOutcome | undefined> {
  for (const prefix of ['wal/', 'data/']) {
    const page = await retryUnknown(retry, (call) => objects.list(prefix, undefined, call));
    if (page.kind !== 'page') return { kind: 'unreachable', text: `the object store cannot be listed: ${page.cause}` };
    const [first] = page.objects;
    if (!first) continue;
    // A broker that started with us may have made the root and written since we looked.
    const root = await retryUnknown(retry, (call) => objects.head(bucketRootKey, call));
    if (root.kind === 'found') return undefined;
    const text = `the bucket (or prefix) holds data (${first.key}) but no object "${bucketRootKey}" that says whose it is: restore that object, or choose an empty prefix`;
    return { kind: 'refused', text };
  }
  return undefined;
}

function parseRoot(bytes: Buffer): BucketRoot | string {
  const notOurs = `the object "${bucketRootKey}" at the root of this bucket (or prefix) is none of ours: choose an empty prefix`;
  let parsed: Partial<BucketRoot>;
  try {
    parsed = JSON.parse(bytes.toString('utf8')) as Partial<BucketRoot>;
  } catch {
    return notOurs;
  }
  if (parsed == null || typeof parsed !== 'object' || typeof parsed.formatVersion !== 'number' || typeof parsed.clusterId !== 'string') return notOurs;
  if (parsed.formatVersion > formatVersion)
    return `this bucket was written in format ${parsed.formatVersion}, this program knows up to ${formatVersion}: use a newer version`;
  return parsed as BucketRoot;
}

/** 128 random bits as Kafka writes its cluster ids; a leading dash would look like an option to command-line tools. */
function newClusterId(random: Random): string {
  for (;;) {
    const id = random.bytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

function retryOptions({ clock, random, attempts = defaultAttempts }: OpenBucketOptions): RetryOptions {
  return { clock, random, attempts };
}
