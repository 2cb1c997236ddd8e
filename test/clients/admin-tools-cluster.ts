/**
 * Apache Kafka's tools for a cluster: reassignments, elections, log dirs, quorum. What they print is looked at in steps that hold for any
 * number of brokers, Apache Kafka's own included: one broker is moved to itself, of several the first hands over to the last.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kafkaTool } from '../lab/kafka.ts';
import type { CommandResult } from '../lab/run-command.ts';
import { tool } from './java-client.ts';
import { kcat } from './kcat-client.ts';

export interface ToolCluster {
  readonly bootstrap: string;
  /** Ids of all brokers. */
  readonly nodes: readonly number[];
  readonly isApacheKafka: boolean;
}

interface ReplicaAssignment {
  readonly version: 1;
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly replicas: readonly number[];
    readonly log_dirs?: readonly string[];
  }[];
}

const partitionCount = 4;
/** Runs of `--verify`, a second or more each, until a reassignment must be done. */
const maxVerifications = 30;
const unknownNode = 77;

/** Moves a topic with records from the first broker to the last and back by what the tool printed for that; readers find all of it each time. */
export async function topicIsReassignedAndRolledBack(cluster: ToolCluster): Promise<void> {
  const [from, to] = [firstOf(cluster), lastOf(cluster)];
  const topic = await topicOn(cluster, from, 'reassigned');
  const lines = Array.from({ length: 200 }, (_, i) => `record ${i}`);
  await kcat(['-P', '-b', cluster.bootstrap, '-t', topic], { stdin: `${lines.join('\n')}\n` });
  const proposed = await proposalFor(cluster, topic, to);
  assert.deepEqual(
    proposed.partitions.map(({ partition, replicas }) => [partition, replicas]),
    Array.from({ length: partitionCount }, (_, partition) => [partition, [to]]),
  );
  const executed = await reassign(cluster, ['--execute', '--throttle', '50000000'], proposed);
  assert.match(executed, /The inter-broker throttle limit was set to 50000000 B\/s[^]*Successfully started partition reassignments for /);
  await untilDone(cluster, proposed);
  assert.deepEqual(
    await leadersOf(cluster, topic),
    Array.from({ length: partitionCount }, () => to),
  );
  assert.deepEqual(await readAll(cluster, topic, lines.length), [...lines].sort());

  const before = assignmentIn(executed);
  assert.ok(before.partitions.every(({ replicas }) => replicas.length === 1 && replicas[0] === from));
  await reassign(cluster, ['--execute'], before);
  await untilDone(cluster, before);
  assert.deepEqual(
    await leadersOf(cluster, topic),
    Array.from({ length: partitionCount }, () => from),
  );
  assert.deepEqual(await readAll(cluster, topic, lines.length), [...lines].sort());
}

/** Nothing is under way, so that nothing is listed and nothing can be cancelled. */
export async function nothingIsReassigned(cluster: ToolCluster): Promise<void> {
  const node = firstOf(cluster);
  const topic = await topicOn(cluster, node, 'at-rest');
  assert.match(await tool('kafka-reassign-partitions', at(cluster, '--list')), /No partition reassignments found\./);
  assert.match(await reassign(cluster, ['--cancel'], assignmentOf(topic, [[0, [node]]])), /None of the specified partition reassignments are active\./);
}

export async function wrongReassignmentsAreRefused(cluster: ToolCluster): Promise<void> {
  const topic = await topicOn(cluster, firstOf(cluster), 'wrongly');
  const wrong: [ReplicaAssignment, RegExp][] = [
    [assignmentOf(topic, [[0, [unknownNode]]]), /Unknown broker id 77/],
    [assignmentOf(topic, [[9, [firstOf(cluster)]]]), /Unable to find partition: wrongly-9/],
  ];
  if (cluster.nodes.length > 1 && !cluster.isApacheKafka) wrong.push([assignmentOf(topic, [[0, cluster.nodes]]), /assign each partition to one broker/]);
  for (const [assignment, expected] of wrong) {
    const { code, stdout, stderr } = await tryToReassign(cluster, ['--execute'], assignment);
    assert.notEqual(code, 0, JSON.stringify(assignment));
    assert.match(stdout + stderr, expected);
  }
  assert.deepEqual(
    await leadersOf(cluster, topic),
    Array.from({ length: partitionCount }, () => firstOf(cluster)),
  );
}

