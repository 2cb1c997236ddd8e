/** A cluster under load, and what its clients see while something is done to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './clusters.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import { KafkajsClients } from './kafkajs-clients.ts';
import type { Address } from './kafka-socket.ts';
import { LibrdkafkaGroups } from './librdkafka-groups.ts';
import { Probe, type ProbedPartition } from './probe.ts';
import { type ReadBack, readBack } from './read-back.ts';

export interface Load {
  readonly partitions: number;
  readonly pauseMs: number;
}

/** All times in milliseconds. */
export interface Observation {
  /** Partitions that the event took from their leader. */
  readonly affected: number;
  /** From the event to the first and to the last of them acknowledged by another leader. */
  readonly firstAgainMs: number;
  readonly lastAgainMs: number;
  /** Longest time between two acknowledgements of each affected partition around the event. */
  readonly gapsMs: readonly number[];
  /** The same of all others. */
  readonly worstOtherGapMs: number;
  /** From the first sending of a record to its acknowledgement, the longest of all. */
  readonly worstAckMs: number;
  readonly kafkajsProducerGapMs: number;
  readonly kafkajsConsumerGapMs: number;
  readonly consumerGapMs: number;
  readonly commitGapMs: number;
  /** What the event itself needed, a process's end for one. */
  readonly eventMs: number;
  /** Wall clock at the event, to find it in logs. */
  readonly at: string;
}

export interface Event {
  /** Resolves when it is over; its time is measured. */
  readonly run: () => Promise<void>;
  readonly isAffected: (leader: number, partition: number) => boolean;
  /** Is the partition where it shall be, when this node acknowledges? */
  readonly isAgain: (node: number, partition: number) => boolean;
}

const topic = 'probed';
const ordersTopic = 'orders';
const ordersPartitions = 6;
const offsetsTopic = '__consumer_offsets';
const offsetsPartitions = 50;
const groups = 6;
const kafkajsPauseMs = 50;
const warmUpMs = 2_000;
const calmMs = 1_000;
const againWithinMs = 120_000;
const pollMs = 10;

export class Stage {
  readonly cluster: Cluster;
  readonly admin: KafkaAdmin;
  readonly probe: Probe;
  readonly clients: KafkajsClients;
  readonly consumers: LibrdkafkaGroups;
  readonly topics: ReadonlyMap<string, number>;
  readonly topic = topic;

  static async open(cluster: Cluster, load: Load): Promise<Stage> {
    const admin = new KafkaAdmin(cluster.bootstrap);
    const topics = new Map([
      [topic, load.partitions],
      [ordersTopic, ordersPartitions],
    ]);
    for (const [name, partitions] of topics) {
      await admin.createTopic(name, partitions, cluster.replicas);
      await admin.untilLed(name, partitions, cluster.replicas);
    }
    const clients = await KafkajsClients.start({
      bootstrap: cluster.bootstrap,
      topic: ordersTopic,
      partitions: ordersPartitions,
      pauseMs: kafkajsPauseMs,
    });
    const consumers = await LibrdkafkaGroups.start({ bootstrap: cluster.bootstrap, topic: ordersTopic, partitions: ordersPartitions, groups });
    topics.set(offsetsTopic, offsetsPartitions);
    await cluster.spread(admin, topics);
    const probe = new Probe({ bootstrap: cluster.bootstrap, topic, ...load });
    const stage = new Stage({ cluster, admin, probe, clients, consumers, topics });
    await stage.untilSteady();
    return stage;
  }

  private constructor(parts: Pick<Stage, 'cluster' | 'admin' | 'probe' | 'clients' | 'consumers' | 'topics'>) {
    this.cluster = parts.cluster;
    this.admin = parts.admin;
    this.probe = parts.probe;
    this.clients = parts.clients;
    this.consumers = parts.consumers;
    this.topics = parts.topics;
  }

