/**
 * The options of one run, drawn from its seed: sizes, workload and which faults at which rate. Swarm testing: each run
 * has a random subset of the faults, since all of them at once hide each other; a quarter of the runs is quiet.
 */
import { type MetaStoreFaults, noMetaStoreFaults } from './fake-meta-store.ts';
import { noObjectStoreFaults, type ObjectStoreFaults } from './object-store-faults.ts';
import { clusterNoises, type Noise, noisesOfOne, type TopicPlan } from './sim-admin.ts';
import { SimRandom } from './sim-random.ts';
import type { NetworkShape } from './sim-transport.ts';

/** What the nemesis does now and then, each with the mean time between two of them. */
export interface NemesisRates {
  readonly crash?: number;
  readonly shutdown?: number;
  readonly stall?: number;
  readonly pause?: number;
  /** A new process of the same node starts while the old one sleeps. */
  readonly replace?: number;
  readonly storeOutage?: number;
  readonly storeThrottled?: number;
  readonly storeRefuses?: number;
  readonly metaAway?: number;
  readonly metaCompaction?: number;
  readonly cutConnection?: number;
  readonly halfOpenConnection?: number;
  readonly partition?: number;
  readonly clockJump?: number;
  readonly clockDrift?: number;
  readonly bitFlipAtRest?: number;
  readonly objectVanishes?: number;
  readonly partitionBrokers?: number;
  /** A broker that no other reaches, and maybe nobody else (F62). */
  readonly isolate?: number;
  readonly partitionStore?: number;
  readonly partitionMeta?: number;
  readonly deafWatch?: number;
  readonly leaseLoss?: number;
  readonly rollingRestart?: number;
}
export type NemesisFault = keyof NemesisRates;

/** Chance that the broker is killed when the store meets one of its calls. */
export interface CrashPoints {
  readonly createIssued: number;
  readonly created: number;
  readonly deleted: number;
  readonly txnApplied: number;
}

export interface SimOptions {
  readonly seed: number;
  readonly quiet: boolean;
  readonly brokers: number;
  /** Faults and load last so long (virtual); then everything is healed. */
  readonly workMs: number;
  /** The machine under a folder: crashes are power cuts. */
  readonly powerCuts: boolean;
  /** Stored objects are damaged: what cannot be read may stay so. */
  readonly damaged: boolean;
  readonly restartBeforeFinalReads: boolean;
  /** At the end everything rests until no garbage may be left. */
  readonly rests: boolean;
  readonly network: NetworkShape;
  readonly objectStore: {
    readonly minLatencyMs: number;
    readonly maxLatencyMs: number;
    readonly deadlineMs: number;
    readonly listPageSize: number;
    readonly faults: ObjectStoreFaults;
  };
  readonly metaStore: { readonly minLatencyMs: number; readonly maxLatencyMs: number; readonly deadlineMs: number; readonly faults: MetaStoreFaults };
  readonly clockOffsetMs: number;
  readonly nemesis: NemesisRates;
  readonly crashPoints: CrashPoints;
  readonly topics: readonly TopicPlan[];
  readonly noise: readonly Noise[];
  readonly noiseGapMs: number;
  readonly idempotentProducers: number;
  readonly plainProducers: number;
  readonly consumers: number;
  /** Members of each consumer group. */
  readonly groups: readonly number[];
  /** Mean time between two drains of a broker; 0: none. */
  readonly drainGapMs: number;
  /** What becomes of one broker when all else is healed: what it had must be served by the others. */
  readonly lastVictim: 'none' | 'dead' | 'asleep';
  /** Mean time between two batches of one producer. */
  readonly gapMs: number;
  readonly deliveryTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Broker settings as text, small so that their edges are met. */
  readonly broker: Readonly<Record<string, string>>;
}

const { keepaliveLies: _, ...metaStoreFaultsOfOne } = noMetaStoreFaults;

const noCrashPoints: CrashPoints = { createIssued: 0, created: 0, deleted: 0, txnApplied: 0 };

/** Runs draw 1 to 4 brokers, but no more than this. */
const mostBrokers = 4;

/** What options had not yet when a seed file was written. */
const olderOptions = { brokers: 1, rests: false, groups: [], drainGapMs: 0, lastVictim: 'none' } as const;

