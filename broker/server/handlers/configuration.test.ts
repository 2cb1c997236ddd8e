/** DescribeConfigs, IncrementalAlterConfigs, AlterConfigs, ListConfigResources: codes and texts as Apache Kafka 4.3 answered the same requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { ApiKeys, RequestInputOf } from '../../protocol/messages.gen.ts';
import { FakeServices } from '../testing/fake-services.ts';
import { answerTo } from '../testing/request-context.ts';
import { alterConfigsHandler, incrementalAlterConfigsHandler } from './alter-configs.ts';
import { describeConfigsHandler } from './describe-configs.ts';
import { listConfigResourcesHandler } from './list-config-resources.ts';

type Operation = RequestInputOf<typeof ApiKeys.IncrementalAlterConfigs>['resources'][number]['configs'][number];
const TOPIC = 2;
const BROKER = 4;
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3];

function operation(name: string, value: string | null, configOperation = SET): Operation {
  return { name, value, configOperation };
}

async function alter(services: FakeServices, resourceType: number, resourceName: string, configs: readonly Operation[], validateOnly = false) {
  const answer = await answerTo(incrementalAlterConfigsHandler(services), 1, { resources: [{ resourceType, resourceName, configs }], validateOnly });
  return [answer.responses[0]!.errorCode, answer.responses[0]!.errorMessage];
}

async function describe(services: FakeServices, resourceType: number, resourceName: string, configurationKeys: readonly string[] | null = null) {
  const request = { resources: [{ resourceType, resourceName, configurationKeys }], includeSynonyms: true, includeDocumentation: true };
  return (await answerTo(describeConfigsHandler(services), 4, request)).results[0]!;
}

test('a topic is described with all settings, sources, types and documentation', async () => {
  const services = new FakeServices();
  services.addTopic('t', 1, { 'retention.ms': '5' });
  const all = await describe(services, TOPIC, 't');
  assert.equal(all.configs.length, 33);
  const [retention] = (await describe(services, TOPIC, 't', ['retention.ms', 'nope'])).configs;
  assert.deepEqual([retention!.value, retention!.configSource, retention!.configType, retention!.isSensitive], ['5', 1, 5, false]);
  assert.deepEqual(retention!.synonyms, [{ name: 'retention.ms', value: '5', source: 1 }]);
  assert.ok((retention!.documentation ?? '').length > 10);
  assert.equal((await describe(services, TOPIC, 't', [])).configs.length, 33);
});

test('resources that cannot be described say why', async () => {
  const services = new FakeServices();
  const told = async (type: number, name: string) => {
    const result = await describe(services, type, name);
    return [result.errorCode, result.errorMessage];
  };
  assert.deepEqual(await told(TOPIC, 'nope'), [3, '']);
  assert.equal((await told(TOPIC, 'b d'))[0], 17);
  assert.deepEqual(await told(BROKER, '7'), [42, 'Unexpected broker id, expected 1 or empty string, but received 7']);
  assert.deepEqual(await told(BROKER, 'x'), [42, 'Broker id must be an integer, but it is: x']);
  assert.deepEqual(await told(8, ''), [42, 'Broker id must not be empty']);
  assert.equal((await told(3, 'x'))[0], 42);
  assert.deepEqual(await told(32, 'group'), [0, '']);
});

test('a broker is described with what was set for it and for all', async () => {
  const services = new FakeServices({ 'num.partitions': '4' });
  services.image.brokerConfigs.set('', { 'log.retention.ms': '7000' });
  services.addTopic('t');
  const own = await describe(services, BROKER, '1', ['num.partitions', 'log.retention.ms']);
  assert.deepEqual(
    own.configs.map((config) => [config.name, config.value, config.configSource, config.readOnly]),
    [
      ['log.retention.ms', '7000', 3, false],
      ['num.partitions', '4', 4, true],
    ],
  );
  assert.deepEqual(
    (await describe(services, BROKER, '')).configs.map((config) => config.name),
    ['log.retention.ms'],
  );
  const [retention] = (await describe(services, TOPIC, 't', ['retention.ms'])).configs;
  assert.deepEqual([retention!.value, retention!.configSource], ['7000', 3]);
});

test('a resource that is named many times is described once: descriptions are large', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const resources = Array.from({ length: 1000 }, () => ({ resourceType: TOPIC, resourceName: 't', configurationKeys: null }));
  assert.equal((await answerTo(describeConfigsHandler(services), 4, { resources })).results.length, 1);
});

test('settings of a topic are set, unset, appended to and subtracted from', async () => {
  const services = new FakeServices();
  services.addTopic('t', 1, { 'segment.ms': '5' });
  const config = () => services.image.topicByName('t')!.config;
  assert.deepEqual(await alter(services, TOPIC, 't', [operation('retention.ms', '77'), operation('segment.ms', null, DELETE)]), [0, null]);
  assert.deepEqual(config(), { 'retention.ms': '77' });
  await alter(services, TOPIC, 't', [operation('cleanup.policy', 'compact', APPEND)]);
  assert.equal(config()['cleanup.policy'], 'delete,compact');
  await alter(services, TOPIC, 't', [operation('cleanup.policy', 'delete', SUBTRACT)]);
  assert.equal(config()['cleanup.policy'], 'compact');
});

test('what Kafka refuses is refused with its code and text (B55)', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const cases: [number, string, Operation[], number, string][] = [
    [TOPIC, 't', [operation('retention.ms', null)], 42, 'Null value not supported for : retention.ms'],
    [TOPIC, 't', [operation('foo', '1')], 40, 'Unknown topic config name: foo'],
    [TOPIC, 't', [operation('retention.ms', 'x')], 40, 'Invalid value x for configuration retention.ms: Not a number of type LONG'],
    [TOPIC, 't', [operation('retention.ms', '${env:SECRET}')], 40, 'Invalid value ${env:SECRET} for configuration retention.ms: Not a number of type LONG'],
    [TOPIC, 't', [operation('retention.ms', '1'), operation('retention.ms', '2')], 42, 'Error due to duplicate config keys'],
    [TOPIC, 't', [operation('retention.ms', '1', APPEND)], 40, "Can't APPEND to key retention.ms because its type is not LIST."],
    [
      TOPIC,
      't',
      [operation('min.compaction.lag.ms', '10'), operation('max.compaction.lag.ms', '5')],
      40,
      'conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)',
    ],
    [TOPIC, 't', [operation('retention.ms', '1', 9)], 42, 'Unknown config operation'],
    [TOPIC, 'nope', [operation('retention.ms', '1')], 3, "The topic 'nope' does not exist."],
    [TOPIC, '', [operation('retention.ms', '1')], 42, 'Default topic resources are not allowed.'],
    [77, 't', [operation('retention.ms', '1')], 42, 'Unknown resource type 77'],
    [BROKER, '1', [operation('num.partitions', '1')], 42, 'Cannot update these configs dynamically: [num.partitions]'],
    [BROKER, '9', [operation('log.retention.ms', '1')], 42, 'Unexpected broker id, expected 1, but received 9'],
    [BROKER, 'x', [operation('log.retention.ms', '1')], 42, 'Node id must be an integer, but it is: x'],
    [BROKER, '', [operation('log.retention.ms', 'x')], 42, 'Invalid value x for configuration log.retention.ms: Not a number of type LONG'],
  ];
  for (const [type, name, operations, code, text] of cases) assert.deepEqual(await alter(services, type, name, operations), [code, text]);
  assert.deepEqual([services.admin.altered, services.admin.alteredBrokers], [[], []]);
  assert.deepEqual(await alter(services, TOPIC, 't', [operation('foo', null, DELETE)]), [0, null]);
});

test('validateOnly changes nothing; a resource that is named twice is refused', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  assert.deepEqual(await alter(services, TOPIC, 't', [operation('retention.ms', '1')], true), [0, null]);
  const twice = { resourceType: TOPIC, resourceName: 't', configs: [operation('retention.ms', '1')] };
  const answer = await answerTo(incrementalAlterConfigsHandler(services), 1, { resources: [twice, twice], validateOnly: false });
  assert.deepEqual(
    answer.responses.map((response) => response.errorMessage),
    ['Each resource must appear at most once.', 'Each resource must appear at most once.'],
  );
  assert.equal(services.admin.altered.length, 0);
});

test('settings of brokers are set for one or for all', async () => {
  const services = new FakeServices();
  assert.deepEqual(await alter(services, BROKER, '', [operation('log.retention.ms', ' 5 ')]), [0, null]);
  assert.deepEqual(await alter(services, BROKER, '1', [operation('message.max.bytes', '500')]), [0, null]);
  assert.deepEqual(services.admin.alteredBrokers, [
    ['', { 'log.retention.ms': '5' }],
    ['1', { 'message.max.bytes': '500' }],
  ]);
});

test('throttles of reassignments are accepted, and change nothing', async () => {
  const services = new FakeServices();
  const rates = ['leader.replication.throttled.rate', 'follower.replication.throttled.rate', 'replica.alter.log.dirs.io.max.bytes.per.second'];
  for (const rate of rates) {
    assert.deepEqual(await alter(services, BROKER, '1', [operation(rate, '1000')]), [0, null]);
    assert.deepEqual(await alter(services, BROKER, '1', [operation(rate, null, DELETE)]), [0, null]);
    assert.equal((await alter(services, BROKER, '1', [operation(rate, 'fast')]))[0], 42);
  }
  assert.deepEqual(services.admin.alteredBrokers, []);
});

test('AlterConfigs replaces all settings of a resource', async () => {
  const services = new FakeServices();
  services.addTopic('t', 1, { 'retention.ms': '5', 'segment.ms': '6' });
  const answer = await answerTo(alterConfigsHandler(services), 2, {
    resources: [{ resourceType: TOPIC, resourceName: 't', configs: [{ name: 'segment.ms', value: '7' }] }],
    validateOnly: false,
  });
  assert.equal(answer.responses[0]!.errorCode, ErrorCodes.NONE);
  assert.deepEqual(services.image.topicByName('t')!.config, { 'segment.ms': '7' });
});

test('ListConfigResources names topics and brokers from version 1 on', async () => {
  const services = new FakeServices();
  services.addTopic('t');
  const handler = listConfigResourcesHandler(services);
  assert.deepEqual((await answerTo(handler, 0, {})).configResources, []);
  const named = (await answerTo(handler, 1, { resourceTypes: [BROKER, TOPIC] })).configResources.map(
    (resource) => `${resource.resourceType}/${resource.resourceName}`,
  );
  assert.deepEqual(named, ['4/1', '4/2', '2/t']);
  assert.equal((await answerTo(handler, 1, { resourceTypes: [99] })).errorCode, ErrorCodes.UNSUPPORTED_VERSION);
});
