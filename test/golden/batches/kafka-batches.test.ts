/**
 * Record batches: we refuse and store what Apache Kafka's own log refuses and stores (scripts/batch-golden.ts asked it),
 * except where a case says why; and we read what its own classes wrote.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type BatchSummary, isTransactional, summarizeBatch } from '../../../broker/log/batch/batch-summary.ts';
import { buildBatch, type NewRecord } from '../../../broker/log/batch/build-batch.ts';
import { type CodecName, codecs } from '../../../broker/log/batch/compression.ts';
import { assignOffsetAndEpoch, compressionMask, crcFits, noProducerId } from '../../../broker/log/batch/record-batch.ts';
import { type DecodedRecord, decodeRecords } from '../../../broker/log/batch/records.ts';
import { validateBatches } from '../../../broker/log/batch/validate-batches.ts';
import { walkBatches } from '../../../broker/log/batch/walk-batches.ts';
import { ProducerState } from '../../../broker/log/producer-state.ts';
import { defaultTopicLogConfig } from '../../../broker/log/topic-log-config.ts';
import { type ErrorCode, ErrorCodes } from '../../../broker/protocol/errors.ts';
import { projectRoot } from '../../tidy/project-files.ts';
import { cases, nowMs, type TopicSettings } from './cases.ts';

interface Outcome {
  readonly kind: 'appended' | 'duplicate' | 'rejected';
  readonly firstOffset?: number;
  readonly lastOffset?: number;
  readonly error?: string;
  readonly records?: readonly number[];
}

interface Judged {
  readonly name: string;
  readonly outcomes: readonly Outcome[];
  readonly stored: string;
}

interface Written {
  readonly codec: CodecName;
  readonly count: number;
  readonly batch: string;
}

const judged = new Map(lines<Judged>('judged').map((line) => [line.name, line]));

test('Kafka was asked about every case', () => {
  assert.deepEqual([...judged.keys()].sort(), cases.map(({ name }) => name).sort());
});

for (const sample of cases) {
  test(`as Kafka: ${sample.name}`, () => {
    const kafka = judged.get(sample.name)!;
    const log = new Log(sample.topic);
    const ours = sample.sent.map((batch) => log.append(Buffer.from(batch)));
    const wanted = kafka.outcomes.map(asWeWouldSay);
    const stored = Buffer.concat(log.stored);
    if (sample.differs) {
      assert.equal(ours.at(-1)?.error ?? ours.at(-1)?.kind, sample.differs.ours);
      assert.notDeepEqual({ ours, stored: stored.toString('hex') }, { ours: wanted, stored: kafka.stored }, 'the difference is gone: take it out of the case');
      return;
    }
    assert.deepEqual(
      ours.map((outcome, index) => (kafka.outcomes[index]?.error === 'UNKNOWN_SERVER_ERROR' ? withoutRecords(outcome) : outcome)),
      wanted,
    );
    assertStoredAlike(stored, Buffer.from(kafka.stored, 'hex'));
  });
}

for (const { codec, count, batch } of lines<Written>('written')) {
  test(`${count} records that Kafka wrote, ${codec}`, () => {
    const bytes = Buffer.from(batch, 'hex');
    const header = { baseOffset: 1e12, leaderEpoch: 5, producerId: 77, producerEpoch: 3, baseSequence: 2 ** 31 - 2, transactional: true };
    const records = Array.from({ length: count }, (_, index) => writtenRecord(index));
    const decoded = decodeRecords(bytes, { maxOutputBytes: 1 << 20 });
    assert.deepEqual(
      decoded.kind === 'ok' && decoded.records,
      records.map(
        ({ key, value, timestampMs, headers }, index): DecodedRecord => ({
          offset: 1e12 + index,
          timestampMs,
          key: copy(key),
          value: copy(value),
          headers: headers!,
        }),
      ),
    );
    assert.ok(crcFits(bytes, 0));
    const built = buildBatch({ ...header, records, compression: codec });
    if (codec === 'uncompressed') assert.deepEqual(built, bytes);
    assert.deepEqual({ ...summarizeBatch(built, 0), sizeBytes: 0 }, { ...summarizeBatch(bytes, 0), sizeBytes: 0 });
  });
}

/** As far as validation and producer states go. */
class Log {
  readonly #topic: TopicSettings;
  readonly #producers = new ProducerState({ maxProducers: 100, expirationMs: 86_400_000 });
  readonly stored: Buffer[] = [];
  #endOffset = 0;

