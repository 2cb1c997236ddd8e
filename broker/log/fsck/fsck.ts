/**
 * `automq storage fsck`: lists every object and says what it is, and names what the metadata needs and is not there
 * (design §6). Read-only. On a living cluster what it says may be stale: objects come and go while it reads. What looks
 * wrong is therefore looked at again, from the metadata on, before it is reported.
 */
import type { ListedObject } from '../../../io/object/object-store.ts';
import { FormatError } from '../../../std/byte-reader.ts';
import { bucketRootKey } from '../bucket-root.ts';
import { untilCertain } from '../certain-reads.ts';
import { type ObjectKey, type ParsedKey, parseKey } from '../format/object-keys.ts';
import { maxSealBytes } from '../format/seal.ts';
import { parseWholeObject } from '../format/stored-object.ts';
import { decodeTrailer, trailerBytes } from '../format/trailer.ts';
import { findReachable, incarnationKey, type Reachable, type ReachableOptions, type StoredMetadata } from './reachable.ts';

export interface FsckOptions extends ReachableOptions {
  readonly metadata: () => Promise<StoredMetadata>;
  /** Reads every object that is needed and checks its CRCs. */
  readonly verify: boolean;
}

/**
 * `start`, `seal` and `root` stay for ever. `garbage` is what nothing needs: it waits for collection, or is a merge's output
 * that no checkpoint names yet. `unknown` are objects that no broker of this cluster can have written.
 */
export type ObjectClass = 'root' | 'live' | 'start' | 'seal' | 'garbage' | 'unknown' | 'missing' | 'damaged';

export interface FsckObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly is: ObjectClass;
  readonly reason: string;
}

export interface FsckReport {
  /** Ascending by key; missing ones, too. */
  readonly objects: readonly FsckObject[];
  readonly totals: Readonly<Record<ObjectClass, { readonly count: number; readonly bytes: number }>>;
  /** What is wrong with the metadata or with partitions. */
  readonly problems: readonly string[];
  /** Nothing is missing, damaged, unknown or wrong. */
  readonly clean: boolean;
}

const looks = 3;
/** No broker has so many uploads on their way. */
const maxUploads = 100;

export async function fsck(options: FsckOptions): Promise<FsckReport> {
  for (let look = 1; ; look++) {
    // First the list, then the metadata: what came after the list is not in it, and is asked for by name.
    const listed = await listAll(options);
    const report = await lookOnce(listed, await options.metadata(), options);
    if (report.clean || look === looks) return report;
  }
}

async function lookOnce(listed: ReadonlyMap<string, number>, metadata: StoredMetadata, options: FsckOptions): Promise<FsckReport> {
  const reachable = await findReachable(metadata, options);
  const objects: FsckObject[] = [];
  for (const [key, sizeBytes] of listed) objects.push(await classify({ key, sizeBytes }, metadata, reachable, options));
  for (const [key, need] of reachable.objects) {
    if (listed.has(key)) continue;
    const head = await untilCertain(options, () => options.objects.head(key));
    const needed = `needed by ${need.by} as ${need.reason}`;
    if (head.kind === 'found') objects.push(await checkLive({ key, sizeBytes: head.sizeBytes }, reachable, options));
    else objects.push({ key, sizeBytes: 0, is: 'missing', reason: needed });
  }
  return summed(
    objects.sort((a, b) => (a.key < b.key ? -1 : 1)),
    [...reachable.problems, ...holes(listed, reachable)],
  );
}

/** A WAL goes on behind a number that is missing: what lies there was acknowledged, unless it is on its way. */
function holes(listed: ReadonlyMap<string, number>, { open }: Reachable): string[] {
  const behind = new Map<string, number>();
  for (const key of listed.keys()) {
    const parsed = parseKey(key);
    const end = parsed?.area === 'wal' ? open.get(incarnationKey(parsed.incarnation))?.end : undefined;
    if (!parsed || end?.kind !== 'missing' || parsed.number <= end.missing) continue;
    const where = `number ${end.missing} of the WAL of node ${parsed.incarnation.node}, epoch ${parsed.incarnation.epoch}`;
    behind.set(where, (behind.get(where) ?? 0) + 1);
  }
  return [...behind].filter(([, count]) => count > maxUploads).map(([where, count]) => `${where} is missing, with ${count} objects behind it`);
}

async function listAll({ objects, ...reads }: FsckOptions): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  let after: string | undefined;
  for (;;) {
    const page = await untilCertain({ objects, ...reads }, () => objects.list('', after));
    for (const { key, sizeBytes } of page.objects) found.set(key, sizeBytes);
    after = page.objects.at(-1)?.key;
    if (!page.more || after === undefined) return found;
  }
}

