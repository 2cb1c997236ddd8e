/**
 * What a group coordinator keeps in `__consumer_offsets`, in Kafka's formats: keys and values begin with a version; a key's
 * version tells its kind (0 and 1: an offset, 2: a classic group; others belong to other kinds of groups). A null value removes the key.
 * Written as Kafka 4.3 writes them: OffsetCommitValue 4 (1 when it carries an expiry time), GroupMetadataValue 3.
 */
import { decodeMessage, encodeMessage } from '../../protocol/codecs.ts';
import type { NewRecord } from '../../log/batch/build-batch.ts';
import type { GroupSnapshot } from './group.ts';

export const offsetsTopic = '__consumer_offsets';
export const zeroTopicId = 'AAAAAAAAAAAAAAAAAAAAAA';

export interface CommittedOffset {
  readonly offset: number;
  /** −1: the client did not say. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
  /** −1: the group's rules decide. Set by OffsetCommit 2–4. */
  readonly expireTimestampMs: number;
  /** `zeroTopicId`: the record is older than that field. */
  readonly topicId: string;
}

export type GroupRecord = OffsetRecord | GroupMetadataRecord;

export interface OffsetRecord {
  readonly kind: 'offset';
  readonly groupId: string;
  readonly topic: string;
  readonly partition: number;
  readonly value: CommittedOffset | null;
}

export interface GroupMetadataRecord {
  readonly kind: 'group';
  readonly groupId: string;
  readonly value: GroupSnapshot | null;
}

const offsetKeyVersion = 1;
const groupKeyVersion = 2;
const offsetValueVersion = 4;
/** The one version that has an expiry time. */
const expiringOffsetValueVersion = 1;
const groupValueVersion = 3;

export function encodeGroupRecord(record: GroupRecord, timestampMs: number): NewRecord {
  if (record.kind === 'offset') {
    const { groupId, topic, partition, value } = record;
    const key = versioned(offsetKeyVersion, encodeMessage('OffsetCommitKey', 0, { group: groupId, topic, partition }));
    return { key, value: value && encodeOffset(value), timestampMs };
  }
  const key = versioned(groupKeyVersion, encodeMessage('GroupMetadataKey', 0, { group: record.groupId }));
  return { key, value: record.value && encodeSnapshot(record.value), timestampMs };
}

/** Undefined: a record of another kind of group. Throws `ProtocolError` or `RangeError` when the bytes are not what their version says. */
export function decodeGroupRecord(key: Buffer, value: Buffer | null): GroupRecord | undefined {
  switch (key.readInt16BE(0)) {
    case 0:
    case offsetKeyVersion: {
      const { group, topic, partition } = decodeMessage('OffsetCommitKey', 0, key.subarray(2));
      return { kind: 'offset', groupId: group, topic, partition, value: value && decodeOffset(value) };
    }
    case groupKeyVersion: {
      const { group } = decodeMessage('GroupMetadataKey', 0, key.subarray(2));
      return { kind: 'group', groupId: group, value: value && decodeSnapshot(value) };
    }
    default:
      return undefined;
  }
}

/** A record's own fields are at most as many bytes: length, attributes, deltas, lengths of key and value, headers. */
const recordOverheadBytes = 24;
const offsetFieldBytes = 2 + 2 + 2 + 4 + (2 + 8 + 4 + 5 + 8 + 16 + 1);
const groupFieldBytes = 2 + 2 + (2 + 2 + 4 + 2 + 2 + 8 + 4);
const memberFieldBytes = 2 + 2 + 2 + 2 + 4 + 4 + 4 + 4;

/** No more bytes than that in a batch, and not many fewer; cheaper than encoding it. */
export function offsetRecordBytes(groupId: string, topic: string, { metadata }: CommittedOffset): number {
  return recordOverheadBytes + offsetFieldBytes + Buffer.byteLength(groupId) + Buffer.byteLength(topic) + Buffer.byteLength(metadata);
}

export function groupRecordBytes(groupId: string, { protocolType, protocolName, leaderId, members }: GroupSnapshot): number {
  let bytes = recordOverheadBytes + groupFieldBytes + textBytes(groupId) + textBytes(protocolType) + textBytes(protocolName) + textBytes(leaderId);
  for (const { memberId, groupInstanceId, clientId, clientHost, subscription, assignment } of members)
    bytes +=
      memberFieldBytes +
      textBytes(memberId) +
      textBytes(groupInstanceId) +
      textBytes(clientId) +
      textBytes(clientHost) +
      subscription.length +
      assignment.length;
  return bytes;
}

/** Of a record that has a value. */
export function recordBytes(record: GroupRecord): number {
  if (!record.value) return recordOverheadBytes;
  return record.kind === 'group' ? groupRecordBytes(record.groupId, record.value) : offsetRecordBytes(record.groupId, record.topic, record.value);
}

function textBytes(text: string | null | undefined): number {
  return text == null ? 0 : Buffer.byteLength(text);
}

function encodeOffset(value: CommittedOffset): Buffer {
  const version = value.expireTimestampMs < 0 ? offsetValueVersion : expiringOffsetValueVersion;
  const { offset, leaderEpoch, metadata, topicId } = value;
  return versioned(
    version,
    encodeMessage('OffsetCommitValue', version, {
      offset,
      leaderEpoch,
      metadata,
      commitTimestamp: value.commitTimestampMs,
      expireTimestamp: value.expireTimestampMs,
      topicId,
    }),
  );
}

function decodeOffset(bytes: Buffer): CommittedOffset {
  const value = decodeMessage('OffsetCommitValue', bytes.readInt16BE(0), bytes.subarray(2));
  return {
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    commitTimestampMs: value.commitTimestamp,
    expireTimestampMs: value.expireTimestamp,
    topicId: value.topicId,
  };
}

function encodeSnapshot(snapshot: GroupSnapshot): Buffer {
  return versioned(
    groupValueVersion,
    encodeMessage('GroupMetadataValue', groupValueVersion, {
      protocolType: snapshot.protocolType ?? '',
      generation: snapshot.generationId,
      protocol: snapshot.protocolName ?? null,
      leader: snapshot.leaderId ?? null,
      currentStateTimestamp: snapshot.phaseSinceMs ?? -1,
      members: snapshot.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: member.subscription,
        assignment: member.assignment,
      })),
    }),
  );
}

function decodeSnapshot(bytes: Buffer): GroupSnapshot {
  const value = decodeMessage('GroupMetadataValue', bytes.readInt16BE(0), bytes.subarray(2));
  return {
    protocolType: value.protocolType === '' ? undefined : value.protocolType,
    generationId: value.generation,
    protocolName: value.protocol ?? undefined,
    leaderId: value.leader ?? undefined,
    phaseSinceMs: value.currentStateTimestamp < 0 ? undefined : value.currentStateTimestamp,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      // Version 0 had one timeout for both.
      rebalanceTimeoutMs: member.rebalanceTimeout < 0 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      // Copies: the bytes that were read live only as long as the read.
      subscription: Buffer.from(member.subscription),
      assignment: Buffer.from(member.assignment),
    })),
  };
}

function versioned(version: number, message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + message.length);
  bytes.writeInt16BE(version, 0);
  message.copy(bytes, 2);
  return bytes;
}
