/**
 * Keys and values in the metadata store (design §9), below the cluster's prefix. Values are JSON with a schema each;
 * a value that does not fit is *bad*: its key is ignored with an alarm, the rest works (B66).
 */
import { z } from 'zod';
import type { NodeId, TopicId } from './identifiers.ts';

export const keys = {
  node: (id: number) => `nodes/${id}`,
  nodes: 'nodes/',
  alive: (id: number) => `alive/${id}`,
  topic: (name: string) => `topics/${name}`,
  topics: 'topics/',
  partition: (topicId: TopicId, partition: number) => `partitions/${topicId}/${partition}`,
  partitions: 'partitions/',
  partitionsOf: (topicId: TopicId) => `partitions/${topicId}/`,
  /** The node's newest epoch, as text: transactions that name an owner compare it. */
  incarnation: (id: number) => `incarnations/${id}`,
  move: (topicId: TopicId, partition: number) => `moves/${topicId}/${partition}`,
  moves: 'moves/',
  hold: (node: number, topicId: TopicId, partition: number) => `holds/${node}/${topicId}/${partition}`,
  holds: 'holds/',
  holdsOn: (node: number) => `holds/${node}/`,
  controller: 'controller',
  recovery: (node: number, epoch: number) => `recoveries/${node}/${epoch}`,
  recoveries: 'recoveries/',
  tombstone: (topicId: TopicId) => `tombstones/${topicId}`,
  tombstones: 'tombstones/',
  producerIds: 'producer-ids',
  features: 'features',
  brokerConfig: (resource: string) => `config/brokers/${resource === '' ? 'default' : resource}`,
  brokerConfigs: 'config/brokers/',
} as const;

const topicId = z.string().regex(/^[A-Za-z0-9_-]{22}$/) as unknown as z.ZodType<TopicId>;
const count = z.number().int().min(0);
const settings = z.record(z.string(), z.string());

const incarnation = z.object({ node: count as unknown as z.ZodType<NodeId>, epoch: count });

/** A node: its newest incarnation, where clients reach it, its checkpoint pointer. */
export const nodeRecord = z.object({
  epoch: count,
  /** Differs in every attempt to write it, so that an attempt whose answer was lost can be told from another's. */
  attempt: z.string(),
  host: z.string(),
  port: count,
  rack: z.string().optional(),
  /** Where other brokers reach it (design §11); absent: nobody can ask it whether it lives. */
  internal: z.object({ host: z.string(), port: count }).optional(),
  checkpoint: z.string().optional(),
  /** Storage versions that its program reads. */
  versions: z.object({ min: count, max: count }).optional(),
  /** `draining`: somebody asked for it, a restart changes nothing · `stopping`: it drains because it ends, the next life is active. */
  state: z.enum(['active', 'draining', 'stopping']),
});
export type NodeRecord = z.infer<typeof nodeRecord>;

export const topicRecord = z.object({ topicId, partitions: count, config: settings });
export type TopicRecord = z.infer<typeof topicRecord>;

/** One partition: who owns it, since which leader epoch, and from which object it is opened (`''`: an empty log). */
export const partitionRecord = z.object({ owner: incarnation, leaderEpoch: count, state: z.string() });
export type PartitionRecord = z.infer<typeof partitionRecord>;

/**
 * An earlier incarnation: its checkpoint pointer, who claimed it, whether it is fenced (design §4), and whether it has ended:
 * no partition record names it any more, so that it is never recovered again and its objects may go. The key stays until they are gone.
 */
export const recoveryRecord = z.object({ checkpoint: z.string().optional(), claim: incarnation, fenced: z.boolean(), ended: z.boolean().default(false) });
export type RecoveryRecord = z.infer<typeof recoveryRecord>;

/**
 * A topic that is not (or no longer) there, but of which partition records or objects may be: one that is being created
 * (its name's transaction removes the key), or a deleted one (collection removes the key).
 */
