/**
 * A producer that looks at each partition by itself: one small record with acks=all at a time, the next a pause after its
 * acknowledgement. It finds leaders as real clients do: Metadata, the leader that an error names (KIP-951), retries after a pause.
 * Not idempotent: a record whose answer was lost is sent again, and `partition.doubtful` says how often that may have doubled it.
 */
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys, type ProduceResponse } from '../../broker/protocol/messages.gen.ts';
import { type Address, KafkaSocket } from './kafka-socket.ts';
import { probeBatch } from './probe-record.ts';

export interface ProbeOptions {
  readonly bootstrap: readonly Address[];
  readonly topic: string;
  readonly partitions: number;
  /** From an acknowledgement to the next record. */
  readonly pauseMs: number;
}

export interface Ack {
  readonly sentMs: number;
  readonly ackedMs: number;
  readonly node: number;
}

export interface ProbedPartition {
  /** Acknowledged offset by record number. */
  readonly offsets: number[];
  /** Record number → sends whose outcome nobody knows. */
  readonly doubtful: Map<number, number>;
  /** Since the last `watch`. */
  acks: Ack[];
}

interface Partition extends ProbedPartition {
  readonly index: number;
  leader: number;
  leaderEpoch: number;
  /** When the record that is due was to be sent first; undefined: none is due. */
  firstSentMs: number | undefined;
  dueMs: number;
  isSent: boolean;
}

const tickMs = 5;
const partitionsPerRequest = 200;
const requestsInFlight = 5;
const firstRetryMs = 20;
const lastRetryMs = 100;
const metadataPauseMs = 50;
/** Produce by topic name, with the new leader in the answer. */
const produceVersion = 12;
const metadataVersion = 12;

export class Probe {
  readonly partitions: readonly ProbedPartition[];
  /** Error code → how often a partition's answer had it. */
  readonly errors = new Map<number, number>();
  readonly #options: ProbeOptions;
  readonly #partitions: Partition[] = [];
  readonly #nodes = new Map<number, Address>();
  readonly #sockets = new Map<number, KafkaSocket>();
  readonly #opening = new Set<number>();
  readonly #inFlight = new Map<KafkaSocket, number>();
  readonly #avoided = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #needsMetadata = true;
  #isAsking = false;
  #nextMetadataMs = 0;
  #isPaused = false;
  #bootstrapTurn = 0;

