import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../io/logger.ts';
import { MetaRefused, type MetaStore, MetaUnknown } from '../../io/meta/meta-store.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import { ManualClock } from '../server/testing/manual-clock.ts';
import { settleRecord } from './settle-record.ts';

test('a record of which only a list tells is settled whatever the metadata store answers at first', async () => {
  const clock = new ManualClock();
  const answers = [new MetaRefused('no space'), new MetaUnknown('answer lost')];
  let written = 0;
  const txn = () => {
    const error = answers.shift();
    if (error) return Promise.reject(error);
    written++;
    return Promise.resolve({ committed: true, revision: 9, reads: [] });
  };
  const self = { node: 1 as NodeId, epoch: 1 };
  const record = { owner: self, leaderEpoch: 3, state: '' };
  const shown = { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' as TopicId, partition: 0, record, modRevision: 7, source: 'list' } as const;
  const signal = new AbortController().signal;
  await clock.until(settleRecord(shown, { meta: { txn } as unknown as MetaStore, clock, logger: silentLogger, signal, self }));
  assert.equal(written, 1);
});
