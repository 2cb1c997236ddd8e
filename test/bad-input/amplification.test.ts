/**
 * Small requests that ask for much work or memory: names by the hundred thousand (B53), empty elements by the million (B13), bombs in
 * compressed batches (B38), producers and members without end (B48, B54). The broker stays small, and a bystander is served.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { BrokerChild, type Measurement } from './broker-child.ts';
import { Bystander } from './bystander.ts';
import { batch } from './corpus/batches.ts';
import { rawFrame, requestFrame, varint } from './frames.ts';
import { measureWhenFreed } from './open-files.ts';
import { request } from './stage.ts';
import { WireClient } from './wire-client.ts';

const MIB = 1_048_576;
/** Nobody may have to wait so long for what somebody else asked. */
const patienceMs = 5_000;
const slackBytes = 16 * MIB;

let broker: BrokerChild;
let started: Measurement;

before(async () => {
  broker = await BrokerChild.start({ 'log.cache.bytes': String(MIB), 'block.cache.bytes': String(MIB) });
  await asClient(async (client) => {
    const topic = (name: string, configs: { name: string; value: string }[] = []) => ({
      name,
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs,
    });
    const topics = [topic('bystander'), topic('producers'), topic('compacted', [{ name: 'cleanup.policy', value: 'compact' }])];
    await request(client, ApiKeys.CreateTopics, 7, { topics, timeoutMs: patienceMs });
    for (let ready = false; !ready; ) {
      await request(client, ApiKeys.FindCoordinator, 3, { keyType: 0, key: 'group' });
      ready = (await request(client, ApiKeys.OffsetFetch, 5, { groupId: 'group', topics: [], groups: [] })).errorCode === ErrorCodes.NONE;
    }
  });
  await growthDuring(async () => {});
  started = await broker.measure();
});

after(async () => {
  const end = await measureWhenFreed(broker, started);
  await broker.stop();
  assert.equal(end.openFiles, started.openFiles);
  assert.equal(end.handlerFailures, 0);
});

test('Metadata names 100,000 unknown topics that may be created', async () => {
  const topics = Array.from({ length: 100_000 }, (_, index) => ({ name: `flood.${index}` }));
  const { held } = await growthDuring(() =>
    asClient(async (client) => {
      const answer = await request(client, ApiKeys.Metadata, 9, { topics, allowAutoTopicCreation: true });
      assert.equal(answer.topics.length, topics.length);
    }),
  );
  const all = await asClient((client) => request(client, ApiKeys.Metadata, 9, { topics: null }));
  assert.ok(all.topics.length <= 110, `${all.topics.length} topics`);
  assert.ok(held < slackBytes, `${held} bytes are held`);
});

describe('beside 1,000 topics', () => {
  const nameOf = (index: number, mark: '.' | '_') => `team${mark}orders${mark}${String(index).padStart(6, '0')}_events`;
  const many = <T>(count: number, element: (index: number) => T) => Array.from({ length: count }, (_, index) => element(index));

  before(async () => {
    await asClient(async (client) => {
      for (let at = 0; at < 1_000; at += 250) {
        const topics = many(250, (index) => ({ name: nameOf(at + index, '_'), numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }));
        await request(client, ApiKeys.CreateTopics, 7, { topics, timeoutMs: patienceMs });
      }
    });
  });

  test('Metadata names 100,000 topics, of which 1,000 collide and the others do not', async () => {
    const topics = many(100_000, (index) => ({ name: nameOf(index, '.') }));
    await growthDuring(() => asClient((client) => request(client, ApiKeys.Metadata, 9, { topics, allowAutoTopicCreation: true })));
    const all = await asClient((client) => request(client, ApiKeys.Metadata, 9, { topics: null }));
    assert.ok(all.topics.length < 1_300, `${all.topics.length} topics`);
  });

  test('CreateTopics names 100,000 topics without partitions', async () => {
    const topics = many(100_000, (index) => ({ name: nameOf(900_000 + index, '.'), numPartitions: 0, replicationFactor: 1, assignments: [], configs: [] }));
    const { held } = await growthDuring(() => asClient((client) => request(client, ApiKeys.CreateTopics, 4, { topics, timeoutMs: patienceMs })));
    assert.ok(held < slackBytes, `${held} bytes are held`);
  });

  test('DescribeConfigs names 100,000 unknown topics', async () => {
    const resources = many(100_000, (index) => ({ resourceType: 2, resourceName: nameOf(900_000 + index, '.'), configurationKeys: null }));
    const { held } = await growthDuring(() => asClient((client) => request(client, ApiKeys.DescribeConfigs, 4, { resources })));
    assert.ok(held < slackBytes, `${held} bytes are held`);
  });

  test('IncrementalAlterConfigs names 60,000 unknown topics', async () => {
    const resources = many(60_000, (index) => ({ resourceType: 2, resourceName: nameOf(900_000 + index, '.'), configs: [] }));
    const { held } = await growthDuring(() => asClient((client) => request(client, ApiKeys.IncrementalAlterConfigs, 1, { resources, validateOnly: false })));
    assert.ok(held < slackBytes, `${held} bytes are held`);
  });
});