  constructor(options: ProbeOptions) {
    this.#options = options;
    for (let index = 0; index < options.partitions; index++) {
      // Spread over the pause, or all would come at once for ever.
      const dueMs = performance.now() + (index / options.partitions) * options.pauseMs;
      this.#partitions.push({ index, offsets: [], doubtful: new Map(), acks: [], leader: -1, leaderEpoch: -1, firstSentMs: undefined, dueMs, isSent: false });
    }
    this.partitions = this.#partitions;
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Forgets all acknowledgements but the last of each partition. */
  watch(): void {
    for (const partition of this.#partitions) partition.acks = partition.acks.slice(-1);
  }

  /** Sends nothing new; resolves when everything sent is acknowledged. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    while (this.#partitions.some(({ firstSentMs }) => firstSentMs !== undefined)) await new Promise((resolve) => setTimeout(resolve, tickMs));
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.values()) socket.close();
  }

  #tick(): void {
    const now = performance.now();
    const due = new Map<number, Partition[]>();
    for (const partition of this.#partitions) {
      if (partition.isSent || partition.dueMs > now || (this.#isPaused && partition.firstSentMs === undefined)) continue;
      // From here on it waits, also for a connection.
      partition.firstSentMs ??= now;
      if (partition.leader < 0) this.#needsMetadata = true;
      else {
        const group = due.get(partition.leader);
        if (group) group.push(partition);
        else due.set(partition.leader, [partition]);
      }
    }
    for (const [node, partitions] of due) this.#send(node, partitions);
    if (this.#needsMetadata && !this.#isAsking && now >= this.#nextMetadataMs) void this.#refresh();
  }

  #send(node: number, partitions: readonly Partition[]): void {
    const socket = this.#sockets.get(node);
    if (!socket || socket.closed) {
      if (!this.#opening.has(node)) void this.#connect(node);
      return;
    }
    for (let i = 0; i < partitions.length; i += partitionsPerRequest) {
      const inFlight = this.#inFlight.get(socket) ?? 0;
      if (inFlight >= requestsInFlight) return;
      this.#inFlight.set(socket, inFlight + 1);
      void this.#produce(node, socket, partitions.slice(i, i + partitionsPerRequest));
    }
  }

  async #produce(node: number, socket: KafkaSocket, partitions: readonly Partition[]): Promise<void> {
    const timestampMs = Date.now();
    const partitionData = partitions.map((partition) => {
      partition.isSent = true;
      return { index: partition.index, records: probeBatch(partition.offsets.length, timestampMs) };
    });
    try {
      const body = { acks: -1, timeoutMs: 30_000, topicData: [{ name: this.#options.topic, partitionData }] };
      this.#take(node, await socket.request(ApiKeys.Produce, produceVersion, body));
    } catch {
      for (const partition of partitions) this.#doubt(partition);
      for (const partition of partitions) this.#retry(partition);
      this.#needsMetadata = true;
    } finally {
      this.#inFlight.set(socket, (this.#inFlight.get(socket) ?? 1) - 1);
    }
  }

  #take(node: number, answer: ProduceResponse): void {
    for (const { nodeId, host, port } of answer.nodeEndpoints) this.#nodes.set(nodeId, { host, port });
    const now = performance.now();
    for (const { index, errorCode, baseOffset, currentLeader } of answer.responses[0]?.partitionResponses ?? []) {
      const partition = this.#partitions[index] as Partition;
      if (errorCode === ErrorCodes.NONE) {
        partition.acks.push({ sentMs: partition.firstSentMs ?? now, ackedMs: now, node });
        partition.offsets.push(baseOffset);
        partition.firstSentMs = undefined;
        partition.isSent = false;
        partition.dueMs = now + this.#options.pauseMs;
        continue;
      }
      this.errors.set(errorCode, (this.errors.get(errorCode) ?? 0) + 1);
      if (errorCode === ErrorCodes.REQUEST_TIMED_OUT || errorCode === ErrorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND) this.#doubt(partition);
      // A leader that says it is none any more has not appended the record; Apache Kafka may have when it loses the lead while it waits for followers.
      if (errorCode === ErrorCodes.NOT_LEADER_OR_FOLLOWER) this.#doubt(partition);
      if (currentLeader.leaderId >= 0 && currentLeader.leaderEpoch > partition.leaderEpoch && this.#nodes.has(currentLeader.leaderId)) {
        partition.leader = currentLeader.leaderId;
        partition.leaderEpoch = currentLeader.leaderEpoch;
      } else this.#needsMetadata = true;
      this.#retry(partition);
    }
  }

  #doubt(partition: Partition): void {
    const number = partition.offsets.length;
    partition.doubtful.set(number, (partition.doubtful.get(number) ?? 0) + 1);
  }

  #retry(partition: Partition): void {
    partition.isSent = false;
    partition.dueMs = performance.now() + firstRetryMs + Math.random() * (lastRetryMs - firstRetryMs);
  }

  async #connect(node: number): Promise<void> {
    this.#opening.add(node);
    try {
      const address = this.#nodes.get(node);
      if (!address || (this.#avoided.get(node) ?? 0) > performance.now()) return;
      this.#sockets.set(node, await KafkaSocket.open(address));
      this.#avoided.delete(node);
    } catch {
      this.#avoided.set(node, performance.now() + lastRetryMs);
      this.#needsMetadata = true;
    } finally {
      this.#opening.delete(node);
    }
  }

  async #refresh(): Promise<void> {
    this.#isAsking = true;
    try {
      const socket = await this.#anySocket();
      if (!socket) return;
      const answer = await socket.request(ApiKeys.Metadata, metadataVersion, { topics: [{ name: this.#options.topic }], allowAutoTopicCreation: false });
      for (const { nodeId, host, port } of answer.brokers) this.#nodes.set(nodeId, { host, port });
      this.#needsMetadata = false;
      for (const { partitionIndex, leaderId, leaderEpoch } of answer.topics[0]?.partitions ?? []) {
        const partition = this.#partitions[partitionIndex];
        // Java's rule: what is older by leader epoch than what is known changes nothing.
        if (!partition || leaderEpoch < partition.leaderEpoch) continue;
        partition.leader = leaderId;
        partition.leaderEpoch = leaderEpoch;
      }
    } catch {
      this.#needsMetadata = true;
    } finally {
      this.#isAsking = false;
      this.#nextMetadataMs = performance.now() + metadataPauseMs;
    }
  }

  /** An open one if there is; else the next broker is tried. */
  async #anySocket(): Promise<KafkaSocket | undefined> {
    const open = [...this.#sockets.values()].filter((socket) => !socket.closed);
    if (open.length > 0) return open[this.#bootstrapTurn++ % open.length];
    const { bootstrap } = this.#options;
    const address = bootstrap[this.#bootstrapTurn++ % bootstrap.length] as Address;
    const socket = await KafkaSocket.open(address);
    this.#sockets.set(-address.port, socket);
    return socket;
  }
}
