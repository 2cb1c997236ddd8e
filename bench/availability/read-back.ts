/** Reads a probed topic whole and compares it with what was acknowledged: each record where it was said to be, none missing, none doubled. */
import { setTimeout as delay } from 'node:timers/promises';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import type { Leaders } from './kafka-admin.ts';
import { type Address, KafkaSocket } from './kafka-socket.ts';
import type { ProbedPartition } from './probe.ts';
import { readProbeBatches } from './probe-record.ts';

export interface ReadBackOptions {
  readonly topic: string;
  readonly partitions: readonly ProbedPartition[];
  readonly leaders: Leaders;
  readonly addressOf: ReadonlyMap<number, Address>;
}

export interface ReadBack {
  readonly records: number;
  readonly missing: number;
  /** More often there than its doubtful sends explain. */
  readonly doubled: number;
  /** Not at the offset that was acknowledged. */
  readonly misplaced: number;
}

interface Reading {
  readonly index: number;
  next: number;
  /** How often each record number was seen. */
  readonly seen: Uint8Array;
  misplaced: number;
}

const partitionsPerFetch = 100;
const partitionBytes = 256 * 1024;
/** By topic name. */
const fetchVersion = 12;
const mostTurns = 20_000;

export async function readBack({ topic, partitions, leaders, addressOf }: ReadBackOptions): Promise<ReadBack> {
  const byLeader = new Map<number, Reading[]>();
  const all: Reading[] = [];
  for (const [index, { offsets }] of partitions.entries()) {
    const leader = leaders[index] ?? -1;
    const reading: Reading = { index, next: 0, seen: new Uint8Array(offsets.length), misplaced: 0 };
    all.push(reading);
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), reading]);
  }
  for (const [leader, readings] of byLeader) {
    const address = addressOf.get(leader);
    if (!address) throw new Error(`nobody knows broker ${leader}`);
    const socket = await KafkaSocket.open(address);
    for (let i = 0; i < readings.length; i += partitionsPerFetch) await readSome(socket, topic, readings.slice(i, i + partitionsPerFetch), partitions);
    socket.close();
  }
  return judge(all, partitions);
}

async function readSome(socket: KafkaSocket, topic: string, readings: readonly Reading[], probed: readonly ProbedPartition[]): Promise<void> {
  let open = [...readings];
  for (let turn = 0; open.length > 0; turn++) {
    if (turn > mostTurns) throw new Error(`${topic}: the end is not reached`);
    const partitions = open.map(({ index, next }) => ({ partition: index, fetchOffset: next, partitionMaxBytes: partitionBytes }));
    const answer = await socket.request(ApiKeys.Fetch, fetchVersion, { maxWaitMs: 0, minBytes: 0, topics: [{ topic, partitions }] });
    const ended = new Set<number>();
    for (const { partitionIndex, errorCode, records, highWatermark } of answer.responses[0]?.partitions ?? []) {
      const reading = open.find(({ index }) => index === partitionIndex) as Reading;
      if (errorCode !== ErrorCodes.NONE) {
        // Moved or not open yet.
        if (turn > mostTurns / 10) throw new Error(`fetch of ${topic}-${partitionIndex}: error ${errorCode}`);
        await delay(1);
        continue;
      }
      const { offsets } = probed[partitionIndex] as ProbedPartition;
      const next = readProbeBatches(records ?? Buffer.alloc(0), (offset, value) => {
        if (offset < reading.next || value >= reading.seen.length) return;
        reading.seen[value] = (reading.seen[value] ?? 0) + 1;
        if (offsets[value] === offset) reading.misplaced--;
      });
      reading.next = Math.max(reading.next, next ?? 0);
      if (reading.next >= highWatermark) ended.add(partitionIndex);
    }
    open = open.filter(({ index }) => !ended.has(index));
  }
}

function judge(readings: readonly Reading[], probed: readonly ProbedPartition[]): ReadBack {
  let [records, missing, doubled, misplaced] = [0, 0, 0, 0];
  for (const { index, seen, misplaced: minusFound } of readings) {
    const { offsets, doubtful } = probed[index] as ProbedPartition;
    records += offsets.length;
    misplaced += offsets.length + minusFound;
    for (const [number, count] of seen.entries()) {
      if (count === 0) missing++;
      else if (count > 1 + (doubtful.get(number) ?? 0)) doubled++;
    }
  }
  return { records, missing, doubled, misplaced };
}
