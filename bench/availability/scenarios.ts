/** What is done to the clusters. Each answers one observation per try. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Event, Observation, Stage } from './stage.ts';

export interface Try extends Observation {
  /** The broker that was lost; undefined when none was. */
  readonly victim?: number;
  readonly victimWasController: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Only where a partition moves by a metadata write. */
  readonly needsMoves: boolean;
  /** Partitions wanted; undefined: as many as asked for. */
  readonly partitions?: number;
  readonly pauseMs?: number;
  attempt(stage: Stage, options: TryOptions): Promise<Try>;
}

export interface TryOptions {
  readonly index: number;
  /** Brokers are lost after up to so much time under load: what has to be recovered grows until the next checkpoint. */
  readonly mostLoadMs: number;
}

const betweenMovesMs = 200;
/** Multiples of it, without their whole part, are spread evenly. */
const goldenRatio = 0.618_034;

export const scenarios: readonly Scenario[] = [
  { name: 'kill', title: 'kill -9 of one of three brokers', needsMoves: false, attempt: (stage, options) => loseBroker(stage, options, 'kill') },
  { name: 'stop', title: 'SIGTERM of one of three brokers', needsMoves: false, attempt: (stage, options) => loseBroker(stage, options, 'stop') },
  { name: 'move-one', title: 'move of one busy partition', needsMoves: true, partitions: 1, pauseMs: 1, attempt: moveOne },
  { name: 'move-all', title: 'move of all partitions at once', needsMoves: true, attempt: moveAll },
];

/** The controller in every other try. */
async function loseBroker(stage: Stage, { index, mostLoadMs }: TryOptions, how: 'kill' | 'stop'): Promise<Try> {
  const { cluster, admin } = stage;
  await delay((((index + 1) * goldenRatio) % 1) * mostLoadMs);
  const controller = await admin.controller();
  const others = cluster.nodes.filter((node) => node !== controller);
  const victim = index % 2 === 0 ? controller : (others[(index >> 1) % others.length] ?? controller);
  const event: Event = { run: () => cluster[how](victim), isAffected: (leader) => leader === victim, isAgain: (node) => node !== victim };
  const observation = await stage.observe(event);
  return { ...observation, victim, victimWasController: victim === controller };
}

/** Between two tries: all brokers serve, and what was moved is spread again. */
export async function restore(stage: Stage, { victim }: Try): Promise<void> {
  if (victim === undefined) return;
  await stage.cluster.start(victim);
  await stage.cluster.spread(stage.admin, stage.topics);
  await stage.untilSteady();
}

async function moveOne(stage: Stage, { index }: TryOptions): Promise<Try> {
  const { nodes } = stage.cluster;
  const target = nodes[(nodes.indexOf((await stage.admin.leaders(stage.topic))[0] ?? -1) + 1) % nodes.length] ?? -1;
  await delay(betweenMovesMs * (1 + (index % 3) / 3));
  return move(stage, () => target);
}

function moveAll(stage: Stage, { index }: TryOptions): Promise<Try> {
  const { nodes } = stage.cluster;
  return move(stage, (partition) => nodes[(partition + index + 1) % nodes.length] ?? -1);
}

async function move(stage: Stage, targetOf: (partition: number) => number): Promise<Try> {
  const { admin, topic, probe } = stage;
  const event: Event = {
    run: () => admin.reassign(topic, [...probe.partitions.keys()], targetOf),
    isAffected: (leader, partition) => leader !== targetOf(partition),
    isAgain: (node, partition) => node === targetOf(partition),
  };
  return { ...(await stage.observe(event)), victimWasController: false };
}