test('5 MB of empty strings, twenty times', async () => {
  const frame = rawFrame({ apiKey: ApiKeys.ListGroups, version: 4, tags: Buffer.alloc(1) }, varint(5_000_001), Buffer.alloc(5_000_000, 1), Buffer.alloc(1));
  const { resident } = await growthDuring(async () => {
    for (let time = 0; time < 20; time++) {
      await asClient(async (client) => {
        client.send(frame);
        assert.equal((await client.next(patienceMs)).kind, 'closed');
      });
    }
  });
  assert.ok(resident < 4 * slackBytes, `${resident} bytes`);
});

test('60,000 empty strings, which the decoder takes, twenty times', async () => {
  const frame = rawFrame({ apiKey: ApiKeys.ListGroups, version: 4, tags: Buffer.alloc(1) }, varint(60_001), Buffer.alloc(60_000, 1), Buffer.alloc(1));
  const { held } = await growthDuring(async () => {
    for (let time = 0; time < 20; time++) {
      await asClient(async (client) => {
        client.send(frame);
        assert.equal((await client.next(patienceMs)).kind, 'frame');
      });
    }
  });
  assert.ok(held < slackBytes, `${held} bytes are held`);
});

test('bombs of 60 MiB in 60 KiB, where the broker has to look inside', async () => {
  const bomb = batch({ records: [{ key: Buffer.from('k'), value: Buffer.alloc(60 * MIB), timestampMs: 1_700_000_000_000 }], compression: 'gzip' });
  const topicData = [{ name: 'compacted', partitionData: [{ index: 0, records: bomb }] }];
  const frame = requestFrame(ApiKeys.Produce, 9, { acks: -1, timeoutMs: patienceMs, topicData });
  const { held } = await growthDuring(async () => {
    await Promise.all(
      Array.from({ length: 10 }, () =>
        asClient(async (client) => {
          client.send(frame);
          assert.equal((await client.next(patienceMs)).kind, 'frame');
        }),
      ),
    );
  });
  assert.ok(held < slackBytes, `${held} bytes are held`);
});

test('20,000 producers write a batch each', async (t) => {
  const count = 20_000;
  const record = { key: null, value: Buffer.from('v'), timestampMs: 1_700_000_000_000 };
  const { held } = await growthDuring(() =>
    asClient(async (client) => {
      for (let producerId = 0; producerId < count; producerId++) {
        const records = batch({ records: [record], producerId, producerEpoch: 0, baseSequence: 0 });
        client.send(
          requestFrame(ApiKeys.Produce, 9, { acks: -1, timeoutMs: patienceMs, topicData: [{ name: 'producers', partitionData: [{ index: 0, records }] }] }),
        );
      }
      for (let answers = 0; answers < count; answers++) assert.equal((await client.next(patienceMs)).kind, 'frame');
    }),
  );
  t.diagnostic(`${Math.round(held / count)} bytes are held for each, record included`);
  assert.ok(held < slackBytes + count * 1_024, `${held} bytes are held`);
});

test('2,000 members join one group', async (t) => {
  const protocols = [{ name: 'range', metadata: Buffer.alloc(1_000) }];
  const body = { groupId: 'group', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 1_000, memberId: '', protocolType: 'consumer', protocols };
  const frame = requestFrame(ApiKeys.JoinGroup, 3, body);
  const { held } = await growthDuring(async () => {
    const clients: WireClient[] = [];
    for (let at = 0; at < 2_000; at++) clients.push(await WireClient.connect(broker.address));
    for (const client of clients) client.send(frame);
    for (const client of clients) assert.equal((await client.next(patienceMs)).kind, 'frame');
    for (const client of clients) client.destroy();
  });
  t.diagnostic(`${Math.round(held / 2_000)} bytes are held for each`);
  assert.ok(held < slackBytes + 2_000 * 10_000, `${held} bytes are held`);
});

async function growthDuring(run: () => Promise<unknown>): Promise<{ readonly resident: number; readonly held: number }> {
  const first = await broker.measure();
  const bystander = await Bystander.begin(broker.address, 'bystander');
  try {
    await run();
  } finally {
    await bystander.end();
  }
  assert.ok(bystander.longestMs < patienceMs, `a bystander waited ${bystander.longestMs} ms`);
  const last = await broker.measure();
  return { resident: last.peakRssBytes - first.rssBytes, held: last.heldBytes - first.heldBytes };
}

async function asClient<T>(run: (client: WireClient) => Promise<T>): Promise<T> {
  const client = await WireClient.connect(broker.address);
  try {
    return await run(client);
  } finally {
    client.destroy();
  }
}
