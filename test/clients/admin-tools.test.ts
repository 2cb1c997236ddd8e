/** Apache Kafka's own command-line tools: topics, configuration, offsets, groups. */
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Partitioners } from 'kafkajs';
import { kafkaTool } from '../lab/kafka.ts';
import { tool } from './java-client.ts';
import { kafkajs } from './kafkajs-client.ts';
import { kcat } from './kcat-client.ts';
import { type ClientTarget, startTarget } from './target.ts';

let target: ClientTarget;

before(async () => {
  target = await startTarget();
});
after(() => target.close());

const timeout = 120_000;
const at = (...args: string[]) => ['--bootstrap-server', target.bootstrap, ...args];
const topics = (...args: string[]) => tool('kafka-topics', at(...args));
const configs = (...args: string[]) => tool('kafka-configs', at(...args));
const groups = (...args: string[]) => tool('kafka-consumer-groups', at(...args));
const offsets = (...args: string[]) => tool('kafka-get-offsets', at(...args));

test('a topic is created, described, listed, grown and deleted', { timeout }, async () => {
  assert.match(
    await topics('--create', '--topic', 'rides', '--partitions', '3', '--replication-factor', '1', '--config', 'retention.ms=7200000'),
    /Created topic rides/,
  );
  const described = await topics('--describe', '--topic', 'rides');
  assert.match(described, /Topic: rides\s+TopicId: \S{22}\s+PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=7200000/);
  assert.equal(described.match(/Partition: \d+\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+/g)?.length, 3);
  assert.match(await topics('--list'), /^rides$/m);
  await topics('--alter', '--topic', 'rides', '--partitions', '5');
  assert.match(await topics('--describe', '--topic', 'rides'), /PartitionCount: 5/);
  await topics('--delete', '--topic', 'rides');
  assert.doesNotMatch(await topics('--list'), /^rides$/m);
});

test('what is wrong with a topic is said as Kafka says it', { timeout }, async () => {
  await topics('--create', '--topic', 'twice', '--partitions', '1');
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--create', '--topic', 'twice'], /Topic 'twice' already exists/],
    [['--create', '--topic', 'bad name!'], /contains one or more characters other than ASCII alphanumerics/],
    [['--alter', '--topic', 'twice', '--partitions', '1'], /already has 1 partition/],
    [['--create', '--topic', 'misconfigured', '--config', 'retention.ms=soon'], /Invalid value soon for configuration retention\.ms/],
    [['--describe', '--topic', 'nowhere'], /Topic 'nowhere' does not exist as expected/],
  ];
  for (const [args, expected] of wrong) {
    const { code, stdout, stderr } = await kafkaTool('kafka-topics', at(...args));
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stdout + stderr, expected);
  }
});

test('topic configuration is set, shown with its source, and removed', { timeout }, async () => {
  await topics('--create', '--topic', 'configured', '--partitions', '1');
  const entity = ['--entity-type', 'topics', '--entity-name', 'configured'];
  await configs('--alter', ...entity, '--add-config', 'max.message.bytes=2000000,cleanup.policy=[compact,delete]');
  const dynamic = await configs('--describe', ...entity);
  assert.match(
    dynamic,
    /max\.message\.bytes=2000000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:max\.message\.bytes=2000000, DEFAULT_CONFIG:message\.max\.bytes=1048588\}/,
  );
  assert.match(dynamic, /cleanup\.policy=compact,delete/);
  await configs('--alter', ...entity, '--delete-config', 'max.message.bytes');
  assert.doesNotMatch(await configs('--describe', ...entity), /max\.message\.bytes/);
  const all = await configs('--describe', '--all', ...entity);
  for (const key of ['retention.ms=604800000', 'segment.bytes=', 'compression.type=producer', 'min.insync.replicas=1', 'max.message.bytes=1048588'])
    assert.ok(all.includes(key), key);
});

test("a broker's configuration is described", { timeout }, async () => {
  const described = await configs('--describe', '--all', '--entity-type', 'brokers', '--entity-name', target.kind === 'kafka' ? '1' : '0');
  for (const key of ['num.partitions=1 ', 'log.retention.ms=', 'listeners=', 'message.max.bytes=1048588']) assert.ok(described.includes(key), key);
});

test('offsets are found: first, last, by time, of the largest timestamp', { timeout }, async () => {
  await topics('--create', '--topic', 'offsets', '--partitions', '2');
  const baseMs = Date.now() - 100_000;
  const producer = kafkajs(target.bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  for (const afterMs of [0, 50_000, 20_000])
    await producer.send({ topic: 'offsets', messages: [{ partition: 1, value: 'x', timestamp: String(baseMs + afterMs) }] });
  await producer.disconnect();
  const of = async (time: string) => (await offsets('--topic', 'offsets', '--time', time)).trim().split('\n').sort();
  assert.deepEqual(await of('earliest'), ['offsets:0:0', 'offsets:1:0']);
  assert.deepEqual(await of('latest'), ['offsets:0:0', 'offsets:1:3']);
  assert.deepEqual(await of('max-timestamp'), ['offsets:1:1']);
  assert.deepEqual(await of(String(baseMs + 1)), ['offsets:1:1']);
  assert.deepEqual(await of(String(baseMs - 1)), ['offsets:1:0']);
  assert.deepEqual(await of(String(baseMs + 50_001)), ['']);
});

test('a group is listed and described with its lag, and its offsets are reset', { timeout }, async () => {
  await topics('--create', '--topic', 'grouped', '--partitions', '1');
  await kcat(['-P', '-b', target.bootstrap, '-t', 'grouped'], { stdin: 'one\ntwo\nthree\nfour\n' });
  const read = (count: number) =>
    tool(
      'kafka-console-consumer',
      at('--topic', 'grouped', '--group', 'readers', '--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000'),
    );
  assert.equal(await read(3), 'one\ntwo\nthree\n');
  assert.match(await groups('--list'), /^readers$/m);
  assert.match(await groups('--describe', '--group', 'readers'), /readers\s+grouped\s+0\s+3\s+4\s+1/);
  await groups('--reset-offsets', '--group', 'readers', '--topic', 'grouped', '--to-offset', '1', '--execute');
  assert.equal(await read(1), 'two\n');
  await groups('--delete', '--group', 'readers');
  assert.doesNotMatch(await groups('--list'), /^readers$/m);
});

test('the broker says what it speaks and who it is', { timeout }, async () => {
  const versions = await tool('kafka-broker-api-versions', at());
  for (const api of ['Produce(0): 0 to 13', 'Fetch(1): 4 to 18', 'ApiVersions(18): 0 to 4']) assert.ok(versions.includes(api), api);
  assert.match(await tool('kafka-cluster', ['cluster-id', ...at()]), /Cluster ID: \S{22}/);
});
