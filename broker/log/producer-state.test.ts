import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ErrorCodes } from '../protocol/errors.ts';
import type { BatchSummary } from './batch/batch-summary.ts';
import { controlFlag, sequenceAfter, transactionalFlag } from './batch/record-batch.ts';
import type { ProducerBatch } from './format/slices.ts';
import { ProducerState, type ProducerStateOptions } from './producer-state.ts';

const wrap = 2 ** 31 - 1;

interface Sent {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence: number;
  readonly records?: number;
  readonly kind?: ProducerBatch['kind'];
}

/** A partition that appends whatever its producer state accepts. */
class Log {
  state: ProducerState;
  readonly options: ProducerStateOptions;
  endOffset = 0;
  nowMs = 1_000;

  constructor(options: Partial<ProducerStateOptions> = {}) {
    this.options = { maxProducers: 100, expirationMs: 60_000, ...options };
    this.state = new ProducerState(this.options);
  }

  send(sent: Sent, ticket?: unknown) {
    const verdict = this.state.check(summary(sent), this.nowMs);
    if (verdict.kind === 'accept') this.append(sent, ticket);
    return verdict;
  }

  append({ producerId = 7, epoch = 0, sequence, records = 1, kind = 'idempotent' }: Sent, ticket?: unknown): void {
    const firstOffset = this.endOffset;
    this.endOffset += records;
    const lastSequence = sequence < 0 ? -1 : sequenceAfter(sequence, records - 1);
    const batch = {
      producerId,
      producerEpoch: epoch,
      firstSequence: sequence,
      lastSequence,
      firstOffset,
      lastOffset: this.endOffset - 1,
      timestampMs: this.nowMs,
      kind,
    };
    this.state.apply(batch, this.nowMs, ticket);
  }

  outcome(sent: Sent): string {
    const verdict = this.send(sent);
    if (verdict.kind === 'reject') return Object.entries(ErrorCodes).find(([, code]) => code === verdict.error)![0];
    return verdict.kind === 'duplicate' ? `duplicate of ${verdict.firstOffset}..${verdict.lastOffset}` : 'accept';
  }

  restart(): void {
    this.state = ProducerState.decode(this.state.encode(), this.options);
  }
}

function summary({ producerId = 7, epoch = 0, sequence, records = 1, kind = 'idempotent' }: Sent): BatchSummary {
  const flags = { idempotent: 0, transactional: transactionalFlag, commit: transactionalFlag | controlFlag, abort: transactionalFlag | controlFlag };
  const lastSequence = sequence < 0 ? -1 : sequenceAfter(sequence, records - 1);
  const identity = { producerId, producerEpoch: epoch, baseSequence: sequence, lastSequence };
  return {
    position: 0,
    sizeBytes: 100,
    baseOffset: 0,
    lastOffsetDelta: records - 1,
    recordCount: records,
    firstTimestamp: 0,
    maxTimestamp: 0,
    attributes: flags[kind],
    leaderEpoch: -1,
    ...identity,
  };
}

