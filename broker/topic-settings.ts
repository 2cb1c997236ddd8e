/**
 * Every topic configuration that Kafka 4.3 documents: its type, its default, the broker settings that give another
 * default (Kafka's synonyms, first one that is set wins), and what it does here. Those that speak about local files,
 * replicas or tiering have no meaning on shared storage: accepted, listed, inert.
 */
import { boolean, custom, double, int, intOr, listOf, long, oneOf, type ValueType } from './config-value.ts';

export interface TopicSetting {
  readonly type: ValueType<unknown>;
  /** Kafka's default, as text. */
  readonly default: string;
  /** Broker settings that give the default, first one that is set wins. */
  readonly synonyms: readonly Synonym[];
  readonly doc: string;
  /** `planned`: kept and listed now, obeyed by a later version. */
  readonly effect: 'obeyed' | 'planned' | 'inert';
}

/** `factor` turns the broker setting's unit (hours, minutes) into the topic's milliseconds. */
export interface Synonym {
  readonly key: string;
  readonly type: ValueType<unknown>;
  readonly factor: number;
}

export const cleanupPolicies = ['compact', 'delete'] as const;
export const compressionTypes = ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] as const;
export const timestampTypes = ['CreateTime', 'LogAppendTime'] as const;

const LONG_MAX = '9223372036854775807';
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

function throttledReplicas(name: string): ValueType<string> {
  return custom('list', 'pairs partition:broker separated by commas, or *', (text) =>
    text === '' || text === '*' || text.split(',').every((pair) => /^\s*\d+:\d+\s*$/.test(pair))
      ? { kind: 'value', value: text }
      : {
          kind: 'problem',
          shown: `[${text}]`,
          problem: `${name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`,
        },
  );
}

function setting(type: ValueType<unknown>, fallback: string, synonyms: readonly Synonym[], effect: TopicSetting['effect'], doc: string): TopicSetting {
  return { type, default: fallback, synonyms, effect, doc };
}

function same(key: string, type: ValueType<unknown>): readonly Synonym[] {
  return [{ key, type, factor: 1 }];
}

