/** `automq up --brokers 3` as a user meets it: several broker processes, and what the commands do to them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { controlSocketPath } from '../../cli/up/cluster-folder.ts';
import { askControl } from '../../cli/up/control-socket.ts';
import { kafkajs } from './read-topic.ts';
import { UpProcess } from './up-process.ts';

const timeout = 120_000;
const pollMs = 20;
let folder: string;
const started: UpProcess[] = [];

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'automq-up-brokers-'));
});
after(async () => {
  // Brokers end with the process that supervises them, as the last test here proves.
  for (const up of started) up.signal('SIGKILL');
  await Promise.all(started.map((up) => up.ended));
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

interface Status {
  readonly bootstrap: string;
  readonly metadataUrl: string;
  readonly pid: number;
  readonly brokers: readonly {
    readonly node: number;
    readonly address: string;
    readonly state: { readonly kind: string; readonly pid?: number; readonly why?: string };
    readonly registered?: string;
  }[];
}

function run(...args: string[]): UpProcess {
  const up = new UpProcess(folder, args);
  started.push(up);
  return up;
}

async function command(...args: string[]): Promise<string> {
  const process = run(...args);
  assert.equal(await process.ended, 0, process.output);
  return process.output;
}

/** As `automq up status --json` prints it, without a process for each look. */
async function statusOf(data: string): Promise<Status> {
  const answer = await askControl(controlSocketPath(join(folder, data)), { command: 'status' });
  assert.equal(answer.kind, 'done', answer.text);
  return (answer as { readonly details: Status }).details;
}

const pidsOf = ({ brokers }: Status) => brokers.flatMap(({ state }) => state.pid ?? []);
const stateOf = ({ brokers }: Status, node: number) => brokers.find((broker) => broker.node === node)?.state;

async function startThree(data: string): Promise<{ readonly up: UpProcess; readonly bootstrap: readonly string[] }> {
  const up = run('--brokers', '3', '--port', String(await threeFreePorts()), '--data', data, '--offsets.topic.num.partitions=4');
  const said = await up.says(/serves Kafka clients on (\S+)/);
  await up.says(/Ctrl-C ends them all/);
  return { up, bootstrap: (said[1] ?? '').split(',') };
}

/** The first of three ports in a row that nobody listens on. */
async function threeFreePorts(): Promise<number> {
  for (;;) {
    const first = createServer();
    await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
    const { port } = first.address() as { port: number };
    const others = [1, 2].map(() => createServer());
    const got = await Promise.all(
      others.map(
        (server, index) =>
          new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(port + 1 + index, '127.0.0.1', () => resolve(true))),
      ),
    ).catch(() => [false]);
    for (const server of [first, ...others]) server.close();
    if (got.every(Boolean)) return port;
  }
}

async function clusterSeenFrom(bootstrap: string, size: number): Promise<number[]> {
  const admin = kafkajs(bootstrap).admin();
  await admin.connect();
  try {
    for (;;) {
      const { brokers } = await admin.describeCluster();
      if (brokers.length === size) return brokers.map(({ nodeId }) => nodeId).sort((a, b) => a - b);
      await delay(pollMs);
    }
  } finally {
    await admin.disconnect();
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isRunning)) await delay(pollMs);
}

test('three brokers are one cluster; one that is killed stays down until it is restarted; the end leaves nothing running', { timeout }, async () => {
  const { up, bootstrap } = await startThree('three');
  assert.equal(bootstrap.length, 3);
  for (const address of bootstrap) assert.deepEqual(await clusterSeenFrom(address, 3), [0, 1, 2], address);
  const before = await statusOf('three');
  assert.deepEqual(
    before.brokers.map(({ node, address, state, registered }) => ({ node, address, kind: state.kind, registered })),
    bootstrap.map((address, node) => ({ node, address, kind: 'serving', registered: 'active' })),
  );

  await command('kill', '1', '--data', 'three');
  const killed = await statusOf('three');
  assert.deepEqual(stateOf(killed, 1), { kind: 'down', why: 'killed' });
  assert.equal(isRunning(stateOf(before, 1)?.pid ?? 0), false);
  assert.deepEqual([stateOf(killed, 0), stateOf(killed, 2)], [stateOf(before, 0), stateOf(before, 2)]);
  assert.deepEqual(JSON.parse(await command('status', '--json', '--data', 'three')), JSON.parse(JSON.stringify(killed)));
  assert.match(await command('status', '--data', 'three'), /^1 +down \(killed\)/m);

  await command('restart', '1', '--data', 'three');
  const restarted = await statusOf('three');
  assert.equal(stateOf(restarted, 1)?.kind, 'serving');
  assert.deepEqual(await clusterSeenFrom(bootstrap[1] ?? '', 3), [0, 1, 2]);

  up.signal('SIGINT');
  assert.equal(await up.ended, 0, up.output);
  assert.match(up.output, /the data stays in/);
  assert.doesNotMatch(up.output, /did not end within/);
  assert.deepEqual(pidsOf(restarted).filter(isRunning), []);
  const late = run('status', '--data', 'three');
  assert.equal(await late.ended, 1);
  assert.match(late.output, /no cluster of several brokers runs/);
});

