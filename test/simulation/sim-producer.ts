/**
 * A producer as Kafka's Java client behaves: several requests in flight, the same batch with the same sequence
 * again after a retriable error, a timeout or a lost connection, lowest sequence first; when a batch runs out of
 * time the idempotent producer gives up what is unresolved and goes on under a new epoch or a new id.
 */
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { Disconnected, NotSent } from './kafka-connection.ts';
import type { KafkaSession } from './kafka-session.ts';
import { errorName, type ProduceVerdict, verdictOn } from './produce-errors.ts';
import { type BatchProducer, buildBatch, noProducer } from './record-batches.ts';
import type { Recorder } from './recorder.ts';
import type { SimRandom } from './sim-random.ts';

export interface ProducerShape {
  readonly idempotent: boolean;
  /** −1 or 1; 0 is sent and forgotten. */
  readonly acks: number;
  readonly maxInFlight: number;
  readonly gapMs: number;
  readonly maxBatchRecords: number;
  readonly deliveryTimeoutMs: number;
  readonly produceTimeoutMs: number;
  /** Attempts of a plain producer. */
  readonly maxAttempts: number;
  readonly resendChance: number;
  readonly gzipChance: number;
}

export interface SimProducerOptions {
  readonly name: string;
  readonly session: KafkaSession;
  readonly recorder: Recorder;
  readonly random: SimRandom;
  readonly shape: ProducerShape;
  /** Topics to write to now; may change. */
  readonly topics: () => readonly string[];
  readonly mayRefuseTimestamps: boolean;
}

interface Batch {
  readonly lane: Lane;
  readonly values: readonly number[];
  readonly content: { readonly timestampMs: number; readonly gzip: boolean };
  readonly order: number;
  readonly begunAtMs: number;
  /** Process and producer state that it was made under. */
  readonly process: string;
  readonly producer: BatchProducer;
  attempts: number;
  inFlight: boolean;
  /** The leader of its last attempt. */
  sentTo: number | undefined;
  /** Some attempt may have been appended. */
  uncertain: boolean;
  done: boolean;
  error: string | undefined;
  readonly closed: () => void;
}

/** One partition's batches: unresolved ones in the order of sequences. */
interface Lane {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly unresolved: Batch[];
  /** No attempt before this, after one that failed. */
  retryAtMs: number;
  readonly recent: { readonly batch: Batch; readonly baseOffset: number }[];
  nextSequence: number;
  orders: number;
  /** The latest batch that was sent. */
  sentOrder: number;
  /** The lowest order that was stored in this epoch. A partition accepts any sequence from a producer that it does not know, as in Kafka. */
  firstStored: number;
  /** Everything so far in this epoch was acknowledged. */
  intact: boolean;
}

const retryBackoffMs = 100;

export class SimProducer {
  readonly #options: SimProducerOptions;
  readonly #lanes = new Map<string, Lane>();
  #process: string;
  #producer: { readonly id: number; readonly epoch: number } | undefined;
  #lives = 1;
  #mustBump = false;
  #stopping = false;
  #running = 0;

  constructor(options: SimProducerOptions) {
    this.#options = options;
    this.#process = options.name;
  }

  /** Nothing left to be answered. */
  get idle(): boolean {
    return this.#running === 0 && [...this.#lanes.values()].every((lane) => lane.unresolved.length === 0);
  }

