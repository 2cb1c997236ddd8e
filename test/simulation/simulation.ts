/**
 * One run: a world from options, load under faults, healing, the rest answered, everything read to its end, the
 * history checked. Safety is checked always; liveness only where nothing was damaged on purpose.
 */
import { checkHistory } from '../checker/checker.ts';
import type { Operation } from '../checker/history.ts';
import { FakeMetaStore } from './fake-meta-store.ts';
import { FakeObjectStore } from './fake-object-store.ts';
import { Invariants } from './invariants.ts';
import { Nemesis } from './nemesis.ts';
import { KafkaSession } from './kafka-session.ts';
import { Recorder } from './recorder.ts';
import { setRuntimeTrap } from './runtime-trap.ts';
import { Scheduler } from './scheduler.ts';
import { SimAdmin } from './sim-admin.ts';
import { type BrokerProgram, SimBroker } from './sim-broker.ts';
import { HostWallClock, simClock } from './sim-clock.ts';
import { SimConsumer } from './sim-consumer.ts';
import { SimGroupMember } from './sim-group-member.ts';
import { SimOperator } from './sim-operator.ts';
import { SimProcess } from './sim-process.ts';
import { type ProducerShape, SimProducer } from './sim-producer.ts';
import { SimRandom } from './sim-random.ts';
import { SimNetwork } from './sim-transport.ts';
import type { SimOptions } from './swarm.ts';
import { Trace } from './trace.ts';

export interface FoundViolation {
  readonly name: string;
  readonly detail: string;
}

export interface Outcome {
  readonly options: SimOptions;
  readonly violations: readonly FoundViolation[];
  readonly traceHash: string;
  readonly history: readonly Operation[];
  readonly lastLines: readonly string[];
  readonly virtualMs: number;
  readonly events: number;
  /** How often what happened, to see that the faults were met. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Looks at the whole store when everything is over. Returns what is wrong. */
export type StoreCheck = (stores: CheckedStores) => Promise<readonly string[]>;

export interface CheckedStores {
  readonly process: SimProcess;
  readonly random: SimRandom;
  readonly objects: FakeObjectStore;
  readonly meta: FakeMetaStore;
  /** The cluster rested for so long that no garbage may be left. */
  readonly rested: boolean;
}

export interface SimulateOptions {
  readonly program: BrokerProgram;
  readonly storeCheck?: StoreCheck;
  /** Called after every step with everything settled; throws what is wrong. */
  readonly stepCheck?: () => void;
  readonly print?: ((line: string) => void) | undefined;
}

/** How long after healing everything must be answered and read, virtual. */
const livenessMs = 180_000;
/** One slow call after the other, over everything that is stored. */
const storeCheckMs = 3_600_000;
/** Sweeps of ended incarnations come ever more rarely: after 10 s, 20 s, 40 s, … */
const restMs = 400_000;
/** The latest that a late write may still land after healing. */
const lateMs = 125_000;
const maxViolations = 50;
const kafkaPort = 9000;

export async function simulate(options: SimOptions, given: SimulateOptions): Promise<Outcome> {
  const trap = setRuntimeTrap();
  const world = new World(options, given);
  const onRejection = (error: unknown) => world.violation('unhandled-rejection', stackOf(error));
  process.on('unhandledRejection', onRejection);
  try {
    await world.run();
  } catch (error) {
    world.violation('exception', stackOf(error));
  } finally {
    process.off('unhandledRejection', onRejection);
    trap.release();
  }
  for (const caught of trap.caught) world.violation('runtime-trap', stackOf(caught));
  return world.outcome();
}

class World {
  readonly #options: SimOptions;
  readonly #given: SimulateOptions;
  readonly #random: SimRandom;
  readonly #trace: Trace;
  readonly #scheduler: Scheduler;
  readonly #network: SimNetwork;
  readonly #objects: FakeObjectStore;
  readonly #meta: FakeMetaStore;
  readonly #recorder: Recorder;
  readonly #messages = new Map<string, number>();
  readonly #invariants: Invariants;
  readonly #brokers: SimBroker[] = [];
  readonly #producers: SimProducer[] = [];
  readonly #consumers: SimConsumer[] = [];
  readonly #members: SimGroupMember[] = [];
  readonly #operator: SimOperator | undefined;
  readonly #sessions: KafkaSession[] = [];
  readonly #violations: FoundViolation[] = [];
  readonly #admin: SimAdmin;
  readonly #nemesis: Nemesis;
  #checked = false;

