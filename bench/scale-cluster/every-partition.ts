/** Requests to every partition of a list, each at its leader: one record into each, or the question whether it is open there. */
import { setTimeout as delay } from 'node:timers/promises';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { type Address, KafkaSocket } from '../availability/kafka-socket.ts';
import { probeBatch } from '../availability/probe-record.ts';
import type { WatchedPartition } from './watched-owners.ts';

const partitionsPerRequest = 1_000;
const pauseMs = 10;

type Request = (
  socket: KafkaSocket,
  topic: string,
  partitions: readonly number[],
) => Promise<readonly { readonly partition: number; readonly error: number }[]>;

/** A record each, so that each has a state that is more than nothing. */
export async function writeEverywhere(partitions: readonly WatchedPartition[], addressOf: (node: number) => Address): Promise<void> {
  const batch = probeBatch(0, Date.now());
  await askAll(partitions, addressOf, async (socket, topic, some) => {
    const topicData = [{ name: topic, partitionData: some.map((index) => ({ index, records: batch })) }];
    const { responses } = await socket.request(ApiKeys.Produce, 12, { acks: -1, timeoutMs: 30_000, topicData });
    return (responses[0]?.partitionResponses ?? []).map(({ index, errorCode }) => ({ partition: index, error: errorCode }));
  });
}

/** Resolves when every one is open at its owner, as `partitions` says it at each try. */
export async function untilAllServe(partitions: readonly WatchedPartition[], addressOf: (node: number) => Address): Promise<void> {
  await askAll(partitions, addressOf, async (socket, topic, some) => {
    const topics = [{ name: topic, partitions: some.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp: -1 })) }];
    const answer = await socket.request(ApiKeys.ListOffsets, 8, { replicaId: -1, topics, isolationLevel: 0 });
    return (answer.topics[0]?.partitions ?? []).map(({ partitionIndex, errorCode }) => ({ partition: partitionIndex, error: errorCode }));
  });
}

async function askAll(partitions: readonly WatchedPartition[], addressOf: (node: number) => Address, request: Request): Promise<void> {
  const sockets = new Map<number, KafkaSocket>();
  let open = partitions;
  try {
    for (const deadlineMs = performance.now() + 300_000; open.length > 0; ) {
      const left = await Promise.all([...byNode(open)].map(([node, some]) => askNode(node, some, { sockets, addressOf, request })));
      open = left.flat();
      if (performance.now() > deadlineMs) throw new Error(`${open.length} partitions are not served`);
      if (open.length > 0) await delay(pauseMs);
    }
  } finally {
    for (const socket of sockets.values()) socket.close();
  }
}

interface Asking {
  readonly sockets: Map<number, KafkaSocket>;
  readonly addressOf: (node: number) => Address;
  readonly request: Request;
}

/** Answers those that were not served. */
async function askNode(node: number, partitions: readonly WatchedPartition[], { sockets, addressOf, request }: Asking): Promise<WatchedPartition[]> {
  const left: WatchedPartition[] = [];
  try {
    let socket = sockets.get(node);
    if (!socket || socket.closed) sockets.set(node, (socket = await KafkaSocket.open(addressOf(node))));
    for (const [topic, some] of byTopic(partitions)) {
      for (let i = 0; i < some.length; i += partitionsPerRequest) {
        const asked = some.slice(i, i + partitionsPerRequest);
        const answers = await request(
          socket,
          topic,
          asked.map(({ partition }) => partition),
        );
        const served = new Set(answers.flatMap(({ partition, error }) => (error === ErrorCodes.NONE ? [partition] : [])));
        left.push(...asked.filter(({ partition }) => !served.has(partition)));
      }
    }
    return left;
  } catch {
    // It is asked again, also what was answered.
    return [...partitions];
  }
}

function byNode(partitions: readonly WatchedPartition[]): Map<number, WatchedPartition[]> {
  return grouped(partitions, ({ owner }) => owner.node);
}

function byTopic(partitions: readonly WatchedPartition[]): Map<string, WatchedPartition[]> {
  return grouped(partitions, ({ topic }) => topic);
}

function grouped<K>(partitions: readonly WatchedPartition[], keyOf: (partition: WatchedPartition) => K): Map<K, WatchedPartition[]> {
  const groups = new Map<K, WatchedPartition[]>();
  for (const partition of partitions) {
    const group = groups.get(keyOf(partition));
    if (group) group.push(partition);
    else groups.set(keyOf(partition), [partition]);
  }
  return groups;
}