  /** Makes no new batches; what is unresolved goes on. */
  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { session, shape, random, topics } = this.#options;
    while (!this.#stopping || !this.idle) {
      if (topics().some((topic) => !session.topics.has(topic)) || random.chance(0.02)) await session.refresh(topics());
      if (shape.idempotent && this.#producer === undefined && !(await this.#initProducerId())) {
        await session.sleep(random.between(50, 300));
        continue;
      }
      if (!this.#stopping && !this.#mustBump) this.#makeBatch();
      this.#expire();
      if (this.#mustBump) this.#bump();
      else this.#sendDue();
      await session.sleep(shape.gapMs * random.between(0.3, 1.7));
    }
  }

  #makeBatch(): void {
    const { session, shape, random, recorder, topics } = this.#options;
    const known = topics().flatMap((topic) => session.topics.get(topic) ?? []);
    if (known.length === 0) return;
    const topic = random.pick(known);
    if (topic.leaders.length === 0) return;
    const partition = random.below(topic.leaders.length);
    const lane = this.#lane(topic.name, topic.topicId, partition);
    if (lane.unresolved.length >= 2 * shape.maxInFlight) return;
    const values = recorder.values(random.integer(1, shape.maxBatchRecords));
    const producer =
      shape.idempotent && this.#producer ? { producerId: this.#producer.id, producerEpoch: this.#producer.epoch, baseSequence: lane.nextSequence } : noProducer;
    lane.nextSequence += values.length;
    const batch: Batch = {
      lane,
      values,
      content: { timestampMs: session.options.clock.wallMs(), gzip: random.chance(shape.gzipChance) },
      order: ++lane.orders,
      begunAtMs: recorder.nowMs,
      process: this.#process,
      producer,
      attempts: 0,
      inFlight: false,
      sentTo: undefined,
      uncertain: false,
      done: false,
      error: undefined,
      closed: recorder.opened(() => this.#record(batch, batch.attempts > 0 ? 'info' : 'fail', null)),
    };
    lane.unresolved.push(batch);
  }

  #lane(topic: string, topicId: string, partition: number): Lane {
    const key = `${topicId}/${partition}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = {
        topic,
        topicId,
        partition,
        unresolved: [],
        recent: [],
        retryAtMs: 0,
        nextSequence: 0,
        orders: 0,
        sentOrder: 0,
        firstStored: Number.POSITIVE_INFINITY,
        intact: true,
      };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** One request per turn, with at most one batch of each partition of one leader. */
  #sendDue(): void {
    const { session, shape, random } = this.#options;
    const due: Batch[] = [];
    let leader: number | undefined;
    for (const lane of this.#lanes.values()) {
      const leads = session.topics.get(lane.topic)?.leaders[lane.partition];
      const next = this.#nextOf(lane, leads);
      if (next === undefined || leads === undefined || (leader !== undefined && leads !== leader)) continue;
      leader = leads;
      due.push(next);
      if (random.chance(0.3)) break;
    }
    if (due.length > 0) void this.#attempt(due);
    else if (random.chance(shape.resendChance)) void this.#resend();
  }

  /**
   * An idempotent producer sends a batch again only when it is the first unresolved one (as Java's does,
   * RecordAccumulator.shouldStopDrainBatchesForPartition), and runs at most five batches ahead of that (stricter than Java's): so
   * that what is retried is always among the last five that the broker remembers.
   */
  #nextOf({ unresolved, retryAtMs }: Lane, leader: number | undefined): Batch | undefined {
    const { idempotent, maxInFlight } = this.#options.shape;
    const next = unresolved.find((batch) => !batch.inFlight);
    if (retryAtMs > this.#options.recorder.nowMs) return undefined;
    if (next === undefined || unresolved.filter((batch) => batch.inFlight).length >= maxInFlight) return undefined;
    // Order is promised on one connection: nothing goes to a new leader while the old one may still answer.
    if (!idempotent) return unresolved.some((batch) => batch.inFlight && batch.sentTo !== leader) ? undefined : next;
    if (next.attempts > 0) return next === unresolved[0] ? next : undefined;
    return next.order - (unresolved[0] as Batch).order < maxInFlight ? next : undefined;
  }

  async #attempt(batches: readonly Batch[]): Promise<void> {
    const { session } = this.#options;
    this.#running++;
    let informed = false;
    for (const batch of batches) {
      batch.inFlight = true;
      batch.sentTo = session.topics.get(batch.lane.topic)?.leaders[batch.lane.partition];
      batch.attempts++;
      batch.lane.sentOrder = Math.max(batch.lane.sentOrder, batch.order);
    }
    this.#options.recorder.note(
      `${this.#process} sends ${batches.map(({ lane, values, attempts }) => `${lane.topic}-${lane.partition} [${values[0]}] try ${attempts}`).join(', ')}`,
    );
    try {
      informed = await this.#exchange(batches);
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      const sent = !(error instanceof NotSent);
      for (const batch of batches) {
        if (!sent) batch.attempts--;
        this.#retryLater(batch, sent, error.message);
      }
    }
    // Before anything else is awaited: what is to be sent again goes before what is new.
    for (const batch of batches) batch.inFlight = false;
    if (!informed && batches.some((batch) => !batch.done)) await session.refresh(this.#options.topics());
    this.#running--;
  }

  /** True when every error named the new leader: nothing has to be asked for. */
  async #exchange(batches: readonly Batch[]): Promise<boolean> {
    const { session, shape } = this.#options;
    const { topic, partition } = (batches[0] as Batch).lane;
    const body = { acks: shape.acks, timeoutMs: shape.produceTimeoutMs, topicData: topicData(batches) };
    if (shape.acks === 0) {
      const { connection, version } = await session.leaderConnection(topic, partition, ApiKeys.Produce);
      connection.tell(ApiKeys.Produce, version, body);
      for (const batch of batches) this.#finish(batch, 'info', null);
      return true;
    }
    const answer = await session.toLeader(topic, partition, ApiKeys.Produce, body);
    session.meet(answer.nodeEndpoints);
    let informed = true;
    for (const batch of batches) {
      const result = answer.responses
        .find((response) => response.name === batch.lane.topic || response.topicId === batch.lane.topicId)
        ?.partitionResponses.find((one) => one.index === batch.lane.partition);
      if (result === undefined) this.#options.recorder.violation('answer-shape', `Produce left out ${batch.lane.topic}-${batch.lane.partition}`);
      else {
        this.#conclude(batch, verdictOn(result.errorCode), result.errorCode, result.baseOffset);
        if (batch.done) continue;
        if (session.corrected(batch.lane.topicId, batch.lane.partition, result)) batch.lane.retryAtMs = 0;
        else informed = false;
      }
    }
    return informed;
  }

