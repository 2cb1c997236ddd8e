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
  /** Dynamic broker configuration: `''` holds the cluster-wide defaults, else the node id as a string. */
  brokerConfig(resource: string): Readonly<Record<string, string>>;
}

export interface BrokerImage {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | undefined;
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
