/** Brokers that watch each other and elect a controller, on the simulated network, clock and metadata store. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../io/logger.ts';
import { openEmbeddedMetaStore } from '../../../io/meta/embedded-meta-store.ts';
import { noMetrics } from '../../../io/metrics.ts';
import type { MetaEntry, MetaStore, MetaTxn } from '../../../io/meta/meta-store.ts';
import { systemClock } from '../../../io/system-clock.ts';
import { tcpTransport } from '../../../io/tcp-transport.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';
import { controllerRecord, keys, nodeRecord, type NodeRecord, parseRecord } from '../../../cluster/meta-records.ts';
import { FakeMetaStore, noMetaStoreFaults } from '../../../test/simulation/fake-meta-store.ts';
import { Scheduler } from '../../../test/simulation/scheduler.ts';
import { HostWallClock, simClock } from '../../../test/simulation/sim-clock.ts';
import { SimProcess } from '../../../test/simulation/sim-process.ts';
import { SimRandom } from '../../../test/simulation/sim-random.ts';
import { SimNetwork } from '../../../test/simulation/sim-transport.ts';
import { Trace } from '../../../test/simulation/trace.ts';
import type { ControllerView } from './election.ts';
import { probeSubject } from './internal-exchange.ts';
import { InternalListener } from './internal-listener.ts';
import type { Subject } from './internal-protocol.ts';
import { Liveness } from './liveness.ts';

/** What a broker knows of the metadata store, as `MetadataImage` shows it. */
class View {
  readonly #entries = new Map<string, MetaEntry>();
  readonly #meta: MetaStore;
  readonly #onChange: () => void;

  constructor(meta: MetaStore, onChange: () => void) {
    this.#meta = meta;
    this.#onChange = onChange;
  }

  async start(): Promise<void> {
    const { entries, revision } = await this.#meta.list('');
    for (const entry of entries) this.#entries.set(entry.key, entry);
    this.#meta.watch('', revision, {
      onEvents: (events) => {
        for (const event of events) {
          if (event.kind === 'put') this.#entries.set(event.key, event);
          else this.#entries.delete(event.key);
        }
        this.#onChange();
      },
      onGap: () => assert.fail('no gaps here'),
    });
  }

  isLive({ node, epoch }: Incarnation): boolean {
    return this.#entries.get(keys.incarnation(node))?.value === String(epoch) && !this.#entries.has(keys.recovery(node, epoch));
  }

  controller(): ControllerView | undefined {
    const entry = this.#entries.get(keys.controller);
    const record = entry && parseRecord(controllerRecord, entry.value);
    return entry && record && { record, modRevision: entry.modRevision };
  }

  peers(self: Incarnation): readonly Subject[] {
    const peers: Subject[] = [];
    for (const [key, { value }] of this.#entries) {
      if (!key.startsWith(keys.nodes)) continue;
      const record = parseRecord(nodeRecord, value)!;
      const incarnation = { node: Number(key.slice(keys.nodes.length)) as NodeId, epoch: record.epoch };
      if (incarnation.node !== self.node && this.isLive(incarnation) && record.internal) peers.push({ incarnation, ...record.internal });
    }
    return peers.sort((a, b) => a.incarnation.node - b.incarnation.node);
  }
}

interface Broker {
  readonly process: SimProcess;
  readonly listener: InternalListener;
  readonly liveness: Liveness;
  readonly self: Incarnation;
}

class Cluster {
  readonly random: SimRandom;
  readonly trace = new Trace({ keepLines: 50 });
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly meta: FakeMetaStore;
  readonly brokers = new Map<number, Broker>();
  readonly said: string[] = [];

  constructor(seed: string) {
    this.random = new SimRandom(seed);
    this.scheduler = new Scheduler({ random: this.random.fork('scheduler'), trace: this.trace });
    this.network = new SimNetwork({
      scheduler: this.scheduler,
      random: this.random.fork('network'),
      shape: { minLatencyMs: 0.1, maxLatencyMs: 2, windowBytes: 65_536, splitChance: 0.2 },
    });
    this.meta = new FakeMetaStore({ scheduler: this.scheduler, random: this.random.fork('meta'), minLatencyMs: 1, maxLatencyMs: 8, deadlineMs: 1_000 });
  }

