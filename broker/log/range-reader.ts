/** The plain `StoredReader`: one ranged GET for each read, bounded retries, every batch's CRC checked. The block cache stands in front of it. */
import { type Clock, sleep } from '../../io/clock.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import type { Random } from '../../io/random.ts';
import { crcFits } from './batch/record-batch.ts';
import { wholeBatchBytes } from './batch/walk-batches.ts';
import type { IndexEntry } from './format/partition-state.ts';
import type { StoredRead, StoredReader } from './stored-reader.ts';

export interface RangeReaderOptions {
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: number;
  readonly baseBackoffMs: number;
}

export class RangeReader implements StoredReader {
  readonly #options: RangeReaderOptions;

  constructor(options: RangeReaderOptions) {
    this.#options = options;
  }

  async read(entry: IndexEntry): Promise<StoredRead> {
    const { objects, clock, random, attempts, baseBackoffMs } = this.#options;
    let cause = '';
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await sleep(clock, random.float() * baseBackoffMs * 2 ** attempt);
      const outcome = await objects.read(entry.object, { start: entry.position, end: entry.position + entry.length });
      if (outcome.kind === 'missing') return { kind: 'missing' };
      if (outcome.kind === 'found') {
        const fault = outcome.bytes.length === entry.length ? faultOf(outcome.bytes) : `answered ${outcome.bytes.length} of ${entry.length} bytes`;
        if (!fault) return { kind: 'found', bytes: outcome.bytes };
        // Bytes may have been damaged on the way only: read again before they count as corrupt.
        if (attempt === attempts - 1) return { kind: 'corrupt', reason: fault };
      } else cause = outcome.cause;
    }
    return { kind: 'unavailable', cause };
  }
}

function faultOf(bytes: Buffer): string | undefined {
  let position = 0;
  while (position < bytes.length) {
    const size = wholeBatchBytes(bytes, position);
    if (size === 0) return `no whole batch at ${position}`;
    if (!crcFits(bytes, position)) return `CRC of the batch at ${position} does not match`;
    position += size;
  }
  return undefined;
}
