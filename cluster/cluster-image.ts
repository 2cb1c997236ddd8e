/**
 * What a broker knows of the cluster: a read-only view of the metadata store, kept by watch. May be stale;
 * the cost of staleness is one NOT_LEADER_OR_FOLLOWER (contract C12).
 */
import type { NodeId, TopicId } from './identifiers.ts';

export interface ClusterImage {
  readonly clusterId: string;
  /** The broker that acts as controller, −1 when none does. */
  readonly controllerId: number;
  /** Live brokers, ascending by id. */
  brokers(): readonly BrokerImage[];
  topicByName(name: string): TopicImage | undefined;
  topicById(topicId: TopicId): TopicImage | undefined;
  /** All topics, ascending by name. */
  topics(): readonly TopicImage[];
  /** Leader −1 when no live broker owns the partition. */
  leaderOf(topicId: TopicId, partition: number): { readonly leader: number; readonly leaderEpoch: number } | undefined;
  /** Moves that were asked for and are not done, ascending by topic id and partition. */
  moves(): readonly MoveImage[];
  /** Dynamic broker configuration: `''` holds the cluster-wide defaults, else the node id as a string. */
  brokerConfig(resource: string): Readonly<Record<string, string>>;
}

export interface BrokerImage {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | undefined;
  /** Nothing new is placed on it. */
  readonly draining: boolean;
}

export interface MoveImage {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly target: NodeId;
  readonly by: string;
  readonly why: string;
  /** Of the request's key. */
  readonly modRevision: number;
}

export interface TopicImage {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitionCount: number;
  /** `__consumer_offsets` and the like. */
  readonly internal: boolean;
  /** What was set explicitly, Kafka's names and spelling. */
  readonly config: Readonly<Record<string, string>>;
}