  constructor(options: SimOptions, given: SimulateOptions) {
    this.#options = options;
    this.#given = given;
    this.#random = new SimRandom(options.seed);
    this.#trace = new Trace({ keepLines: 400, print: given.print });
    const random = this.#random;
    const scheduler = new Scheduler({ random: random.fork('scheduler'), trace: this.#trace });
    this.#scheduler = scheduler;
    const onViolation = (name: string, detail: string) => this.violation(name, detail);
    this.#network = new SimNetwork({ scheduler, random: random.fork('network'), shape: options.network });
    const isCut = (from: string, to: string) => this.#network.isCut(from, to);
    this.#objects = new FakeObjectStore({ scheduler, random: random.fork('objects'), onViolation, isCut, ...options.objectStore });
    this.#meta = new FakeMetaStore({ scheduler, random: random.fork('meta'), isCut, ...options.metaStore });
    this.#network.onHealed(() => this.#meta.wakeStreams());
    this.#invariants = new Invariants(onViolation);
    this.#watchStores();
    this.#recorder = new Recorder(scheduler, onViolation, (operation) => this.#invariants.recorded(operation));
    for (let nodeId = 0; nodeId < options.brokers; nodeId++) this.#brokers.push(this.#makeBroker(nodeId));
    this.#admin = new SimAdmin({
      name: 'admin',
      session: this.#session('admin'),
      recorder: this.#recorder,
      random: random.fork('admin'),
      lasting: options.topics,
      gapMs: options.noiseGapMs,
      noise: options.noise,
    });
    this.#makeClients();
    this.#operator = this.#makeOperator();
    this.#nemesis = new Nemesis({
      scheduler,
      random: random.fork('nemesis'),
      network: this.#network,
      objects: this.#objects,
      meta: this.#meta,
      brokers: this.#brokers,
      clientHosts: this.#sessions.map((session) => session.options.process.host),
      options,
      onFault: (what) => this.#recordFault('nemesis', what),
    });
    if (given.stepCheck) scheduler.onStep(given.stepCheck);
  }

  violation(name: string, detail: string): void {
    if (this.#violations.length >= maxViolations) return;
    this.#violations.push({ name, detail });
    this.#trace.line(this.#scheduler.nowMs, `VIOLATION ${name}: ${detail}`);
  }

  async run(): Promise<void> {
    const { options } = { options: this.#options };
    for (const broker of this.#brokers) broker.start();
    void this.#admin.run();
    if (!(await this.#reach('topics are created', () => this.#admin.topics.length >= options.topics.length, 60_000, true))) return;
    for (const actor of [...this.#producers, ...this.#consumers, ...this.#members]) void actor.run();
    void this.#operator?.run();
    this.#nemesis.start();
    await this.#pass(options.workMs);

    this.#nemesis.heal();
    this.#admin.stop();
    this.#operator?.stop();
    const roundsBefore = this.#members.map(({ rounds }) => rounds);
    await this.#pass(3_000);
    for (const producer of this.#producers) producer.stop();
    await this.#reach('all producers have their answers', () => this.#producers.every((producer) => producer.idle), livenessMs);
    const stuck = () => this.#members.filter(({ rounds }, i) => rounds <= (roundsBefore[i] as number) + 3);
    await this.#reach(
      'group members commit',
      () => stuck().length === 0,
      livenessMs,
      false,
      () =>
        stuck()
          .map(({ name }) => name)
          .join(', '),
    );
    await this.#reach('no broker is marked as draining', () => this.#operator?.idle ?? true, livenessMs);
    for (const actor of [...this.#consumers, ...this.#members]) actor.stop();
    await this.#pass(lateMs);
    if (options.restartBeforeFinalReads) this.#restartAll();
    await this.#readEverything();
    if (this.#rests) await this.#pass(restMs);
    for (const broker of this.#brokers) broker.kill();
    await this.#checkStore();
  }

  /**
   * What is garbage has the time to go. Not where deletions wait for an hour, where things are damaged or a broker stays away, nor where a write that
   * slept may bring back what is deleted: nobody looks there again.
   */
  get #rests(): boolean {
    const { rests, damaged, lastVictim, broker, objectStore } = this.#options;
    return rests && !damaged && lastVictim === 'none' && objectStore.faults.appliedLate === 0 && Number(broker['gc.delay.ms']) < restMs / 10;
  }

  outcome(): Outcome {
    if (!this.#checked) this.#checkHistory();
    const counts = new Map([...this.#objects.counts].map(([name, count]) => [`store ${name}`, count]));
    for (const [name, count] of this.#meta.counts) counts.set(`meta ${name}`, count);
    for (const [message, count] of this.#messages) counts.set(`log "${message}"`, count);
    counts.set(
      'broker lives',
      this.#brokers.reduce((sum, broker) => sum + broker.lives, 0),
    );
    for (const operation of this.#recorder.history) {
      const name = `${operation.f} ${operation.f === 'fault' ? operation.what.replace(/ .*/, '') : operation.type}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return {
      options: this.#options,
      violations: this.#violations,
      traceHash: this.#trace.hash,
      history: this.#recorder.history,
      lastLines: this.#trace.lastLines(400),
      virtualMs: this.#scheduler.nowMs,
      events: this.#scheduler.eventsRun,
      counts,
    };
  }

  #makeBroker(nodeId: number): SimBroker {
    const random = this.#random.fork(`broker ${nodeId}`);
    return new SimBroker({
      scheduler: this.#scheduler,
      random,
      network: this.#network,
      objects: this.#objects,
      meta: this.#meta,
      program: this.#given.program,
      launch: { nodeId, host: `broker-${nodeId}`, port: kafkaPort, internalPort: 9100, settings: this.#options.broker },
      clockOffsetMs: this.#clockOffsetOf(nodeId),
      onMessage: (message) => this.#messages.set(message, (this.#messages.get(message) ?? 0) + 1),
      // Others take over what is away for long.
      restartMs: () => (this.#options.brokers > 1 && random.chance(0.3) ? random.between(2_000, 30_000) : random.logBetween(1, 2_000)),
    });
  }

  /** The first broker's is the option's; if clocks are off, each is in its own way. */
  #clockOffsetOf(nodeId: number): number {
    const { clockOffsetMs } = this.#options;
    if (nodeId === 0 || clockOffsetMs === 0) return clockOffsetMs;
    return Math.round(this.#random.fork(`clock offset ${nodeId}`).between(-3_600_000, 3_600_000));
  }

  #watchStores(): void {
    this.#meta.watch({ onTxnApplied: (txn, result) => this.#invariants.applied(txn, result) });
    this.#objects.watch({
      onCreated: (key, bytes) => this.#invariants.created(key, bytes),
      onDeleted: (key) => this.#invariants.deleted(key),
      onLost: (key) => this.#invariants.lost(key),
    });
  }

  #restartAll(): void {
    const { powerCuts } = this.#options;
    for (const broker of this.#brokers) {
      if (powerCuts) broker.losePower();
      else broker.crash();
    }
    if (powerCuts) this.#objects.powerCut();
  }

  #session(name: string, requestTimeoutMs = this.#options.requestTimeoutMs): KafkaSession {
    const scheduler = this.#scheduler;
    const process = new SimProcess({ scheduler, name, host: name });
    const random = this.#random.fork(`session ${name}`);
    const session = new KafkaSession({
      process,
      clock: simClock(process, new HostWallClock({ offsetMs: 0, rate: 1 }), random.fork('clock')),
      transport: this.#network.transportOf(process),
      random,
      bootstrap: this.#brokers.map(({ host }) => ({ host, port: kafkaPort })),
      requestTimeoutMs,
      onViolation: (what, detail) => this.violation(what, `${name}: ${detail}`),
      onLeaderTold: (topicId, partition, leader, epoch) => this.#invariants.told(topicId, partition, leader, epoch),
    });
    this.#sessions.push(session);
    return session;
  }

  #makeClients(): void {
    const { options } = { options: this.#options };
    for (let i = 1; i <= options.idempotentProducers; i++) this.#makeProducer(`producer-${i}`, true);
    for (let i = 1; i <= options.plainProducers; i++) this.#makeProducer(`plain-${i}`, false);
    for (let i = 1; i <= options.consumers; i++) this.#makeConsumer(`consumer-${i}`, i === 1, false);
    options.groups.forEach((members, i) => {
      for (let member = 1; member <= members; member++) this.#makeMember(`group-${i + 1}`, member);
    });
  }

  #makeMember(group: string, index: number): void {
    const name = `${group}-${index}`;
    const topics = this.#options.topics.map((topic) => topic.name);
    const random = this.#random.fork(name);
    this.#members.push(
      new SimGroupMember({ name, group, session: this.#session(name), recorder: this.#recorder, random, topics, gapMs: random.pick([50, 200, 600]) }),
    );
  }

  #makeOperator(): SimOperator | undefined {
    const { drainGapMs: gapMs, brokers: nodes } = this.#options;
    if (gapMs === 0) return undefined;
    const process = new SimProcess({ scheduler: this.#scheduler, name: 'operator', host: 'operator' });
    const random = this.#random.fork('operator');
    const clock = simClock(process, new HostWallClock({ offsetMs: 0, rate: 1 }), random.fork('clock'));
    return new SimOperator({ meta: this.#meta.clientOf(process), clock, random, nodes, gapMs, onFault: (what) => this.#recordFault('operator', what) });
  }

  #recordFault(process: string, what: string): void {
    const { nowMs } = this.#scheduler;
    this.#recorder.record({ f: 'fault', type: 'info', process, key: '', t0: nowMs, t1: nowMs, what });
  }

  #makeProducer(name: string, idempotent: boolean): void {
    const random = this.#random.fork(name);
    const { gapMs, deliveryTimeoutMs } = this.#options;
    const shape: ProducerShape = {
      idempotent,
      acks: idempotent ? -1 : random.pick([-1, -1, 1, 0]),
      maxInFlight: random.integer(1, 5),
      gapMs,
      maxBatchRecords: random.pick([1, 3, 8]),
      deliveryTimeoutMs,
      produceTimeoutMs: random.pick([200, 2_000, 30_000]),
      maxAttempts: random.pick([1, 1, 4]),
      resendChance: idempotent ? 0.1 : 0,
      gzipChance: random.pick([0, 0.2]),
    };
    const mayRefuseTimestamps = 'clockJump' in this.#options.nemesis || this.#options.clockOffsetMs !== 0;
    this.#producers.push(
      new SimProducer({ name, session: this.#session(name), recorder: this.#recorder, random, shape, topics: () => this.#admin.topics, mayRefuseTimestamps }),
    );
  }

  #makeConsumer(name: string, fromStart: boolean, final: boolean): SimConsumer {
    const random = this.#random.fork(name);
    const consumer = new SimConsumer({
      name,
      session: final ? this.#session(name, 30_000) : this.#session(name),
      recorder: this.#recorder,
      random,
      topics: () => this.#admin.topics,
      final,
      shape: {
        start: fromStart ? 'earliest' : random.pick(['earliest', 'latest'] as const),
        isolation: random.pick(['uncommitted', 'committed'] as const),
        maxWaitMs: final ? 50 : random.pick([0, 50, 500]),
        minBytes: random.pick([0, 1, 500]),
        maxBytes: final ? 52_428_800 : random.pick([100, 5_000, 52_428_800]),
        partitionMaxBytes: final ? 20_000 : random.pick([1, 500, 1_048_576]),
        pauseMs: final ? 1 : random.pick([20, 50, 300]),
        watchesForTruncation: random.chance(0.5),
        restartChance: final ? 0 : 0.005,
      },
    });
    if (!final) this.#consumers.push(consumer);
    return consumer;
  }

  async #readEverything(): Promise<void> {
    const reader = this.#makeConsumer('final', true, true);
    void reader.run();
    if (this.#options.damaged) await this.#pass(30_000);
    else
      await this.#reach(
        'everything can be read to its end',
        () => reader.complete,
        livenessMs,
        false,
        () => reader.missing(),
      );
    reader.stop();
  }

  async #checkStore(): Promise<void> {
    this.#recorder.finish();
    this.#checkHistory();
    if (this.#options.damaged || this.#given.storeCheck === undefined) return;
    const process = new SimProcess({ scheduler: this.#scheduler, name: 'fsck', host: 'fsck' });
    let problems: readonly string[] | undefined;
    const checked = this.#given
      .storeCheck({ process, random: this.#random.fork('fsck'), objects: this.#objects, meta: this.#meta, rested: this.#rests })
      .then((found) => {
        problems = found;
      });
    await this.#reach('the store can be checked', () => problems !== undefined, storeCheckMs);
    if (problems !== undefined) await checked;
    for (const problem of problems ?? []) this.violation('fsck', problem);
  }

  #checkHistory(): void {
    this.#checked = true;
    const names = this.#admin.expiring;
    const seen = this.#sessions.flatMap((session) => [...session.seen]);
    const expiring = new Set(seen.filter(([, name]) => names.has(name)).map(([topicId]) => topicId));
    const mayExpire = (key: string) => expiring.has(key.slice(0, key.lastIndexOf('/')));
    try {
      const staleBoundMs = this.#options.brokers > 1 || 'replace' in this.#options.nemesis ? 2_000 : 0;
      for (const { name, key, detail } of checkHistory(this.#recorder.history, { mayExpire, damaged: this.#options.damaged, staleBoundMs }))
        this.violation(name, `${key}: ${detail}`);
    } catch (error) {
      this.violation('checker-failed', stackOf(error));
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#scheduler.run({ done: () => this.#violations.length >= maxViolations, untilMs: this.#scheduler.nowMs + ms });
  }

  /** Runs until `reached`; a violation when that takes longer than `withinMs`. */
  async #reach(what: string, reached: () => boolean, withinMs: number, always = false, detail = () => ''): Promise<boolean> {
    await this.#scheduler.run({ done: () => reached() || this.#violations.length >= maxViolations, untilMs: this.#scheduler.nowMs + withinMs });
    if (reached()) return true;
    if (always || !this.#options.damaged) this.violation('not-live', `not within ${withinMs / 1000} s of healing: ${what}. ${detail()}`);
    return false;
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
