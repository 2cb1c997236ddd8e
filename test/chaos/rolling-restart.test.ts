/** F15 · Every broker is restarted in turn under load: nothing is lost, and no client meets an error that it does not mend itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { graceMs } from './chaos-cluster.ts';
import { describeGaps, scenario, scenarioTimeoutMs } from './scenario.ts';

const betweenMs = 2_000;

test('a rolling restart under load: zero lost, no fatal client error', { timeout: scenarioTimeoutMs }, (t) =>
  scenario('rolling restart', async ({ cluster, load, record }) => {
    const fromMs = record.nowMs;
    const over = record.fault('rolling restart');
    for (const broker of cluster.brokers) {
      const { ms, killed, code } = await broker.stop(graceMs);
      assert.deepEqual({ killed, code }, { killed: false, code: 0 }, `broker ${broker.node} after ${ms} ms`);
      t.diagnostic(`broker ${broker.node} ended ${(ms / 1_000).toFixed(2)} s after SIGTERM`);
      await broker.start();
      assert.ok(await broker.becomesReady(60_000));
      await delay(betweenMs);
    }
    over();
    t.diagnostic(describeGaps(record, { fromMs, toMs: record.nowMs }));
    assert.deepEqual(
      load.complaints.filter((complaint) => !complaint.endsWith('(goes on)')),
      [],
    );
  }),
);