export function readOptions(json: string): SimOptions {
  const { options } = JSON.parse(json) as { readonly options: SimOptions };
  return { ...olderOptions, ...options, metaStore: { ...options.metaStore, faults: { ...noMetaStoreFaults, ...options.metaStore.faults } } };
}

/** `brokers`: how many, whatever the seed says. */
export function swarmOptions(seed: number, brokers?: number): SimOptions {
  const options = oneBroker(seed);
  // A stream of its own: what is drawn for a cluster does not change what one broker gets.
  const random = new SimRandom(`cluster ${seed}`);
  const drawn = random.integer(1, 4);
  const count = brokers ?? Math.min(drawn, mostBrokers);
  return count === 1 ? options : clusterOptions(options, random, count);
}

/** The same for many brokers: faults between them, moves, groups. */
function clusterOptions(options: SimOptions, random: SimRandom, brokers: number): SimOptions {
  const { workMs, quiet } = options;
  // More than one transaction of a handover; with one consumer, for what every poll costs.
  const many = random.chance(0.06);
  const faults = clusterFaults.filter(() => random.chance(0.35));
  const rates = faults.map((fault) => [fault, Math.round(workMs / random.logBetween(1, 6))] as const);
  return {
    ...options,
    brokers,
    nemesis: quiet ? {} : { ...options.nemesis, ...Object.fromEntries(rates) },
    // Partitions that come and go are read often: three flips in a row would be taken for damage now and then.
    objectStore: { ...options.objectStore, faults: { ...options.objectStore.faults, bitFlip: Math.min(options.objectStore.faults.bitFlip, 0.02) } },
    metaStore: {
      ...options.metaStore,
      faults: { ...options.metaStore.faults, keepaliveLies: !quiet && random.chance(0.3) ? round(random.logBetween(0.01, 0.5)) : 0 },
    },
    noise: [...options.noise, ...clusterNoises.filter(() => random.chance(0.7))],
    groups: Array.from({ length: random.pick([0, 1, 1, 2]) }, () => random.integer(1, 2)),
    topics: many ? options.topics.map((topic) => ({ ...topic, partitions: 45 })) : options.topics,
    consumers: many ? 1 : options.consumers,
    lastVictim: random.chance(0.75) ? 'none' : random.pick(['dead', 'asleep'] as const),
    drainGapMs: random.chance(0.4) ? random.pick([3_000, 10_000]) : 0,
    broker: { ...options.broker, 'offsets.topic.num.partitions': random.pick(['1', '3']), 'group.initial.rebalance.delay.ms': random.pick(['0', '500']) },
  };
}

const clusterFaults = ['partitionBrokers', 'isolate', 'partitionStore', 'partitionMeta', 'deafWatch', 'leaseLoss', 'rollingRestart'] as const;

function oneBroker(seed: number): SimOptions {
  const random = new SimRandom(`swarm ${seed}`);
  const quiet = random.chance(0.25);
  const damaged = !quiet && random.chance(0.1);
  const workMs = random.logBetween(6_000, 30_000);
  const fastStore = random.chance(0.4);
  const crashy = !quiet && random.chance(0.5);
  return {
    seed,
    quiet,
    ...olderOptions,
    workMs: Math.round(workMs),
    powerCuts: !quiet && random.chance(0.2),
    damaged,
    restartBeforeFinalReads: random.chance(0.6),
    rests: new SimRandom(`rest ${seed}`).chance(0.1),
    network: {
      minLatencyMs: 0.1,
      maxLatencyMs: random.pick([0.5, 2, 20]),
      windowBytes: random.pick([1_000, 5_000, 65_536]),
      splitChance: random.pick([0, 0.1, 0.5]),
    },
    objectStore: {
      minLatencyMs: fastStore ? 0.2 : 3,
      maxLatencyMs: fastStore ? 2 : random.pick([10, 60]),
      deadlineMs: random.pick([300, 2_000, 15_000]),
      listPageSize: random.pick([2, 10, 1_000]),
      faults: quiet ? noObjectStoreFaults : drawRates(random, noObjectStoreFaults, 0.5, 0.003, 0.15),
    },
    metaStore: {
      minLatencyMs: 0.5,
      maxLatencyMs: random.pick([2, 20]),
      deadlineMs: random.pick([200, 2_000]),
      faults: { ...(quiet ? noMetaStoreFaults : drawRates(random, metaStoreFaultsOfOne, 0.5, 0.003, 0.2)), keepaliveLies: 0 },
    },
    clockOffsetMs: random.chance(0.3) ? Math.round(random.between(-3_600_000, 3_600_000)) : 0,
    nemesis: quiet ? {} : drawNemesis(random, workMs, damaged),
    crashPoints: crashy ? drawRates(random, noCrashPoints, 0.5, 0.002, 0.05) : noCrashPoints,
    topics: drawTopics(random),
    noise: random.chance(0.5) ? noisesOfOne.filter(() => random.chance(0.6)) : [],
    noiseGapMs: random.pick([200, 1_000]),
    idempotentProducers: random.integer(1, 3),
    plainProducers: random.integer(0, 2),
    consumers: random.integer(1, 3),
    gapMs: random.pick([15, 40, 150]),
    deliveryTimeoutMs: random.pick([3_000, 20_000]),
    requestTimeoutMs: random.pick([500, 3_000, 30_000]),
    broker: drawBrokerSettings(random),
  };
}

