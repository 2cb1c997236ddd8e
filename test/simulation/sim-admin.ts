/**
 * Background noise of administration: topics come and go, partitions are added, retention changes, records are
 * deleted, offsets are listed. The topics under test are created first and stay.
 */
import { zeroUuid } from '../../broker/protocol/layout.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { Disconnected } from './kafka-connection.ts';
import type { KafkaSession } from './kafka-session.ts';
import { errorName } from './produce-errors.ts';
import type { Recorder } from './recorder.ts';
import type { SimRandom } from './sim-random.ts';

export interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface SimAdminOptions {
  readonly name: string;
  readonly session: KafkaSession;
  readonly recorder: Recorder;
  readonly random: SimRandom;
  readonly lasting: readonly TopicPlan[];
  readonly gapMs: number;
  readonly noise: readonly Noise[];
}

export const noisesOfOne = ['create topic', 'delete topic', 'add partitions', 'change retention', 'delete records', 'list offsets'] as const;
export const clusterNoises = ['move partition', 'move topic'] as const;
export type Noise = (typeof noisesOfOne)[number] | (typeof clusterNoises)[number];

/** Topics that come and go, at one time. */
const mostPassing = 8;

export class SimAdmin {
  /** Topics that clients may use now. */
  readonly topics: string[] = [];
  /** Topics whose records may expire, by name: once shortened, for ever. */
  readonly expiring = new Set<string>();
  readonly #options: SimAdminOptions;
  readonly #passing: string[] = [];
  #nextTopic = 1;
  #stopping = false;

  constructor(options: SimAdminOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    const { lasting, session, random, gapMs, noise } = this.#options;
    for (const topic of lasting) await this.#createUntilDone(topic);
    while (!this.#stopping) {
      await session.sleep(gapMs * random.between(0.2, 1.8));
      if (this.#stopping || noise.length === 0) continue;
      try {
        await session.refresh(this.topics);
        await this.#make(random.pick(noise));
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
      }
    }
  }

  async #createUntilDone(topic: TopicPlan): Promise<void> {
    const { session, random } = this.#options;
    if ('retention.ms' in topic.config || 'retention.bytes' in topic.config) this.expiring.add(topic.name);
    for (;;) {
      try {
        const error = await this.#create(topic);
        if (error === ErrorCodes.NONE || error === ErrorCodes.TOPIC_ALREADY_EXISTS) break;
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
      }
      await session.sleep(random.between(50, 500));
    }
    this.topics.push(topic.name);
  }

