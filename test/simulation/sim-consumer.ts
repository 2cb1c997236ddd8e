/**
 * A consumer that fetches partitions in a loop, from the start or from the end, and writes down every poll.
 * What it is given is checked byte by byte here: CRC, counts and the filling of each record (C15).
 */
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import { Disconnected, NotSent } from './kafka-connection.ts';
import type { KafkaSession } from './kafka-session.ts';
import { DamagedBatch, type ReadBatch, readBatches } from './record-batches.ts';
import { errorName } from './produce-errors.ts';
import type { Recorder } from './recorder.ts';
import type { SimRandom } from './sim-random.ts';

export interface ConsumerShape {
  readonly start: 'earliest' | 'latest';
  readonly isolation: 'uncommitted' | 'committed';
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
  readonly pauseMs: number;
  /** Says with every Fetch which leader epoch was read last (KIP-595), and asks a new leader where that epoch ends (KIP-320). */
  readonly watchesForTruncation: boolean;
  /** Forgets everything and reads from its start again, now and then. */
  readonly restartChance: number;
}

export interface SimConsumerOptions {
  readonly name: string;
  readonly session: KafkaSession;
  readonly recorder: Recorder;
  readonly random: SimRandom;
  readonly shape: ConsumerShape;
  readonly topics: () => readonly string[];
  /** Reads to the end once, after healing: then every error is only a reason to try again. */
  readonly final: boolean;
}

interface Position {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** Undefined until the start offset is known. */
  offset: number | undefined;
  /** Leader epoch of the last batch that was read; −1 before one was. */
  readEpoch: number;
  /** The leader epoch under which the position was last confirmed. */
  validEpoch: number;
  atEnd: boolean;
}

const firstVersionWithLeaderEpoch = 9;

type FetchedPartition = ResponseOf<1>['responses'][number]['partitions'][number];

export class SimConsumer {
  readonly #options: SimConsumerOptions;
  readonly #positions = new Map<string, Position>();
  readonly #storageErrors = new Set<string>();
  #lives = 1;
  #stopping = false;

  constructor(options: SimConsumerOptions) {
    this.#options = options;
  }

  /** Partitions whose last answer was KAFKA_STORAGE_ERROR. */
  get failing(): ReadonlySet<string> {
    return this.#storageErrors;
  }

  /** Every partition of every topic was read to its end. */
  get complete(): boolean {
    const { topics, session } = this.#options;
    return topics().every((name) => {
      const topic = session.topics.get(name);
      return (
        topic !== undefined && topic.leaders.length > 0 && topic.leaders.every((_, partition) => this.#positions.get(`${topic.topicId}/${partition}`)?.atEnd)
      );
    });
  }

  /** What is not read to its end, for the report. */
  missing(): string {
    const behind = [...this.#positions.values()]
      .filter((position) => !position.atEnd)
      .map((position) => `${position.topic}-${position.partition} at ${position.offset}`);
    const unknown = this.#options.topics().filter((name) => !this.#options.session.topics.has(name));
    return [...behind, ...unknown.map((name) => `${name} unknown`)].join(', ');
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { session, random, shape, topics, final } = this.#options;
    while (!this.#stopping && !(final && this.complete)) {
      try {
        if (final || topics().some((name) => !session.topics.has(name)) || random.chance(0.02)) await session.refresh(topics());
        if (random.chance(shape.restartChance)) this.#restart();
        this.#assign();
        await this.#findStarts();
        await this.#validate();
        await this.#fetch();
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
        await session.sleep(random.between(20, 200));
        await session.refresh(topics());
      }
      await session.sleep(shape.pauseMs * random.between(0.5, 1.5));
    }
  }

  get #process(): string {
    return this.#lives === 1 ? this.#options.name : `${this.#options.name}.${this.#lives}`;
  }

  #restart(): void {
    this.#lives++;
    this.#positions.clear();
    this.#options.session.reconnect();
  }

