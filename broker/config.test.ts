import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brokerConfig, parseConfig, withDynamicSettings } from './config.ts';
import { describeBrokerConfig } from './broker-config-description.ts';

function problemsOf(input: { file?: string; env?: Record<string, string>; flags?: string[] }): readonly string[] {
  const outcome = parseConfig({ env: {}, flags: [], ...input });
  return outcome.kind === 'invalid' ? outcome.problems : [];
}

test('flags win over environment, environment over file, file over defaults', () => {
  const file = 'num.partitions=2\nfetch.max.bytes=2048\nnode.id=2\nbroker.rack=a';
  const outcome = parseConfig({ file, env: { AUTOMQ_NODE_ID: '3', AUTOMQ_FETCH_MAX_BYTES: '3072' }, flags: ['--node.id=4'] });
  assert.equal(outcome.kind, 'config');
  if (outcome.kind !== 'config') return;
  assert.deepEqual([outcome.config.nodeId, outcome.config.fetchMaxBytes, outcome.config.numPartitions, outcome.config.brokerRack], [4, 3072, 2, 'a']);
  assert.equal(outcome.config.offsetsTopicNumPartitions, 50);
});

test('a bad value is told with key, value, place and what is allowed', () => {
  assert.deepEqual(problemsOf({ env: { AUTOMQ_NUM_PARTITIONS: '0' } }), [
    'num.partitions = "0" (AUTOMQ_NUM_PARTITIONS): Value must be at least 1; allowed: an integer, 1 or more',
  ]);
  assert.deepEqual(problemsOf({ file: '\n# x\nlogger.level = loud' }), [
    'logger.level = "loud" (line 3 of the file): String must be one of: error, warn, info, debug; allowed: error, warn, info, debug',
  ]);
});

test('an unknown key stops the start and names the nearest known one', () => {
  assert.deepEqual(problemsOf({ flags: ['--log.retension.ms=1'] }), [
    'log.retension.ms = "1" (flag --log.retension.ms): unknown setting; did you mean log.retention.ms?',
  ]);
  assert.deepEqual(problemsOf({ flags: ['--zzzzzz=1'] }), ['zzzzzz = "1" (flag --zzzzzz): unknown setting']);
  assert.deepEqual(problemsOf({ flags: ['serve'] }), ['"serve": a setting is given as --key=value']);
});

test('all problems are told at once', () => {
  assert.equal(problemsOf({ flags: ['--node.id=x', '--nope=1', '--num.partitions=-1'] }).length, 3);
});

test('security settings that nothing obeys yet are refused, local disk settings only warned about', () => {
  assert.match(problemsOf({ file: 'ssl.keystore.location=/k' })[0] ?? '', /not supported yet/);
  assert.match(problemsOf({ file: 'listeners=SSL://:9093' })[0] ?? '', /SSL is not mapped to PLAINTEXT/);
  const outcome = parseConfig({ file: 'log.dirs=/var/kafka\nnum.io.threads=8', env: {}, flags: [] });
  assert.deepEqual(outcome.kind === 'config' && outcome.warnings.length, 2);
});

test('a key that is set twice in one place is refused', () => {
  assert.match(problemsOf({ flags: ['--node.id=1', '--broker.id=2'] })[0] ?? '', /set twice/);
});

test('broker.id is another name for node.id', () => {
  assert.equal(brokerConfig({ 'broker.id': '7' }).nodeId, 7);
});

test('variables that Kubernetes adds for a Service named automq are ignored', () => {
  const env = {
    AUTOMQ_SERVICE_HOST: '10.0.0.1',
    AUTOMQ_SERVICE_PORT: '9092',
    AUTOMQ_PORT: 'tcp://10.0.0.1:9092',
    AUTOMQ_PORT_9092_TCP_ADDR: '10.0.0.1',
    AUTOMQ_KAFKA_SERVICE_PORT_CLIENTS: '1',
  };
  assert.deepEqual(problemsOf({ env }), []);
});

test('a properties file may use the separators, comments, escapes and continued lines of Java', () => {
  const outcome = parseConfig({ file: '! note\nnode.id : 5\nbroker.rack  eu\\u002dwest\nlisteners=\\\n   PLAINTEXT://h:1\r\n', env: {}, flags: [] });
  assert.equal(outcome.kind, 'config');
  if (outcome.kind !== 'config') return;
  assert.deepEqual([outcome.config.nodeId, outcome.config.brokerRack], [5, 'eu-west']);
  assert.deepEqual(outcome.config.listeners, [{ name: 'PLAINTEXT', host: 'h', port: 1 }]);
});

test('listeners take IPv6 hosts and refuse doublets and nonsense', () => {
  assert.deepEqual(brokerConfig({ listeners: 'PLAINTEXT://[::1]:0' }).listeners, [{ name: 'PLAINTEXT', host: '::1', port: 0 }]);
  for (const bad of ['', '127.0.0.1:9092', 'PLAINTEXT://h:70000', 'PLAINTEXT://h:1,PLAINTEXT://h:2', 'PLAINTEXT://h']) {
    assert.equal(problemsOf({ flags: [`--listeners=${bad}`] }).length, 1, bad);
  }
});

test('numbers of 64 bits are accepted and become safe integers; larger ones are refused', () => {
  assert.equal(brokerConfig({ 'log.cache.bytes': '9223372036854775807' }).logCacheBytes, Number.MAX_SAFE_INTEGER);
  assert.equal(problemsOf({ flags: ['--log.cache.bytes=9223372036854775808'] }).length, 1);
  assert.equal(problemsOf({ flags: ['--num.partitions=2147483648'] }).length, 1);
});

test('settings that contradict each other are refused', () => {
  assert.match(problemsOf({ flags: ['--group.min.session.timeout.ms=9', '--group.max.session.timeout.ms=8'] })[0] ?? '', /must not be more/);
  assert.match(problemsOf({ flags: ['--advertised.listeners=PLAINTEXT://:9092'] })[0] ?? '', /needs a host/);
});

test('dynamic settings lie over static ones, and only where Kafka allows it', () => {
  const config = withDynamicSettings(
    brokerConfig({ 'producer.id.expiration.ms': '1000', 'num.partitions': '2' }),
    { 'producer.id.expiration.ms': '2000', 'num.partitions': '9' },
    {},
  );
  assert.deepEqual([config.producerIdExpirationMs, config.numPartitions], [2000, 2]);
});

test('a broker describes its settings with sources and synonyms', () => {
  const config = withDynamicSettings(brokerConfig({ 'log.segment.bytes': '2097152' }), { 'log.segment.bytes': '3145728' }, {});
  const [described] = describeBrokerConfig(config, new Set(['log.segment.bytes']));
  assert.deepEqual([described?.value, described?.source, described?.readOnly], ['3145728', 3, false]);
  assert.deepEqual(
    described?.synonyms.map((synonym) => [synonym.value, synonym.source]),
    [
      ['3145728', 3],
      ['2097152', 4],
      ['1073741824', 5],
    ],
  );
  const all = describeBrokerConfig(config);
  assert.equal(all.find((setting) => setting.name === 'log.retention.hours')?.value, '168');
  assert.equal(all.find((setting) => setting.name === 'log.retention.ms')?.value, null);
  assert.equal(all.find((setting) => setting.name === 'node.id')?.readOnly, true);
});
