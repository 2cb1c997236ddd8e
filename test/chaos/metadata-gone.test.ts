/** F48 · The metadata store is gone, killed or silent: produce and fetch go on; when it is back, so does everything else. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { partitionsOfTopic } from './chaos-load.ts';
import { availability, gapsOf } from './gaps.ts';
import { kafkajsClient } from './kafkajs-producers.ts';
import { describeGaps, isFull, ownersOf, scenario, scenarioTimeoutMs, until } from './scenario.ts';

const goneMs = isFull ? 60_000 : 15_000;
const leastAvailable = 0.99;
/** A loaded machine stalls for a second now and then without any fault. */
const bearableMs = 3_000;

for (const how of ['killed', 'silent'] as const) {
  test(`etcd ${how}: produce and fetch go on; back: topics are created and partitions move`, { timeout: scenarioTimeoutMs }, (t) =>
    scenario(`metadata ${how}`, async ({ cluster, load, record }) => {
      const links = cluster.linksTo('metadata');
      const over = record.fault(`etcd ${how} for ${goneMs / 1_000} s`);
      const fromMs = record.nowMs;
      if (how === 'killed') await cluster.metadata.kill();
      else for (const link of links) link.blackHole();
      await delay(goneMs);
      const window = { fromMs, toMs: record.nowMs };
      if (how === 'killed') await cluster.metadata.start();
      else for (const link of links) link.heal();
      over();

      for (const f of ['send', 'poll'] as const) {
        const available = availability(gapsOf(record.history, f, window), bearableMs);
        t.diagnostic(
          `${f}: ${(100 * available).toFixed(2)} % available; gaps above 1 s counted: ${(100 * availability(gapsOf(record.history, f, window), 1_000)).toFixed(2)} %`,
        );
        assert.ok(available >= leastAvailable, `${f}: ${available}`);
      }
      t.diagnostic(describeGaps(record, window));
      assert.deepEqual(
        cluster.brokers.map(({ lives }) => lives),
        [1, 1, 1],
      );

      const [topic, topicId] = [...load.topicIds][0] ?? ['', ''];
      const partitions = Array.from({ length: partitionsOfTopic }, (_, partition) => partition);
      const admin = kafkajsClient('operator', cluster.bootstrapNames, 60).admin();
      await admin.connect();
      try {
        // A request that runs out of time is answered as retriable, and may have done its work.
        let attempt = 0;
        const create = () => admin.createTopics({ topics: [{ topic: `made-afterwards-${++attempt}`, numPartitions: 2 }], waitForLeaders: true });
        await until('a topic can be created', () => create().catch(() => false));
        t.diagnostic(`a topic is created ${((record.nowMs - window.toMs) / 1_000).toFixed(1)} s after it is back, at attempt ${attempt}`);
        await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: partitions.map((partition) => ({ partition, replicas: [1] })) }] });
      } finally {
        await admin.disconnect();
      }
      await until('its partitions have moved', async () => {
        const owners = await ownersOf(cluster);
        return partitions.every((partition) => owners.get(`${topicId}/${partition}`) === 1);
      });
    }),
  );
}
