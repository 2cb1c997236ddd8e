/**
 * Where we do not do as Apache Kafka does, on purpose, and why: our observations in place of the recorded ones. The test fails
 * when a difference is gone, too. docs/bad-input.md is made from this (differential.ts).
 */
import type { Observation } from './observation.ts';

export interface AcceptedDifference {
  readonly title: string;
  readonly verdict: 'Kafka fails' | 'we are stricter' | 'we are kinder' | 'no followers';
  readonly why: string;
  /** By name of the case. */
  readonly ours: Readonly<Record<string, Observation>>;
}

export const acceptedDifferences: readonly AcceptedDifference[] = [
  {
    title: 'The header needs no tagged fields to be understood',
    verdict: 'we are kinder',
    why: 'A client that wants to know the versions gets them, even when its header is of another shape than ours (KIP-511). Kafka reads tagged fields first and fails.',
    ours: {
      'B09 ApiVersions v99 without a body': ['UNSUPPORTED_VERSION', 'says ApiVersions 0–4', 'open'],
    },
  },
  {
    title: 'Lengths below null',
    verdict: 'we are stricter',
    why: 'A length that no encoder writes: Kafka reads it as a negative number and takes it for null, or for no tags. We close: what comes behind such a length cannot be what it seems.',
    ours: {
      'B12 array of -2': ['closed'],
      'B12 array of -2147483648': ['closed'],
      'B12 compact array length ff ff ff ff 0f': ['closed'],
      'B12 compact array length ff ff ff ff 7f': ['closed'],
      'B14 2^32 − 1 tags in the body': ['closed'],
      'B14 2^32 − 1 tags in the header': ['closed'],
    },
  },
  {
    title: 'More elements than a message may hold',
    verdict: 'we are stricter',
    why: 'An element costs a byte in the frame and a hundred in memory. Our decoder stops at 262,144 of them.',
    ours: {
      'B13 5000000 empty strings': ['closed'],
    },
  },
  {
    title: 'Kafka never answers',
    verdict: 'Kafka fails',
    why: 'Kafka throws past its own error handling and neither answers nor closes: the client waits for its timeout. We answer what the rest of the code says: null records are INVALID_RECORD, a protocol named twice is one protocol.',
    ours: {
      'B29 null records': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B33 acks 0, null records': ['closed'],
      'B45 good and bad partitions together': [
        '$topic-0 NONE',
        '$topic-1 INVALID_RECORD',
        '$topic-2 UNKNOWN_TOPIC_OR_PARTITION',
        '$unknown-0 UNKNOWN_TOPIC_OR_PARTITION',
        'open',
      ],
      'B54 JoinGroup the same protocol twice': ['NONE', 'generation 1, a member id, 1 members', 'open'],
    },
  },
  {
    title: 'Never UNKNOWN_SERVER_ERROR on Produce',
    verdict: 'Kafka fails',
    why: 'Producers send again after UNKNOWN_SERVER_ERROR (KAFKA-14034), though these records will never be taken. INVALID_RECORD says so.',
    ours: {
      'B30 batch length 2147483647': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 gzip, cut, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 raw deflate as gzip, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says gzip and is empty, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says gzip and is not, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says lz4 and is empty, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says lz4 and is not, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says snappy and is empty, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says snappy and is not, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B38 says zstd and is not, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B39 snappy stream, chunk of 2^31 − 1 bytes, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B39 snappy stream, chunk of −1 bytes, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B39 snappy stream, empty chunks, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B39 snappy, declared length 2^32 − 1, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B40 lz4, block larger than allowed, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B40 lz4, cut, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B40 lz4, unknown version, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B40 lz4, wrong header checksum, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B41 zstd with a dictionary id, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B41 zstd, window of 2 GiB, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 5': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 5, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 6': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 6, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 7': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B42 codec 7, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B44 record size without end, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
    },
  },
  {
    title: 'Records stay unread',
    verdict: 'we are kinder',
    why: 'Work per batch, not per record: the records of a topic that asks for nothing (compaction, another codec) are stored as they came. Their faults are found by whoever reads them. What is bounded without reading is checked: an uncompressed batch may not claim more records than it has room for.',
    ours: {
      'B31 last offset delta 1, count 2': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B31 last offset delta 3, count 4': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B38 gzip, cut': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 header count too large': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 header count −1': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 key longer than the record': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 record size negative': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 record size too large': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 record size without end': ['$topic-0 NONE', 'base offset 0', 'open'],
      'B44 value length −2': ['$topic-0 NONE', 'base offset 0', 'open'],
    },
  },
  {
    title: 'Bits without a meaning',
    verdict: 'we are stricter',
    why: 'Attribute bits without a meaning today are not stored: they may mean something tomorrow.',
    ours: {
      'B34 attributes 100': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B34 attributes 40': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B34 attributes 4000': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B34 attributes 80': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
      'B34 attributes 8000': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
    },
  },
  {
    title: 'Numbers past 2^53',
    verdict: 'we are stricter',
    why: 'No producer id and no time is past 2^53; arithmetic with them would not be exact.',
    ours: {
      'B35 timestamp -1152921504606846976': ['$topic-0 INVALID_TIMESTAMP (records 0)', 'base offset -1', 'open'],
      'B37 producer id 2^63 − 1': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
    },
  },
  {
    title: 'A producer without epoch',
    verdict: 'we are stricter',
    why: 'An epoch that nobody can have.',
    ours: {
      'B37 producer epoch −1': ['$topic-0 INVALID_PRODUCER_EPOCH', 'base offset -1', 'open'],
    },
  },
  {
    title: 'Memory to look inside',
    verdict: 'we are stricter',
    why: 'Where the broker has to look inside, a batch may be so large when decompressed, and no larger. Kafka decompresses whatever it takes, in pieces.',
    ours: {
      'B38 gzip bomb of one record, compacted': ['$topic-0 INVALID_RECORD', 'base offset -1', 'open'],
    },
  },
  {
    title: 'One partition twice in a request',
    verdict: 'Kafka fails',
    why: 'Kafka keeps one of the two batches and says nothing of the other, which is lost. We append both and answer both.',
    ours: {
      'B45 one partition twice': ['$topic-0 NONE', '$topic-0 NONE', '2 answers', 'open'],
      'B45 one topic twice': ['$topic-0 NONE', '$topic-0 NONE', '2 answers', 'open'],
    },
  },
  {
    title: 'Limits below zero',
    verdict: 'Kafka fails',
    why: 'Kafka fails with UNKNOWN_SERVER_ERROR. A negative limit is no more than a limit of zero: one batch.',
    ours: {
      'B49 max bytes -1': ['$topic-0 NONE', 'base offset 0', '$topic-0 NONE', '1 partitions 0…3, 148 bytes, no session', 'open'],
      'B49 partition max bytes -1': ['$topic-0 NONE', 'base offset 0', '$topic-0 NONE', '1 partitions 0…3, 148 bytes, no session', 'open'],
    },
  },
  {
    title: 'Values that no list has',
    verdict: 'Kafka fails',
    why: 'Kafka meets the value with an exception that nothing expects and answers UNKNOWN_SERVER_ERROR; INVALID_REQUEST says whose fault it is.',
    ours: {
      'B50 isolation level -1': [
        '$topic-0 NONE',
        'base offset 0',
        '$topic-0 INVALID_REQUEST',
        'INVALID_REQUEST',
        '1 partitions -1…-1, 0 bytes, no session',
        'open',
      ],
      'B50 isolation level 2': [
        '$topic-0 NONE',
        'base offset 0',
        '$topic-0 INVALID_REQUEST',
        'INVALID_REQUEST',
        '1 partitions -1…-1, 0 bytes, no session',
        'open',
      ],
      'B50 isolation level 7': [
        '$topic-0 NONE',
        'base offset 0',
        '$topic-0 INVALID_REQUEST',
        'INVALID_REQUEST',
        '1 partitions -1…-1, 0 bytes, no session',
        'open',
      ],
      'B52 ListOffsets isolation level -1': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', '-1 at -1', 'open'],
      'B52 ListOffsets isolation level 2': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', '-1 at -1', 'open'],
      'B52 ListOffsets isolation level 7': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', '-1 at -1', 'open'],
      'B55 IncrementalAlterConfigs operation -1': ['$topic INVALID_REQUEST', 'open'],
      'B55 IncrementalAlterConfigs operation 4': ['$topic INVALID_REQUEST', 'open'],
      'B55 IncrementalAlterConfigs operation 9': ['$topic INVALID_REQUEST', 'open'],
    },
  },
  {
    title: 'Replicas',
    verdict: 'no followers',
    why: 'There are no followers here: a fetch that says it is one is refused, whichever it is.',
    ours: {
      'B50 replica id -3': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', 'INVALID_REQUEST', '1 partitions -1…-1, 0 bytes, no session', 'open'],
      'B50 replica id 0': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', 'INVALID_REQUEST', '1 partitions -1…-1, 0 bytes, no session', 'open'],
      'B50 replica id 5': ['$topic-0 NONE', 'base offset 0', '$topic-0 INVALID_REQUEST', 'INVALID_REQUEST', '1 partitions -1…-1, 0 bytes, no session', 'open'],
      'B50 replica id 5 in v15': [
        '$topic-0 NONE',
        'base offset 0',
        '$topicId-0 INVALID_REQUEST',
        'INVALID_REQUEST',
        '1 partitions -1…-1, 0 bytes, no session',
        'open',
      ],
    },
  },
  {
    title: 'Negative leader epochs',
    verdict: 'we are kinder',
    why: 'A negative epoch means that the client knows none, as in Fetch.',
    ours: {
      'B51 ListOffsets leader epoch -2': ['$topic-0 NONE', 'base offset 0', '$topic-0 NONE', '3 at -1', 'open'],
    },
  },
  {
    title: 'Cursor at the end of int32',
    verdict: 'Kafka fails',
    why: 'Kafka’s sum overflows into a negative cursor, which it will refuse next.',
    ours: {
      'B53 DescribeTopicPartitions cursor at partition 2147483647': ['$topic NONE', 'partitions [], the end', 'open'],
    },
  },
  {
    title: 'A topic by id and by name',
    verdict: 'we are kinder',
    why: 'Once an id is there Kafka forgets the names of the same request. We answer what was asked.',
    ours: {
      'B53 Metadata an id and a name of another': ['$topic NONE', '$topic NONE', '$topic-0 NONE', '$topic-0 NONE', '2 topics, 1 brokers', 'open'],
    },
  },
  {
    title: 'Topics without a name',
    verdict: 'Kafka fails',
    why: 'Kafka fails with UNKNOWN_SERVER_ERROR, for the whole Metadata request. The name is what is wrong.',
    ours: {
      'B53 DescribeTopicPartitions topic "" of 0': ['"" INVALID_TOPIC_EXCEPTION', 'partitions [], the end', 'open'],
      'B53 Metadata null name, zero id, v12': ['INVALID_TOPIC_EXCEPTION', 'NONE', '1 topics, 1 brokers', 'open'],
      'B53 Metadata null name, zero id, v13': ['INVALID_TOPIC_EXCEPTION', 'NONE', '1 topics, 1 brokers', 'open'],
    },
  },
  {
    title: 'Bounds of a group member',
    verdict: 'we are stricter',
    why: 'A member may bring 100 protocols and 1 MiB of metadata: they are kept in memory, and every member of a rebalance receives what the others brought. Kafka’s only bound is the size of a request.',
    ours: {
      'B54 JoinGroup 1,000 protocols': ['INCONSISTENT_GROUP_PROTOCOL', 'generation -1, no member id, 0 members', 'open'],
      'B54 JoinGroup 10 MiB of metadata': ['INVALID_REQUEST', 'generation -1, no member id, 0 members', 'open'],
    },
  },
  {
    title: 'Default of min.insync.replicas',
    verdict: 'no followers',
    why: 'Kafka sets min.insync.replicas for the cluster when it turns eligible leader replicas on (KIP-966), which have nothing to do here.',
    ours: {
      'B55 DescribeConfigs broker without a name': ['"" NONE', '0 settings', 'open'],
    },
  },
  {
    title: 'A resource twice',
    verdict: 'we are stricter',
    why: 'Each resource is described once: a description is a hundred times larger than its name.',
    ours: {
      'B55 DescribeConfigs one topic twice': ['$topic NONE', '1 settings', 'open'],
    },
  },
  {
    title: 'Too many partitions',
    verdict: 'Kafka fails',
    why: 'Kafka’s controller runs into an exception; a client learns nothing from UNKNOWN_SERVER_ERROR.',
    ours: {
      'B58 CreatePartitions to 1000000000': ['$topic INVALID_PARTITIONS', 'open'],
      'B58 CreatePartitions to 2147483647': ['$topic INVALID_PARTITIONS', 'open'],
    },
  },
  {
    title: 'Replication factors',
    verdict: 'no followers',
    why: 'The object store replicates: any factor is accepted, one replica is reported, so that programs made for three brokers run on one.',
    ours: {
      'B58 CreateTopics replication factor 32767': ['$unknown NONE', '"$unknown": 1 × 1', 'open'],
      'B58 CreateTopics replication factor 5': ['$unknown NONE', '"$unknown": 1 × 1', 'open'],
    },
  },
];
