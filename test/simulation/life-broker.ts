/** The real engine (one life of a broker) behind the least of a Kafka server: until the real server is there. */
import { brokerConfig } from '../../broker/config.ts';
import { beginLife, type BrokerLife } from '../../broker/broker-life.ts';
import type { Mutants } from '../../broker/log/mutants.ts';
import type { PartitionLog } from '../../broker/log/partition-log.ts';
import { type ErrorCode, ErrorCodes } from '../../broker/protocol/errors.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestOf, type ResponseInputOf } from '../../broker/protocol/messages.gen.ts';
import type { NodeId } from '../../cluster/identifiers.ts';
import type { Clock } from '../../io/clock.ts';
import { sleep } from '../../io/clock.ts';
import type { Io } from '../../io/io.ts';
import type { Connection } from '../../io/transport.ts';
import type { BrokerLaunch, BrokerProgram, RunningBroker } from './sim-broker.ts';

const served: readonly ApiKey[] = [0, 1, 2, 3, 18, 19, 20, 22, 37, 44, 21];
const ranges: Readonly<Partial<Record<ApiKey, readonly [number, number]>>> = {
  0: [3, 12],
  1: [4, 12],
  2: [1, 7],
  3: [10, 12],
  18: [0, 3],
  19: [2, 7],
  20: [1, 5],
  21: [0, 2],
  22: [0, 4],
  37: [0, 3],
  44: [0, 1],
};

export const lifeBroker =
  (mutants?: Mutants): BrokerProgram =>
  async (io: Io, launch: BrokerLaunch): Promise<RunningBroker> => {
    const config = brokerConfig({
      ...launch.settings,
      'node.id': String(launch.nodeId),
      listeners: `PLAINTEXT://${launch.host}:${launch.port}`,
      'storage.url': 's3://simulated',
    });
    const abort = new AbortController();
    const life = await beginLife({
      config,
      io,
      clusterId: 'simulated',
      identity: { node: launch.nodeId as NodeId, host: launch.host, port: launch.port, rack: undefined },
      signal: abort.signal,
      onPartitionOpened: () => {},
      onPartitionClosed: () => {},
      ...(mutants ? { mutants } : {}),
    });
    const front = new Front(io.clock, life, launch);
    const listener = await io.transport.listen({ host: launch.host, port: launch.port }, (connection) => front.serve(connection));
    return {
      close: async () => {
        await listener.close();
        await life.close({ graceful: true });
      },
      ended: life.ended.then((end) => JSON.stringify(end)),
    };
  };

class Front {
  readonly #clock: Clock;
  readonly #life: BrokerLife;
  readonly #launch: BrokerLaunch;