test('sequences go on without gaps, gaps are OUT_OF_ORDER_SEQUENCE_NUMBER', () => {
  const log = new Log();
  assert.equal(log.outcome({ sequence: 0, records: 3 }), 'accept');
  assert.equal(log.outcome({ sequence: 4 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(log.outcome({ sequence: 3, records: 2 }), 'accept');
  assert.equal(log.outcome({ sequence: 4 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(log.outcome({ sequence: 5 }), 'accept');
});

test('a retry of any of the last five batches gets the first offsets, an older one is out of order', () => {
  const log = new Log();
  for (let sequence = 0; sequence < 12; sequence += 2) log.send({ sequence, records: 2 });
  for (const [sequence, offsets] of [
    [2, '2..3'],
    [4, '4..5'],
    [6, '6..7'],
    [8, '8..9'],
    [10, '10..11'],
  ] as const) {
    assert.equal(log.outcome({ sequence, records: 2 }), `duplicate of ${offsets}`);
  }
  assert.equal(log.outcome({ sequence: 0, records: 2 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  // Same first sequence, other length: not that batch.
  assert.equal(log.outcome({ sequence: 10, records: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(log.endOffset, 12);
});

test('sequences start again behind 2^31 − 1, inside a batch and between two', () => {
  const log = new Log();
  log.append({ sequence: wrap - 1 });
  assert.equal(log.outcome({ sequence: wrap, records: 3 }), 'accept');
  assert.equal(log.outcome({ sequence: 2 }), 'accept');
  assert.equal(log.outcome({ sequence: wrap, records: 3 }), 'duplicate of 1..3');
  const other = new Log();
  other.append({ sequence: wrap });
  assert.equal(other.outcome({ sequence: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(other.outcome({ sequence: 0 }), 'accept');
});

test('a new epoch begins at 0, forgets the batches of the old one, and the old one is refused', () => {
  const log = new Log();
  log.send({ epoch: 3, sequence: 0 });
  assert.equal(log.outcome({ epoch: 4, sequence: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(log.outcome({ epoch: 4, sequence: 0 }), 'accept');
  assert.equal(log.outcome({ epoch: 4, sequence: 0 }), 'duplicate of 1..1');
  assert.equal(log.outcome({ epoch: 3, sequence: 1 }), 'INVALID_PRODUCER_EPOCH');
  assert.equal(log.outcome({ epoch: 3, sequence: 0 }), 'INVALID_PRODUCER_EPOCH');
});

test('an unknown producer may begin anywhere (KIP-360), but not with a negative epoch', () => {
  const log = new Log();
  assert.equal(log.outcome({ producerId: 1, sequence: 500 }), 'accept');
  assert.equal(log.outcome({ producerId: 1, sequence: 500 }), 'duplicate of 0..0');
  assert.equal(log.outcome({ producerId: 2, epoch: -1, sequence: 0 }), 'INVALID_PRODUCER_EPOCH');
  assert.equal(log.outcome({ producerId: 2, epoch: -2, sequence: 0 }), 'INVALID_PRODUCER_EPOCH');
});

test('a retry finds the ticket of its first attempt until the high watermark has passed it', () => {
  const log = new Log();
  const ticketOf = (sequence: number) => {
    const verdict = log.state.check(summary({ sequence }), log.nowMs);
    assert.equal(verdict.kind, 'duplicate');
    return verdict.kind === 'duplicate' ? verdict.ticket : undefined;
  };
  for (let sequence = 0; sequence < 4; sequence += 1) log.send({ sequence }, `group ${sequence}`);
  assert.deepEqual([0, 1, 2, 3].map(ticketOf), ['group 0', 'group 1', 'group 2', 'group 3']);
  log.state.highWatermarkAdvanced(2);
  assert.deepEqual([0, 1, 2, 3].map(ticketOf), [undefined, undefined, 'group 2', 'group 3']);
  log.state.highWatermarkAdvanced(4);
  log.send({ sequence: 4 }, 'group 4');
  assert.deepEqual([3, 4].map(ticketOf), [undefined, 'group 4']);
});

test('tickets are let go however many batches wait', () => {
  const log = new Log();
  const tickets: WeakRef<object>[] = [];
  for (let sequence = 0; sequence < 1_000; sequence += 1) {
    const ticket = {};
    tickets.push(new WeakRef(ticket));
    log.send({ sequence }, ticket);
    if (sequence % 7 === 0) log.state.highWatermarkAdvanced(Math.max(0, sequence - 150));
  }
  for (let highWatermark = 850; highWatermark <= 1_000; highWatermark += 1) {
    log.state.highWatermarkAdvanced(highWatermark);
    const verdict = log.state.check(summary({ sequence: 999 }), 0);
    assert.ok(verdict.kind === 'duplicate' && (verdict.ticket === undefined) === (highWatermark === 1_000));
  }
});

test('coordinators write without sequences: only the epoch counts', () => {
  const log = new Log();
  assert.equal(log.outcome({ epoch: 2, sequence: -1, kind: 'transactional' }), 'accept');
  assert.equal(log.outcome({ epoch: 2, sequence: -1, kind: 'transactional' }), 'accept');
  assert.equal(log.outcome({ epoch: 1, sequence: -1, kind: 'transactional' }), 'INVALID_PRODUCER_EPOCH');
});

test('inside a transaction everything is transactional; a marker ends it and keeps the sequence', () => {
  const log = new Log();
  assert.equal(log.outcome({ sequence: 0, kind: 'transactional' }), 'accept');
  assert.equal(log.outcome({ sequence: 1 }), 'INVALID_TXN_STATE');
  assert.equal(log.outcome({ sequence: -1, kind: 'commit' }), 'accept');
  assert.equal(log.outcome({ sequence: 1 }), 'accept');
});

test('after a marker of a higher epoch (KIP-890) the next sequence is 0', () => {
  const log = new Log();
  log.send({ sequence: 0, kind: 'transactional' });
  assert.equal(log.outcome({ epoch: 1, sequence: -1, kind: 'abort' }), 'accept');
  assert.equal(log.outcome({ epoch: 0, sequence: 1, kind: 'transactional' }), 'INVALID_PRODUCER_EPOCH');
  assert.equal(log.outcome({ epoch: 1, sequence: 1, kind: 'transactional' }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.equal(log.outcome({ epoch: 1, sequence: 0, kind: 'transactional' }), 'accept');
});

test('an open transaction holds committed readers back until its marker counts', () => {
  const log = new Log();
  log.send({ sequence: 0 });
  log.send({ producerId: 8, sequence: 0, kind: 'transactional' });
  log.send({ producerId: 9, sequence: 0, kind: 'transactional' });
  assert.equal(log.state.firstOpenTransactionOffset, 1);
  log.send({ producerId: 8, sequence: -1, kind: 'commit' });
  log.state.highWatermarkAdvanced(3);
  assert.equal(log.state.firstOpenTransactionOffset, 1);
  log.state.highWatermarkAdvanced(4);
  assert.equal(log.state.firstOpenTransactionOffset, 2);
  log.send({ producerId: 9, sequence: -1, kind: 'abort' });
  log.state.highWatermarkAdvanced(5);
  assert.equal(log.state.firstOpenTransactionOffset, undefined);
  assert.deepEqual(log.state.abortedTransactions(0, 5), [{ producerId: 9, firstOffset: 2 }]);
});

test('idle producers expire by our clock, not by their timestamps; open transactions and retries keep them', () => {
  const log = new Log();
  log.send({ producerId: 1, sequence: 0 });
  log.send({ producerId: 2, sequence: 0, kind: 'transactional' });
  log.send({ producerId: 3, sequence: 0 });
  log.nowMs += 50_000;
  log.send({ producerId: 3, sequence: 0 });
  log.nowMs += 10_000;
  log.state.expire(log.nowMs);
  assert.deepEqual(
    log.state.active().map(({ producerId }) => producerId),
    [2, 3],
  );
});

test('a flood of producers stays within the bound: the least recently active go', () => {
  let evicted = 0;
  const log = new Log({ maxProducers: 80, onEvicted: (count) => (evicted += count) });
  log.send({ producerId: 1_000, sequence: 0, kind: 'transactional' });
  for (let producerId = 0; producerId < 10_000; producerId += 1) {
    log.nowMs += 1;
    log.send({ producerId: 2_000 + producerId, sequence: 0 });
    if (producerId % 10 === 0) assert.equal(log.outcome({ producerId: 999, sequence: producerId / 10 }), 'accept');
    assert.ok(log.state.size <= 80);
  }
  assert.equal(evicted + log.state.size, 10_002);
  assert.equal(log.outcome({ producerId: 999, sequence: 1_001 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER');
  assert.ok(log.state.active().some(({ producerId }) => producerId === 1_000));
});

test('nothing to say is no bytes; bytes of another version or cut short are refused', () => {
  const log = new Log();
  assert.equal(log.state.encode().length, 0);
  log.send({ sequence: 0 });
  const bytes = log.state.encode();
  assert.throws(() => ProducerState.decode(Buffer.concat([Buffer.from([9]), bytes.subarray(1)]), log.options), /version/);
  for (let length = 1; length < bytes.length; length += 1) assert.throws(() => ProducerState.decode(bytes.subarray(0, length), log.options));
  assert.throws(() => ProducerState.decode(Buffer.concat([bytes, Buffer.alloc(1)]), log.options), /too many/);
});

test('version 1 of the stored format stays readable', () => {
  const log = new Log();
  log.send({ producerId: 300, epoch: 2, sequence: wrap, records: 2 });
  log.send({ producerId: 8, sequence: 0, kind: 'transactional' });
  log.send({ producerId: 8, sequence: -1, kind: 'abort' });
  log.send({ producerId: 8, sequence: 1, kind: 'transactional' });
  assert.equal(log.state.encode().toString('hex'), golden);
  const read = ProducerState.decode(Buffer.from(golden, 'hex'), log.options);
  assert.deepEqual(read.active(), log.state.active());
  assert.equal(read.firstOpenTransactionOffset, 4);
  assert.deepEqual(read.abortedTransactions(0, 5), [{ producerId: 8, firstOffset: 2 }]);
});
const golden = '0102ac0204d00fd00f0001ffffffff07000001d00f000800d00fd00f050200000200d00f0101010400d00f010108020102';

const operation = fc.record({
  producerId: fc.integer({ min: 1, max: 4 }),
  epochStep: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
  sequenceStep: fc.constantFrom(0, 0, 0, 0, 0, -1, -3, 1, 5),
  records: fc.integer({ min: 1, max: 4 }),
  kind: fc.constantFrom('idempotent', 'transactional', 'transactional', 'commit', 'abort'),
  highWatermarkLag: fc.integer({ min: 0, max: 6 }),
});

test('a restored state answers as the one it was made from, at every point of any history', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const kept = new Log();
      const restored = new Log();
      const next = new Map<number, { epoch: number; sequence: number }>();
      for (const { producerId, epochStep, sequenceStep, records, kind, highWatermarkLag } of operations) {
        const at = next.get(producerId) ?? { epoch: 5, sequence: wrap - 3 };
        const isMarker = kind === 'commit' || kind === 'abort';
        const base = epochStep > 0 ? 0 : at.sequence;
        const sequence = isMarker ? -1 : Math.max(0, (base + sequenceStep) % 2 ** 31);
        const sent: Sent = { producerId, epoch: at.epoch + epochStep, sequence, records: isMarker ? 1 : records, kind };
        const verdict = kept.outcome(sent);
        assert.equal(restored.outcome(sent), verdict);
        if (verdict === 'accept')
          next.set(producerId, { epoch: at.epoch + epochStep, sequence: isMarker ? (epochStep > 0 ? 0 : at.sequence) : sequenceAfter(sequence, records) });
        kept.state.highWatermarkAdvanced(kept.endOffset);
        restored.restart();
        assert.equal(restored.state.firstOpenTransactionOffset, kept.state.firstOpenTransactionOffset);
        const end = kept.endOffset - highWatermarkLag;
        assert.deepEqual(restored.state.abortedTransactions(end - 8, end), kept.state.abortedTransactions(end - 8, end));
        assert.deepEqual(restored.state.active(), kept.state.active());
      }
    }),
  );
});
