/**
 * A broker in miniature, to prove the harness itself: one log of entries in numbered objects, written one at a time; all
 * state follows from replaying them. Slow and right, unless one of its bugs is switched on.
 */
import { type ErrorCode, ErrorCodes } from '../../broker/protocol/errors.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestOf, type ResponseInputOf } from '../../broker/protocol/messages.gen.ts';
import type { Io } from '../../io/io.ts';
import type { Connection } from '../../io/transport.ts';
import { sleep } from '../../io/clock.ts';
import { objectBody } from '../../io/object/object-store.ts';
import type { BrokerLaunch, RunningBroker } from './sim-broker.ts';

export const toyBugs = [
  'ack-before-durable',
  'forget-producers',
  'lose-last',
  'dirty-reads',
  'wrong-offset',
  'no-deduplication',
  'reuse-number',
  'swap-answers',
] as const;
export type ToyBug = (typeof toyBugs)[number];

type Entry =
  | { readonly kind: 'topic'; readonly name: string; readonly topicId: string; readonly partitions: number }
  | { readonly kind: 'producer id' }
  | { readonly kind: 'batch'; readonly key: string; readonly bytes: string };

interface ToyLog {
  readonly batches: { readonly base: number; readonly last: number; readonly bytes: Buffer }[];
  end: number;
  /** Last batch of each producer id, by id. */
  readonly producers: Map<string, { readonly sequence: number; readonly next: number; readonly base: number }[]>;
}

interface Applied {
  readonly error: ErrorCode;
  readonly offset: number;
}

const served: readonly ApiKey[] = [
  ApiKeys.Produce,
  ApiKeys.Fetch,
  ApiKeys.ListOffsets,
  ApiKeys.Metadata,
  ApiKeys.ApiVersions,
  ApiKeys.CreateTopics,
  ApiKeys.InitProducerId,
];
const highest: Readonly<Partial<Record<ApiKey, readonly [number, number]>>> = {
  0: [3, 11],
  1: [4, 12],
  2: [1, 7],
  3: [10, 12],
  18: [0, 3],
  19: [2, 7],
  22: [0, 4],
};

export async function startToyBroker(io: Io, launch: BrokerLaunch, bug?: ToyBug): Promise<RunningBroker> {
  const broker = new ToyBroker(io, launch, bug);
  await broker.recover();
  const listener = await io.transport.listen({ host: launch.host, port: launch.port }, (connection) => broker.serve(connection));
  return { close: () => listener.close(), ended: new Promise(() => {}) };
}