  static async of(seed: string, size: number): Promise<Cluster> {
    const cluster = new Cluster(seed);
    for (let node = 1; node <= size; node++) await cluster.start(node, 1);
    await cluster.until(() => cluster.controller !== undefined, 30_000);
    return cluster;
  }

  /** Virtual milliseconds. */
  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  /** The one broker that believes itself controller. */
  get controller(): Broker | undefined {
    const all = [...this.brokers.values()].filter(({ process, liveness }) => !process.dead && !process.paused && liveness.term);
    return all.length === 1 ? all[0] : undefined;
  }

  /** Brokers that are not controller, lowest id first. */
  get others(): readonly Broker[] {
    return [...this.brokers.values()].filter(({ process, liveness }) => !process.dead && !liveness.term);
  }

  async start(node: number, epoch: number): Promise<void> {
    const process = new SimProcess({ scheduler: this.scheduler, name: `broker-${node}.${epoch}`, host: `host-${node}` });
    let ready = false;
    void this.#begin(process, { node: node as NodeId, epoch }).then((broker) => {
      this.brokers.set(node, broker);
      ready = true;
    });
    await this.until(() => ready, 5_000);
  }

  async until(done: () => boolean, withinMs: number): Promise<void> {
    const end = await this.scheduler.run({ done, untilMs: this.nowMs + withinMs });
    assert.equal(end, 'done', `not within ${withinMs} ms:\n${this.said.join('\n')}`);
  }

  async pass(ms: number): Promise<void> {
    await this.scheduler.run({ done: () => false, untilMs: this.nowMs + ms });
  }

  heard(): readonly string[] {
    return this.said.splice(0);
  }

  async #begin(process: SimProcess, self: Incarnation): Promise<Broker> {
    const meta = this.meta.clientOf(process);
    const clock = simClock(process, new HostWallClock({ offsetMs: 0, rate: 1 }), this.random.fork(`clock ${process.name}`));
    const transport = this.network.transportOf(process);
    const io = { clock, logger: silentLogger, transport };
    const listener = await InternalListener.open({ ...io, node: self.node, host: process.host, port: 0, maxConnections: 100, maxProbes: 4 });
    const record: NodeRecord = { epoch: self.epoch, attempt: '', host: '', port: 0, internal: { host: process.host, port: listener.port }, state: 'active' };
    const registration: MetaTxn = {
      compare: [],
      then: [
        { kind: 'put', key: keys.node(self.node), value: JSON.stringify(record) },
        { kind: 'put', key: keys.incarnation(self.node), value: String(self.epoch) },
      ],
    };
    this.meta.applyTxn(registration, process);
    listener.setSelf(self);
    const guard = [
      { key: keys.incarnation(self.node), value: String(self.epoch) },
      { key: keys.recovery(self.node, self.epoch), modRevision: 0 },
    ];
    const say = (text: string) => void this.said.push(`${self.node}: ${text}`);
    const view = new View(meta, () => liveness.clusterChanged());
    await view.start();
    const liveness: Liveness = new Liveness({
      ...io,
      random: this.random.fork(`random ${process.name}`),
      metrics: noMetrics,
      meta,
      self,
      guard,
      peers: () => view.peers(self),
      controller: () => view.controller(),
      isLive: (incarnation) => view.isLive(incarnation),
      onDead: ({ node, epoch }, reason) => {
        say(`${node}.${epoch} dead, ${reason}`);
        const { term } = liveness;
        if (!term) return;
        const key = keys.recovery(node, epoch);
        meta
          .txn({
            compare: [
              { key: keys.controller, modRevision: term.modRevision },
              { key, modRevision: 0 },
            ],
            then: [{ kind: 'put', key, value: 'claimed' }],
          })
          .catch(() => {});
      },
      onElected: ({ term }) => say(`elected, term ${term}`),
      onDeposed: () => say('deposed'),
    });
    return { process, listener, liveness, self };
  }
}

