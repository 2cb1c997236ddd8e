/** F23, F24, F43 · The object store is gone, killed or silent: nothing is acknowledged meanwhile, and nothing that was is missing after. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { describeGaps, isFull, scenario, scenarioTimeoutMs, until } from './scenario.ts';

const goneMs = isFull ? 60_000 : 15_000;

for (const how of ['killed', 'silent'] as const) {
  test(`S3 ${how}: producers wait or get retriable errors; back: all goes on, nothing is missing, memory was bounded`, { timeout: scenarioTimeoutMs }, (t) =>
    scenario(`objects ${how}`, async ({ cluster, record }) => {
      const links = cluster.linksTo('objects');
      const over = record.fault(`S3 ${how} for ${goneMs / 1_000} s`);
      const begunMs = record.nowMs;
      if (how === 'killed') await cluster.objects?.kill();
      else for (const link of links) link.blackHole();
      const fromMs = record.nowMs;
      await delay(goneMs);
      const toMs = record.nowMs;
      if (how === 'killed') await cluster.restartObjects();
      else for (const link of links) link.heal();
      over();

      const promised = record.history.filter(({ f, type, t0, t1 }) => f === 'send' && type === 'ok' && t0 > fromMs && (t1 ?? Number.POSITIVE_INFINITY) < toMs);
      assert.deepEqual(promised, [], 'acknowledged without a store that holds it');
      const keys = new Set(record.history.filter(({ f }) => f === 'send').map(({ key }) => key));
      await until('every partition acknowledges again', () => {
        const served = new Set(record.history.filter(({ f, type, t1 }) => f === 'send' && type === 'ok' && (t1 ?? 0) > toMs).map(({ key }) => key));
        return Promise.resolve([...keys].every((key) => served.has(key)));
      });
      t.diagnostic(
        `all partitions acknowledge ${((record.nowMs - toMs) / 1_000).toFixed(1)} s after it is back; ${describeGaps(record, { fromMs: begunMs, toMs: record.nowMs })}`,
      );
      t.diagnostic(`memory: at most ${Math.max(...cluster.brokers.map(({ peakRssMiB }) => peakRssMiB)).toFixed(0)} MiB`);
      assert.deepEqual(
        cluster.brokers.map(({ lives }) => lives),
        [1, 1, 1],
      );
    }),
  );
}
