/**
 * Which committed offsets are too old (KIP-211, KIP-496): those of an empty group from when it became empty, those of a
 * stable group for topics that nobody subscribes any more and those of a simple group from their commit.
 */
import { type Group, isSubscribedTo, usesConsumerProtocol } from './group.ts';
import type { OffsetsByTopic } from './committed-offsets.ts';
import type { CommittedOffset, OffsetRecord } from './group-records.ts';

export interface Expired {
  readonly records: readonly OffsetRecord[];
  /** Nothing would be left. */
  readonly all: boolean;
}

export function expiredOffsets(group: Group, offsets: OffsetsByTopic, now: { readonly wallMs: number }, retentionMs: number): Expired {
  const keptSinceMs = startOfRetention(group);
  const records: OffsetRecord[] = [];
  let all = true;
  for (const [topic, partitions] of offsets) {
    const expires = keptSinceMs !== undefined && !isSubscribedTo(group, topic);
    for (const [partition, value] of partitions) {
      if (expires && isExpired(value, keptSinceMs(value), now.wallMs, retentionMs))
        records.push({ kind: 'offset', groupId: group.groupId, topic, partition, value: null });
      else all = false;
    }
  }
  return { records, all };
}

/** Undefined: offsets of this group do not expire now. */
function startOfRetention(group: Group): ((value: CommittedOffset) => number) | undefined {
  if (group.protocolType === undefined) return (value) => value.commitTimestampMs;
  if (group.phase === 'Empty') return (value) => group.phaseSinceMs ?? value.commitTimestampMs;
  if (group.phase === 'Stable' && usesConsumerProtocol(group) && group.subscribedTopics) return (value) => value.commitTimestampMs;
  return undefined;
}

function isExpired(value: CommittedOffset, sinceMs: number, nowMs: number, retentionMs: number): boolean {
  return value.expireTimestampMs >= 0 ? nowMs >= value.expireTimestampMs : nowMs - sinceMs >= retentionMs;
}
