/** What request handlers may use. `broker.ts` puts the real ones together; handler tests bring small ones. */
import type { Io } from '../../io/io.ts';
import type { ClusterImage } from '../../cluster/cluster-image.ts';
import type { NodeId, TopicId } from '../../cluster/identifiers.ts';
import type { VersionRange } from '../../cluster/storage-versions.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import type { BrokerConfig } from '../config.ts';

export interface Services {
  readonly io: Io;
  readonly config: BrokerConfig;
  readonly node: NodeId;
  readonly image: ClusterImage;
  readonly partitions: PartitionTable;
  readonly admin: TopicAdmin;
  readonly producerIds: ProducerIds;
  readonly moves: MoveRequests;
  readonly storage: StorageFeature;
}

/** The storage version (cluster/storage-versions.ts), as Kafka's feature of that name. */
export interface StorageFeature {
  readonly supported: VersionRange;
  readonly finalized: number;
  /** Grows with each change of what is finalized. */
  readonly epoch: number;
  /** Resolves when it is durable and this broker's image shows it. */
  finalize(version: number, options: { readonly by: string; readonly validateOnly: boolean }): Promise<AdminOutcome<object>>;
}

/** Asking for partitions to be elsewhere: what is written is executed by their owners, whenever they can. */
export interface MoveRequests {
  /** One outcome each, in order: the request is durable. Target undefined withdraws what was asked for. */
  request(wanted: readonly WantedMove[], by: string): Promise<readonly AdminOutcome<object>[]>;
}

export interface WantedMove {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly target: NodeId | undefined;
}

/** The partitions that this broker owns. */
export interface PartitionTable {
  find(topicId: TopicId, partition: number): PartitionLookup;
}

export type PartitionLookup =
  | { readonly kind: 'owned'; readonly log: PartitionLog }
  /** Ours in a moment: hold the request until `ready` settled (bounded), then look again. */
  | { readonly kind: 'opening'; readonly ready: Promise<void> }
  /** Another broker leads (leader −1: nobody yet); answer NOT_LEADER_OR_FOLLOWER with these (KIP-951). */
  | { readonly kind: 'elsewhere'; readonly leader: number; readonly leaderEpoch: number }
  /** Our stored data of this partition is damaged or missing: KAFKA_STORAGE_ERROR. */
  | { readonly kind: 'failed' }
  | { readonly kind: 'unknown' };

/** Changes of topics. Each resolves when the change is durable in the metadata store and this broker's image shows it. */
export interface TopicAdmin {
  /** The request was validated (name, counts, configuration); answers TOPIC_ALREADY_EXISTS when somebody was faster. */
  createTopic(topic: NewTopic): Promise<AdminOutcome<{ readonly topicId: TopicId }>>;
  deleteTopic(topicId: TopicId): Promise<AdminOutcome<object>>;
  /** Grows to `partitionCount`; INVALID_PARTITIONS when it is not more than now. `assignment`: owners of the new partitions, when the request assigned them. */
  createPartitions(topicId: TopicId, partitionCount: number, assignment?: readonly NodeId[]): Promise<AdminOutcome<object>>;
  /** Sets (string) and unsets (null) topic configuration; validated by the caller. */
  alterTopicConfig(topicId: TopicId, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>>;
  /** The same for brokers: resource `''` (cluster-wide default) or a node id. */
  alterBrokerConfig(resource: string, changes: Readonly<Record<string, string | null>>): Promise<AdminOutcome<object>>;
}

export interface NewTopic {
  readonly name: string;
  readonly partitionCount: number;
  readonly config: Readonly<Record<string, string>>;
  /** Owner of each partition, when the request assigned them. */
  readonly assignment?: readonly NodeId[];
}

export type AdminOutcome<T> = ({ readonly kind: 'done' } & T) | { readonly kind: 'error'; readonly error: ErrorCode; readonly message: string };

export interface ProducerIds {
  /** A producer id that nobody has; blocks of 1,000 come from the metadata store. */
  next(): Promise<number>;
}