export const topicSettings: Readonly<Record<string, TopicSetting>> = {
  'cleanup.policy': setting(
    listOf(...cleanupPolicies),
    'delete',
    same('log.cleanup.policy', listOf(...cleanupPolicies)),
    'obeyed',
    'What happens to old records: delete (by retention), compact (the last record of each key stays), both, or nothing when empty.',
  ),
  'compression.gzip.level': setting(
    intOr(-1, { min: 1, max: 9 }),
    '-1',
    same('compression.gzip.level', intOr(-1, { min: 1, max: 9 })),
    'planned',
    'Level when the broker itself compresses with gzip.',
  ),
  'compression.lz4.level': setting(
    int({ min: 1, max: 17 }),
    '9',
    same('compression.lz4.level', int({ min: 1, max: 17 })),
    'planned',
    'Level when the broker itself compresses with lz4.',
  ),
  'compression.type': setting(
    oneOf(...compressionTypes),
    'producer',
    same('compression.type', oneOf(...compressionTypes)),
    'obeyed',
    'The codec in which batches are kept; producer keeps what the producer chose.',
  ),
  'compression.zstd.level': setting(
    int({ min: -131_072, max: 22 }),
    '3',
    same('compression.zstd.level', int({ min: -131_072, max: 22 })),
    'planned',
    'Level when the broker itself compresses with zstd.',
  ),
  'delete.retention.ms': setting(
    long({ min: 0 }),
    '86400000',
    same('log.cleaner.delete.retention.ms', long({ min: 0 })),
    'planned',
    'How long a compacted topic keeps the tombstone of a deleted key.',
  ),
  'file.delete.delay.ms': setting(
    long({ min: 0 }),
    '60000',
    same('log.segment.delete.delay.ms', long({ min: 0 })),
    'inert',
    'Delay before a local file is removed. No local files here; see gc.delay.ms.',
  ),
  'flush.messages': setting(
    long({ min: 1 }),
    LONG_MAX,
    same('log.flush.interval.messages', long({ min: 1 })),
    'inert',
    'Records between two fsyncs. Everything acknowledged is durable here.',
  ),
  'flush.ms': setting(
    long({ min: 0 }),
    LONG_MAX,
    [
      { key: 'log.flush.interval.ms', type: long(), factor: 1 },
      { key: 'log.flush.scheduler.interval.ms', type: long(), factor: 1 },
    ],
    'inert',
    'Time between two fsyncs. Everything acknowledged is durable here.',
  ),
  'follower.replication.throttled.replicas': setting(
    throttledReplicas('follower.replication.throttled.replicas'),
    '',
    [],
    'inert',
    'Replicas to throttle on the follower. The object store replicates here.',
  ),
  'index.interval.bytes': setting(
    int({ min: 0 }),
    '4096',
    same('log.index.interval.bytes', int({ min: 0 })),
    'inert',
    'Bytes between two entries of the local index file.',
  ),
  'leader.replication.throttled.replicas': setting(
    throttledReplicas('leader.replication.throttled.replicas'),
    '',
    [],
    'inert',
    'Replicas to throttle on the leader. The object store replicates here.',
  ),
  'local.retention.bytes': setting(
    long({ min: -2 }),
    '-2',
    same('log.local.retention.bytes', long({ min: -2 })),
    'inert',
    'Bytes kept on local disk under tiered storage. No local disk here.',
  ),
  'local.retention.ms': setting(
    long({ min: -2 }),
    '-2',
    same('log.local.retention.ms', long({ min: -2 })),
    'inert',
    'Time kept on local disk under tiered storage. No local disk here.',
  ),
  'max.compaction.lag.ms': setting(
    long({ min: 1 }),
    LONG_MAX,
    same('log.cleaner.max.compaction.lag.ms', long({ min: 1 })),
    'planned',
    'Longest time that a record of a compacted topic waits for compaction.',
  ),
  'max.message.bytes': setting(
    int({ min: 0 }),
    '1048588',
    same('message.max.bytes', int({ min: 0 })),
    'obeyed',
    'Largest record batch, as the producer sends it.',
  ),
  'message.timestamp.after.max.ms': setting(
    long({ min: 0 }),
    '3600000',
    same('log.message.timestamp.after.max.ms', long({ min: 0 })),
    'obeyed',
    'How far a record timestamp may lie in the future of the broker clock (CreateTime).',
  ),
  'message.timestamp.before.max.ms': setting(
    long({ min: 0 }),
    LONG_MAX,
    same('log.message.timestamp.before.max.ms', long({ min: 0 })),
    'obeyed',
    'How far a record timestamp may lie in the past of the broker clock (CreateTime).',
  ),
  'message.timestamp.type': setting(
    oneOf(...timestampTypes),
    'CreateTime',
    same('log.message.timestamp.type', oneOf(...timestampTypes)),
    'obeyed',
    'Whether records carry the time of their creation or of their append.',
  ),
  'min.cleanable.dirty.ratio': setting(
    double({ min: 0, max: 1 }),
    '0.5',
    same('log.cleaner.min.cleanable.ratio', double({ min: 0, max: 1 })),
    'planned',
    'Share of a compacted log that must be uncompacted before compaction runs.',
  ),
  'min.compaction.lag.ms': setting(
    long({ min: 0 }),
    '0',
    same('log.cleaner.min.compaction.lag.ms', long({ min: 0 })),
    'planned',
    'Shortest time that a record of a compacted topic stays uncompacted.',
  ),
  'min.insync.replicas': setting(
    int({ min: 1 }),
    '1',
    same('min.insync.replicas', int({ min: 1 })),
    'inert',
    'Replicas that must have a write. The object store replicates here.',
  ),
  preallocate: setting(boolean, 'false', same('log.preallocate', boolean), 'inert', 'Preallocates local segment files.'),
  'remote.log.copy.disable': setting(boolean, 'false', [], 'inert', 'Stops copying to tiered storage. All data is in the object store here.'),
  'remote.log.delete.on.disable': setting(boolean, 'false', [], 'inert', 'Deletes tiered data when tiering is switched off.'),
  'remote.storage.enable': setting(boolean, 'false', [], 'inert', 'Kafka tiered storage. All data is in the object store here already.'),
  'retention.bytes': setting(long(), '-1', same('log.retention.bytes', long()), 'obeyed', 'Bytes that a partition keeps; -1 is without limit.'),
  'retention.ms': setting(
    long({ min: -1 }),
    '604800000',
    [
      { key: 'log.retention.ms', type: long({ min: -1 }), factor: 1 },
      { key: 'log.retention.minutes', type: int({ min: -1 }), factor: MINUTE_MS },
      { key: 'log.retention.hours', type: int({ min: -1 }), factor: HOUR_MS },
    ],
    'obeyed',
    'How long records are kept; -1 is without limit.',
  ),
  'segment.bytes': setting(int({ min: 1_048_576 }), '1073741824', same('log.segment.bytes', int({ min: 1_048_576 })), 'inert', 'Size of a local segment file.'),
  'segment.index.bytes': setting(int({ min: 4 }), '10485760', same('log.index.size.max.bytes', int({ min: 4 })), 'inert', 'Size of a local index file.'),
  'segment.jitter.ms': setting(
    long({ min: 0 }),
    '0',
    [
      { key: 'log.roll.jitter.ms', type: long({ min: 0 }), factor: 1 },
      { key: 'log.roll.jitter.hours', type: int({ min: 0 }), factor: HOUR_MS },
    ],
    'inert',
    'Jitter of the roll of a local segment file.',
  ),
  'segment.ms': setting(
    long({ min: 1 }),
    '604800000',
    [
      { key: 'log.roll.ms', type: long({ min: 1 }), factor: 1 },
      { key: 'log.roll.hours', type: int({ min: 1 }), factor: HOUR_MS },
    ],
    'inert',
    'Age at which a local segment file is rolled.',
  ),
  'unclean.leader.election.enable': setting(
    boolean,
    'false',
    same('unclean.leader.election.enable', boolean),
    'inert',
    'Lets a stale replica lead. There are no stale replicas here.',
  ),
};