  #conclude(batch: Batch, verdict: ProduceVerdict, code: number, baseOffset: number): void {
    if (batch.done) return;
    const { recorder, mayRefuseTimestamps } = this.#options;
    batch.error = code === ErrorCodes.NONE ? undefined : errorName(code);
    switch (verdict) {
      case 'stored':
        return this.#finish(batch, 'ok', baseOffset);
      case 'stored before':
        return this.#finish(batch, 'ok', null);
      case 'again':
        return this.#retryLater(batch, false, batch.error);
      case 'unknown':
        return this.#retryLater(batch, true, batch.error);
      case 'out of sequence':
        if (batch.lane.unresolved[0] !== batch || !batch.lane.intact || batch.order < batch.lane.firstStored)
          return this.#retryLater(batch, false, batch.error);
        // Everything before it was acknowledged: the broker has forgotten the producer.
        this.#giveUp();
        return this.#finish(batch, batch.uncertain ? 'info' : 'fail', null, true);
      case 'refused':
        if (code === ErrorCodes.INVALID_TIMESTAMP && !mayRefuseTimestamps) recorder.violation('unexpected-error', `${this.#process}: ${batch.error}`);
        this.#giveUp();
        return this.#finish(batch, batch.uncertain ? 'info' : 'fail', null);
      case 'forbidden':
        recorder.violation('unexpected-error', `${this.#process} was answered ${batch.error} on Produce to ${batch.lane.topic}-${batch.lane.partition}`);
        this.#giveUp();
        return this.#finish(batch, 'info', null);
    }
  }

  #retryLater(batch: Batch, uncertain: boolean, error: string | undefined): void {
    if (batch.done) return;
    batch.uncertain ||= uncertain;
    batch.error = error;
    batch.lane.retryAtMs = this.#options.recorder.nowMs + retryBackoffMs;
    if (!this.#options.shape.idempotent && batch.attempts >= this.#options.shape.maxAttempts) this.#finish(batch, batch.uncertain ? 'info' : 'fail', null);
  }

  /** Batches that ran out of time, and those of topics that are gone. */
  #expire(): void {
    const { shape, recorder, session } = this.#options;
    for (const lane of this.#lanes.values()) {
      const gone = session.topics.get(lane.topic)?.topicId !== lane.topicId;
      for (const batch of [...lane.unresolved]) {
        const late = recorder.nowMs - batch.begunAtMs > shape.deliveryTimeoutMs;
        if (batch.inFlight || !(late || gone)) continue;
        if (shape.idempotent) return this.#giveUp();
        this.#finish(batch, batch.uncertain ? 'info' : 'fail', null);
      }
    }
  }

  #giveUp(): void {
    if (this.#options.shape.idempotent) this.#mustBump = true;
  }

  /** When nothing is in flight any more: unresolved batches are given up, sequences begin anew under a new epoch or id. */
  #bump(): void {
    const { random } = this.#options;
    for (const lane of this.#lanes.values()) if (lane.unresolved.some((batch) => batch.inFlight)) return;
    for (const lane of this.#lanes.values()) {
      for (const batch of [...lane.unresolved]) this.#finish(batch, batch.uncertain ? 'info' : 'fail', null);
      lane.nextSequence = 0;
      lane.intact = true;
      lane.firstStored = Number.POSITIVE_INFINITY;
      lane.recent.length = 0;
    }
    this.#mustBump = false;
    if (this.#producer !== undefined && random.chance(0.6)) {
      this.#producer = { id: this.#producer.id, epoch: this.#producer.epoch + 1 };
      return;
    }
    // A late request of the old id is not fenced by the new one: what follows is another process's.
    this.#producer = undefined;
    this.#process = `${this.#options.name}.${++this.#lives}`;
    this.#lanes.clear();
  }

  #finish(batch: Batch, type: 'ok' | 'fail' | 'info', baseOffset: number | null, sequenceLost = false): void {
    if (batch.done) return;
    batch.done = true;
    batch.closed();
    const { lane } = batch;
    lane.unresolved.splice(lane.unresolved.indexOf(batch), 1);
    if (type !== 'ok') lane.intact = false;
    else lane.firstStored = Math.min(lane.firstStored, batch.order);
    if (type === 'ok' && baseOffset !== null) {
      lane.recent.push({ batch, baseOffset });
      if (lane.recent.length > 2) lane.recent.shift();
    }
    this.#record(batch, type, baseOffset, sequenceLost);
  }

  #record(batch: Batch, type: 'ok' | 'fail' | 'info', baseOffset: number | null, sequenceLost = false): void {
    const { recorder, shape } = this.#options;
    recorder.record({
      f: 'send',
      type,
      process: batch.process,
      key: `${batch.lane.topicId}/${batch.lane.partition}`,
      t0: batch.begunAtMs,
      t1: recorder.nowMs,
      values: batch.values,
      idempotent: shape.idempotent,
      order: batch.order,
      attempts: batch.attempts,
      baseOffset,
      ...(batch.error === undefined || type === 'ok' ? {} : { error: batch.error }),
      ...(sequenceLost ? { sequenceLost } : {}),
    });
  }

  /** Sends an acknowledged batch once more, as a network might: it is among the producer's last five, so its offset is known. */
  async #resend(): Promise<void> {
    const { session, shape, random, recorder } = this.#options;
    const lanes = [...this.#lanes.values()].filter((lane) => lane.recent.some(({ batch }) => lane.sentOrder - batch.order < 5));
    if (!shape.idempotent || lanes.length === 0) return;
    const lane = random.pick(lanes);
    const { batch } = random.pick(lane.recent.filter((one) => lane.sentOrder - one.batch.order < 5));
    if (batch.producer.producerEpoch !== this.#producer?.epoch || batch.producer.producerId !== this.#producer.id) return;
    const t0 = recorder.nowMs;
    this.#running++;
    try {
      const body = { acks: shape.acks, timeoutMs: shape.produceTimeoutMs, topicData: topicData([batch]) };
      const answer = await session.toLeader(lane.topic, lane.partition, ApiKeys.Produce, body);
      const result = answer.responses[0]?.partitionResponses[0];
      if (result === undefined) return;
      const verdict = verdictOn(result.errorCode);
      if (verdict === 'out of sequence' || verdict === 'stored before')
        recorder.violation('retry-refused', `${batch.process}: ${errorName(result.errorCode)} for one of its last five batches`);
      if (verdict !== 'stored') return;
      recorder.record({
        f: 'resend',
        type: 'ok',
        process: batch.process,
        key: `${lane.topicId}/${lane.partition}`,
        t0,
        t1: recorder.nowMs,
        values: batch.values,
        baseOffset: result.baseOffset,
      });
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
    } finally {
      this.#running--;
    }
  }

  async #initProducerId(): Promise<boolean> {
    const { session } = this.#options;
    try {
      const answer = await session.toAny(ApiKeys.InitProducerId, { transactionalId: null, transactionTimeoutMs: 60_000 });
      if (answer.errorCode !== ErrorCodes.NONE) return false;
      this.#producer = { id: answer.producerId, epoch: answer.producerEpoch };
      return true;
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
      return false;
    }
  }
}

function topicData(batches: readonly Batch[]) {
  const lanes = new Map<string, Batch[]>();
  for (const batch of batches) lanes.set(batch.lane.topicId, [...(lanes.get(batch.lane.topicId) ?? []), batch]);
  return [...lanes].map(([topicId, ofTopic]) => ({
    name: ofTopic[0]?.lane.topic,
    topicId,
    partitionData: ofTopic.map(({ lane, values, content, producer }) => ({ index: lane.partition, records: buildBatch({ values, ...content }, producer) })),
  }));
}
