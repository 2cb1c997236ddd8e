/** Does to the system what the options of the run say, until it heals everything. */
import { controllerRecord, keys, parseRecord } from '../../cluster/meta-records.ts';
import { type FakeMetaStore, metaHost, noMetaStoreFaults } from './fake-meta-store.ts';
import { type FakeObjectStore, storeHost } from './fake-object-store.ts';
import { noObjectStoreFaults, type StoreCondition } from './object-store-faults.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimBroker } from './sim-broker.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimNetwork } from './sim-transport.ts';
import type { NemesisFault, SimOptions } from './swarm.ts';

export interface NemesisOptions {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly objects: FakeObjectStore;
  readonly meta: FakeMetaStore;
  readonly brokers: readonly SimBroker[];
  readonly clientHosts: readonly string[];
  readonly options: SimOptions;
  /** Anything that was done, for the history. */
  readonly onFault: (what: string) => void;
}

export class Nemesis {
  readonly #options: NemesisOptions;
  #over = false;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  start(): void {
    const { options, objects, meta } = this.#options;
    objects.faults = options.objectStore.faults;
    meta.faults = options.metaStore.faults;
    this.#setCrashPoints();
    for (const [fault, meanMs] of Object.entries(options.nemesis)) this.#plan(fault as NemesisFault, meanMs as number);
  }

  /** Everything works from now on; what was on its way late still arrives. */
  heal(): void {
    const { objects, meta, network, brokers, options } = this.#options;
    this.#over = true;
    objects.faults = noObjectStoreFaults;
    objects.condition = 'healthy';
    meta.faults = noMetaStoreFaults;
    meta.comeBack();
    network.heal();
    for (const link of network.links()) if (link.halfOpen) link.cut();
    if (options.lastVictim !== 'none') {
      this.#tell(`one broker stays ${options.lastVictim}`);
      this.#victim().leave(options.lastVictim);
    }
    for (const broker of brokers) broker.heal();
  }

  #plan(fault: NemesisFault, meanMs: number): void {
    const { scheduler, random } = this.#options;
    scheduler.schedule(-Math.log(1 - random.float()) * meanMs, `nemesis ${fault}`, () => {
      if (this.#over) return;
      this.#do(fault);
      this.#plan(fault, meanMs);
    });
  }

  #do(fault: NemesisFault): void {
    const { random, network, objects, meta, brokers, clientHosts, scheduler } = this.#options;
    const broker = this.#victim();
    const lasting = (what: string, forMs: number, begin: () => void, end: () => void) => {
      this.#tell(`${what} for ${Math.round(forMs)} ms`);
      begin();
      scheduler.schedule(forMs, `nemesis ${what} over`, () => {
        if (!this.#over) end();
      });
    };
    const storeIs = (condition: StoreCondition, forMs: number) =>
      lasting(
        `store ${condition}`,
        forMs,
        () => (objects.condition = condition),
        () => (objects.condition = 'healthy'),
      );
    switch (fault) {
      case 'crash':
        this.#tell('crash');
        return this.#crash(broker);
      case 'shutdown':
        this.#tell('shutdown');
        return broker.shutdown(random.pick([1_000, 10_000]));
      case 'stall':
        this.#tell('stall');
        return broker.pause(random.logBetween(100, 10_000));
      case 'pause':
        this.#tell('pause');
        return broker.pause(random.logBetween(5_000, 60_000));
      case 'replace':
        this.#tell('replace');
        return broker.replace(random.chance(0.4) ? 0 : random.logBetween(50, 10_000), random.logBetween(200, 5_000));
      case 'storeOutage':
        return storeIs('outage', random.logBetween(300, 30_000));
      case 'storeThrottled':
        return storeIs('throttled', random.logBetween(300, 10_000));
      case 'storeRefuses':
        return storeIs('refusing', random.logBetween(300, 10_000));
      case 'metaAway':
        return lasting(
          'meta away',
          random.logBetween(300, 30_000),
          () => (meta.away = true),
          () => meta.comeBack(),
        );
      case 'metaCompaction':
        this.#tell('meta compaction');
        return meta.compact();
      case 'cutConnection': {
        const links = network.links();
        this.#tell('cut');
        return links.length > 0 ? random.pick(links).cut() : undefined;
      }
      case 'halfOpenConnection': {
        const links = network.links();
        this.#tell('half-open');
        if (links.length > 0) random.pick(links).halfOpen = true;
        return;
      }
      case 'partition':
        return this.#separate(broker.host, [random.pick(clientHosts)], random.logBetween(100, 10_000));
      case 'partitionBrokers': {
        const others = brokers.filter((other) => other !== broker);
        return this.#separate(broker.host, [random.pick(others).host], random.logBetween(300, 30_000));
      }
      case 'isolate': {
        const others = brokers.filter((other) => other !== broker).map(({ host }) => host);
        const more = random.pick([[], [metaHost], [storeHost], [metaHost, storeHost], clientHosts]);
        return this.#separate(broker.host, [...others, ...more], random.logBetween(300, 30_000));
      }
      case 'partitionStore':
        return this.#separate(broker.host, [storeHost], random.logBetween(300, 30_000));
      case 'partitionMeta':
        return this.#separate(broker.host, [metaHost], random.logBetween(300, 60_000));
      case 'deafWatch':
        return lasting(
          `watches of ${broker.host} held`,
          random.logBetween(300, 30_000),
          () => meta.holdWatches(broker.host),
          () => meta.releaseWatches(broker.host),
        );
      case 'leaseLoss':
        this.#tell('all leases are lost');
        return meta.loseLeases();
      case 'rollingRestart':
        this.#tell('rolling restart');
        return this.#restartFrom(0);
      case 'clockJump': {
        const byMs = random.between(-3_600_000, 3_600_000);
        this.#tell(`clock jumps ${Math.round(byMs)} ms`);
        return broker.wall.jump(scheduler.nowMs, byMs);
      }
      case 'clockDrift':
        this.#tell('clock drifts');
        return broker.wall.setRate(scheduler.nowMs, random.between(0.9, 1.1));
      case 'bitFlipAtRest':
      case 'objectVanishes': {
        const keys = [...objects.objects.keys()].filter((key) => fault === 'bitFlipAtRest' || !this.#isWalTail(key));
        if (keys.length === 0) return;
        const key = random.pick(keys);
        this.#tell(`${fault} ${key}`);
        return fault === 'bitFlipAtRest' ? objects.flipBit(key) : objects.vanish(key);
      }
    }
  }

  /** Any broker; among several the controller more often (F22). */
  #victim(): SimBroker {
    const { brokers, random, meta } = this.#options;
    const record = meta.map.get(keys.controller);
    const controller = record && parseRecord(controllerRecord, record.value);
    const preferred = brokers.length > 1 && random.chance(0.3) ? brokers[controller?.node ?? -1] : undefined;
    return preferred ?? random.pick(brokers);
  }

  /** Brokers over one folder are on one machine: without power all of them are gone, and what it had not synced. */
  #crash(broker: SimBroker): void {
    const { brokers, objects, options } = this.#options;
    if (!options.powerCuts) return broker.crash();
    for (const one of brokers) one.losePower();
    objects.powerCut();
  }

  /** Nothing passes between one host and others for a while, in both directions or in one. */
  #separate(host: string, others: readonly string[], forMs: number): void {
    const { network, random, scheduler, brokers } = this.#options;
    const way = brokers.length > 1 ? random.pick(['both', 'both', 'to', 'from'] as const) : 'both';
    this.#tell(`partition ${host} ${others.join(' ')} ${way} for ${Math.round(forMs)} ms`);
    const ends = others.flatMap((other) => [...(way === 'from' ? [] : [network.cut(host, other)]), ...(way === 'to' ? [] : [network.cut(other, host)])]);
    scheduler.schedule(forMs, `nemesis partition ${host} over`, () => {
      for (const end of ends) end();
    });
  }

  /** One after the other, as a rollout does: the next when the one before serves again. */
  #restartFrom(index: number): void {
    const { brokers, random, scheduler } = this.#options;
    const broker = brokers[index];
    if (broker === undefined || this.#over) return;
    broker.shutdown(random.pick([1_000, 10_000]));
    const next = () => {
      if (this.#over) return;
      if (broker.serving) this.#restartFrom(index + 1);
      else scheduler.schedule(200, 'nemesis rolling restart', next);
    };
    scheduler.schedule(1_000, 'nemesis rolling restart', next);
  }

  /**
   * A WAL object that no checkpoint pointer has passed: where it is missing the log ends, and nothing can tell that it did
   * not (contract C16).
   */
  #isWalTail(key: string): boolean {
    const [, incarnation, number] = /^(wal\/\d+\/\d+\/)(\d+)$/.exec(key) ?? [];
    if (incarnation === undefined || number === undefined) return false;
    const pointers = this.#options.meta.map.entries().flatMap(({ value }) => value.match(/wal\/\d+\/\d+\/\d+/g) ?? []);
    return !pointers.some((pointer) => pointer.startsWith(incarnation) && pointer.slice(incarnation.length) > number);
  }

  /** Kills the broker exactly where the store meets one of its calls: before it is sent, or applied and not answered. */
  #setCrashPoints(): void {
    const { objects, meta, random, options, brokers } = this.#options;
    const points = options.crashPoints;
    const maybe = (chance: number, what: string, process: Parameters<SimBroker['owns']>[0]) => {
      if (this.#over || !random.chance(chance)) return;
      const broker = brokers.find((one) => one.owns(process));
      if (broker === undefined || process.dead) return;
      this.#tell(`crash at ${what}`);
      // As an event of its own: nothing dies in the middle of its own step.
      this.#options.scheduler.schedule(0, `crash at ${what}`, () => this.#crash(broker), 'immediate');
    };
    objects.watch({
      onIssued: (kind, key, process) => kind === 'create' && maybe(points.createIssued, `sending ${key}`, process),
      onCreated: (key, _bytes, process) => maybe(points.created, `creation of ${key}`, process),
      onDeleted: (key, _bytes, process) => maybe(points.deleted, `deletion of ${key}`, process),
    });
    meta.watch({ onTxnApplied: (_txn, _result, process) => maybe(points.txnApplied, 'transaction', process) });
  }

  #tell(what: string): void {
    this.#options.onFault(what);
  }
}