test('one of three is elected, and nothing is said while nothing happens', async () => {
  const cluster = await Cluster.of('quiet', 3);
  await cluster.pass(1_000);
  const elected = cluster.controller!;
  assert.deepEqual(cluster.heard(), [`${elected.self.node}: elected, term 1`]);
  const stored = cluster.meta.map.get(keys.controller)!;
  assert.deepEqual(JSON.parse(stored.value), { ...elected.self, term: 1 });
  assert.deepEqual(elected.liveness.term, { term: 1, modRevision: stored.modRevision });
  await cluster.pass(60_000);
  assert.deepEqual(cluster.heard(), []);
});

test('the same seed is the same history, to the event', async () => {
  const hashOf = async (seed: string) => {
    const cluster = await Cluster.of(seed, 3);
    cluster.controller!.process.kill();
    await cluster.pass(5_000);
    return cluster.trace.hash;
  };
  assert.equal(await hashOf('twice'), await hashOf('twice'));
  assert.notEqual(await hashOf('twice'), await hashOf('thrice'));
});

for (let seed = 1; seed <= 10; seed++) {
  test(`a killed broker is found dead by the controller within half a second (${seed})`, async () => {
    const cluster = await Cluster.of(`victim ${seed}`, 3);
    await cluster.pass(2_000);
    cluster.heard();
    const [victim] = cluster.others;
    const dead = `${cluster.controller!.self.node}: ${victim!.self.node}.1 dead, refused`;
    victim!.process.kill();
    await cluster.until(() => cluster.said.length > 0, 500);
    assert.deepEqual(cluster.heard(), [dead]);
    await cluster.pass(10_000);
    assert.deepEqual(cluster.heard(), []);
  });

  test(`a killed controller is replaced within half a second, by one that takes it over (${seed})`, async () => {
    const cluster = await Cluster.of(`controller ${seed}`, 3);
    await cluster.pass(2_000);
    cluster.heard();
    const { process, self } = cluster.controller!;
    process.kill();
    await cluster.until(() => cluster.controller !== undefined && cluster.meta.map.get(keys.recovery(self.node, 1)) !== undefined, 500);
    const { liveness } = cluster.controller!;
    assert.equal(liveness.term!.term, 2);
    assert.equal(cluster.meta.map.get(keys.controller)!.modRevision, liveness.term!.modRevision);
    await cluster.pass(10_000);
    assert.equal(cluster.heard().filter((line) => line.includes('elected')).length, 1);
  });
}

test('a broker that is silent is found dead with the word of another; a sleeping one that wakes accuses nobody', async () => {
  const cluster = await Cluster.of('asleep', 4);
  await cluster.pass(2_000);
  cluster.heard();
  const [victim] = cluster.others;
  const fromMs = cluster.nowMs;
  victim!.process.pause();
  await cluster.until(() => cluster.said.length > 0, 4_000);
  assert.ok(cluster.nowMs - fromMs >= 1_500);
  assert.deepEqual(cluster.heard(), [`${cluster.controller!.self.node}: ${victim!.self.node}.1 dead, witness`]);
  await cluster.pass(20_000);
  victim!.process.resume();
  await cluster.pass(10_000);
  assert.deepEqual(cluster.heard(), []);
});

test('a controller that sleeps for 20 s is replaced; when it wakes it is deposed, takes over nobody, and its writes change nothing', async () => {
  const cluster = await Cluster.of('zombie', 4);
  await cluster.pass(2_000);
  cluster.heard();
  const zombie = cluster.controller!;
  const { node } = zombie.self;
  const oldTerm = zombie.liveness.term!;
  zombie.process.pause();
  await cluster.until(() => cluster.controller !== undefined, 5_000);
  await cluster.pass(20_000);
  const said = cluster.heard();
  assert.equal(said.filter((line) => line.includes('elected')).length, 1);
  assert.ok(
    said.every((line) => line.includes('elected') || line.endsWith(`: ${node}.1 dead, witness`)),
    said.join('\n'),
  );
  zombie.process.resume();
  await cluster.pass(10_000);
  assert.deepEqual(cluster.heard(), [`${node}: deposed`]);
  assert.notEqual(cluster.meta.map.get(keys.controller)!.modRevision, oldTerm.modRevision);
});

test('a stall of a second kills nobody', async () => {
  const cluster = await Cluster.of('stall', 3);
  await cluster.pass(2_000);
  cluster.heard();
  for (const { process } of [cluster.controller!, ...cluster.others]) {
    process.pause();
    await cluster.pass(1_200);
    process.resume();
    await cluster.pass(3_000);
  }
  assert.deepEqual(cluster.heard(), []);
});

