/**
 * Writes what tools and operators ask for: which broker a partition shall be on (design §9, `moves/`). Owners execute it
 * (`moves/`), whenever they can; asking again, or for another target, replaces what was asked.
 */
import { type MetaCompare, type MetaOperation, MetaRefused, type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { ClusterImage } from '../../cluster/cluster-image.ts';
import { keys, type MoveRecord } from '../../cluster/meta-records.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import type { AdminOutcome, MoveRequests, WantedMove } from '../server/services.ts';

export interface MetaMoveRequestsOptions {
  readonly meta: MetaStore;
  readonly image: ClusterImage & { waitFor(revision: number, withinMs: number): Promise<void> };
}

const requestsPerTxn = 60;
const imageWaitMs = 5_000;
const maxAttempts = 5;

export class MetaMoveRequests implements MoveRequests {
  readonly #options: MetaMoveRequestsOptions;

  constructor(options: MetaMoveRequestsOptions) {
    this.#options = options;
  }

  async request(wanted: readonly WantedMove[], by: string): Promise<readonly AdminOutcome<object>[]> {
    const outcomes: AdminOutcome<object>[] = [];
    for (let i = 0; i < wanted.length; i += requestsPerTxn) {
      const some = wanted.slice(i, i + requestsPerTxn);
      const outcome = await this.#write(some, by);
      for (const _ of some) outcomes.push(outcome);
    }
    return outcomes;
  }

  async #write(wanted: readonly WantedMove[], by: string): Promise<AdminOutcome<object>> {
    try {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const before = await Promise.all(wanted.map(({ topicId, partition }) => this.#options.meta.get(keys.move(topicId, partition))));
        const compare: MetaCompare[] = wanted.map(({ topicId, partition }, i) => ({
          key: keys.move(topicId, partition),
          modRevision: before[i]?.modRevision ?? 0,
        }));
        const result = await this.#options.meta.txn({ compare, then: wanted.map((move) => operationOf(move, by)) });
        if (!result.committed) continue;
        await this.#options.image.waitFor(result.revision, imageWaitMs);
        return { kind: 'done' };
      }
      return { kind: 'error', error: ErrorCodes.REQUEST_TIMED_OUT, message: 'Somebody else kept asking for the same partitions; try again.' };
    } catch (error) {
      if (error instanceof MetaUnavailable || error instanceof MetaUnknown) {
        const message = 'The metadata store did not answer; the request may or may not stand.';
        return { kind: 'error', error: ErrorCodes.REQUEST_TIMED_OUT, message };
      }
      if (error instanceof MetaRefused)
        return { kind: 'error', error: ErrorCodes.POLICY_VIOLATION, message: `The metadata store refuses the request: ${error.message}` };
      throw error;
    }
  }
}

function operationOf({ topicId, partition, target }: WantedMove, by: string): MetaOperation {
  const key = keys.move(topicId, partition);
  return target === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: JSON.stringify({ target, by, why: '' } satisfies MoveRecord) };
}
