/** F04, F05, F62 · A broker that is stopped, taken over, and goes on as if nothing had happened. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { controllerOf, describeGaps, epochOf, isFull, ownersOf, scenario, scenarioTimeoutMs, until } from './scenario.ts';

const stoppedMs = isFull ? 20_000 : 12_000;

for (const victim of ['controller', 'another'] as const) {
  test(`of a stopped broker (${victim}) nothing is believed; it comes back as a new incarnation by itself`, { timeout: scenarioTimeoutMs }, (t) =>
    scenario(`zombie ${victim}`, async ({ cluster, record }) => {
      const controller = await controllerOf(cluster);
      const node = victim === 'controller' ? controller : (controller + 1) % cluster.brokers.length;
      const broker = cluster.brokers[node];
      assert.ok(broker);
      const owned = [...(await ownersOf(cluster))].filter(([, owner]) => owner === node);
      assert.ok(owned.length > 0, `broker ${node} owns nothing`);
      const epoch = await epochOf(cluster, node);

      const fromMs = record.nowMs;
      const over = record.fault(`SIGSTOP broker ${node} for ${stoppedMs / 1_000} s`);
      broker.pause();
      const resumed = delay(stoppedMs).then(() => {
        assert.ok(broker.isPaused);
        broker.resume();
      });
      await until('its partitions are owned by others', async () => ![...(await ownersOf(cluster)).values()].includes(node), stoppedMs);
      const takenOverMs = record.nowMs - fromMs;
      await resumed;
      over();

      await until('it serves as a new incarnation', async () => (await epochOf(cluster, node)) > epoch);
      assert.ok(await broker.becomesReady(60_000));
      assert.equal(broker.lives, 1, 'the same process');
      await until('the cluster has a controller that lives', async () => cluster.brokers[await controllerOf(cluster)]?.isRunning === true);
      t.diagnostic(`taken over after ${(takenOverMs / 1_000).toFixed(2)} s; ${describeGaps(record, { fromMs, toMs: record.nowMs })}`);
    }),
  );
}
