/** Three brokers on this machine, started as their users start them: `automq up --brokers 3`, or Apache Kafka with three combined nodes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { controlSocketPath, upFolder } from '../../cli/up/cluster-folder.ts';
import { askControl } from '../../cli/up/control-socket.ts';
import { etcdProgram } from '../../test/lab/etcd.ts';
import { kafkaJars } from '../../test/lab/kafka.ts';
import { labFile } from '../../test/lab/cache.ts';
import { freePort, Program, takesConnections } from '../../test/lab/program.ts';
import { startS3Server } from '../../test/lab/s3-server.ts';
import { EtcdProcess } from '../../test/stores/etcd-process.ts';
import type { KafkaAdmin } from './kafka-admin.ts';
import type { Address } from './kafka-socket.ts';

export interface Cluster {
  readonly bootstrap: readonly Address[];
  readonly nodes: readonly number[];
  /** Of every topic. */
  readonly replicas: number;
  /** Partitions can be sent to a node at the price of a metadata write. */
  readonly moves: boolean;
  readonly logFiles: readonly string[];
  /** SIGKILL; resolves when it is gone, and it stays down. */
  kill(node: number): Promise<void>;
  /** SIGTERM; resolves when it is gone. */
  stop(node: number): Promise<void>;
  /** Resolves when it serves. */
  start(node: number): Promise<void>;
  /** As it was before a broker was away: every topic led from everywhere. */
  spread(admin: KafkaAdmin, topics: ReadonlyMap<string, number>): Promise<void>;
  close(): Promise<void>;
}

export interface ClusterKind {
  readonly name: string;
  readonly label: string;
  start(folder: string): Promise<Cluster>;
}

export const clusterKinds: readonly ClusterKind[] = [
  { name: 'folder', label: 'this broker, folder', start: (folder) => startOwn({ folder }) },
  { name: 'versitygw', label: 'this broker, S3 (versitygw)', start: (folder) => startOwn({ folder, s3: true }) },
  { name: 'etcd-s3', label: 'this broker, S3 and etcd', start: (folder) => startOwn({ folder, s3: true, etcd: true }) },
  { name: 'kafka', label: 'Apache Kafka, RF 3', start: startKafkaCluster },
];

const host = '127.0.0.1';
const size = 3;
const pollMs = 50;
const readyWithinMs = 120_000;
const graceMs = 60_000;
const automq = fileURLToPath(new URL('../../cli/automq.js', import.meta.url));

interface OwnOptions {
  readonly folder: string;
  readonly s3?: boolean;
  readonly etcd?: boolean;
}

interface Status {
  readonly brokers: readonly { readonly node: number; readonly state: { readonly kind: string } }[];
}

async function startOwn({ folder, s3 = false, etcd = false }: OwnOptions): Promise<Cluster> {
  const opened: { close(): Promise<unknown> }[] = [];
  const args: string[] = [];
  let env: Record<string, string> = {};
  if (s3) {
    const server = await startS3Server('versitygw', join(folder, 'versitygw'));
    opened.push({ close: () => server.program.stop() });
    args.push(`--storage.url=s3://${server.bucket}/automq`, `--s3.endpoint=${server.endpoint}`, '--s3.region=us-east-1');
    env = { AWS_ACCESS_KEY_ID: server.accessKeyId, AWS_SECRET_ACCESS_KEY: server.secretAccessKey };
  }
  if (etcd) {
    const server = await EtcdProcess.start(etcdProgram('current'));
    opened.push({ close: () => server.destroy() });
    args.push('--etcd', server.endpoint);
  }
  const data = join(folder, 'data');
  const port = await portsInARow(size);
  const program = await Program.start({
    command: process.execPath,
    args: [automq, 'up', '--brokers', String(size), '--port', String(port), '--data', data, ...args],
    env,
    logFile: join(folder, 'up.log'),
    port,
  });
  opened.push({ close: () => program.stop(graceMs) });
  const nodes = Array.from({ length: size }, (_, node) => node);
  const ask = async (command: string, node?: number) => {
    const answer = await askControl(controlSocketPath(data), node === undefined ? { command } : { command, node });
    if (answer.kind === 'refused') throw new Error(answer.text);
    return answer.details;
  };
  const isReady = async () => ((await ask('status')) as Status).brokers.filter(({ state }) => state.kind === 'serving').length === size;
  await until(isReady, 'the brokers do not serve');
  return {
    bootstrap: nodes.map((node) => ({ host, port: port + node })),
    nodes,
    replicas: 1,
    moves: true,
    logFiles: [...nodes.map((node) => join(upFolder(data), `broker-${node}.log`)), join(folder, 'up.log')],
    kill: async (node) => void (await ask('kill', node)),
    stop: async (node) => void (await ask('stop', node)),
    start: async (node) => void (await ask('restart', node)),
    spread: async (admin, topics) => {
      for (const [topic, partitions] of topics) await admin.spread(topic, partitions, nodes);
    },
    close: async () => {
      for (const each of opened.toReversed()) await each.close();
    },
  };
}

