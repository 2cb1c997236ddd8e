/** Records of the metadata store as the image shows them: parsed, with the revision of their last change. */
import type { Incarnation, NodeId, TopicId } from '../../cluster/identifiers.ts';
import type { ControllerRecord, FeaturesRecord, HoldRecord, PartitionRecord, RecoveryRecord } from '../../cluster/meta-records.ts';

export interface ShownPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: PartitionRecord;
  readonly modRevision: number;
  /** A list may be stale: it alone opens nothing (design §4). */
  readonly source: 'event' | 'list';
}

export interface ShownRecovery {
  readonly incarnation: Incarnation;
  readonly record: RecoveryRecord;
  readonly modRevision: number;
}

export interface ShownHold {
  /** Whose objects are held. */
  readonly node: NodeId;
  readonly topicId: TopicId;
  readonly partition: number;
  readonly record: HoldRecord;
  readonly modRevision: number;
}

export interface ShownController {
  readonly record: ControllerRecord;
  readonly modRevision: number;
}

export interface ShownFeatures {
  readonly record: FeaturesRecord;
  readonly modRevision: number;
}
