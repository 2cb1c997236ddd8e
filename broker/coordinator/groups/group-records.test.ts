import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeMessage } from '../../protocol/codecs.ts';
import { partitionOfGroup } from './coordinator-partition.ts';
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord, zeroTopicId } from './group-records.ts';

const memberId = 'test-1d6e9da8-1e66-4bcd-839a-ac6413aa7ae3';

/** Read from `__consumer_offsets` of Apache Kafka 4.3.1: key, value, and what they say. */
const golden: readonly { readonly key: string; readonly value: string | null; readonly record: GroupRecord }[] = [
  {
    key: '0001000000017400000000',
    value: '000400000000000000050000000201000001a20983c28b01001028f1ab32598142cda7eea934c43f8644',
    record: {
      kind: 'offset',
      groupId: '',
      topic: 't',
      partition: 0,
      value: { offset: 5, leaderEpoch: 2, metadata: '', commitTimestampMs: 1795455959691, expireTimestampMs: -1, topicId: 'KPGrMlmBQs2n7qk0xD-GRA' },
    },
  },
  {
    key: '0001000876332d353930393100017500000000',
    value: '000100000000000000030000000001a20983c281000001a2099304c1',
    record: {
      kind: 'offset',
      groupId: 'v3-59091',
      topic: 'u',
      partition: 0,
      value: { offset: 3, leaderEpoch: -1, metadata: '', commitTimestampMs: 1795455959681, expireTimestampMs: 1795456959681, topicId: zeroTopicId },
    },
  },
  {
    key: '00010007732d353930393100017400000002',
    value: null,
    record: { kind: 'offset', groupId: 's-59091', topic: 't', partition: 2, value: null },
  },
  {
    key: '0002000964796e2d3539303931',
    value:
      '00030008636f6e73756d657200000001000572616e67650029746573742d31643665396461382d316536362d346263642d383339612d616336343133616137616533000001a20983c388000000010029746573742d31643665396461382d316536362d346263642d383339612d616336343133616137616533ffff000474657374000a2f3132372e302e302e310000ea60000027100000000d000000000001000174ffffffff00000000',
    record: {
      kind: 'group',
      groupId: 'dyn-59091',
      value: {
        protocolType: 'consumer',
        generationId: 1,
        protocolName: 'range',
        leaderId: memberId,
        phaseSinceMs: 1795455959944,
        members: [
          {
            memberId,
            groupInstanceId: null,
            clientId: 'test',
            clientHost: '/127.0.0.1',
            rebalanceTimeoutMs: 60_000,
            sessionTimeoutMs: 10_000,
            subscription: Buffer.from('000000000001000174ffffffff', 'hex'),
            assignment: Buffer.alloc(0),
          },
        ],
      },
    },
  },
  {
    key: '0002000964796e2d3539303931',
    value: '0003000000000000ffffffff000001a20983c37f00000000',
    record: {
      kind: 'group',
      groupId: 'dyn-59091',
      value: { protocolType: undefined, generationId: 0, protocolName: undefined, leaderId: undefined, phaseSinceMs: 1795455959935, members: [] },
    },
  },
  { key: '00020007732d3539303931', value: null, record: { kind: 'group', groupId: 's-59091', value: null } },
];

test('records are byte for byte those of Apache Kafka', () => {
  for (const { key, value, record } of golden) {
    assert.deepEqual(decodeGroupRecord(Buffer.from(key, 'hex'), value == null ? null : Buffer.from(value, 'hex')), record);
    const encoded = encodeGroupRecord(record, 7);
    assert.deepEqual(
      [Buffer.from(encoded.key ?? []).toString('hex'), encoded.value && Buffer.from(encoded.value).toString('hex'), encoded.timestampMs],
      [key, value, 7],
    );
  }
});

test('records of all earlier versions are read', () => {
  const key = Buffer.concat([Buffer.from([0, 0]), encodeMessage('OffsetCommitKey', 0, { group: 'g', topic: 't', partition: 1 })]);
  for (let version = 0; version <= 4; version += 1) {
    const message = encodeMessage('OffsetCommitValue', version, {
      offset: 8,
      leaderEpoch: 3,
      metadata: 'm',
      commitTimestamp: 9,
      expireTimestamp: 10,
      topicId: zeroTopicId,
    });
    const record = decodeGroupRecord(key, Buffer.concat([Buffer.from([0, version]), message]));
    const value = {
      offset: 8,
      leaderEpoch: version >= 3 ? 3 : -1,
      metadata: 'm',
      commitTimestampMs: 9,
      expireTimestampMs: version === 1 ? 10 : -1,
      topicId: zeroTopicId,
    };
    assert.deepEqual(record, { kind: 'offset', groupId: 'g', topic: 't', partition: 1, value });
  }
  const member = {
    memberId,
    clientId: 'c',
    clientHost: 'h',
    rebalanceTimeout: 5,
    sessionTimeout: 4,
    subscription: Buffer.from('s'),
    assignment: Buffer.from('a'),
  };
  for (let version = 0; version <= 4; version += 1) {
    const message = encodeMessage('GroupMetadataValue', version, {
      protocolType: 'consumer',
      generation: 2,
      protocol: 'range',
      leader: memberId,
      currentStateTimestamp: 6,
      members: [member],
    });
    const record = decodeGroupRecord(Buffer.from([0, 2, 0, 1, 0x67]), Buffer.concat([Buffer.from([0, version]), message]));
    assert.equal(record?.kind, 'group');
    if (record?.kind !== 'group') return;
    assert.deepEqual([record.value?.phaseSinceMs, record.value?.members[0]?.rebalanceTimeoutMs], [version >= 2 ? 6 : undefined, version >= 1 ? 5 : 4]);
  }
});

test('a group lives in the partition that Kafka computes for it', () => {
  // Java: "hello".hashCode() = 99162322, "my-group" = -1906497762, "polygenelubricants" = the least integer.
  assert.equal(partitionOfGroup('hello', 50), 22);
  assert.equal(partitionOfGroup('my-group', 50), 12);
  assert.equal(partitionOfGroup('polygenelubricants', 50), 0);
  assert.equal(partitionOfGroup('', 50), 0);
  assert.equal(partitionOfGroup('gruppe-ä-🙂', 50), 34);
});
