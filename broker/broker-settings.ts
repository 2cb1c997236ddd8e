/**
 * The table of broker settings that become a field of `BrokerConfig`: Kafka's name where Kafka has one. Settings that only
 * give topics their defaults are the synonyms in topic-settings.ts.
 */
import { supportedStorage } from '../cluster/storage-versions.ts';
import { boolean, custom, int, long, oneOf, optionalString, short, string, type ValueType } from './config-value.ts';
import { readListeners, readPlainProtocolMap, type ListenerSetting } from './listener-setting.ts';

export interface BrokerSetting<T> {
  readonly type: ValueType<T>;
  /** As text; empty means not set. */
  readonly default: string;
  readonly doc: string;
  /** `cluster`: may be changed while brokers run, for all of them (Kafka's cluster-wide dynamic settings). */
  readonly dynamic: 'no' | 'cluster';
  /** Shown as null by DescribeConfigs. */
  readonly secret: boolean;
}

function setting<T>(
  type: ValueType<T>,
  fallback: string,
  doc: string,
  options: { readonly dynamic?: 'cluster'; readonly secret?: true } = {},
): BrokerSetting<T> {
  return { type, default: fallback, doc, dynamic: options.dynamic ?? 'no', secret: options.secret ?? false };
}

const MIB = 1_048_576;
const optionalList = custom<readonly ListenerSetting[] | undefined>('list', 'a list of protocol://host:port, or nothing', (text) =>
  text === '' ? { kind: 'value', value: undefined } : readListeners(text),
);