test('of two, a silent one is found dead only when its liveness key is gone', async () => {
  const cluster = await Cluster.of('two', 2);
  await cluster.pass(5_000);
  cluster.heard();
  const fromMs = cluster.nowMs;
  const { process, self } = cluster.controller!;
  process.pause();
  await cluster.until(() => cluster.controller !== undefined, 40_000);
  assert.ok(cluster.nowMs - fromMs >= 9_500);
  const [first] = cluster.heard();
  assert.ok(first!.endsWith(`: ${self.node}.1 dead, lease`), first);
});

test('of two, one that only the other cannot hear lives on: its liveness key stands', async () => {
  const cluster = await Cluster.of('half open', 2);
  await cluster.pass(5_000);
  cluster.heard();
  for (const endMs = cluster.nowMs + 60_000; cluster.nowMs < endMs; await cluster.pass(5)) for (const link of cluster.network.links()) link.halfOpen = true;
  assert.deepEqual(cluster.heard(), []);
});

test('a connection that lost its other end without a word is replaced, nobody dies of it', async () => {
  const cluster = await Cluster.of('lost end', 3);
  await cluster.pass(2_000);
  cluster.heard();
  for (const link of cluster.network.links()) link.halfOpen = true;
  await cluster.pass(20_000);
  assert.deepEqual(cluster.heard(), []);
});

test('the process of an incarnation that is over says so: no witness needed', async () => {
  const cluster = await Cluster.of('over', 3);
  await cluster.pass(2_000);
  cluster.heard();
  const [victim] = cluster.others;
  victim!.listener.setSelf(undefined);
  await cluster.until(() => cluster.said.length > 0, 500);
  assert.deepEqual(cluster.heard(), [`${cluster.controller!.self.node}: ${victim!.self.node}.1 dead, over`]);
});

test('a node that begins another life is watched in that one', async () => {
  const cluster = await Cluster.of('restart', 3);
  await cluster.pass(2_000);
  const [victim] = cluster.others;
  victim!.process.kill();
  await cluster.start(victim!.self.node, 2);
  await cluster.pass(5_000);
  cluster.heard();
  cluster.brokers.get(victim!.self.node)!.process.kill();
  await cluster.pass(500);
  assert.deepEqual(cluster.heard(), [`${cluster.controller!.self.node}: ${victim!.self.node}.2 dead, refused`]);
});

test('elections whose answers are lost, applied late or not at all end with one controller, and it knows its revision', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = await Cluster.of(`lost answers ${seed}`, 4);
    cluster.meta.faults = { ...noMetaStoreFaults, failBefore: 0.2, answerLost: 0.3, appliedLate: 0.2, staleRead: 0.2, watchDelay: 0.2 };
    for (let round = 0; round < 2; round++) {
      cluster.controller?.process.kill();
      await cluster.pass(5_000);
    }
    cluster.meta.faults = noMetaStoreFaults;
    await cluster.pass(40_000);
    const stored = cluster.meta.map.get(keys.controller)!;
    const { node, term } = parseRecord(controllerRecord, stored.value)!;
    assert.equal(cluster.controller?.self.node, node);
    assert.deepEqual(cluster.controller.liveness.term, { term, modRevision: stored.modRevision });
  }
});

test('one that steps down stands again, with the next term', async () => {
  const cluster = await Cluster.of('steps down', 1);
  cluster.controller!.liveness.stepDown();
  await cluster.until(() => cluster.controller !== undefined, 1_000);
  assert.deepEqual(cluster.heard(), ['1: elected, term 1', '1: deposed', '1: elected, term 2']);
});

test('one that was claimed is not elected again', async () => {
  const cluster = await Cluster.of('claimed', 1);
  const { liveness, process } = cluster.controller!;
  cluster.meta.applyTxn({ compare: [], then: [{ kind: 'put', key: keys.recovery(1, 1), value: 'claimed' }] }, process);
  liveness.stepDown();
  await cluster.pass(5_000);
  assert.deepEqual(cluster.heard(), ['1: elected, term 1', '1: deposed']);
});

