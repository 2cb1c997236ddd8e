/** B55, B58–B60: topics, settings and producer ids that nobody can have. */
import { ApiKeys, type RequestInputOf, type ResponseOf } from '../../../broker/protocol/messages.gen.ts';
import { ask, type BadInput, type Frame, type Place } from '../bad-input.ts';

const { CreateTopics, DeleteTopics, CreatePartitions, IncrementalAlterConfigs, InitProducerId } = ApiKeys;
type NewTopic = RequestInputOf<typeof CreateTopics>['topics'][number];

export const adminCases: readonly BadInput[] = [...creates(), ...grows(), ...deletes(), ...alters(), ...producerIds()];

const nowhere = 'x'.repeat(21).concat('A');

function newTopic(name: string, change: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...change };
}

function creates(): BadInput[] {
  const create = (topics: readonly NewTopic[], validateOnly = false, version = 7) =>
    ask(CreateTopics, version, { topics, timeoutMs: 10_000, validateOnly }, made);
  const one = (name: string, change: Partial<NewTopic>, version?: number): BadInput => ({
    row: 'B58',
    name: `CreateTopics ${name}`,
    frames: ({ unknown }) => [create([newTopic(unknown, change)], false, version)],
  });
  const named = (what: string, name: string): BadInput => ({ row: 'B58', name: `CreateTopics name: ${what}`, frames: () => [create([newTopic(name)])] });
  const several = (name: string, topics: (place: Place) => readonly NewTopic[], validateOnly = false): BadInput => ({
    row: 'B58',
    name: `CreateTopics ${name}`,
    frames: (place) => [create(topics(place), validateOnly)],
  });
  const placed = (...replicas: readonly (readonly number[])[]) => replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }));
  const config = (name: string, value: string | null) => ({ configs: [{ name, value }] });
  return [
    ...[0, -2, -5, -(2 ** 31), 1_000_000_000].map((numPartitions) => one(`${numPartitions} partitions`, { numPartitions })),
    one('10,001 partitions', { numPartitions: 10_001 }),
    ...[0, -2, -5, 5, 32_767].map((replicationFactor) => one(`replication factor ${replicationFactor}`, { replicationFactor })),
    one('defaults', { numPartitions: -1, replicationFactor: -1 }),
    one('defaults, v3', { numPartitions: -1, replicationFactor: -1 }, 3),
    one('assignment and count', { assignments: placed([1]) }),
    one('assignment to an unknown broker', { numPartitions: -1, replicationFactor: -1, assignments: placed([77]) }),
    one('assignment to no broker', { numPartitions: -1, replicationFactor: -1, assignments: placed([]) }),
    one('assignment to one broker twice', { numPartitions: -1, replicationFactor: -1, assignments: placed([1, 1]) }),
    one('assignment with a gap', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [0, 2].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] })),
    }),
    one('assignment of one partition twice', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [0, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] })),
    }),
    one('assignment of partition −1', { numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: -1, brokerIds: [1] }] }),
    one('unknown setting', config('no.such.setting', '1')),
    one('setting of another type', config('retention.ms', 'soon')),
    one('setting out of range', config('retention.ms', '-2')),
    one('setting with an unknown choice', config('cleanup.policy', 'burn')),
    one('setting without a value', config('retention.ms', null)),
    one('setting without a name', config('', '1')),
    one('setting of 32,000 characters', config('cleanup.policy', 'x'.repeat(32_000))),
    one('one setting twice', { configs: ['1', '2'].map((value) => ({ name: 'retention.ms', value: `${value}000` })) }),
    one('min.insync.replicas 0', config('min.insync.replicas', '0')),
    named('none', ''),
    named('a dot', '.'),
    named('two dots', '..'),
    named('a path', '../../etc'),
    named('a blank', 'a b'),
    named('250 characters', 'a'.repeat(250)),
    named('no ASCII', 'thé'),
    named('NUL', 'a\0b'),
    several('no topics', () => []),
    several('a topic that exists', ({ topic }) => [newTopic(topic)]),
    several('a topic that exists, validate only', ({ topic }) => [newTopic(topic)], true),
    several('one name twice', ({ unknown }) => [newTopic(unknown), newTopic(unknown)]),
    several('names that metrics confuse', ({ unknown }) => [newTopic(`${unknown}.x`), newTopic(`${unknown}_x`)]),
    several('good and bad together', ({ unknown, topic }) => [
      newTopic(unknown),
      newTopic(topic),
      newTopic('..'),
      newTopic(`${unknown}-2`, { numPartitions: 0 }),
    ]),
    several('an internal topic', () => [newTopic('__consumer_offsets', { numPartitions: 2 })], true),
  ];
}