async function classify(object: ListedObject, metadata: StoredMetadata, reachable: Reachable, options: FsckOptions): Promise<FsckObject> {
  const { key } = object;
  const say = (is: ObjectClass, reason: string): FsckObject => ({ ...object, is, reason });
  if (key === bucketRootKey) return say('root', 'whose bucket this is');
  if (key.startsWith('probe/')) return say('garbage', 'left by a test of the store');
  const parsed = parseKey(key);
  if (!parsed) return say('unknown', 'no name of ours');
  if (reachable.objects.has(key as ObjectKey)) return checkLive(object, reachable, options);
  const node = metadata.nodes.find((known) => known.node === parsed.incarnation.node);
  if (!node) return say('unknown', `the metadata store knows no node ${parsed.incarnation.node}`);
  if (parsed.area === 'wal' && parsed.number === 0) return say('start', 'the beginning of an incarnation');
  if (parsed.incarnation.epoch > node.epoch)
    return say('unknown', `node ${node.node} never had an epoch ${parsed.incarnation.epoch}: is this the right metadata store?`);
  if (parsed.area === 'wal' && object.sizeBytes <= maxSealBytes) {
    const seal = await sealOrFault(object, options);
    if (seal === 'seal') return say('seal', 'the end of an incarnation');
    if (seal !== undefined) return say('damaged', seal);
  }
  return say('garbage', whyGarbage(parsed, reachable));
}

function whyGarbage({ area, incarnation, number }: ParsedKey, reachable: Reachable): string {
  const open = reachable.open.get(incarnationKey(incarnation));
  if (!open) return 'left by an incarnation that has ended';
  if (area === 'data') return 'waits for collection, or no checkpoint names it yet';
  if (number <= open.pointer) return 'waits for collection';
  if (open.end?.kind === 'sealed') return 'past the seal: never part of the log';
  return 'an upload on its way: not part of the log yet';
}

async function checkLive(object: ListedObject, reachable: Reachable, options: FsckOptions): Promise<FsckObject> {
  const need = reachable.objects.get(object.key as ObjectKey);
  const reason = need ? `${need.reason} (${need.by})` : '';
  if (need && object.sizeBytes < need.contentBytes + trailerBytes)
    return { ...object, is: 'damaged', reason: `is shorter than ${need.contentBytes} bytes of ${reason}` };
  const fault = options.verify ? await wholeFault(object.key, options) : undefined;
  if (fault === 'missing') return { ...object, is: 'missing', reason: `needed as ${reason}` };
  return fault === undefined ? { ...object, is: 'live', reason } : { ...object, is: 'damaged', reason: `${fault}; needed as ${reason}` };
}

async function wholeFault(key: string, options: FsckOptions): Promise<string | undefined> {
  const read = await untilCertain(options, () => options.objects.read(key));
  if (read.kind === 'missing') return 'missing';
  return faultOf(() => {
    const { trailer } = parseWholeObject(read.bytes);
    const named = parseKey(key);
    if (named && (incarnationKey(named.incarnation) !== incarnationKey(trailer.incarnation) || named.number !== trailer.number)) {
      throw new FormatError(`was written as number ${trailer.number} of node ${trailer.incarnation.node}, epoch ${trailer.incarnation.epoch}`);
    }
  });
}

/** For a small WAL object that nothing needs: `seal`, what is wrong with it, or undefined when it is something else of ours. */
async function sealOrFault({ key }: ListedObject, options: FsckOptions): Promise<string | undefined> {
  const tail = await untilCertain(options, () => options.objects.readTail(key, trailerBytes));
  if (tail.kind === 'missing') return undefined;
  let isSeal = false;
  const fault = faultOf(() => {
    isSeal = decodeTrailer(tail.bytes, tail.sizeBytes).kind === 'seal';
  });
  return isSeal ? 'seal' : fault;
}

function faultOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

const classes: readonly ObjectClass[] = ['root', 'live', 'start', 'seal', 'garbage', 'unknown', 'missing', 'damaged'];

function summed(objects: readonly FsckObject[], problems: readonly string[]): FsckReport {
  const totals = Object.fromEntries(classes.map((is) => [is, { count: 0, bytes: 0 }])) as Record<ObjectClass, { count: number; bytes: number }>;
  for (const { is, sizeBytes } of objects) {
    totals[is].count += 1;
    totals[is].bytes += sizeBytes;
  }
  const clean = problems.length === 0 && totals.unknown.count + totals.missing.count + totals.damaged.count === 0;
  return { objects, totals, problems, clean };
}
