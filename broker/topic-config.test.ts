import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokerConfig, withDynamicSettings } from './config.ts';
import { defaultTopicLogConfig } from './log/topic-log-config.ts';
import { describeTopicConfig, normalizedTopicSetting, resolveTopicLogConfig, validateTopicConfig } from './topic-config.ts';

const broker = brokerConfig();

test('without any setting a topic has the defaults of the log engine', () => {
  assert.deepEqual(resolveTopicLogConfig({}, broker), defaultTopicLogConfig);
});

test('refused values are told in the words of Apache Kafka 4.3', () => {
  const texts: [Record<string, string>, string][] = [
    [{ foo: '1' }, 'Unknown topic config name: foo'],
    [{ 'segment.bytes': '5' }, 'Invalid value 5 for configuration segment.bytes: Value must be at least 1048576'],
    [{ 'retention.ms': 'abc' }, 'Invalid value abc for configuration retention.ms: Not a number of type LONG'],
    [{ 'retention.ms': '' }, 'Invalid value  for configuration retention.ms: Not a number of type LONG'],
    [{ 'retention.ms': '99999999999999999999' }, 'Invalid value 99999999999999999999 for configuration retention.ms: Not a number of type LONG'],
    [{ 'segment.bytes': '2147483648' }, 'Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT'],
    [
      { 'compression.type': 'GZIP' },
      'Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer',
    ],
    [{ 'compression.gzip.level': '10' }, 'Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1'],
    [{ 'cleanup.policy': 'delete,foo' }, 'Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete'],
    [{ preallocate: 'maybe' }, 'Invalid value maybe for configuration preallocate: Expected value to be either true or false'],
    [{ 'min.cleanable.dirty.ratio': '2' }, 'Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1'],
    [{ 'min.compaction.lag.ms': '10', 'max.compaction.lag.ms': '5' }, 'conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)'],
    [{ 'remote.storage.enable': 'true' }, 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'],
    [
      { 'leader.replication.throttled.replicas': 'x' },
      "Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
    ],
  ];
  for (const [explicit, text] of texts) assert.equal(validateTopicConfig(explicit, broker), text);
});

test('accepted values', () => {
  for (const explicit of [
    { 'cleanup.policy': 'delete,compact' },
    { 'cleanup.policy': '' },
    { 'retention.bytes': '-5' },
    { 'local.retention.ms': '99999999999' },
    { 'unclean.leader.election.enable': 'TRUE' },
    { 'follower.replication.throttled.replicas': '0:1,1:2' },
  ]) {
    assert.equal(validateTopicConfig(explicit, broker), undefined);
  }
});

test('names of object methods are no topic settings', () => {
  for (const name of ['toString', 'hasOwnProperty']) assert.equal(validateTopicConfig({ [name]: '1' }, broker), `Unknown topic config name: ${name}`);
});

test('values are kept as Kafka keeps them', () => {
  assert.equal(normalizedTopicSetting('preallocate', ' TRUE'), 'true');
  assert.equal(normalizedTopicSetting('cleanup.policy', 'delete, delete,compact'), 'delete,compact');
  assert.equal(normalizedTopicSetting('retention.ms', ' 5 '), '5');
});

test('a topic inherits retention from the first of ms, minutes, hours that is set', () => {
  assert.equal(resolveTopicLogConfig({}, brokerConfig({ 'log.retention.hours': '2' })).retentionMs, 7_200_000);
  assert.equal(resolveTopicLogConfig({}, brokerConfig({ 'log.retention.hours': '2', 'log.retention.minutes': '3' })).retentionMs, 180_000);
  assert.equal(resolveTopicLogConfig({}, brokerConfig({ 'log.retention.hours': '-1' })).retentionMs, -1);
  assert.equal(resolveTopicLogConfig({ 'retention.ms': '5' }, brokerConfig({ 'log.retention.hours': '2' })).retentionMs, 5);
  assert.equal(resolveTopicLogConfig({}, brokerConfig({ 'message.max.bytes': '99' })).maxMessageBytes, 99);
});

test('an empty cleanup policy neither deletes nor compacts', () => {
  assert.deepEqual(resolveTopicLogConfig({ 'cleanup.policy': '' }, broker).cleanupPolicy, { delete: false, compact: false });
});

test('DescribeConfigs names source and synonyms as Kafka does', () => {
  const config = withDynamicSettings(brokerConfig({ 'log.segment.bytes': '2097152' }), { 'log.retention.ms': '7000' }, { 'message.max.bytes': '500' });
  const described = new Map(describeTopicConfig({ 'cleanup.policy': 'compact' }, config).map((setting) => [setting.name, setting]));
  const told = (name: string) => {
    const setting = described.get(name);
    return [setting?.value, setting?.source, ...(setting?.synonyms.map((synonym) => `${synonym.name}=${synonym.value}@${synonym.source}`) ?? [])];
  };
  assert.equal(described.size, 33);
  assert.deepEqual(told('cleanup.policy'), ['compact', 1, 'cleanup.policy=compact@1', 'log.cleanup.policy=delete@5']);
  assert.deepEqual(told('segment.bytes'), ['2097152', 4, 'log.segment.bytes=2097152@4', 'log.segment.bytes=1073741824@5']);
  assert.deepEqual(told('retention.ms'), ['7000', 3, 'log.retention.ms=7000@3', 'log.retention.hours=168@5']);
  assert.deepEqual(told('max.message.bytes'), ['500', 2, 'message.max.bytes=500@2', 'message.max.bytes=1048588@5']);
  assert.deepEqual(told('segment.ms'), ['604800000', 5]);
  assert.deepEqual(told('remote.storage.enable'), ['false', 5]);
});

test('only the settings that were asked for are described', () => {
  assert.deepEqual(
    describeTopicConfig({}, broker, new Set(['retention.ms', 'nope'])).map((setting) => setting.name),
    ['retention.ms'],
  );
});