export const tombstoneRecord = z.object({ name: z.string(), partitions: count, state: z.enum(['creating', 'deleted']), by: incarnation });
export type TombstoneRecord = z.infer<typeof tombstoneRecord>;

/** Who asked for a partition to be elsewhere, and why. The owner executes it; the target removes it when it owns the partition. */
export const moveRecord = z.object({ target: count as unknown as z.ZodType<NodeId>, by: z.string(), why: z.string().default('') });
export type MoveRecord = z.infer<typeof moveRecord>;

/**
 * A partition that another broker owns reaches objects of this node: they stay until the owner drops the hold (design §5). `objects`: which ones
 * (object-ranges.ts); absent: any that existed then.
 */
export const holdRecord = z.object({ objects: z.array(z.string()).optional() });
export type HoldRecord = z.infer<typeof holdRecord>;

/** Who acts as controller. Every write of a controller compares this record's revision; `term` grows with each election. */
export const controllerRecord = z.object({ node: count as unknown as z.ZodType<NodeId>, epoch: count, term: count });
export type ControllerRecord = z.infer<typeof controllerRecord>;

/** The storage version that writers may use (docs/design/0006-versions.md); without the key it is 1. Grows only. */
export const featuresRecord = z.object({
  finalized: z.number().int().min(1),
  /** Somebody is about to finalize this one: no broker that cannot read it registers any more. */
  upgradingTo: z.number().int().min(1).optional(),
  by: z.string(),
});
export type FeaturesRecord = z.infer<typeof featuresRecord>;

export const producerIdsRecord = z.object({ next: count, attempt: z.string() });
export const brokerConfigRecord = settings;

/** The parsed value, or undefined for a bad one. */
export function parseRecord<T>(schema: z.ZodType<T>, value: string): T | undefined {
  try {
    const json: unknown = JSON.parse(value);
    // There are a hundred thousand of these, and whoever takes over or begins reads all of them.
    if ((schema as unknown) === partitionRecord) {
      const record = plainPartitionRecord(json);
      if (record) return record as T;
    }
    const parsed = schema.safeParse(json);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** What the schema would answer, at a tenth of its price; undefined: ask the schema. */
function plainPartitionRecord(json: unknown): PartitionRecord | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { owner, leaderEpoch, state } = json as Partial<PartitionRecord>;
  if (typeof owner !== 'object' || owner === null || typeof state !== 'string' || !isCount(leaderEpoch)) return undefined;
  const { node, epoch } = owner;
  return isCount(node) && isCount(epoch) ? { owner: { node, epoch }, leaderEpoch, state } : undefined;
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Topic id and partition of a move key; undefined for anything else. */
export function parseMoveKey(key: string): { readonly topicId: TopicId; readonly partition: number } | undefined {
  const match = /^moves\/([A-Za-z0-9_-]{22})\/(\d{1,9})$/.exec(key);
  return match ? { topicId: match[1] as TopicId, partition: Number(match[2]) } : undefined;
}

export function parseHoldKey(key: string): { readonly node: NodeId; readonly topicId: TopicId; readonly partition: number } | undefined {
  const match = /^holds\/(\d{1,10})\/([A-Za-z0-9_-]{22})\/(\d{1,9})$/.exec(key);
  return match ? { node: Number(match[1]) as NodeId, topicId: match[2] as TopicId, partition: Number(match[3]) } : undefined;
}

/** Topic id and partition of a partition key; undefined for anything else. */
export function parsePartitionKey(key: string): { readonly topicId: TopicId; readonly partition: number } | undefined {
  const match = /^partitions\/([A-Za-z0-9_-]{22})\/(\d{1,9})$/.exec(key);
  return match ? { topicId: match[1] as TopicId, partition: Number(match[2]) } : undefined;
}

export function parseRecoveryKey(key: string): { readonly node: NodeId; readonly epoch: number } | undefined {
  const match = /^recoveries\/(\d{1,10})\/(\d{1,15})$/.exec(key);
  return match ? { node: Number(match[1]) as NodeId, epoch: Number(match[2]) } : undefined;
}