export async function noElectionIsNeeded(cluster: ToolCluster): Promise<void> {
  const topic = await topicOn(cluster, lastOf(cluster), 'elected');
  const elect = (...args: readonly string[]) => tool('kafka-leader-election', at(cluster, ...args));
  for (const type of ['preferred', 'unclean']) {
    const printed = await elect('--election-type', type, '--topic', topic, '--partition', '0');
    assert.match(printed, /Valid replica already elected for partitions elected-0/);
  }
  assert.equal((await elect('--election-type', 'preferred', '--all-topic-partitions')).trim(), '');
  const { code, stdout } = await kafkaTool('kafka-leader-election', at(cluster, '--election-type', 'preferred', '--topic', 'nowhere', '--partition', '0'));
  assert.notEqual(code, 0);
  assert.match(stdout, /No such topic as nowhere/);
}

/** Every broker tells its own partitions: each is told once. */
export async function logDirsAreTold(cluster: ToolCluster): Promise<void> {
  const topics = [await topicOn(cluster, firstOf(cluster), 'here'), await topicOn(cluster, lastOf(cluster), 'there')];
  const printed = await tool('kafka-log-dirs', at(cluster, '--describe', '--topic-list', topics.join(',')));
  const { brokers } = JSON.parse(printed.split('\n').find((line) => line.startsWith('{')) ?? '') as {
    readonly brokers: readonly {
      readonly broker: number;
      readonly logDirs: readonly { readonly error: string | null; readonly partitions: readonly { readonly partition: string }[] }[];
    }[];
  };
  assertNodes(
    cluster,
    brokers.map(({ broker }) => broker),
  );
  const told = new Map<string, number>();
  for (const { broker, logDirs } of brokers) {
    for (const { error, partitions } of logDirs) {
      assert.equal(error, null);
      for (const { partition } of partitions) {
        assert.ok(!told.has(partition), `${partition} is told twice`);
        told.set(partition, broker);
      }
    }
  }
  for (let partition = 0; partition < partitionCount; partition++) {
    assert.equal(told.get(`here-${partition}`), firstOf(cluster));
    assert.equal(told.get(`there-${partition}`), lastOf(cluster));
  }
}

/** The controller is one of the voters; one node of Apache Kafka has no others here, of our brokers each is one. */
export async function quorumIsDescribed(cluster: ToolCluster): Promise<void> {
  const status = await tool('kafka-metadata-quorum', at(cluster, 'describe', '--status'));
  const leader = Number(/LeaderId:\s+(\d+)/.exec(status)?.[1]);
  assert.ok(cluster.nodes.includes(leader), status);
  assert.match(status, /ClusterId:\s+\S{22}/);
  assert.match(status, /MaxFollowerLag:\s+0/);
  for (const node of cluster.nodes) assert.match(status, new RegExp(`Current(Voters|Observers): .*"id": ${node}\\b`));
  const rows = (await tool('kafka-metadata-quorum', at(cluster, 'describe', '--replication'))).trim().split('\n').slice(1);
  const replicas = rows.map((row) => row.trim().split(/\s+/));
  assertNodes(
    cluster,
    replicas.map(([node]) => Number(node)),
  );
  assert.deepEqual(
    replicas.filter((columns) => columns.at(-1) === 'Leader').map(([node]) => Number(node)),
    [leader],
  );
}

export async function clusterIsListed(cluster: ToolCluster): Promise<void> {
  assert.match(await tool('kafka-cluster', ['cluster-id', ...at(cluster)]), /Cluster ID: \S{22}/);
  const rows = (await tool('kafka-cluster', ['list-endpoints', ...at(cluster)])).trim().split('\n').slice(1);
  const endpoints = rows.map((row) => row.trim().split(/\s+/));
  assertNodes(
    cluster,
    endpoints.map(([node]) => Number(node)),
  );
  assert.ok(endpoints.every((columns) => columns.includes('broker') && columns.includes('unfenced')));
}