/** Default timeouts; replication as one runs it: three replicas, two of them in sync for an acknowledgement. */
async function startKafkaCluster(folder: string): Promise<Cluster> {
  const nodes = Array.from({ length: size }, (_, index) => index + 1);
  const ports = new Map<number, { readonly clients: number; readonly controller: number }>();
  for (const node of nodes) ports.set(node, { clients: await freePort(), controller: await freePort() });
  const voters = nodes.map((node) => `${node}@${host}:${ports.get(node)?.controller}`).join(',');
  const java = ['-Djava.awt.headless=true', `-Dlog4j2.configurationFile=${labFile('kafka/log4j2.properties')}`, '-cp', `${kafkaJars()}/*`];
  const programs = new Map<number, Program>();
  const home = (node: number) => join(folder, `node-${node}`);
  const properties = (node: number) => join(home(node), 'server.properties');
  const start = async (node: number) => {
    const port = ports.get(node)?.clients ?? 0;
    const heap = ['-Xms512m', '-Xmx512m', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'];
    const options = {
      command: 'java',
      args: [...heap, ...java, 'kafka.Kafka', properties(node)],
      logFile: join(home(node), 'kafka.log'),
      startTimeoutMs: readyWithinMs,
    };
    programs.set(node, await Program.start(options));
    await until(() => takesConnections(port), `node ${node} does not listen`);
  };
  for (const node of nodes) {
    mkdirSync(home(node), { recursive: true });
    const { clients = 0, controller = 0 } = ports.get(node) ?? {};
    writeFileSync(properties(node), kafkaProperties({ node, clients, controller, voters, logs: join(home(node), 'logs') }));
    execFileSync('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', 'YXV0b21xLWxhYi0wMDAwMQ', '-c', properties(node)], { stdio: 'pipe' });
  }
  await Promise.all(nodes.map(start));
  return {
    bootstrap: nodes.map((node) => ({ host, port: ports.get(node)?.clients ?? 0 })),
    nodes,
    replicas: size,
    moves: false,
    logFiles: nodes.map((node) => join(home(node), 'kafka.log')),
    kill: async (node) => programs.get(node)?.kill9(),
    stop: async (node) => void (await programs.get(node)?.stop(graceMs)),
    start,
    spread: async (admin, topics) => {
      for (const [topic, partitions] of topics) await admin.untilLed(topic, partitions, size);
      await admin.electPreferred();
    },
    close: async () => {
      await Promise.all([...programs.values()].map((program) => program.stop(graceMs)));
    },
  };
}

function kafkaProperties(at: {
  readonly node: number;
  readonly clients: number;
  readonly controller: number;
  readonly voters: string;
  readonly logs: string;
}): string {
  const listeners = `PLAINTEXT://${host}:${at.clients},CONTROLLER://${host}:${at.controller}`;
  return `process.roles=broker,controller
node.id=${at.node}
controller.quorum.voters=${at.voters}
listeners=${listeners}
advertised.listeners=PLAINTEXT://${host}:${at.clients}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${at.logs}
default.replication.factor=${size}
min.insync.replicas=2
offsets.topic.replication.factor=${size}
group.initial.rebalance.delay.ms=0
`;
}

async function until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadlineMs = performance.now() + readyWithinMs;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error(otherwise);
    await delay(pollMs);
  }
}

/** The first of some ports in a row that nobody listens on. */
async function portsInARow(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const free = await Promise.all(Array.from({ length: count }, (_, index) => canListen(first + index)));
    if (free.every(Boolean)) return first;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