  constructor(topic: TopicSettings) {
    this.#topic = topic;
  }

  append(bytes: Buffer): Outcome {
    const valid = validateBatches(bytes, { origin: 'client', config: { ...defaultTopicLogConfig, ...this.#topic }, nowMs, maxDecompressedBytes: 1 << 20 });
    if (valid.kind === 'rejected') {
      const records = valid.recordErrors?.map(({ batchIndex }) => batchIndex);
      return { kind: 'rejected', error: errorName(valid.error), ...(records ? { records } : {}) };
    }
    const batch = valid.batches[0]!;
    const firstOffset = this.#endOffset;
    const lastOffset = firstOffset + batch.lastOffsetDelta;
    if (batch.producerId > noProducerId) {
      const verdict = this.#producers.check(batch, nowMs);
      if (verdict.kind === 'reject') return { kind: 'rejected', error: errorName(verdict.error) };
      if (verdict.kind === 'duplicate') return { kind: 'duplicate', firstOffset: verdict.firstOffset, lastOffset: verdict.lastOffset };
      this.#apply(batch, firstOffset);
    }
    assignOffsetAndEpoch(valid.records, 0, firstOffset, 0);
    this.#endOffset = lastOffset + 1;
    this.stored.push(valid.records);
    return { kind: 'appended', firstOffset, lastOffset };
  }

  #apply(batch: BatchSummary, firstOffset: number): void {
    const { producerId, producerEpoch, baseSequence, lastSequence, maxTimestamp, lastOffsetDelta } = batch;
    const place = { firstSequence: baseSequence, lastSequence, firstOffset, lastOffset: firstOffset + lastOffsetDelta, timestampMs: maxTimestamp };
    this.#producers.apply({ producerId, producerEpoch, ...place, kind: isTransactional(batch) ? 'transactional' : 'idempotent' }, nowMs);
  }
}

/** UNKNOWN_SERVER_ERROR is never our answer: a client bug (KAFKA-14034) makes duplicates of it. */
function asWeWouldSay(kafka: Outcome): Outcome {
  return kafka.error === 'UNKNOWN_SERVER_ERROR' ? { kind: 'rejected', error: 'INVALID_RECORD' } : kafka;
}

function withoutRecords({ kind, error }: Outcome): Outcome {
  return error === undefined ? { kind } : { kind, error };
}

/** Byte for byte; where another codec was wanted only the records can be the same. */
function assertStoredAlike(ours: Buffer, kafka: Buffer): void {
  if (ours.equals(kafka)) return;
  const ourBatches = [...walkBatches(ours)];
  const kafkaBatches = [...walkBatches(kafka)];
  assert.equal(ourBatches.length, kafkaBatches.length);
  for (const [index, { position, sizeBytes, attributes }] of ourBatches.entries()) {
    const our = ours.subarray(position, position + sizeBytes);
    const theirs = kafka.subarray(kafkaBatches[index]!.position);
    assert.notEqual(attributes & compressionMask, codecs.uncompressed, 'uncompressed batches differ');
    assert.ok(crcFits(our, 0));
    assert.deepEqual({ ...summarizeBatch(our, 0), sizeBytes: 0 }, { ...summarizeBatch(theirs, 0), sizeBytes: 0 });
    assert.deepEqual(decodeRecords(our, { maxOutputBytes: 1 << 20 }), decodeRecords(theirs, { maxOutputBytes: 1 << 20 }));
  }
}

/** As Batches.java makes them. */
function writtenRecord(index: number): NewRecord {
  const headers = Array.from({ length: index % 4 }, (_, h) => ({ key: `header-é-${h}`, value: h === 2 ? null : Buffer.from([h, index]) }));
  return {
    key: index % 3 === 2 ? null : Buffer.from(`key-${index}`),
    value: index % 7 === 6 ? null : Buffer.from('value '.repeat(index % 50) + index),
    timestampMs: 1_700_000_000_000 + (index % 5) * 1000 - index,
    headers,
  };
}

function copy(bytes: Uint8Array | null): Buffer | null {
  return bytes == null ? null : Buffer.from(bytes);
}

function errorName(code: ErrorCode): string {
  return Object.entries(ErrorCodes).find(([, value]) => value === code)![0];
}

function lines<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(join(projectRoot, `test/golden/batches/${name}.jsonl.gz`))).toString('utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}