class ToyBroker {
  readonly #io: Io;
  readonly #launch: BrokerLaunch;
  readonly #bug: ToyBug | undefined;
  readonly #topics = new Map<string, Entry & { kind: 'topic' }>();
  readonly #logs = new Map<string, ToyLog>();
  #producerIds = 0;
  #nextObject = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(io: Io, launch: BrokerLaunch, bug: ToyBug | undefined) {
    this.#io = io;
    this.#launch = launch;
    this.#bug = bug;
  }

  async recover(): Promise<void> {
    let pending: Entry | undefined;
    for (;;) {
      const bytes = await this.#read(this.#nextObject);
      if (pending !== undefined && !(bytes === undefined && this.#bug === 'lose-last')) this.#apply(pending);
      if (bytes === undefined) break;
      pending = entryOf(bytes);
      this.#nextObject++;
    }
    if (this.#bug === 'forget-producers') for (const log of this.#logs.values()) log.producers.clear();
    if (this.#bug === 'wrong-offset') for (const log of this.#logs.values()) log.end++;
  }

  serve(connection: Connection): void {
    let received: Buffer = Buffer.alloc(0);
    let answers: Promise<void> = Promise.resolve();
    connection.setHandler({
      onData: (chunk) => {
        received = Buffer.concat([received, chunk]);
        while (received.byteLength >= 4 && received.byteLength >= 4 + received.readInt32BE(0)) {
          const frame = Buffer.from(received.subarray(4, 4 + received.readInt32BE(0)));
          received = received.subarray(4 + frame.byteLength);
          const answer = this.#answer(frame);
          const write = async () => {
            const chunks = await answer;
            if (chunks !== undefined) connection.write(chunks);
          };
          answers = this.#bug === 'swap-answers' ? write() : answers.then(write);
        }
      },
      onDrain: () => {},
      onClose: () => {},
    });
  }

  async #answer(frame: Buffer): Promise<readonly Uint8Array[] | undefined> {
    const { apiKey, apiVersion, correlationId, bodyOffset } = decodeRequestHeader(frame);
    const answer = <K extends ApiKey>(key: K, body: ResponseInputOf<K>) => encodeResponse(key, apiVersion, correlationId, body);
    const request = <K extends ApiKey>(key: K) => decodeRequest(key, apiVersion, frame, bodyOffset).body;
    switch (apiKey) {
      case ApiKeys.ApiVersions:
        return answer(18, {
          errorCode: 0,
          apiKeys: served.map((key) => ({ apiKey: key, minVersion: highest[key]?.[0] ?? 0, maxVersion: highest[key]?.[1] ?? 0 })),
        });
      case ApiKeys.Metadata:
        return answer(3, this.#metadata(request(3)));
      case ApiKeys.CreateTopics:
        return answer(19, await this.#createTopics(request(19)));
      case ApiKeys.InitProducerId: {
        const { offset } = await this.#append({ kind: 'producer id' });
        return answer(22, { errorCode: 0, producerId: offset, producerEpoch: 0 });
      }
      case ApiKeys.Produce: {
        const { acks, topicData } = request(0);
        const body = await this.#produce(topicData);
        return acks === 0 ? undefined : answer(0, body);
      }
      case ApiKeys.Fetch:
        return answer(1, await this.#fetch(request(1)));
      case ApiKeys.ListOffsets:
        return answer(2, this.#listOffsets(request(2)));
      default:
        return undefined;
    }
  }

  #metadata({ topics }: RequestOf<3>): ResponseInputOf<3> {
    return {
      brokers: [{ nodeId: this.#launch.nodeId, host: this.#launch.host, port: this.#launch.port }],
      topics: (topics ?? []).map(({ name }) => {
        const topic = this.#topics.get(name ?? '');
        if (topic === undefined) return { errorCode: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, name, partitions: [] };
        const partitions = Array.from({ length: topic.partitions }, (_, partitionIndex) => ({
          errorCode: 0,
          partitionIndex,
          leaderId: this.#launch.nodeId,
          leaderEpoch: 0,
          replicaNodes: [0],
          isrNodes: [0],
        }));
        return { errorCode: 0, name, topicId: topic.topicId, partitions };
      }),
    };
  }

  async #createTopics({ topics }: RequestOf<19>): Promise<ResponseInputOf<19>> {
    const results = [];
    for (const { name, numPartitions } of topics) {
      const topicId = this.#io.random.bytes(16).toString('base64url');
      const { error } = await this.#append({ kind: 'topic', name, topicId, partitions: numPartitions });
      results.push({ name, errorCode: error, errorMessage: null });
    }
    return { topics: results };
  }

  async #produce(topicData: RequestOf<0>['topicData']): Promise<ResponseInputOf<0>> {
    const responses = topicData.map(async ({ name, partitionData }) => ({
      name,
      partitionResponses: await Promise.all(
        partitionData.map(async ({ index, records }) => {
          const topic = this.#topics.get(name);
          if (topic === undefined || records === null) return { index, errorCode: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, baseOffset: -1 };
          const { error, offset } = await this.#append({ kind: 'batch', key: `${name}/${index}`, bytes: records.toString('base64') });
          return { index, errorCode: error, baseOffset: offset };
        }),
      ),
    }));
    return { responses: await Promise.all(responses) };
  }

  async #fetch({ topics, maxWaitMs }: RequestOf<1>): Promise<ResponseInputOf<1>> {
    const nothing = topics.every(({ topic, partitions }) =>
      partitions.every(({ partition, fetchOffset }) => fetchOffset >= this.#log(`${topic}/${partition}`).end),
    );
    if (nothing && maxWaitMs > 0) await sleep(this.#io.clock, maxWaitMs);
    return {
      responses: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition, fetchOffset }) => {
          const log = this.#log(`${topic}/${partition}`);
          const head = { partitionIndex: partition, highWatermark: log.end, lastStableOffset: log.end, logStartOffset: 0, abortedTransactions: null };
          if (fetchOffset > log.end) return { ...head, errorCode: ErrorCodes.OFFSET_OUT_OF_RANGE, records: null };
          return {
            ...head,
            errorCode: 0,
            records: log.batches
              .filter((batch) => batch.last >= fetchOffset)
              .slice(0, 5)
              .map((batch) => batch.bytes),
          };
        }),
      })),
    };
  }

  #listOffsets({ topics }: RequestOf<2>): ResponseInputOf<2> {
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode: 0,
          timestamp: -1,
          leaderEpoch: 0,
          offset: timestamp === -2 ? 0 : this.#log(`${name}/${partitionIndex}`).end,
        })),
      })),
    };
  }

  /** Applied when it is durable, one after the other. */
  #append(entry: Entry): Promise<Applied> {
    if (this.#bug === 'dirty-reads' || this.#bug === 'ack-before-durable') {
      const applied = this.#apply(entry);
      const stored = this.#tail.then(() => this.#store(entry));
      this.#tail = stored;
      return this.#bug === 'dirty-reads' ? stored.then(() => applied) : Promise.resolve(applied);
    }
    const applied = this.#tail.then(async () => {
      await this.#store(entry);
      return this.#apply(entry);
    });
    this.#tail = applied;
    return applied;
  }

  /** The same bytes under the same number until somebody's stand there; those of another are applied first. */
  async #store(entry: Entry): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ entry, id: this.#io.random.bytes(8).toString('hex') }));
    for (;;) {
      const outcome = await this.#io.objects.create(nameOf(this.#nextObject), objectBody([bytes]));
      if (outcome.kind === 'created') break;
      if (outcome.kind === 'exists') {
        const there = await this.#read(this.#nextObject);
        if (there === undefined || there.equals(bytes) || this.#bug === 'reuse-number') break;
        this.#apply(entryOf(there));
        this.#nextObject++;
      } else await sleep(this.#io.clock, 20);
    }
    this.#nextObject++;
  }

  /** `undefined` only when it is missing for certain. */
  async #read(number: number): Promise<Buffer | undefined> {
    for (;;) {
      const outcome = await this.#io.objects.read(nameOf(number));
      if (outcome.kind === 'missing') return undefined;
      if (outcome.kind === 'found' && outcome.bytes.byteLength === outcome.sizeBytes) return outcome.bytes;
      await sleep(this.#io.clock, 20);
    }
  }

  #apply(entry: Entry): Applied {
    if (entry.kind === 'producer id') return { error: ErrorCodes.NONE, offset: this.#producerIds++ };
    if (entry.kind === 'topic') {
      if (this.#topics.has(entry.name)) return { error: ErrorCodes.TOPIC_ALREADY_EXISTS, offset: 0 };
      this.#topics.set(entry.name, entry);
      return { error: ErrorCodes.NONE, offset: 0 };
    }
    const bytes = Buffer.from(entry.bytes, 'base64');
    const log = this.#log(entry.key);
    const count = bytes.readInt32BE(57);
    const sequence = bytes.readInt32BE(53);
    if (sequence >= 0) {
      const producer = `${bytes.readBigInt64BE(43)} ${bytes.readInt16BE(51)}`;
      const recent = log.producers.get(producer) ?? [];
      const same = recent.find((batch) => batch.sequence === sequence);
      if (same !== undefined && this.#bug !== 'no-deduplication') return { error: ErrorCodes.NONE, offset: same.base };
      const expected = recent.at(-1)?.next ?? (this.#bug === 'forget-producers' ? sequence : 0);
      if (sequence !== expected && this.#bug !== 'no-deduplication') return { error: ErrorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, offset: -1 };
      log.producers.set(producer, [...recent, { sequence, next: sequence + count, base: log.end }].slice(-5));
    }
    bytes.writeBigInt64BE(BigInt(log.end), 0);
    bytes.writeInt32BE(0, 12);
    const base = log.end;
    log.end += count;
    log.batches.push({ base, last: log.end - 1, bytes });
    return { error: ErrorCodes.NONE, offset: base };
  }

  #log(key: string): ToyLog {
    let log = this.#logs.get(key);
    if (log === undefined) {
      log = { batches: [], end: 0, producers: new Map() };
      this.#logs.set(key, log);
    }
    return log;
  }
}

function nameOf(number: number): string {
  return `toy/${String(number).padStart(8, '0')}`;
}

function entryOf(bytes: Buffer): Entry {
  return (JSON.parse(bytes.toString()) as { readonly entry: Entry }).entry;
}