  #assign(): void {
    const { session, topics } = this.#options;
    const wanted = new Set<string>();
    for (const name of topics()) {
      const topic = session.topics.get(name);
      topic?.leaders.forEach((_, partition) => {
        const key = `${topic.topicId}/${partition}`;
        wanted.add(key);
        if (!this.#positions.has(key))
          this.#positions.set(key, { topic: name, topicId: topic.topicId, partition, offset: undefined, readEpoch: -1, validEpoch: -1, atEnd: false });
      });
    }
    for (const key of [...this.#positions.keys()]) if (!wanted.has(key)) this.#positions.delete(key);
  }

  async #findStarts(): Promise<void> {
    for (const position of this.#positions.values()) {
      if (position.offset !== undefined) continue;
      try {
        const offset = await this.#listOffset(position, this.#options.shape.start);
        if (offset !== undefined) this.#seek(position, offset);
      } catch (error) {
        // Without a leader this one waits; the others go on.
        if (!(error instanceof NotSent)) throw error;
      }
    }
  }

  /** What was read is never cut off: a new leader must know the epoch that was read last up to the position (C6). */
  async #validate(): Promise<void> {
    const { session, shape, recorder } = this.#options;
    if (!shape.watchesForTruncation) return;
    for (const position of this.#positions.values()) {
      const { topic, partition, offset, readEpoch } = position;
      const epoch = this.#leaderEpochOf(position);
      if (offset === undefined || readEpoch < 0 || epoch <= position.validEpoch) continue;
      try {
        const answer = await session.toLeader(topic, partition, ApiKeys.OffsetForLeaderEpoch, {
          replicaId: -1,
          topics: [{ topic, partitions: [{ partition, currentLeaderEpoch: epoch, leaderEpoch: readEpoch }] }],
        });
        const end = answer.topics[0]?.partitions[0];
        if (end?.errorCode !== ErrorCodes.NONE) continue;
        position.validEpoch = epoch;
        if (end.leaderEpoch < readEpoch || end.endOffset < offset)
          recorder.violation(
            'truncated',
            `${this.#process} read ${topic}-${partition} up to ${offset} in leader epoch ${readEpoch}; in epoch ${epoch} that one ends as ${end.leaderEpoch} at ${end.endOffset}`,
          );
      } catch (error) {
        if (!(error instanceof NotSent)) throw error;
      }
    }
  }

