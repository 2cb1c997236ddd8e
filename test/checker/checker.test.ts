/** The checker finds each anomaly, and only it, when a clean history is broken in one place; a clean one passes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkHistory } from './checker.ts';
import { cleanHistory } from './clean-history.ts';
import { historyLines, type Operation, type PollOperation, type SendOperation } from './history.ts';

const options = { mayExpire: () => false, damaged: false, staleBoundMs: 0 };
const key = 'topic/0';
const seeds = Array.from({ length: 20 }, (_, i) => i + 1);

/** Returns a broken copy. */
type Injection = (history: readonly Operation[]) => readonly Operation[];

test('clean histories have no violation', () => {
  for (const seed of seeds) assert.deepEqual(checkHistory(cleanHistory(seed), options), [], `seed ${seed}`);
});

test('a history survives its own text', () => {
  const history = cleanHistory(1);
  const read = historyLines(history)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Operation);
  assert.deepEqual(read, history);
});

const injections: Readonly<Record<string, Injection>> = {
  'inconsistent-offsets': (history) => [
    ...history,
    { ...send({ process: 'x', values: [9001], type: 'info' }), t0: 0 },
    poll({ process: 'x', from: 0, records: [[0, 9001, epochOf(history, 0)]] }),
  ],
  duplicate: (history) => {
    const { value } = acked(history, (operation) => operation.idempotent && operation.values.length === 1);
    return atEnd(history, value, lastEpoch(history));
  },
  phantom: (history) => atEnd(history, 9001, lastEpoch(history)),
  G1a: (history) => atEnd([...history, send({ process: 'x', values: [9001], type: 'fail' })], 9001, lastEpoch(history)),
  'torn-batch': (history) => {
    const end = logEnd(history);
    const torn = [...history, send({ process: 'x', values: [9001, 9002], type: 'info' }), send({ process: 'y', values: [9003], type: 'info' })];
    return appended(torn, [
      [end, 9001, lastEpoch(history)],
      [end + 1, 9003, lastEpoch(history)],
      [end + 2, 9002, lastEpoch(history)],
    ]);
  },
  'lost-write': (history) => {
    const { value } = acked(history, (operation) => operation.values.length === 1);
    return everyPoll(history, (read) => ({ ...read, records: read.records.filter(([, other]) => other !== value) }));
  },
  unseen: (history) => [...history, { ...send({ process: 'x', values: [9001], type: 'ok' }), t0: 1e6, t1: 1e6 + 1, baseOffset: logEnd(history) }],
  'offset-gap': (history) => {
    const end = logEnd(history);
    return appended(
      [...history, send({ process: 'x', values: [9001], type: 'info' }), send({ process: 'y', values: [9002], type: 'info' })],
      [
        [end, 9001, lastEpoch(history)],
        [end + 2, 9002, lastEpoch(history)],
      ],
    );
  },
  'leader-epoch': (history) => atEnd([...history, send({ process: 'x', values: [9001], type: 'info' })], 9001, lastEpoch(history) - 1),
  'nonmonotonic-send': (history) => {
    const end = logEnd(history);
    const first = { ...send({ process: 'x', values: [9001], type: 'info' }), idempotent: true, t0: 1e6, t1: 1e6 + 9, order: 1 };
    const second = { ...send({ process: 'x', values: [9002], type: 'info' }), idempotent: true, t0: 1e6 + 1, t1: 1e6 + 9, order: 2 };
    return appended(
      [...history, first, second],
      [
        [end, 9002, lastEpoch(history)],
        [end + 1, 9001, lastEpoch(history)],
      ],
    );
  },
  'realtime-order': (history) => {
    const end = logEnd(history);
    const first = { ...send({ process: 'x', values: [9001], type: 'ok' }), t0: 1e6, t1: 1e6 + 1, baseOffset: end + 1 };
    const second = { ...send({ process: 'y', values: [9002], type: 'info' }), t0: 1e6 + 2, t1: 1e6 + 3 };
    return appended(
      [...history, first, second],
      [
        [end, 9002, lastEpoch(history)],
        [end + 1, 9001, lastEpoch(history)],
      ],
    );
  },
  'ack-then-read': (history) => [...history, { ...poll({ process: 'x', from: 0, records: [] }), highWatermark: 1, lastStableOffset: 1, t0: 1e6, t1: 1e6 + 1 }],
  'retry-offset': (history) => {
    const at = history.findIndex((operation) => operation.f === 'resend');
    return history.with(at, { ...(history[at] as Operation & { f: 'resend' }), baseOffset: 7777 });
  },
  'producer-state-lost': (history) => [
    ...history,
    { ...send({ process: 'x', values: [9001], type: 'fail' }), error: 'OUT_OF_ORDER_SEQUENCE_NUMBER', sequenceLost: true },
  ],
  'int-nonmonotonic-poll': (history) => [...history, poll({ process: 'x', from: 0, records: repeated(finalRecords(history).slice(0, 4)) })],
  'int-poll-skip': (history) => [...history, poll({ process: 'x', from: 0, records: finalRecords(history).slice(0, 5).toSpliced(2, 1) })],
  'nonmonotonic-poll': (history) => {
    const records = finalRecords(history);
    return [
      ...history,
      poll({ process: 'x', from: 0, records: records.slice(0, 5) }),
      { ...poll({ process: 'x', from: 5, records: records.slice(2, 8) }), t0: 2e6, t1: 2e6 + 1 },
    ];
  },
  'poll-skip': (history) => {
    const records = finalRecords(history);
    return [
      ...history,
      poll({ process: 'x', from: 0, records: records.slice(0, 5) }),
      { ...poll({ process: 'x', from: 5, records: records.slice(7, 9) }), t0: 2e6, t1: 2e6 + 1 },
    ];
  },
  'dirty-read': (history) => {
    const records = finalRecords(history).slice(0, 5);
    return [...history, { ...poll({ process: 'x', from: 0, records }), t0: 0, t1: 1, highWatermark: 4, lastStableOffset: 4 }];
  },
  watermarks: (history) => [...history, { ...poll({ process: 'x', from: 0, records: [] }), t0: 0, t1: 1, highWatermark: 3, lastStableOffset: 4 }],
  'high-watermark-back': (history) => {
    const reads = [30, 20].map((highWatermark, i) => ({
      ...poll({ process: 'x', from: 0, records: [] }),
      t0: i,
      t1: i + 1,
      highWatermark,
      lastStableOffset: 0,
    }));
    return [...reads, ...history];
  },
  'last-stable-offset-back': (history) => {
    const reads = [3, 2].map((lastStableOffset, i) => ({
      ...poll({ process: 'x', from: 0, records: [] }),
      t0: i,
      t1: i + 1,
      highWatermark: 30,
      lastStableOffset,
    }));
    return [...reads, ...history];
  },
  'log-start-back': (history) => {
    const reads = [3, 2].map((logStart, i) => ({
      ...poll({ process: 'x', from: 5, records: [] }),
      t0: i,
      t1: i + 1,
      highWatermark: 30,
      lastStableOffset: 30,
      logStart,
    }));
    return [{ f: 'deleteRecords', type: 'ok', process: 'y', key, t0: 0, t1: 0, before: 3 }, ...reads, ...history];
  },
  'log-start-unexplained': (history) => [
    { ...poll({ process: 'x', from: 5, records: [] }), t0: 0, t1: 1, highWatermark: 30, lastStableOffset: 30, logStart: 2 },
    ...history,
  ],
};

