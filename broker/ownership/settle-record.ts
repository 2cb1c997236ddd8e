/**
 * A list, which may be stale, says that a partition is ours: it is opened only on the result of a write (design §4). The record is written as
 * it stands, comparing its revision; the event of that write opens it.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { livingGuard } from './incarnation.ts';
import type { ShownPartition } from './shown-records.ts';

export interface SettleOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly self: Incarnation;
}

const retryMs = 200;
const attemptsPerLine = 100;

export async function settleRecord({ topicId, partition, record, modRevision }: ShownPartition, options: SettleOptions): Promise<void> {
  const key = keys.partition(topicId, partition);
  for (let attempt = 0; !options.signal.aborted; attempt++) {
    try {
      await options.meta.txn({ compare: [{ key, modRevision }, ...livingGuard(options.self)], then: [{ kind: 'put', key, value: JSON.stringify(record) }] });
      // Refused: it changed meanwhile, which is another event.
      return;
    } catch (error) {
      // A store without space refuses for as long as it has none.
      if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown) && attempt % attemptsPerLine === 0)
        options.logger.error('whether a partition is ours cannot be settled, trying again', { topicId, partition, error: String(error) });
      await sleep(options.clock, retryMs, options.signal);
    }
  }
}