export const brokerSettings = {
  // Who this broker is
  'node.id': setting(int({ min: 0 }), '0', 'The stable id of this broker; broker.id is another name for it.'),
  'broker.rack': setting(optionalString, '', 'Rack or zone of this broker, told to clients.'),
  'cluster.name': setting(string, 'automq', 'Separates clusters that share one metadata store.'),
  'data.folder': setting(string, 'data', 'Folder of the embedded stores; nothing else is kept on local disk.'),

  // Where clients reach it
  listeners: setting(
    custom('list', 'a list of protocol://host:port', readListeners),
    'PLAINTEXT://:9092',
    'Addresses to listen on; an empty host means all, port 0 takes a free one.',
  ),
  'advertised.listeners': setting(optionalList, '', 'Addresses that clients are told; without it, those of listeners.'),
  'listener.security.protocol.map': setting(
    custom('list', 'pairs NAME:PLAINTEXT', readPlainProtocolMap),
    'PLAINTEXT:PLAINTEXT',
    'Security protocol of each listener name.',
  ),
  'max.connections': setting(int({ min: 0 }), '2147483647', 'Connections at one time; more are closed at once.'),
  'max.connections.per.ip': setting(int({ min: 0 }), '2147483647', 'Connections at one time from one address.'),
  'connections.max.idle.ms': setting(long({ min: 1 }), '600000', 'A connection on which nothing happened for so long is closed.'),
  'request.receive.timeout.ms': setting(long({ min: 1 }), '60000', 'A request that takes longer from its first byte to its last closes the connection.'),
  'shutdown.timeout.ms': setting(long({ min: 0 }), '10000', 'How long a graceful stop waits for requests under way.'),

  // Limits of requests and answers
  'socket.request.max.bytes': setting(int({ min: 1 }), '104857600', 'Largest request; a larger one closes the connection.'),
  'queued.max.request.bytes': setting(
    long({ min: 1 }),
    String(128 * MIB),
    'Bytes of requests in memory, all connections together; past it sockets are paused. Kafka has no limit by default.',
  ),
  'queued.max.response.bytes': setting(
    long({ min: 1 }),
    String(256 * MIB),
    'Bytes of answers that wait for slow readers, all connections together; past it fetches answer less.',
  ),
  'connection.max.in.flight.requests': setting(int({ min: 1 }), '64', 'Requests of one connection that are under way at once.'),
  'connection.max.request.bytes': setting(
    long({ min: 1 }),
    String(32 * MIB),
    'Bytes of requests of one connection that are under way at once; one request may always be.',
  ),
  'connection.max.response.bytes': setting(
    long({ min: 1 }),
    String(4 * MIB),
    'Bytes of answers that one connection may leave unread before its next request is started.',
  ),
  'partition.opening.wait.ms': setting(long({ min: 0 }), '5000', 'How long a request waits for a partition that this broker is about to serve.'),

  // Topics
  'num.partitions': setting(int({ min: 1 }), '1', 'Partitions of a topic that is created without a count.'),
  'default.replication.factor': setting(int({ min: -1 }), '1', 'Accepted as Kafka does; the object store replicates, one is reported.'),
  'auto.create.topics.enable': setting(boolean, 'true', 'Metadata requests create unknown topics.'),
  'delete.topic.enable': setting(boolean, 'true', 'Topics can be deleted.'),
  'log.retention.check.interval.ms': setting(long({ min: 1 }), '300000', 'How often retention looks for what is too old.'),

  // Fetch
  'fetch.max.bytes': setting(int({ min: 1024 }), '57671680', 'Largest fetch answer.'),
  'max.incremental.fetch.session.cache.slots': setting(int({ min: 0 }), '1000', 'Incremental fetch sessions that are kept (KIP-227).'),
  'max.request.partition.size.limit': setting(int({ min: 1 }), '2000', 'Partitions in one DescribeTopicPartitions answer.'),

  // Groups
  'offsets.topic.num.partitions': setting(int({ min: 1 }), '50', 'Partitions of __consumer_offsets when it is created.'),
  'offsets.topic.replication.factor': setting(short({ min: 1 }), '3', 'Accepted; the object store replicates.'),
  'offsets.retention.minutes': setting(int({ min: 1 }), '10080', 'How long the offsets of an empty group are kept.'),
  'offsets.compaction.min.bytes': setting(
    long({ min: 0 }),
    '1048576',
    'A partition of __consumer_offsets that is smaller is not compacted; a larger one when it is three times its live keys.',
  ),
  'offsets.retention.check.interval.ms': setting(long({ min: 1 }), '600000', 'How often expired offsets are removed.'),
  'offsets.commit.timeout.ms': setting(int({ min: 1 }), '5000', 'How long an offset commit waits to be durable.'),
  'offset.metadata.max.bytes': setting(int(), '4096', 'Largest metadata text of an offset commit.'),
  'group.min.session.timeout.ms': setting(int(), '6000', 'Shortest session timeout of a group member.'),
  'group.max.session.timeout.ms': setting(int(), '1800000', 'Longest session timeout of a group member.'),
  'group.initial.rebalance.delay.ms': setting(int({ min: 0 }), '3000', 'How long an empty group waits for more members before its first rebalance.'),
  'group.max.size': setting(int({ min: 1 }), '2147483647', 'Members of one group.'),

  // Producers and transactions
  'producer.id.expiration.ms': setting(int({ min: 1 }), '86400000', 'A producer that wrote nothing for so long is forgotten by its partitions.', {
    dynamic: 'cluster',
  }),
  'transactional.id.expiration.ms': setting(int({ min: 1 }), '604800000', 'A transactional id that nobody used for so long is forgotten.'),
  'transaction.max.timeout.ms': setting(int({ min: 1 }), '900000', 'Longest transaction timeout that a producer may ask for.'),
  'transaction.state.log.num.partitions': setting(int({ min: 1 }), '50', 'Partitions of __transaction_state when it is created.'),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': setting(int({ min: 1 }), '10000', 'How often timed out transactions are aborted.'),

  // Stores
  'storage.url': setting(string, '', 'Object store: s3://bucket/prefix, file:///folder, memory:. Without it, a folder under data.folder.'),
  's3.endpoint': setting(optionalString, '', 'Endpoint of an S3 server other than AWS, http://host:port.'),
  's3.region': setting(optionalString, '', 'Region of the bucket; without it, what the SDK finds.'),
  's3.path.style': setting(boolean, 'true', 'Bucket in the path instead of the host name; needed by most servers other than AWS.'),
  's3.max.sockets': setting(int({ min: 1 }), '64', 'Connections to the S3 server.'),
  'storage.version.max': setting(
    int({ min: 1 }),
    String(supportedStorage.max),
    'Newest storage version that this broker reads and writes. Less than its program could: to rehearse a roll, it starts and refuses as an older one would.',
  ),
  'object.call.deadline.ms': setting(int({ min: 1 }), '15000', 'Deadline of one attempt at the object store.'),
  'metadata.url': setting(
    string,
    '',
    'Metadata store: etcd://host:port,host:port, tcp://host:port (served by `automq up`), file:///folder, memory:. Without it, embedded under data.folder.',
  ),
  'metadata.session.timeout.ms': setting(int({ min: 1000 }), '10000', 'Time to live of the liveness key in the metadata store.'),

  // Log engine
  'wal.group.max.bytes': setting(int({ min: 4096 }), String(8 * MIB), 'A group of appended batches is uploaded at this size at the latest.'),
  'wal.upload.slots': setting(int({ min: 1 }), '4', 'Group uploads at one time.'),
  'wal.put.rate.per.second': setting(
    int({ min: 0 }),
    '10',
    'Group uploads a second on average, 0 without limit; not applied to a folder or a loopback endpoint.',
  ),
  'wal.put.burst': setting(int({ min: 1 }), '50', 'Group uploads that may come at once before the rate holds.'),
  'upload.max.bytes': setting(
    long({ min: MIB }),
    String(256 * MIB),
    'Bytes that wait for upload; past it produce is refused. Above queued.max.request.bytes, so that sockets are paused first.',
  ),
  'log.cache.bytes': setting(long({ min: 0 }), String(256 * MIB), 'Memory for what was written lately, for consumers at the tail.'),
  'block.cache.bytes': setting(long({ min: 0 }), String(256 * MIB), 'Memory for what consumers read from the object store.'),
  'merge.threshold.bytes': setting(long({ min: 1 }), String(256 * MIB), 'WAL bytes that start a merge.'),
  'merge.threshold.objects': setting(int({ min: 1 }), '500', 'WAL objects that start a merge.'),
  'merge.interval.ms': setting(int({ min: 1 }), '60000', 'A merge starts at this age of the oldest WAL object at the latest.'),
  'stream.object.min.bytes': setting(long({ min: 1 }), String(8 * MIB), 'A partition with so many bytes in a merge gets a stream object of its own.'),
  'checkpoint.interval.objects': setting(
    int({ min: 1 }),
    '1000',
    'WAL objects between two checkpoints at most: whoever takes over a dead broker reads each of them first.',
  ),
  'checkpoint.interval.ms': setting(int({ min: 1 }), '60000', 'Longest time between two checkpoints while something changed.'),
  'gc.delay.ms': setting(long({ min: 0 }), '3600000', 'An object that nothing needs is deleted after this delay.'),

  // How brokers reach each other
  'internal.listener': setting(string, '127.0.0.1:0', 'host:port where other brokers ask whether this one lives; port 0 takes a free one. Never for clients.'),
  'internal.advertised.host': setting(
    string,
    '',
    'The host by which other brokers reach internal.listener; empty: the host it listens on, or that of advertised.listeners.',
  ),
  'internal.advertised.port': setting(
    int({ min: 0, max: 65_535 }),
    '0',
    'The port by which other brokers reach internal.listener, where something stands between; 0: the one it listens on.',
  ),

  // What operators see
  'metrics.listener': setting(string, '127.0.0.1:9404', 'host:port of /metrics, /healthz and /readyz; empty for none.'),
  'logger.level': setting(oneOf('error', 'warn', 'info', 'debug'), 'info', 'Least severity that is logged.'),
  'logger.format': setting(oneOf('json', 'pretty'), 'json', 'JSON lines, or lines for people.'),
} as const satisfies Readonly<Record<string, BrokerSetting<unknown>>>;