test('a broker that dies by itself is started again; one can be added, drained and stopped', { timeout }, async () => {
  const { up } = await startThree('lively');
  const before = await statusOf('lively');
  process.kill(stateOf(before, 2)?.pid ?? 0, 'SIGKILL');
  await up.says(/broker 2 was ended by SIGKILL; it is started again/);
  await up.says(/broker 2 serves again/);
  assert.notEqual(stateOf(await statusOf('lively'), 2)?.pid, stateOf(before, 2)?.pid);

  assert.match(await command('add', '--data', 'lively'), /broker 3 serves/);
  const added = await statusOf('lively');
  assert.equal(added.bootstrap.split(',').length, 4);
  assert.deepEqual(await clusterSeenFrom(added.brokers[3]?.address ?? '', 4), [0, 1, 2, 3]);

  await command('drain', '3', '--data', 'lively');
  assert.equal((await statusOf('lively')).brokers[3]?.registered, 'draining');
  await command('undrain', '3', '--data', 'lively');
  assert.equal((await statusOf('lively')).brokers[3]?.registered, 'active');
  await command('stop', '3', '--data', 'lively');
  assert.deepEqual(stateOf(await statusOf('lively'), 3), { kind: 'down', why: 'stopped' });
  const unknown = run('kill', '9', '--data', 'lively');
  assert.equal(await unknown.ended, 1);
  assert.match(unknown.output, /there is no broker 9. There are: 0, 1, 2, 3/);
  up.signal('SIGTERM');
  assert.equal(await up.ended, 0, up.output);
});

test('the brokers end by themselves when the process that supervises them is killed; the next run takes over the folder; a second Ctrl-C ends at once', {
  timeout,
}, async () => {
  const { up } = await startThree('orphaned');
  const pids = pidsOf(await statusOf('orphaned'));
  assert.equal(pids.length, 3);
  up.signal('SIGKILL');
  await up.ended;
  await untilGone(pids);
  const { up: next } = await startThree('orphaned');
  const second = run('--brokers', '2', '--data', 'orphaned');
  assert.equal(await second.ended, 1);
  assert.match(second.output, new RegExp(`process ${next.pid} uses the folder`));
  const nextPids = pidsOf(await statusOf('orphaned'));
  process.kill(nextPids[1] ?? 0, 'SIGSTOP');
  assert.equal(stateOf(await statusOf('orphaned'), 1)?.kind, 'silent');
  next.signal('SIGINT');
  await next.says(/ending: every broker/);
  next.signal('SIGINT');
  assert.equal(await next.ended, 130, next.output);
  await untilGone(nextPids);
});

test('what each broker has for itself cannot be set for all, and a broker that cannot start is told with its log', { timeout }, async () => {
  for (const setting of ['--node.id=4', '--listeners=PLAINTEXT://:1', '--metadata.url=memory:', '--data.folder=x']) {
    const refused = run('--brokers', '2', setting);
    assert.equal(await refused.ended, 2);
    assert.ok(refused.output.includes(setting), refused.output);
  }
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const taken = run('--brokers', '1', '--port', String(port), '--data', 'refused');
  assert.equal(await taken.ended, 1);
  assert.match(taken.output, new RegExp(`${port}.*process ${process.pid} \\(`));
  await new Promise((resolve) => holder.close(resolve));
  const misplaced = run('--brokers', '1', '--port', String(await threeFreePorts()), '--data', 'refused', `--storage.url=file://${process.execPath}`);
  assert.equal(await misplaced.ended, 1, misplaced.output);
  assert.match(misplaced.output, /broker 0 ended with \d+ before it served; the end of .*broker-0\.log/);
});