  constructor(clock: Clock, life: BrokerLife, launch: BrokerLaunch) {
    this.#clock = clock;
    this.#life = life;
    this.#launch = launch;
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
          answers = answers.then(async () => {
            const chunks = await answer;
            if (chunks !== undefined) connection.write(chunks);
          });
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
    const { admin, image, producerIds } = this.#life.services;
    switch (apiKey) {
      case ApiKeys.ApiVersions:
        return answer(18, {
          errorCode: 0,
          apiKeys: served.map((key) => ({ apiKey: key, minVersion: ranges[key]?.[0] ?? 0, maxVersion: ranges[key]?.[1] ?? 0 })),
        });
      case ApiKeys.Metadata:
        return answer(3, this.#metadata(request(3)));
      case ApiKeys.CreateTopics: {
        const topic = request(19).topics[0]!;
        const config = Object.fromEntries(topic.configs.map(({ name, value }) => [name, value ?? '']));
        if (image.topicByName(topic.name)) return answer(19, { topics: [{ name: topic.name, errorCode: 36, errorMessage: null }] });
        const outcome = await admin.createTopic({ name: topic.name, partitionCount: topic.numPartitions, config });
        return answer(19, { topics: [{ name: topic.name, errorCode: outcome.kind === 'done' ? 0 : outcome.error, errorMessage: null }] });
      }
      case ApiKeys.DeleteTopics: {
        const name = request(20).topicNames[0]!;
        const topic = image.topicByName(name);
        const outcome = topic && (await admin.deleteTopic(topic.topicId));
        return answer(20, {
          responses: [
            { name, topicId: topic?.topicId ?? 'AAAAAAAAAAAAAAAAAAAAAA', errorCode: outcome === undefined ? 3 : outcome.kind === 'done' ? 0 : outcome.error },
          ],
        });
      }
      case ApiKeys.CreatePartitions: {
        const { name, count } = request(37).topics[0]!;
        const topic = image.topicByName(name);
        const outcome = topic && (await admin.createPartitions(topic.topicId, count));
        return answer(37, { results: [{ name, errorCode: outcome === undefined ? 3 : outcome.kind === 'done' ? 0 : outcome.error }] });
      }
      case ApiKeys.IncrementalAlterConfigs: {
        const { resourceName, configs } = request(44).resources[0]!;
        const topic = image.topicByName(resourceName);
        const outcome = topic && (await admin.alterTopicConfig(topic.topicId, Object.fromEntries(configs.map(({ name, value }) => [name, value]))));
        return answer(44, {
          responses: [
            { errorCode: outcome === undefined ? 3 : outcome.kind === 'done' ? 0 : outcome.error, errorMessage: null, resourceType: 2, resourceName },
          ],
        });
      }
      case ApiKeys.DeleteRecords: {
        const { name, partitions } = request(21).topics[0]!;
        const { partitionIndex, offset } = partitions[0]!;
        const log = this.#log(name, partitionIndex);
        const errorCode = typeof log === 'number' ? log : await log.deleteRecordsBefore(offset);
        return answer(21, { topics: [{ name, partitions: [{ partitionIndex, lowWatermark: 0, errorCode }] }] });
      }
      case ApiKeys.InitProducerId:
        return answer(22, { errorCode: 0, producerId: await producerIds.next(), producerEpoch: 0 });
      case ApiKeys.Produce: {
        const { acks, topicData, timeoutMs } = request(0);
        const body = await this.#produce(topicData, timeoutMs);
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

  #log(topicName: string, partition: number): PartitionLog | ErrorCode {
    const { image, partitions } = this.#life.services;
    const topic = image.topicByName(topicName);
    if (topic === undefined) return ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
    const found = partitions.find(topic.topicId, partition);
    switch (found.kind) {
      case 'owned':
        return found.log;
      case 'failed':
        return ErrorCodes.KAFKA_STORAGE_ERROR;
      case 'unknown':
        return ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
      default:
        return ErrorCodes.NOT_LEADER_OR_FOLLOWER;
    }
  }

  #metadata({ topics }: RequestOf<3>): ResponseInputOf<3> {
    const { image } = this.#life.services;
    const node = this.#launch.nodeId;
    return {
      brokers: [{ nodeId: node, host: this.#launch.host, port: this.#launch.port }],
      topics: (topics ?? []).map(({ name }) => {
        const topic = image.topicByName(name ?? '');
        if (topic === undefined) return { errorCode: ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION, name, partitions: [] };
        const partitions = Array.from({ length: topic.partitionCount }, (_, partitionIndex) => ({
          errorCode: 0,
          partitionIndex,
          leaderId: node,
          leaderEpoch: 0,
          replicaNodes: [0],
          isrNodes: [0],
        }));
        return { errorCode: 0, name, topicId: topic.topicId, partitions };
      }),
    };
  }

  async #produce(topicData: RequestOf<0>['topicData'], timeoutMs: number): Promise<ResponseInputOf<0>> {
    const responses = topicData.map(async ({ name, partitionData }) => ({
      name,
      partitionResponses: await Promise.all(
        partitionData.map(async ({ index, records }) => {
          const log = this.#log(name, index);
          if (typeof log === 'number' || records === null) return { index, errorCode: typeof log === 'number' ? log : 87, baseOffset: -1 };
          const outcome = log.append(Buffer.from(records), { origin: 'client' });
          if (outcome.kind === 'rejected') return { index, errorCode: outcome.error, baseOffset: -1 };
          const durability = await Promise.race([outcome.durable, sleep(this.#clock, timeoutMs)]);
          const errorCode = durability === 'durable' ? 0 : durability === 'not-appended' ? 6 : durability === 'unknown' ? 56 : 7;
          return { index, errorCode, baseOffset: errorCode === 0 ? outcome.baseOffset : -1 };
        }),
      ),
    }));
    return { responses: await Promise.all(responses) };
  }

  async #fetch({ topics, maxWaitMs, isolationLevel }: RequestOf<1>): Promise<ResponseInputOf<1>> {
    const logs = topics.flatMap(({ topic, partitions }) => partitions.map(({ partition, fetchOffset }) => ({ log: this.#log(topic, partition), fetchOffset })));
    if (maxWaitMs > 0 && logs.every(({ log, fetchOffset }) => typeof log === 'number' || log.highWatermark === fetchOffset))
      await sleep(this.#clock, maxWaitMs);
    const responses = topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await Promise.all(
        partitions.map(async ({ partition, fetchOffset, partitionMaxBytes }) => {
          const log = this.#log(topic, partition);
          const nothing = { partitionIndex: partition, highWatermark: -1, abortedTransactions: null, records: null };
          if (typeof log === 'number') return { ...nothing, errorCode: log };
          const read = await log.read(fetchOffset, { maxBytes: partitionMaxBytes, isolation: isolationLevel === 1 ? 'committed' : 'uncommitted' });
          if (read.kind === 'out-of-range') return { ...nothing, errorCode: ErrorCodes.OFFSET_OUT_OF_RANGE };
          if (read.kind === 'failed') return { ...nothing, errorCode: read.error };
          return {
            ...nothing,
            errorCode: 0,
            highWatermark: log.highWatermark,
            lastStableOffset: log.lastStableOffset,
            logStartOffset: log.logStartOffset,
            records: Buffer.concat(read.chunks),
          };
        }),
      ),
    }));
    return { responses: await Promise.all(responses) };
  }

  #listOffsets({ topics }: RequestOf<2>): ResponseInputOf<2> {
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const log = this.#log(name, partitionIndex);
          if (typeof log === 'number') return { partitionIndex, errorCode: log };
          return {
            partitionIndex,
            errorCode: 0,
            timestamp: -1,
            leaderEpoch: log.leaderEpoch,
            offset: timestamp === -2 ? log.logStartOffset : log.highWatermark,
          };
        }),
      })),
    };
  }
}