/** Each of the cluster once. */
function assertNodes({ nodes }: ToolCluster, named: readonly number[]): void {
  const ascending = (a: number, b: number) => a - b;
  assert.deepEqual([...named].sort(ascending), [...nodes].sort(ascending));
}

function firstOf({ nodes }: ToolCluster): number {
  return nodes[0] ?? -1;
}

function lastOf({ nodes }: ToolCluster): number {
  return nodes.at(-1) ?? -1;
}

function at({ bootstrap }: ToolCluster, ...args: readonly string[]): string[] {
  return ['--bootstrap-server', bootstrap, ...args];
}

/** A new topic, all of it on one broker. */
async function topicOn(cluster: ToolCluster, node: number, topic: string): Promise<string> {
  const assignment = Array.from({ length: partitionCount }, () => node).join(',');
  await tool('kafka-topics', at(cluster, '--create', '--topic', topic, '--replica-assignment', assignment));
  assert.deepEqual(
    await leadersOf(cluster, topic),
    Array.from({ length: partitionCount }, () => node),
  );
  return topic;
}

/** By partition; −1 where there is none. */
async function leadersOf(cluster: ToolCluster, topic: string): Promise<number[]> {
  const described = await tool('kafka-topics', at(cluster, '--describe', '--topic', topic));
  return [...described.matchAll(/Partition: \d+\s+Leader: (\S+)/g)].map(([, leader]) => (leader === 'none' ? -1 : Number(leader)));
}

async function readAll(cluster: ToolCluster, topic: string, count: number): Promise<string[]> {
  const args = ['--topic', topic, '--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000'];
  return (await tool('kafka-console-consumer', at(cluster, ...args))).trim().split('\n').sort();
}

function assignmentOf(topic: string, replicas: readonly (readonly [partition: number, nodes: readonly number[]])[]): ReplicaAssignment {
  return { version: 1, partitions: replicas.map(([partition, nodes]) => ({ topic, partition, replicas: nodes })) };
}

async function proposalFor(cluster: ToolCluster, topic: string, node: number): Promise<ReplicaAssignment> {
  const generate = (file: string) =>
    tool('kafka-reassign-partitions', at(cluster, '--generate', '--topics-to-move-json-file', file, '--broker-list', String(node)));
  const printed = await withFile({ version: 1, topics: [{ topic }] }, generate);
  return assignmentIn(printed.slice(printed.indexOf('Proposed partition reassignment configuration')));
}

/** The first assignment in what the tool printed. */
function assignmentIn(printed: string): ReplicaAssignment {
  return JSON.parse(printed.split('\n').find((line) => line.startsWith('{')) ?? '') as ReplicaAssignment;
}

async function untilDone(cluster: ToolCluster, assignment: ReplicaAssignment): Promise<void> {
  let printed = '';
  for (let i = 0; i < maxVerifications; i++) {
    printed = await reassign(cluster, ['--verify'], assignment);
    if (!/still in progress/.test(printed)) break;
  }
  assert.equal(printed.match(/Reassignment of partition \S+ is completed\./g)?.length, assignment.partitions.length, printed);
}

async function reassign(cluster: ToolCluster, action: readonly string[], assignment: ReplicaAssignment): Promise<string> {
  const { code, stdout, stderr } = await tryToReassign(cluster, action, assignment);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

function tryToReassign(cluster: ToolCluster, action: readonly string[], assignment: ReplicaAssignment): Promise<CommandResult> {
  return withFile(assignment, (file) => kafkaTool('kafka-reassign-partitions', at(cluster, ...action, '--reassignment-json-file', file)));
}

async function withFile<T>(content: object, use: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'automq-admin-tools-'));
  try {
    const file = join(folder, 'content.json');
    writeFileSync(file, JSON.stringify(content));
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
