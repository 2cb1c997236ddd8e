/**
 * Sweeping an ended incarnation (design §4, §6): what a LIST shows under its names and this log does not reach is given to
 * the catalog as released, so that it goes the way of everything that is collected: with the next proven checkpoint.
 * Start and seal stay for ever: they keep a write that slept for hours from creating its name.
 */
import type { Logger } from '../../io/logger.ts';
import type { ListedObject } from '../../io/object/object-store.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { type CertainReads, untilCertain } from './certain-reads.ts';
import { dataPrefix, type ObjectKey, parseKey, walPrefix } from './format/object-keys.ts';
import { maxSealBytes } from './format/seal.ts';
import { decodeTrailer, trailerBytes } from './format/trailer.ts';
import type { Mutants } from './mutants.ts';
import type { ObjectCatalog } from './object-catalog.ts';

export interface SweepOptions extends CertainReads {
  readonly catalog: ObjectCatalog;
  readonly logger: Logger;
  readonly mutants?: Mutants;
  /** Released before, and on its way out or held by another broker. */
  readonly isGoing: (key: ObjectKey) => boolean;
}

/** How many objects besides start and seal are left: still needed, or not collected yet. */
export async function sweepEnded(ended: Incarnation, options: SweepOptions): Promise<number> {
  let left = 0;
  for (const prefix of [walPrefix(ended), dataPrefix(ended)]) {
    let after: string | undefined;
    for (;;) {
      const page = await untilCertain(options, () => options.objects.list(prefix, after));
      for (const object of page.objects) {
        if (await staysForEver(object, options)) continue;
        left++;
        if (options.isGoing(object.key as ObjectKey)) continue;
        // Footers are not content: at most half of an object, which is all that merging has to know.
        options.catalog.add(object.key as ObjectKey, Math.floor(Math.max(0, object.sizeBytes - trailerBytes) / 2));
      }
      after = page.objects.at(-1)?.key;
      if (!page.more || after === undefined) break;
    }
  }
  return left;
}

async function staysForEver({ key, sizeBytes }: ListedObject, options: SweepOptions): Promise<boolean> {
  const parsed = parseKey(key);
  if (!parsed) {
    options.logger.warn('an object with a strange name lies among our own and stays there', { key });
    return true;
  }
  if (parsed.area === 'data' || options.mutants?.has('collect-seals')) return false;
  if (parsed.number === 0) return true;
  if (sizeBytes > maxSealBytes || options.catalog.has(key as ObjectKey)) return false;
  const tail = await untilCertain(options, () => options.objects.readTail(key, trailerBytes));
  if (tail.kind === 'missing') return false;
  try {
    return decodeTrailer(tail.bytes, tail.sizeBytes).kind === 'seal';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // It may have been the seal.
    options.logger.error('a damaged object stays where it is', { key, reason: error.message });
    return true;
  }
}