for (const [name, inject] of Object.entries(injections)) {
  test(`${name} is found, and nothing else`, () => {
    for (const seed of seeds) {
      const names = new Set(checkHistory(inject(cleanHistory(seed)), options).map((violation) => violation.name));
      assert.deepEqual([...names], [name], `seed ${seed}`);
    }
  });
}

test('what is allowed stays allowed', () => {
  const history = cleanHistory(3);
  const end = logEnd(history);
  const twice = { ...send({ process: 'x', values: [9001], type: 'info' }), attempts: 2 };
  const doubled = appended(
    [...history, twice],
    [
      [end, 9001, lastEpoch(history)],
      [end + 1, 9001, lastEpoch(history)],
    ],
  );
  assert.deepEqual(checkHistory(doubled, options), [], 'a plain producer that sent twice may be stored twice');
  const expired: Operation = { ...poll({ process: 'x', from: 5, records: [] }), t0: 0, t1: 1, highWatermark: 30, lastStableOffset: 30, logStart: 2 };
  assert.deepEqual(checkHistory([expired, ...history], { ...options, mayExpire: () => true }), [], 'retention may move the log start');
});

function send(given: { readonly process: string; readonly values: readonly number[]; readonly type: SendOperation['type'] }): SendOperation {
  return { f: 'send', key, t0: 1e6, t1: 1e6 + 1, idempotent: false, order: 1, attempts: 1, baseOffset: null, ...given };
}

function poll(given: { readonly process: string; readonly from: number; readonly records: PollOperation['records'] }): PollOperation {
  const next = given.records.reduce((position, [offset]) => Math.max(position, offset + 1), given.from);
  return { f: 'poll', type: 'ok', key, next, t0: 1e6, t1: 1e6 + 1, isolation: 'uncommitted', highWatermark: 1e6, lastStableOffset: 1e6, logStart: 0, ...given };
}

/** One more value at the end of the log. */
function atEnd(history: readonly Operation[], value: number, epoch: number): readonly Operation[] {
  return appended(history, [[logEnd(history), value, epoch]]);
}

/** The same history with more at the end of the log, read by one more consumer and by the final reading. */
function appended(history: readonly Operation[], records: PollOperation['records']): readonly Operation[] {
  const from = logEnd(history);
  const end = (records.at(-1) as readonly number[])[0] as number;
  const watermarks = { highWatermark: end + 1, lastStableOffset: end + 1 };
  const more = { ...poll({ process: 'final', from, records }), ...watermarks, t0: 3e6, t1: 3e6 + 1, final: true };
  const last = { ...poll({ process: 'final', from: end + 1, records: [] }), ...watermarks, t0: 3e6 + 2, t1: 3e6 + 3, final: true };
  return [...history, more, last];
}

function everyPoll(history: readonly Operation[], change: (poll: PollOperation) => PollOperation): readonly Operation[] {
  return history.map((operation) => (operation.f === 'poll' ? change(operation) : operation));
}

function finalRecords(history: readonly Operation[]): PollOperation['records'] {
  return history.flatMap((operation) => (operation.f === 'poll' && operation.final ? operation.records : []));
}

function logEnd(history: readonly Operation[]): number {
  return finalRecords(history).length;
}

function lastEpoch(history: readonly Operation[]): number {
  return epochOf(history, logEnd(history) - 1);
}

function epochOf(history: readonly Operation[], offset: number): number {
  return (finalRecords(history)[offset] as readonly number[])[2] as number;
}

/** An acknowledged send, not the last in the log, so that others around it are read. */
function acked(history: readonly Operation[], wanted: (send: SendOperation) => boolean): { readonly value: number } {
  const found = history.find(
    (operation) => operation.f === 'send' && operation.type === 'ok' && operation.baseOffset !== null && operation.baseOffset > 0 && wanted(operation),
  ) as SendOperation;
  return { value: found.values[0] as number };
}

function repeated(records: PollOperation['records']): PollOperation['records'] {
  return records.flatMap((record, i) => (i === 1 ? [record, record] : [record]));
}