function made({ topics }: ResponseOf<typeof CreateTopics>): string {
  return topics
    .map(({ name, numPartitions, replicationFactor }) => `${name.length > 40 ? name.length : JSON.stringify(name)}: ${numPartitions} × ${replicationFactor}`)
    .sort()
    .join(', ');
}

function grows(): BadInput[] {
  type Grown = RequestInputOf<typeof CreatePartitions>['topics'][number];
  const grow = (topics: readonly Grown[]) => ask(CreatePartitions, 3, { topics, timeoutMs: 10_000, validateOnly: false });
  const one = (name: string, topics: (place: Place) => readonly Grown[]): BadInput => ({
    row: 'B58',
    name: `CreatePartitions ${name}`,
    topic: { partitions: 3 },
    frames: (place) => [grow(topics(place))],
  });
  const counted = (count: number) => one(`to ${count}`, ({ topic }) => [{ name: topic, count, assignments: null }]);
  return [
    ...[0, -1, 2, 3, 1_000_000_000, 2 ** 31 - 1].map(counted),
    one('unknown topic', ({ unknown }) => [{ name: unknown, count: 5, assignments: null }]),
    one('no name', () => [{ name: '', count: 5, assignments: null }]),
    one('one topic twice', ({ topic }) => [5, 6].map((count) => ({ name: topic, count, assignments: null }))),
    one('too few assignments', ({ topic }) => [{ name: topic, count: 5, assignments: [{ brokerIds: [1] }] }]),
    one('assignment to an unknown broker', ({ topic }) => [{ name: topic, count: 4, assignments: [{ brokerIds: [77] }] }]),
    one('assignment to no broker', ({ topic }) => [{ name: topic, count: 4, assignments: [{ brokerIds: [] }] }]),
    one('no topics', () => []),
  ];
}

function deletes(): BadInput[] {
  type Doomed = NonNullable<RequestInputOf<typeof DeleteTopics>['topics']>[number];
  const remove = (topics: readonly Doomed[]): Frame =>
    ask(DeleteTopics, 6, { topics, topicNames: [], timeoutMs: 10_000 }, ({ responses }) => `${responses.length} answers`);
  const one = (name: string, topics: (place: Place) => readonly Doomed[]): BadInput => ({
    row: 'B59',
    name: `DeleteTopics ${name}`,
    frames: (place) => [remove(topics(place))],
  });
  return [
    one('unknown name', ({ unknown }) => [{ name: unknown, topicId: 'A'.repeat(22) }]),
    one('unknown id', () => [{ name: null, topicId: nowhere }]),
    one('name and id', ({ topic, topicId }) => [{ name: topic, topicId }]),
    one('neither name nor id', () => [{ name: null, topicId: 'A'.repeat(22) }]),
    one('empty name', () => [{ name: '', topicId: 'A'.repeat(22) }]),
    one('bad name', () => [{ name: '..', topicId: 'A'.repeat(22) }]),
    one('one name twice', ({ topic }) => [0, 1].map(() => ({ name: topic, topicId: 'A'.repeat(22) }))),
    one('one id twice', ({ topicId }) => [0, 1].map(() => ({ name: null, topicId }))),
    one('one topic by name and by id', ({ topic, topicId }) => [
      { name: topic, topicId: 'A'.repeat(22) },
      { name: null, topicId },
    ]),
    one('no topics', () => []),
    {
      row: 'B59',
      name: 'DeleteTopics unknown name, v1',
      frames: ({ unknown }) => [ask(DeleteTopics, 1, { topics: [], topicNames: [unknown, '..', ''], timeoutMs: 10_000 })],
    },
  ];
}

