/**
 * Leaving the cluster in order (design §10): this broker says that it is stopping, so that nothing is placed on it any more, hands all its partitions
 * to others, and when nothing is left marks its incarnation as ended, so that nobody has to find out.
 */
import { type Clock, sleep } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import { type MetaStore, MetaUnavailable, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { keys, nodeRecord, type NodeRecord, parseRecord, partitionRecord, type RecoveryRecord } from '../../cluster/meta-records.ts';
import type { MetadataImage } from './metadata-image.ts';

export interface LeaveOptions {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: Incarnation;
  readonly image: MetadataImage;
}

export interface DrainOptions extends LeaveOptions {
  readonly signal: AbortSignal;
  /** Looks for partitions to move. */
  readonly wake: () => void;
  /** Partitions that are still here. */
  readonly left: () => number;
  readonly withinMs: number;
}

const pollMs = 20;
const attempts = 5;

export async function drain(options: DrainOptions): Promise<void> {
  const { image, self, clock, logger, left } = options;
  if (!image.brokers().some(({ node }) => node !== self.node)) return;
  const canLeave = () => image.brokers().some(({ node, draining }) => node !== self.node && !draining);
  const startedMs = clock.monotonicMs();
  const partitions = left();
  // Also when nobody can take them: when all stop at once none must hand its partitions to another one.
  if (!(await markStopping(options))) return logger.warn('this broker could not say that it stops: its partitions are taken over instead of moved');
  while (left() > 0 && canLeave() && clock.monotonicMs() - startedMs < options.withinMs && !options.signal.aborted) {
    options.wake();
    await sleep(clock, pollMs, options.signal);
  }
  logger.info('drained', { partitions, left: left(), tookMs: Math.round(clock.monotonicMs() - startedMs) });
}

async function markStopping({ meta, self, clock, image }: DrainOptions): Promise<boolean> {
  const key = keys.node(self.node);
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const entry = await meta.get(key);
      const record = entry && parseRecord(nodeRecord, entry.value);
      if (!entry || record?.epoch !== self.epoch) return false;
      // Somebody asked for it: that is still to be there when it begins again.
      if (record.state === 'draining') return true;
      const value = JSON.stringify({ ...record, state: 'stopping' } satisfies NodeRecord);
      const result = await meta.txn({ compare: [{ key, modRevision: entry.modRevision }], then: [{ kind: 'put', key, value }] });
      if (!result.committed) continue;
      await image.waitFor(result.revision, 1_000);
      return true;
    } catch (error) {
      if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown)) throw error;
      await sleep(clock, pollMs);
    }
  }
  return false;
}

/** Nothing is owned any more and nothing will be written: there is nothing to recover. A record that names us would refuse this. */
export async function endGracefully({ meta, self, clock, logger, image }: LeaveOptions): Promise<void> {
  const node = keys.node(self.node);
  const recovery = keys.recovery(self.node, self.epoch);
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const entry = await meta.get(node);
      const record = entry && parseRecord(nodeRecord, entry.value);
      if (!entry || record?.epoch !== self.epoch || record.state === 'active') return;
      const ended: RecoveryRecord = {
        ...(record.checkpoint === undefined ? {} : { checkpoint: record.checkpoint }),
        claim: self,
        fenced: true,
        ended: false,
      };
      const marked = await meta.txn({
        compare: [
          { key: node, modRevision: entry.modRevision },
          { key: recovery, modRevision: 0 },
        ],
        then: [{ kind: 'put', key: recovery, value: JSON.stringify(ended) }],
      });
      if (!marked.committed) continue;
      // Nobody can name us any more: now it can be known whether somebody does.
      const { entries, revision } = await meta.list(keys.partitions);
      const named = entries.some(({ value }) => {
        const owner = parseRecord(partitionRecord, value)?.owner;
        return !owner || (owner.node === self.node && owner.epoch === self.epoch);
      });
      if (revision < marked.revision || named) return;
      await meta.txn({
        compare: [{ key: recovery, modRevision: marked.revision }],
        then: [{ kind: 'put', key: recovery, value: JSON.stringify({ ...ended, ended: true }) }],
      });
      await image.waitFor(marked.revision, 100);
      return logger.info('this incarnation has ended and owns nothing', { ...self });
    } catch (error) {
      if (!(error instanceof MetaUnavailable) && !(error instanceof MetaUnknown)) throw error;
      await sleep(clock, pollMs);
    }
  }
}
