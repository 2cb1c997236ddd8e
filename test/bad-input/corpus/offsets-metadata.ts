/** B51–B53: offsets by time and epoch, topics that have no name, and what else describes the cluster. */
import { ApiKeys, type RequestInputOf, type ResponseOf } from '../../../broker/protocol/messages.gen.ts';
import { ask, type BadInput, type Frame, type Place } from '../bad-input.ts';
import { produce } from './produce-requests.ts';

const { ListOffsets, Metadata, DescribeTopicPartitions, DescribeCluster, DescribeConfigs } = ApiKeys;

export const offsetAndMetadataCases: readonly BadInput[] = [...listOffsets(), ...metadata(), ...topicPartitions(), ...clusterAndConfigs()];

const nowhere = 'x'.repeat(21).concat('A');

interface OffsetFields {
  readonly version?: number;
  readonly name?: string;
  readonly partitions?: readonly number[];
  readonly timestamp?: number;
  readonly epoch?: number;
  readonly isolationLevel?: number;
  readonly replicaId?: number;
}

function offsetsOf(place: Place, fields: OffsetFields): Frame {
  const { version = 9, timestamp = -1, epoch = -1, isolationLevel = 0, replicaId = -1 } = fields;
  const partitions = (fields.partitions ?? [0]).map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: epoch, timestamp }));
  return ask(ListOffsets, version, { replicaId, isolationLevel, topics: [{ name: fields.name ?? place.topic, partitions }] }, found);
}

function found({ topics }: ResponseOf<typeof ListOffsets>): string {
  const offsets = topics.flatMap(({ partitions }) => partitions.map(({ offset, timestamp }) => `${offset} at ${timestamp}`));
  return offsets.slice(0, 4).join(', ');
}

function listOffsets(): BadInput[] {
  const one = (row: string, name: string, fields: OffsetFields): BadInput => ({
    row,
    name: `ListOffsets ${name}`,
    frames: (place) => [produce(place), offsetsOf(place, fields)],
  });
  const special = [-1, -2, -3, -4, -5, -6, -7, -100];
  return [
    ...[1, 6, 7, 8, 9, 10, 11].flatMap((version) => special.map((timestamp) => one('B52', `v${version}, timestamp ${timestamp}`, { version, timestamp }))),
    ...[0, 1_700_000_000_001, 2 ** 53 - 1].map((timestamp) => one('B52', `timestamp ${timestamp}`, { timestamp })),
    one('B52', 'timestamp 2^63 − 1', { timestamp: 2 ** 63 }),
    ...[2, 7, -1].map((isolationLevel) => one('B52', `isolation level ${isolationLevel}`, { isolationLevel })),
    ...[0, 5, -2, -3].map((replicaId) => one('B52', `replica id ${replicaId}`, { replicaId })),
    ...[999, 2 ** 31 - 1, -2].map((epoch) => one('B51', `leader epoch ${epoch}`, { epoch })),
    one('B52', 'one partition twice', { partitions: [0, 0] }),
    one('B52', 'bad partitions', { partitions: [-1, 7, 2 ** 31 - 1] }),
    one('B52', '100,000 unknown partitions', { partitions: Array.from({ length: 100_000 }, (_, index) => index + 1) }),
    ...['..', '', 'a b', 'a'.repeat(250)].map((name) => one('B52', `topic "${name.slice(0, 10)}" of ${name.length}`, { name })),
    { row: 'B52', name: 'ListOffsets unknown topic', frames: (place) => [offsetsOf(place, { name: place.unknown })] },
    { row: 'B52', name: 'ListOffsets no topics', frames: () => [ask(ListOffsets, 9, { replicaId: -1, topics: [] })] },
    { row: 'B52', name: 'ListOffsets empty log, timestamp −3', frames: (place) => [offsetsOf(place, { timestamp: -3 })] },
    { row: 'B52', name: 'ListOffsets empty log, timestamp 0', frames: (place) => [offsetsOf(place, { timestamp: 0 })] },
  ];
}

type MetadataBody = RequestInputOf<typeof Metadata>;

function metadata(): BadInput[] {
  const one = (name: string, version: number, body: (place: Place) => MetadataBody): BadInput => ({
    row: 'B53',
    name: `Metadata ${name}`,
    frames: (place) => [ask(Metadata, version, body(place), topicsOf)],
  });
  const names: Readonly<Record<string, string>> = {
    'a path': '../..',
    'a dot': '.',
    'two dots': '..',
    'no name': '',
    '250 characters': 'a'.repeat(250),
    'a blank': 'a b',
    'no ASCII': 'é',
  };
  const ask249 = 'a'.repeat(249);
  return [
    ...Object.entries(names).flatMap(([what, name]) => [
      one(`to be created: ${what}`, 4, () => ({ topics: [{ name }], allowAutoTopicCreation: true })),
      one(`not to be created: ${what}`, 12, () => ({ topics: [{ name }], allowAutoTopicCreation: false })),
    ]),
    one('not to be created: 249 characters', 12, () => ({ topics: [{ name: ask249 }], allowAutoTopicCreation: false })),
    one('unknown, not to be created', 12, ({ unknown }) => ({ topics: [{ name: unknown }], allowAutoTopicCreation: false })),
    one('1,000 unknown, not to be created', 12, ({ unknown }) => ({
      topics: Array.from({ length: 1_000 }, (_, index) => ({ name: `${unknown}.${index}` })),
      allowAutoTopicCreation: false,
    })),
    one('__share_group_state, not to be created', 12, () => ({ topics: [{ name: '__share_group_state' }], allowAutoTopicCreation: false })),
    one('one topic three times', 12, ({ topic }) => ({ topics: [{ name: topic }, { name: topic }, { name: topic }], allowAutoTopicCreation: false })),
    {
      row: 'B53',
      name: 'Metadata no topics, v0 means all',
      frames: (place) => [{ ...ask(Metadata, 0, { topics: [] }), instead: (answer: ResponseOf<typeof Metadata>) => allTopics(answer, place) }],
    },
    one('no topics, v1', 1, () => ({ topics: [] })),
    ...[10, 11, 12, 13].map((version) => one(`null name, zero id, v${version}`, version, () => ({ topics: [{ name: null }], allowAutoTopicCreation: false }))),
    ...[10, 12].map((version) =>
      one(`name and id, v${version}`, version, ({ topic, topicId }) => ({ topics: [{ name: topic, topicId }], allowAutoTopicCreation: false })),
    ),
    ...[10, 12].map((version) =>
      one(`unknown id, v${version}`, version, () => ({ topics: [{ name: null, topicId: nowhere }], allowAutoTopicCreation: false })),
    ),
    one('an id, v12', 12, ({ topicId }) => ({ topics: [{ name: null, topicId }], allowAutoTopicCreation: false })),
    one('an id and a name of another', 12, ({ topic, topicId }) => ({ topics: [{ name: topic }, { name: null, topicId }], allowAutoTopicCreation: false })),
  ];
}