test('without the metadata store nobody is elected, and nobody dies of its coming back', async () => {
  const cluster = await Cluster.of('store away', 3);
  await cluster.pass(2_000);
  cluster.heard();
  const { process, self } = cluster.controller!;
  cluster.meta.away = true;
  await cluster.pass(20_000);
  assert.deepEqual(cluster.heard(), []);
  process.kill();
  await cluster.pass(20_000);
  assert.deepEqual(
    cluster.heard().map((line) => line.slice(3)),
    Array<string>(2).fill(`${self.node}.1 dead, refused`),
  );
  cluster.meta.comeBack();
  await cluster.until(() => cluster.controller !== undefined, 2_000);
  await cluster.pass(20_000);
  const [elected, ...rest] = cluster.heard();
  assert.match(elected!, /elected, term 2$/);
  assert.ok(
    rest.every((line) => line.endsWith(`${self.node}.1 dead, refused`)),
    rest.join('\n'),
  );
});

test('over TCP: a broker that is gone is found dead', async () => {
  const transport = tcpTransport();
  const clock = systemClock;
  const io = { clock, random: new SimRandom('tcp'), logger: silentLogger, metrics: noMetrics, transport };
  const meta = await openEmbeddedMetaStore(io);
  const [self, other] = [1, 2].map((node) => ({ node: node as NodeId, epoch: 1 })) as [Incarnation, Incarnation];
  const listener = await InternalListener.open({ ...io, node: other.node, host: '127.0.0.1', port: 0, maxConnections: 10, maxProbes: 4 });
  listener.setSelf(other);
  const subject = { incarnation: other, host: '127.0.0.1', port: listener.port };
  let onDead: (said: string) => void = () => {};
  const dead = new Promise<string>((resolve) => {
    onDead = resolve;
  });
  let liveness: Liveness | undefined;
  let controller: ControllerView | undefined;
  const elected = new Promise<number>((resolve) => {
    liveness = new Liveness({
      ...io,
      meta,
      self,
      guard: [],
      peers: () => [subject],
      controller: () => controller,
      isLive: () => true,
      onDead: (incarnation, reason) => onDead(`${incarnation.node} ${reason}`),
      onElected: ({ term, modRevision }) => {
        controller = { record: { ...self, term }, modRevision };
        resolve(term);
      },
      onDeposed: () => {},
    });
  });
  liveness!.clusterChanged();
  assert.equal(await elected, 1);
  await listener.close();
  assert.equal(await dead, '2 refused');
  await liveness!.close();
  await meta.close();
});

test('a witness that was asleep while it looked says nothing against anybody', async () => {
  const cluster = await Cluster.of('sleeping witness', 2);
  await cluster.pass(1_000);
  const [subject] = cluster.others;
  const witness = new SimProcess({ scheduler: cluster.scheduler, name: 'witness', host: 'host-9' });
  const clock = simClock(witness, new HostWallClock({ offsetMs: 0, rate: 1 }), cluster.random.fork('witness'));
  const asking = { clock, transport: cluster.network.transportOf(witness), deadlineMs: 1_000 };
  const answers: string[] = [];
  const look = () =>
    void probeSubject({ incarnation: subject!.self, host: subject!.process.host, port: subject!.listener.port }, asking).then((answer) => answers.push(answer));
  subject!.process.pause();
  look();
  await cluster.pass(2_000);
  look();
  await cluster.pass(500);
  witness.pause();
  await cluster.pass(5_000);
  witness.resume();
  await cluster.pass(100);
  assert.deepEqual(answers, ['silent', 'unavailable']);
});

test('a closed one says nothing more, leaves no connection and no liveness key; it may be closed twice', async () => {
  const cluster = await Cluster.of('closed', 2);
  await cluster.pass(2_000);
  cluster.heard();
  const { liveness, self, process } = cluster.controller!;
  let closed = false;
  void Promise.all([liveness.close(), liveness.close()]).then(() => {
    closed = true;
  });
  await cluster.until(() => closed, 2_000);
  await cluster.pass(100);
  assert.equal(cluster.meta.map.get(keys.alive(self.node)), undefined);
  assert.ok(cluster.network.links().every((link) => link.client.process !== process));
  assert.deepEqual(cluster.heard(), []);
});
