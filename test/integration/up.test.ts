/** `automq up` as a user meets it: what it prints, how it ends, what a second run finds, what a taken port says. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { Partitioners } from 'kafkajs';
import { freePort } from '../lab/program.ts';
import { kafkajs, readTopic } from './read-topic.ts';
import { UpProcess } from './up-process.ts';

const timeout = 60_000;
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'automq-up-'));
});
const started: Up[] = [];
after(async () => {
  for (const up of started) up.signal('SIGKILL');
  await Promise.all(started.map((up) => up.ended));
  rmSync(folder, { recursive: true, force: true });
});

class Up extends UpProcess {
  constructor(...args: string[]) {
    super(folder, args);
    started.push(this);
  }
}

const bootstrapOf = async (up: Up) => (await up.says(/serves Kafka clients on (127\.0\.0\.1:\d+)/))[1] ?? '';

test('it says where it serves, where the data is and what to try, and Ctrl-C ends it with 0', { timeout }, async () => {
  const up = new Up('--port', String(await freePort()), '--data', 'kept');
  const bootstrap = await bootstrapOf(up);
  await up.says(/Ctrl-C ends it/);
  for (const expected of [join(folder, 'kept'), `kcat -b ${bootstrap}`, `kafka-console-producer.sh --bootstrap-server ${bootstrap}`, '/metrics'])
    assert.ok(up.output.includes(expected), expected);
  const producer = kafkajs(bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic: 'kept', messages: [{ value: 'from the first run' }] });
  await producer.disconnect();
  up.signal('SIGINT');
  assert.equal(await up.ended, 0, up.output);
  assert.match(up.output, /the data stays in/);
});

test('the next run finds what the first kept', { timeout }, async () => {
  const up = new Up('--port', String(await freePort()), '--data', 'kept');
  const records = await readTopic(await bootstrapOf(up), 'kept');
  assert.deepEqual(
    records.map(({ value }) => value),
    ['from the first run'],
  );
  up.signal('SIGTERM');
  assert.equal(await up.ended, 0, up.output);
});

test('a taken port is told with the process that holds it', { timeout }, async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const address = holder.address();
  assert.ok(address && typeof address === 'object');
  const up = new Up('--port', String(address.port), '--data', 'other');
  assert.equal(await up.ended, 1, up.output);
  assert.match(up.output, new RegExp(`${address.port}.*process ${process.pid} \\(`));
  assert.match(up.output, /--port/);
  await new Promise((resolve) => holder.close(resolve));
});

test('a data folder in use is refused', { timeout }, async () => {
  const first = new Up('--port', String(await freePort()), '--data', 'locked');
  await bootstrapOf(first);
  const second = new Up('--port', String(await freePort()), '--data', 'locked');
  assert.equal(await second.ended, 1, second.output);
  assert.match(second.output, /in use|locked/);
  first.signal('SIGINT');
  assert.equal(await first.ended, 0, first.output);
});

test('wrong use is told in a line, wrong settings all at once', { timeout }, async () => {
  const wrongPort = new Up('--port', 'many');
  assert.equal(await wrongPort.ended, 2);
  assert.match(wrongPort.output, /--port many: a number from 1 to 65535/);
  const wrongSettings = new Up('--num.partitions=none', '--num.partition=3');
  assert.equal(await wrongSettings.ended, 2);
  assert.match(wrongSettings.output, /num\.partitions = "none"/);
  assert.match(wrongSettings.output, /num\.partition .*did you mean num\.partitions/);
});