function topicsOf({ topics, brokers }: ResponseOf<typeof Metadata>): string {
  return `${topics.length} topics, ${brokers.length} brokers`;
}

/** How many there are depends on what else was done with the broker. */
function allTopics({ topics }: ResponseOf<typeof Metadata>, { topic }: Place): string {
  return topics.length > 100 && topics.some(({ name, errorCode }) => name === topic && errorCode === 0) ? 'all topics' : `${topics.length} topics`;
}

function topicPartitions(): BadInput[] {
  const one = (name: string, body: (place: Place) => RequestInputOf<typeof DescribeTopicPartitions>): BadInput => ({
    row: 'B53',
    name: `DescribeTopicPartitions ${name}`,
    topic: { partitions: 3 },
    frames: (place) => [ask(DescribeTopicPartitions, 0, body(place), described)],
  });
  const cursor = (partitionIndex: number) => (place: Place) => ({ topics: [{ name: place.topic }], cursor: { topicName: place.topic, partitionIndex } });
  return [
    one('unknown topic', ({ unknown }) => ({ topics: [{ name: unknown }] })),
    ...['', '..', 'a'.repeat(250)].map((name) => one(`topic "${name.slice(0, 10)}" of ${name.length}`, () => ({ topics: [{ name }] }))),
    one('one topic twice', ({ topic }) => ({ topics: [{ name: topic }, { name: topic }] })),
    ...[0, -1, 1, 2 ** 31 - 1].map((limit) => one(`limit ${limit}`, ({ topic }) => ({ topics: [{ name: topic }], responsePartitionLimit: limit }))),
    ...[-1, 1, 3, 2 ** 31 - 1].map((index) => one(`cursor at partition ${index}`, cursor(index))),
    one('cursor at another topic', ({ topic, unknown }) => ({ topics: [{ name: topic }], cursor: { topicName: unknown, partitionIndex: 0 } })),
  ];
}

function described({ topics, nextCursor }: ResponseOf<typeof DescribeTopicPartitions>): string {
  const partitions = topics.map(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex).join(' '));
  return `partitions [${partitions.join('] [')}], ${nextCursor ? `next ${nextCursor.topicName} ${nextCursor.partitionIndex}` : 'the end'}`;
}

function clusterAndConfigs(): BadInput[] {
  const cluster = (name: string, body: RequestInputOf<typeof DescribeCluster>, version = 2): BadInput => ({
    row: 'B53',
    name: `DescribeCluster ${name}`,
    frames: () => [ask(DescribeCluster, version, body, ({ brokers }) => `${brokers.length} brokers`)],
  });
  type Resource = RequestInputOf<typeof DescribeConfigs>['resources'][number];
  const configs = (name: string, resources: (place: Place) => readonly Resource[]): BadInput => ({
    row: 'B55',
    name: `DescribeConfigs ${name}`,
    frames: (place) => [
      ask(
        DescribeConfigs,
        4,
        { resources: resources(place) },
        ({ results }) => `${results.map(({ configs }) => (configs.length > 3 ? 'many' : configs.length)).join(', ')} settings`,
      ),
    ],
  });
  const resource = (resourceType: number, resourceName: string, configurationKeys: readonly string[] | null = null): Resource => ({
    resourceType,
    resourceName,
    configurationKeys,
  });
  return [
    ...[0, 2, 7, -1].map((endpointType) => cluster(`endpoint type ${endpointType}`, { includeClusterAuthorizedOperations: false, endpointType })),
    ...[0, 1, 5, 64, 127, -1].map((type) => configs(`resource type ${type}`, ({ topic }) => [resource(type, topic)])),
    configs('unknown topic', ({ unknown }) => [resource(2, unknown)]),
    configs('topic without a name', () => [resource(2, '')]),
    configs('topic name of 250 characters', () => [resource(2, 'a'.repeat(250))]),
    configs('unknown key', ({ topic }) => [resource(2, topic, ['no.such.setting'])]),
    configs('no keys', ({ topic }) => [resource(2, topic, [])]),
    configs('one topic twice', ({ topic }) => [resource(2, topic, ['retention.ms']), resource(2, topic, ['segment.bytes'])]),
    configs('broker without a name', () => [resource(4, '', [])]),
    ...['999', 'abc', '-1', '99999999999'].map((name) => configs(`broker ${name}`, () => [resource(4, name)])),
    configs('broker logger', () => [resource(8, '1', ['no.such.logger'])]),
  ];
}