function alters(): BadInput[] {
  type Resource = RequestInputOf<typeof IncrementalAlterConfigs>['resources'][number];
  type Change = Resource['configs'][number];
  const change = (name: string, value: string | null, configOperation = 0): Change => ({ name, configOperation, value });
  const alter = (resources: readonly Resource[], validateOnly = false) => ask(IncrementalAlterConfigs, 1, { resources, validateOnly });
  const of = (place: Place, ...configs: readonly Change[]): Resource => ({ resourceType: 2, resourceName: place.topic, configs });
  const one = (name: string, ...configs: readonly Change[]): BadInput => ({
    row: 'B55',
    name: `IncrementalAlterConfigs ${name}`,
    frames: (place) => [alter([of(place, ...configs)])],
  });
  const onResources = (name: string, resources: (place: Place) => readonly Resource[]): BadInput => ({
    row: 'B55',
    name: `IncrementalAlterConfigs ${name}`,
    frames: (place) => [alter(resources(place))],
  });
  const retention = change('retention.ms', '1000');
  const resource = (resourceType: number, resourceName: string, ...configs: readonly Change[]): Resource => ({ resourceType, resourceName, configs });
  return [
    one('unknown key', change('no.such.setting', '1')),
    one('unknown key, delete', change('no.such.setting', null, 1)),
    one('wrong type', change('retention.ms', 'soon')),
    one('out of range', change('retention.ms', '-2')),
    one('unknown choice', change('cleanup.policy', 'burn')),
    one('value from the environment', change('retention.ms', '${env:HOME}')),
    one('value of 32,000 characters', change('retention.ms', '1'.repeat(32_000))),
    one('value with a line end', change('cleanup.policy', 'delete\nretention.ms=1')),
    one('null value', change('retention.ms', null)),
    one('empty value', change('retention.ms', '')),
    one('no name', change('', '1')),
    ...[4, 9, -1].map((operation) => one(`operation ${operation}`, change('retention.ms', '1000', operation))),
    one('append to what is no list', change('retention.ms', '1', 2)),
    one('subtract from what is no list', change('retention.ms', '1', 3)),
    one('append what is there', change('cleanup.policy', 'delete', 2)),
    one('append an unknown choice', change('cleanup.policy', 'burn', 2)),
    one('subtract what is not there', change('cleanup.policy', 'compact', 3)),
    one('subtract the last', change('cleanup.policy', 'delete', 3)),
    one('one key twice', retention, change('retention.ms', '2000')),
    one('nothing'),
    onResources('no resources', () => []),
    onResources('one topic twice', (place) => [of(place, retention), of(place, change('segment.bytes', '2000000'))]),
    onResources('unknown topic', ({ unknown }) => [resource(2, unknown, retention)]),
    onResources('topic without a name', () => [resource(2, '', retention)]),
    onResources('bad topic name', () => [resource(2, '..', retention)]),
    ...[0, 1, 3, 5, 127, -1].map((type) => onResources(`resource type ${type}`, ({ topic }) => [resource(type, topic, retention)])),
    ...['999', 'abc'].map((name) => onResources(`broker ${name}`, () => [resource(4, name, change('log.retention.ms', '1000'))])),
    onResources('broker setting that is fixed', () => [resource(4, '1', change('node.id', '7'))]),
    onResources('unknown broker setting, all brokers', () => [resource(4, '', change('listeners', 'PLAINTEXT://:1'))]),
    {
      row: 'B55',
      name: 'IncrementalAlterConfigs validate only',
      frames: (place) => [alter([of(place, change('retention.ms', 'soon'))], true), alter([of(place, retention)], true)],
    },
  ];
}

function producerIds(): BadInput[] {
  type InitBody = RequestInputOf<typeof InitProducerId>;
  const one = (name: string, body: Partial<InitBody>, version = 4): BadInput => ({
    row: 'B60',
    name: `InitProducerId ${name}`,
    frames: () => [
      ask(
        InitProducerId,
        version,
        { transactionalId: null, transactionTimeoutMs: 60_000, ...body },
        ({ producerId, producerEpoch }) => `${producerId >= 0 ? 'a producer id' : producerId}, epoch ${producerEpoch}`,
      ),
    ],
  });
  return [
    ...[0, -1, 2 ** 31 - 1].map((transactionTimeoutMs) => one(`without transactional id, timeout ${transactionTimeoutMs}`, { transactionTimeoutMs })),
    one('empty transactional id', { transactionalId: '' }),
    one('without transactional id, producer id 5', { producerId: 5, producerEpoch: 0 }),
    one('producer id without epoch', { producerId: 5, producerEpoch: -1 }),
    one('epoch without producer id', { producerId: -1, producerEpoch: 5 }),
    one('producer id −7', { producerId: -7, producerEpoch: -7 }),
    one('v0', {}, 0),
  ];
}
