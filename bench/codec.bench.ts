/**
 * Speed of the codecs: a Metadata answer of 200 partitions, and the envelopes of Produce and Fetch with 1, 16 and 256 partitions, their records
 * apart (they are never copied). `node dist/bench/codec.bench.js [SECONDS EACH]` prints operations a second and µs an operation.
 */
import { decodeRequest, decodeRequestHeader, decodeResponse, encodeRequest, encodeResponse } from '../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseInputOf } from '../broker/protocol/messages.gen.ts';

const seconds = Number(process.argv[2] ?? 1);
const topicId = 'ciSaNeXD24Yqp6hka2Fq_g';
const records = Buffer.alloc(16 * 1024, 7);

metadata();
for (const partitions of [1, 16, 256]) {
  produce(partitions);
  fetch(partitions);
}

function metadata(): void {
  const version = 12;
  const partitions = Array.from({ length: 200 }, (_, partitionIndex) => ({
    errorCode: 0,
    partitionIndex,
    leaderId: partitionIndex % 3,
    leaderEpoch: 5,
    replicaNodes: [partitionIndex % 3],
    isrNodes: [partitionIndex % 3],
    offlineReplicas: [],
  }));
  const brokers = [0, 1, 2].map((nodeId) => ({ nodeId, host: `broker-${nodeId}.example.internal`, port: 9092, rack: null }));
  const topics = [{ errorCode: 0, name: 'orders', topicId, isInternal: false, partitions }];
  response('Metadata answer, 200 partitions', ApiKeys.Metadata, version, { brokers, clusterId: 'automq', controllerId: 0, topics });
}

function produce(partitions: number): void {
  const partitionData = Array.from({ length: partitions }, (_, index) => ({ index, records }));
  request(`Produce request v9, ${partitions} partitions`, ApiKeys.Produce, 9, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: 'orders', partitionData }],
  });
  const partitionResponses = partitionData.map(({ index }) => ({ index, errorCode: 0, baseOffset: 123_456_789, logStartOffset: 0 }));
  response(`Produce answer v9, ${partitions} partitions`, ApiKeys.Produce, 9, { responses: [{ name: 'orders', partitionResponses }] });
}

function fetch(partitions: number): void {
  const asked = Array.from({ length: partitions }, (_, partition) => ({ partition, fetchOffset: 123_456_789 + partition, partitionMaxBytes: 1_048_576 }));
  request(`Fetch request v15, ${partitions} partitions`, ApiKeys.Fetch, 15, { maxWaitMs: 500, minBytes: 1, topics: [{ topicId, partitions: asked }] });
  const answered = asked.map(({ partition }) => ({
    partitionIndex: partition,
    errorCode: 0,
    highWatermark: 123_456_999,
    lastStableOffset: 123_456_999,
    logStartOffset: 0,
    abortedTransactions: null,
    records,
  }));
  response(`Fetch answer v15, ${partitions} partitions`, ApiKeys.Fetch, 15, { responses: [{ topicId, partitions: answered }] });
}

function request<K extends ApiKey>(label: string, key: K, version: number, body: RequestInputOf<K>): void {
  measure(`${label}: encode`, () => encodeRequest(key, version, 1, 'bench', body).length);
  const frame = Buffer.concat(encodeRequest(key, version, 1, 'bench', body)).subarray(4);
  measure(`${label}: decode`, () => decodeRequest(key, version, frame, decodeRequestHeader(frame).bodyOffset).trailingBytes + 1);
}

function response<K extends ApiKey>(label: string, key: K, version: number, body: ResponseInputOf<K>): void {
  measure(`${label}: encode`, () => encodeResponse(key, version, 1, body).length);
  const frame = Buffer.concat(encodeResponse(key, version, 1, body)).subarray(4);
  measure(`${label}: decode`, () => decodeResponse(key, version, frame).trailingBytes + 1);
}

function measure(label: string, operation: () => number): void {
  let sum = 0;
  for (let i = 0; i < 2000; i++) sum += operation();
  let operations = 0;
  const start = process.hrtime.bigint();
  const end = start + BigInt(Math.round(seconds * 1e9));
  let now = start;
  while (now < end) {
    for (let i = 0; i < 100; i++) sum += operation();
    operations += 100;
    now = process.hrtime.bigint();
  }
  if (sum === 0) throw new Error('the operation did nothing');
  const elapsed = Number(now - start) / 1e9;
  process.stdout.write(
    `${label.padEnd(48)} ${Math.round(operations / elapsed)
      .toLocaleString('en')
      .padStart(10)} ops/s ${((elapsed / operations) * 1e6).toFixed(2).padStart(9)} µs\n`,
  );
}