  async #create(topic: TopicPlan): Promise<number> {
    const { session } = this.#options;
    const configs = Object.entries(topic.config).map(([name, value]) => ({ name, value }));
    const answer = await session.toAny(ApiKeys.CreateTopics, {
      timeoutMs: 5_000,
      topics: [{ name: topic.name, numPartitions: topic.partitions, replicationFactor: 1, assignments: [], configs }],
    });
    const code = answer.topics[0]?.errorCode ?? ErrorCodes.NONE;
    this.#expectKnown(code, 'CreateTopics');
    return code;
  }

  async #make(noise: Noise): Promise<void> {
    const { session, random, recorder } = this.#options;
    switch (noise) {
      case 'create topic': {
        if (this.#passing.length >= mostPassing) return;
        const name = `passing-${this.#nextTopic++}`;
        const error = await this.#create({ name, partitions: random.integer(1, 4), config: {} });
        if (error !== ErrorCodes.NONE) return;
        this.#passing.push(name);
        this.topics.push(name);
        return;
      }
      case 'delete topic': {
        const name = this.#passing.shift();
        if (name === undefined) return;
        // Whatever the answer: nobody uses it any more.
        this.topics.splice(this.topics.indexOf(name), 1);
        const answer = await session.toAny(ApiKeys.DeleteTopics, { timeoutMs: 5_000, topics: [{ name, topicId: zeroUuid }], topicNames: [name] });
        return this.#expectKnown(answer.responses[0]?.errorCode ?? 0, 'DeleteTopics');
      }
      case 'add partitions': {
        const topic = session.topics.get(random.pick(this.topics));
        if (topic === undefined || topic.leaders.length >= 12) return;
        const answer = await session.toAny(ApiKeys.CreatePartitions, {
          timeoutMs: 5_000,
          validateOnly: false,
          topics: [{ name: topic.name, count: topic.leaders.length + 1, assignments: null }],
        });
        return this.#expectKnown(answer.results[0]?.errorCode ?? 0, 'CreatePartitions');
      }
      case 'change retention': {
        const name = random.pick(this.topics);
        if (!this.expiring.has(name) && random.chance(0.7)) return;
        this.expiring.add(name);
        const [setting, value] = random.pick([
          ['retention.ms', String(random.integer(1_000, 60_000))],
          ['retention.bytes', String(random.integer(500, 20_000))],
          ['retention.ms', '-1'],
        ] as const);
        const configs = [{ name: setting, configOperation: 0, value }];
        const answer = await session.toAny(ApiKeys.IncrementalAlterConfigs, {
          validateOnly: false,
          resources: [{ resourceType: 2, resourceName: name, configs }],
        });
        return this.#expectKnown(answer.responses[0]?.errorCode ?? 0, 'IncrementalAlterConfigs');
      }
      case 'move partition': {
        const at = this.#anyPartition();
        return at && this.#move(at.name, [at.partition]);
      }
      case 'move topic': {
        const topic = session.topics.get(random.pick(this.topics));
        return topic && this.#move(topic.name, [...topic.leaders.keys()]);
      }
      case 'delete records':
        if (await session.supports(ApiKeys.DeleteRecords)) await this.#deleteRecords();
        return;
      case 'list offsets': {
        const spec = random.pick(['earliest', 'latest'] as const);
        const at = this.#anyPartition();
        if (at === undefined) return;
        const t0 = recorder.nowMs;
        const offset = await this.#offsetOf(at.name, at.partition, spec);
        if (offset !== undefined)
          recorder.record({ f: 'listOffsets', type: 'ok', process: this.#options.name, key: at.key, t0, t1: recorder.nowMs, spec, offset });
        return;
      }
    }
  }

  /** To one broker that is known, or to several; now and then a wish is withdrawn. What comes of it is the owners' business. */
  async #move(name: string, partitions: readonly number[]): Promise<void> {
    const { session, random, recorder } = this.#options;
    if (session.nodes.length === 0 || !(await session.supports(ApiKeys.AlterPartitionReassignments))) return;
    const target = random.pick(session.nodes);
    const answer = await session.toAny(ApiKeys.AlterPartitionReassignments, {
      timeoutMs: 5_000,
      topics: [
        {
          name,
          partitions: partitions.map((partitionIndex) => ({
            partitionIndex,
            replicas: random.chance(0.1) ? null : [random.chance(0.3) ? random.pick(session.nodes) : target],
          })),
        },
      ],
    });
    this.#expectKnown(answer.errorCode, 'AlterPartitionReassignments');
    const codes = answer.responses.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode));
    for (const code of codes) this.#expectKnown(code, 'AlterPartitionReassignments');
    recorder.note(`${this.#options.name} asked ${name} [${partitions.join(' ')}] to broker ${target}: ${[...new Set(codes)].map(errorName).join(' ')}`);
  }

  async #deleteRecords(): Promise<void> {
    const { session, random, recorder, name: process } = this.#options;
    const at = this.#anyPartition();
    const end = at && (await this.#offsetOf(at.name, at.partition, 'latest'));
    if (at === undefined || end === undefined || end < 2) return;
    const before = random.integer(1, Math.max(1, Math.floor(end / 2)));
    const t0 = recorder.nowMs;
    const operation = { f: 'deleteRecords', process, key: at.key, t0, before } as const;
    const closed = recorder.opened(() => recorder.record({ ...operation, type: 'info', t1: null }));
    try {
      const answer = await session.toLeader(at.name, at.partition, ApiKeys.DeleteRecords, {
        timeoutMs: 5_000,
        topics: [{ name: at.name, partitions: [{ partitionIndex: at.partition, offset: before }] }],
      });
      const code = answer.topics[0]?.partitions[0]?.errorCode ?? ErrorCodes.UNKNOWN_SERVER_ERROR;
      this.#expectKnown(code, 'DeleteRecords');
      recorder.record({ ...operation, type: code === ErrorCodes.NONE ? 'ok' : 'info', t1: recorder.nowMs });
    } catch (error) {
      recorder.record({ ...operation, type: 'info', t1: recorder.nowMs });
      throw error;
    } finally {
      closed();
    }
  }

  #anyPartition(): { readonly name: string; readonly partition: number; readonly key: string } | undefined {
    const { session, random } = this.#options;
    const topic = session.topics.get(random.pick(this.topics));
    if (topic === undefined || topic.leaders.length === 0) return undefined;
    const partition = random.below(topic.leaders.length);
    return { name: topic.name, partition, key: `${topic.topicId}/${partition}` };
  }

  async #offsetOf(name: string, partition: number, spec: 'earliest' | 'latest'): Promise<number | undefined> {
    const body = {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name, partitions: [{ partitionIndex: partition, timestamp: spec === 'earliest' ? -2 : -1 }] }],
    };
    const answer = await this.#options.session.toLeader(name, partition, ApiKeys.ListOffsets, body);
    const result = answer.topics[0]?.partitions[0];
    return result?.errorCode === ErrorCodes.NONE ? result.offset : undefined;
  }

  #expectKnown(code: number, api: string): void {
    if (code === ErrorCodes.UNKNOWN_SERVER_ERROR) this.#options.recorder.violation('unexpected-error', `${api} was answered ${errorName(code)}`);
  }
}