  #leaderEpochOf({ topic, topicId, partition }: Position): number {
    const known = this.#options.session.topics.get(topic);
    return known?.topicId === topicId ? (known.epochs[partition] ?? -1) : -1;
  }

  #seek(position: Position, to: number): void {
    position.offset = to;
    position.readEpoch = -1;
    const { recorder } = this.#options;
    recorder.record({ f: 'seek', type: 'ok', process: this.#process, key: keyOf(position), t0: recorder.nowMs, t1: recorder.nowMs, to });
  }

  async #listOffset(position: Position, spec: 'earliest' | 'latest'): Promise<number | undefined> {
    const { session, recorder } = this.#options;
    const t0 = recorder.nowMs;
    const timestamp = spec === 'earliest' ? -2 : -1;
    const body = {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: position.topic, partitions: [{ partitionIndex: position.partition, timestamp, currentLeaderEpoch: this.#leaderEpochOf(position) }] }],
    };
    const answer = await session.toLeader(position.topic, position.partition, ApiKeys.ListOffsets, body);
    const result = answer.topics[0]?.partitions[0];
    if (result === undefined || result.errorCode !== ErrorCodes.NONE) {
      await session.refresh(this.#options.topics());
      return undefined;
    }
    recorder.record({ f: 'listOffsets', type: 'ok', process: this.#process, key: keyOf(position), t0, t1: recorder.nowMs, spec, offset: result.offset });
    return result.offset;
  }

  /** One Fetch to one leader, for all partitions that it leads. */
  async #fetch(): Promise<void> {
    const { session, shape, random, recorder, final } = this.#options;
    const ready = [...this.#positions.values()].filter((position) => position.offset !== undefined && !(final && position.atEnd));
    const first = ready.length > 0 ? random.pick(ready) : undefined;
    if (first === undefined) return;
    const leader = session.topics.get(first.topic)?.leaders[first.partition];
    const asked = ready.filter((position) => session.topics.get(position.topic)?.leaders[position.partition] === leader);
    // Partitions take turns at the head, or small answers would starve the last ones (as Java's SubscriptionState does).
    asked.push(...asked.splice(0, random.below(asked.length)));
    const byTopic = new Map<string, Position[]>();
    for (const position of asked) byTopic.set(position.topic, [...(byTopic.get(position.topic) ?? []), position]);
    const t0 = recorder.nowMs;
    const epochs = new Map(asked.map((position) => [position, this.#leaderEpochOf(position)] as const));
    const answer = await session.toLeader(first.topic, first.partition, ApiKeys.Fetch, {
      maxWaitMs: shape.maxWaitMs,
      minBytes: shape.minBytes,
      maxBytes: shape.maxBytes,
      isolationLevel: shape.isolation === 'committed' ? 1 : 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [...byTopic].map(([topic, positions]) => ({
        topic,
        topicId: positions[0]?.topicId,
        partitions: positions.map((position) => ({
          partition: position.partition,
          fetchOffset: position.offset as number,
          currentLeaderEpoch: epochs.get(position) ?? -1,
          ...(shape.watchesForTruncation ? { lastFetchedEpoch: position.readEpoch } : {}),
          partitionMaxBytes: shape.partitionMaxBytes,
        })),
      })),
    });
    if (answer.errorCode !== ErrorCodes.NONE) recorder.violation('unexpected-error', `${this.#process} was answered ${errorName(answer.errorCode)} on Fetch`);
    session.meet(answer.nodeEndpoints);
    let refresh = false;
    for (const response of answer.responses) {
      for (const partition of response.partitions) {
        const position = asked.find((one) => one.partition === partition.partitionIndex && (one.topicId === response.topicId || one.topic === response.topic));
        if (position === undefined) recorder.violation('answer-shape', `Fetch answered ${response.topic}-${partition.partitionIndex}, not asked for`);
        else {
          // Who answers for a leader epoch says that it leads in it.
          if (partition.errorCode === ErrorCodes.NONE && session.versionOf(ApiKeys.Fetch) >= firstVersionWithLeaderEpoch)
            session.options.onLeaderTold(position.topicId, position.partition, leader ?? -1, epochs.get(position) ?? -1);
          if (this.#positions.get(keyOf(position)) === position) refresh = (await this.#take(position, partition, t0)) || refresh;
        }
      }
    }
    if (refresh) await session.refresh(this.#options.topics());
  }

  /** True when metadata should be looked at again. */
  async #take(position: Position, answer: FetchedPartition, t0: number): Promise<boolean> {
    const { recorder, session } = this.#options;
    this.#storageErrors.delete(keyOf(position));
    switch (answer.errorCode) {
      case ErrorCodes.NONE:
        this.#poll(position, answer, t0);
        return false;
      case ErrorCodes.OFFSET_OUT_OF_RANGE:
        await this.#outOfRange(position);
        return false;
      case ErrorCodes.KAFKA_STORAGE_ERROR:
        this.#storageErrors.add(keyOf(position));
        return true;
      case ErrorCodes.NOT_LEADER_OR_FOLLOWER:
      case ErrorCodes.FENCED_LEADER_EPOCH:
        return !session.corrected(position.topicId, position.partition, answer);
      case ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCodes.UNKNOWN_TOPIC_ID:
      case ErrorCodes.UNKNOWN_LEADER_EPOCH:
        return true;
      default:
        recorder.violation(
          'unexpected-error',
          `${this.#process} was answered ${errorName(answer.errorCode)} on Fetch of ${position.topic}-${position.partition}`,
        );
        return true;
    }
  }

  /** Legal only when the log start went past us: a position that we read up to never lies beyond the end (C4). */
  async #outOfRange(position: Position): Promise<void> {
    const before = position.offset as number;
    const earliest = await this.#listOffset(position, 'earliest');
    if (earliest === undefined) return;
    if (earliest <= before)
      this.#options.recorder.violation(
        'position-lost',
        `${this.#process} stood at ${before} of ${position.topic}-${position.partition}: out of range, though the log begins at ${earliest}`,
      );
    this.#seek(position, earliest);
  }

  #poll(position: Position, answer: FetchedPartition, t0: number): void {
    const { recorder, shape, final } = this.#options;
    const from = position.offset as number;
    const { divergingEpoch } = answer;
    if (divergingEpoch.epoch >= 0)
      recorder.violation(
        'truncated',
        `${this.#process} at ${from} of ${position.topic}-${position.partition}, epoch ${position.readEpoch}: diverges in ${divergingEpoch.epoch} at ${divergingEpoch.endOffset}`,
      );
    const batches = this.#read(position, answer.records);
    const records = batches.flatMap((batch) =>
      batch.values.map((value, i) => [batch.baseOffset + i, value, batch.leaderEpoch] as const).filter(([offset]) => offset >= from),
    );
    const next = batches.reduce((highest, batch) => Math.max(highest, batch.lastOffset + 1), from);
    position.offset = next;
    position.readEpoch = batches.at(-1)?.leaderEpoch ?? position.readEpoch;
    position.atEnd = next >= (shape.isolation === 'committed' ? answer.lastStableOffset : answer.highWatermark) && batches.length === 0;
    recorder.record({
      f: 'poll',
      type: 'ok',
      process: this.#process,
      key: keyOf(position),
      t0,
      t1: recorder.nowMs,
      from,
      next,
      isolation: shape.isolation,
      records,
      highWatermark: answer.highWatermark,
      lastStableOffset: answer.lastStableOffset,
      logStart: answer.logStartOffset,
      ...(final ? { final } : {}),
    });
  }

  #read(position: Position, records: Buffer | null): readonly ReadBatch[] {
    try {
      return records === null ? [] : readBatches(records);
    } catch (error) {
      if (!(error instanceof DamagedBatch)) throw error;
      this.#options.recorder.violation('damaged-read', `${this.#process} at ${position.offset} of ${position.topic}-${position.partition}: ${error.message}`);
      return [];
    }
  }
}

function keyOf(position: Position): string {
  return `${position.topicId}/${position.partition}`;
}