  /** Every client has been served for a while. */
  async untilSteady(): Promise<void> {
    const startMs = performance.now();
    await this.#untilServed(
      startMs,
      () => true,
      () => true,
    );
    await delay(warmUpMs);
  }

  async observe({ run, isAffected, isAgain }: Event): Promise<Observation> {
    this.probe.watch();
    this.clients.watch();
    this.consumers.watch();
    const leaders = this.probe.partitions.map(({ acks }) => acks.at(-1)?.node ?? -1);
    const affected = (partition: number) => isAffected(leaders[partition] ?? -1, partition);
    const at = new Date().toISOString();
    const eventAtMs = performance.now();
    const over = run().then(() => performance.now() - eventAtMs);
    const againAt = await this.#untilServed(eventAtMs, affected, isAgain);
    const eventMs = await over;
    await delay(calmMs);
    const times = againAt.flatMap((time, partition) => (affected(partition) ? [time - eventAtMs] : []));
    const gapOf = ({ acks }: ProbedPartition) => Math.max(0, ...acks.slice(1).map((ack, i) => ack.ackedMs - (acks[i]?.ackedMs ?? 0)));
    const gaps = this.probe.partitions.map(gapOf);
    return {
      affected: times.length,
      firstAgainMs: Math.min(...times),
      lastAgainMs: Math.max(...times),
      gapsMs: gaps.filter((_, partition) => affected(partition)).map(Math.round),
      worstOtherGapMs: Math.max(0, ...gaps.filter((_, partition) => !affected(partition))),
      worstAckMs: Math.max(...this.probe.partitions.flatMap(({ acks }) => acks.slice(1).map(({ sentMs, ackedMs }) => ackedMs - sentMs))),
      kafkajsProducerGapMs: this.clients.produced.worstGapMs(),
      kafkajsConsumerGapMs: this.clients.progress.worstGapMs(),
      consumerGapMs: this.consumers.progress.worstGapMs(),
      commitGapMs: this.consumers.commits.worstGapMs(),
      eventMs,
      at,
    };
  }

  /** Ends the clients and compares what they were told with what is there. */
  async close(): Promise<{ readonly readBack: ReadBack; readonly faults: readonly string[]; readonly kafkajsCrashes: readonly string[] }> {
    await this.probe.pause();
    await this.consumers.close();
    await this.clients.close();
    const leaders = await this.admin.leaders(topic);
    const addressOf = new Map<number, Address>(this.cluster.nodes.map((node, index) => [node, this.cluster.bootstrap[index] as Address]));
    const found = await readBack({ topic, partitions: this.probe.partitions, leaders, addressOf });
    this.probe.close();
    this.admin.close();
    return { readBack: found, faults: [...this.clients.faults, ...this.consumers.faults], kafkajsCrashes: this.clients.crashes };
  }

  /** When each affected partition was acknowledged where it shall be; resolves when the others and the real
   * clients were served, too; all but kafkajs's consumer, which takes its own time. */
  async #untilServed(sinceMs: number, isAffected: (partition: number) => boolean, isAgain: Event['isAgain']): Promise<number[]> {
    const againAt: number[] = [];
    const open = new Set(this.probe.partitions.keys());
    const others = () => [...this.clients.produced.missingSince(sinceMs), ...this.consumers.missingSince(sinceMs)];
    while (open.size > 0 || others().length > 0) {
      for (const partition of open) {
        const { acks } = this.probe.partitions[partition] as ProbedPartition;
        const ack = acks.find(({ ackedMs, node }) => ackedMs > sinceMs && (!isAffected(partition) || isAgain(node, partition)));
        if (!ack) continue;
        againAt[partition] = ack.ackedMs;
        open.delete(partition);
      }
      if (performance.now() - sinceMs > againWithinMs) {
        const waiting = [...[...open].slice(0, 10).map((partition) => `${topic}-${partition}`), ...others()].join(', ');
        const seen = JSON.stringify({
          errors: [...this.probe.errors],
          faults: [...this.clients.faults, ...this.clients.crashes, ...this.consumers.faults].slice(-10),
        });
        throw new Error(`not served ${againWithinMs} ms after the event: ${open.size} partitions, in all ${waiting}; ${seen}`);
      }
      await delay(pollMs);
    }
    return againAt;
  }
}
