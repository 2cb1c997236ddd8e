/** A real client against a real broker process: kafkajs, which needs nothing but Node. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import kafkajsModule, { CompressionTypes, type Consumer, type IMemberAssignment, Partitioners } from 'kafkajs';
import { type OwnBroker, startBroker } from '../lab/broker.ts';
import { kafkajs, readTopic } from './read-topic.ts';

let folder: string;
let broker: OwnBroker;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'automq-kafkajs-'));
  broker = await startBroker({ folder });
});
after(async () => {
  const exit = await broker.program.stop();
  assert.equal(exit.code, 0, broker.program.logTail());
  rmSync(folder, { recursive: true, force: true });
});

const timeout = 60_000;

async function withAdmin<T>(use: (admin: ReturnType<ReturnType<typeof kafkajs>['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkajs(broker.bootstrap).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

async function send(
  topic: string,
  messages: readonly { key?: string; value: string; partition?: number; headers?: Record<string, string>; timestamp?: string }[],
  compression = CompressionTypes.None,
) {
  const producer = kafkajs(broker.bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const answer = await producer.send({ topic, messages: [...messages], compression });
  await producer.disconnect();
  return answer;
}

for (const [name, compression] of [
  ['without compression', CompressionTypes.None],
  ['with gzip', CompressionTypes.GZIP],
] as const) {
  test(`what is sent ${name} is read: keys, values, headers, timestamps`, { timeout }, async () => {
    const topic = `round-trip-${compression}`;
    await withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions: 3 }] }));
    const baseMs = Date.now() - 60_000;
    const messages = Array.from({ length: 300 }, (_, i) => ({
      key: `k${i}`,
      value: `Straße ${i} ${'x'.repeat(i * 11)}`,
      partition: i % 3,
      headers: { n: String(i), city: 'Köln' },
      timestamp: String(baseMs + i),
    }));
    await send(topic, messages, compression);
    const records = await readTopic(broker.bootstrap, topic);
    assert.equal(records.length, messages.length);
    for (const record of records) {
      const message = messages[record.partition + 3 * record.offset];
      assert.deepEqual(record, {
        partition: record.partition,
        offset: record.offset,
        key: message?.key,
        value: message?.value,
        headers: message?.headers,
        timestampMs: Number(message?.timestamp),
      });
    }
  });
}

test('an unknown topic is created by writing to it', { timeout }, async () => {
  await send('created-by-writing', [{ value: 'first' }]);
  assert.deepEqual(
    (await readTopic(broker.bootstrap, 'created-by-writing')).map(({ value }) => value),
    ['first'],
  );
});

test('two members share a group, and one takes over when the other leaves', { timeout }, async () => {
  await withAdmin((admin) => admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 4 }] }));
  const received = new Set<string>();
  const join = async () => {
    const consumer = kafkajs(broker.bootstrap).consumer({
      groupId: 'sharing',
      sessionTimeout: 10_000,
      heartbeatInterval: 300,
      rebalanceTimeout: 5_000,
      maxWaitTimeInMs: 200,
    });
    let assigned: IMemberAssignment = {};
    let notify: () => void = () => {};
    consumer.on('consumer.group_join', ({ payload }) => {
      assigned = payload.memberAssignment;
      notify();
    });
    await consumer.connect();
    await consumer.subscribe({ topic: 'shared', fromBeginning: true });
    await consumer.run({
      eachMessage: ({ message }) => {
        received.add(String(message.value));
        notify();
        return Promise.resolve();
      },
    });
    const until = (condition: (partitions: number) => boolean) =>
      new Promise<void>((resolve) => {
        notify = () => condition(assigned['shared']?.length ?? 0) && resolve();
        notify();
      });
    return { consumer, until };
  };
  const first: { consumer: Consumer; until: (condition: (partitions: number) => boolean) => Promise<void> } = await join();
  await first.until((partitions) => partitions === 4);
  const second = await join();
  await Promise.all([first.until((partitions) => partitions === 2), second.until((partitions) => partitions === 2)]);
  await first.consumer.disconnect();
  await second.until((partitions) => partitions === 4);
  await send(
    'shared',
    [0, 1, 2, 3].map((partition) => ({ value: `to ${partition}`, partition })),
  );
  await second.until(() => received.size === 4);
  await second.consumer.disconnect();
});

test('a group goes on where it committed', { timeout }, async () => {
  await withAdmin((admin) => admin.createTopics({ topics: [{ topic: 'committed', numPartitions: 1 }] }));
  await send(
    'committed',
    ['a', 'b', 'c'].map((value) => ({ value })),
  );
  const readOne = async (): Promise<string> => {
    const consumer = kafkajs(broker.bootstrap).consumer({ groupId: 'committing' });
    await consumer.connect();
    await consumer.subscribe({ topic: 'committed', fromBeginning: true });
    const value = await new Promise<string>((resolve) => {
      void consumer.run({
        autoCommit: false,
        eachMessage: async ({ topic, partition, message }) => {
          await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1), metadata: 'a note' }]);
          consumer.pause([{ topic }]);
          resolve(String(message.value));
        },
      });
    });
    await consumer.disconnect();
    return value;
  };
  const first = await readOne();
  assert.equal(first, 'a');
  const offsets = await withAdmin((admin) => admin.fetchOffsets({ groupId: 'committing', topics: ['committed'] }));
  const [committed] = offsets[0]?.partitions ?? [];
  assert.equal(committed?.metadata, 'a note');
  assert.ok(Number(committed?.offset) >= 1);
});

test('topics, offsets and groups outlive the process, on another port', { timeout }, async () => {
  await withAdmin((admin) =>
    admin.createTopics({ topics: [{ topic: 'lasting', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] }),
  );
  await send('lasting', [
    { value: 'p0', partition: 0 },
    { value: 'p1', partition: 1 },
  ]);
  const before = await readTopic(broker.bootstrap, 'lasting');
  assert.equal((await broker.program.stop()).code, 0, broker.program.logTail());
  broker = await startBroker({ folder });
  assert.deepEqual(await readTopic(broker.bootstrap, 'lasting'), before);
  const described = await withAdmin((admin) =>
    admin.describeConfigs({
      resources: [{ type: kafkajsModule.ConfigResourceTypes.TOPIC, name: 'lasting', configNames: ['retention.ms'] }],
      includeSynonyms: false,
    }),
  );
  assert.equal(described.resources[0]?.configEntries[0]?.configValue, '7200000');
  const committed = await withAdmin((admin) => admin.fetchOffsets({ groupId: 'committing', topics: ['committed'] }));
  assert.equal(committed[0]?.partitions[0]?.metadata, 'a note');
});

test('a deleted topic is gone, and a new one of its name is empty', { timeout }, async () => {
  await send('deleted', [{ value: 'old' }]);
  await withAdmin((admin) => admin.deleteTopics({ topics: ['deleted'] }));
  assert.ok(!(await withAdmin((admin) => admin.listTopics())).includes('deleted'));
  await withAdmin((admin) => admin.createTopics({ topics: [{ topic: 'deleted', numPartitions: 1 }] }));
  assert.deepEqual(await readTopic(broker.bootstrap, 'deleted'), []);
});