/** Each rate is on with chance `on`, then between `low` and `high`, spread over orders of magnitude. */
function drawRates<T extends object>(random: SimRandom, none: T, on: number, low: number, high: number): T {
  return Object.fromEntries(Object.keys(none).map((name) => [name, random.chance(on) ? round(random.logBetween(low, high)) : 0])) as T;
}

function drawNemesis(random: SimRandom, workMs: number, damaged: boolean): NemesisRates {
  const possible: readonly NemesisFault[] = [
    'crash',
    'shutdown',
    'stall',
    'pause',
    'replace',
    'storeOutage',
    'storeThrottled',
    'storeRefuses',
    'metaAway',
    'metaCompaction',
    'cutConnection',
    'halfOpenConnection',
    'partition',
    'clockJump',
    'clockDrift',
  ];
  const chosen = possible.filter(() => random.chance(0.35));
  const rates = chosen.map((fault) => [fault, Math.round(workMs / random.logBetween(1, 10))] as const);
  const damage = damaged
    ? (['bitFlipAtRest', 'objectVanishes'] as const)
        .filter(() => random.chance(0.7))
        .map((fault) => [fault, Math.round(workMs / random.logBetween(1, 4))] as const)
    : [];
  return Object.fromEntries([...rates, ...damage]);
}

function drawTopics(random: SimRandom): readonly TopicPlan[] {
  const topics: TopicPlan[] = [{ name: 'kept', partitions: random.pick([1, 2, 5]), config: { 'retention.ms': '-1', 'retention.bytes': '-1' } }];
  if (random.chance(0.5)) {
    const config: Readonly<Record<string, string>> = random.chance(0.5)
      ? { 'retention.ms': String(random.integer(2_000, 20_000)) }
      : { 'retention.bytes': String(random.integer(1_000, 30_000)) };
    topics.push({ name: 'expiring', partitions: random.integer(1, 3), config });
  }
  return topics;
}

function drawBrokerSettings(random: SimRandom): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {
    'auto.create.topics.enable': 'false',
    'wal.put.rate.per.second': random.pick(['0', '0', '20', '200']),
    'wal.group.max.bytes': random.pick(['4096', '65536', '8388608']),
    'wal.upload.slots': random.pick(['1', '2', '4', '8']),
    'log.cache.bytes': random.pick(['0', '5000', '100000', '268435456']),
    'block.cache.bytes': random.pick(['0', '20000', '268435456']),
    'merge.threshold.bytes': random.pick(['3000', '20000', '268435456']),
    'merge.threshold.objects': random.pick(['3', '10', '500']),
    'merge.interval.ms': random.pick(['500', '3000', '60000']),
    'stream.object.min.bytes': random.pick(['500', '3000', '8388608']),
    'checkpoint.interval.ms': random.pick(['300', '2000', '60000']),
    'offsets.compaction.min.bytes': '2000',
    'gc.delay.ms': random.pick(['0', '1000', '3600000']),
    'log.retention.check.interval.ms': random.pick(['300', '2000']),
  };
  return settings;
}

function round(rate: number): number {
  return Number(rate.toPrecision(2));
}
