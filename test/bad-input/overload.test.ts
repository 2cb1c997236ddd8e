/**
 * What would cost a broker its memory, its sockets or its other clients: announced frames that do not come (B04), idle connections, answers
 * that nobody reads (B16, slow readers), random bytes. The broker is a process of its own; a bystander writes and reads all the while.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { buildBatch } from '../../broker/log/batch/build-batch.ts';
import { decodeCorrelationId, decodeResponse } from '../../broker/protocol/frames.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { BrokerChild, type Measurement } from './broker-child.ts';
import { Bystander } from './bystander.ts';
import { int32, requestFrame } from './frames.ts';
import { measureWhenFreed, measureWhenOpen, mostConnections } from './open-files.ts';
import { request } from './stage.ts';
import { WireClient } from './wire-client.ts';

const MIB = 1_048_576;
/** What the broker may grow by beyond the bytes that lie in it for a reason. */
const slackBytes = 64 * MIB;
const responseBytes = 64 * MIB;
const cacheBytes = 8 * MIB;
/** A machine that runs other tests, too, is slow; a broker that serves nobody else is slower. */
const patienceMs = 20_000;

let broker: BrokerChild;
let started: Measurement;

before(async () => {
  broker = await BrokerChild.start({
    'queued.max.response.bytes': String(responseBytes),
    // Small, so that what is fetched has to be read for each reader.
    'log.cache.bytes': String(cacheBytes),
    'block.cache.bytes': String(cacheBytes),
  });
  await createTopic('bystander');
  await createTopic('large');
  // What is compiled and allocated once shall not count as growth.
  await withBystander(async () => {
    for (let round = 0; round < 3; round++) await connectAll(100).then(destroyAll);
  }, 50);
  started = await broker.measure();
});

after(async () => {
  const end = await measureWhenFreed(broker, started);
  await broker.stop();
  assert.equal(end.openFiles, started.openFiles);
  assert.equal(end.handlerFailures, 0);
});

test('200 connections announce 100 MiB each and send 1 KiB', async () => {
  const growth = await growthDuring(async () => {
    const clients = await connectAll(200);
    for (const client of clients) client.send(Buffer.concat([int32(100 * MIB), Buffer.alloc(1_024, 1)]));
    await othersAreServed();
    assert.equal(clients.filter((client) => client.closed).length, 0, 'a frame of the allowed size may still come');
    destroyAll(clients);
  });
  assert.ok(growth < slackBytes + 200 * 1_024, `${growth} bytes`);
});

test('10,000 connections do nothing, or as many as this machine allows', async (t) => {
  const count = mostConnections(10_000);
  if (count < 10_000) t.diagnostic(`only ${count} connections: the limit on open files (ulimit -n) allows no more`);
  const growth = await growthDuring(async () => {
    const clients = await connectAll(count);
    const { openFiles } = await measureWhenOpen(broker, count);
    assert.ok(openFiles >= count, `the broker has ${openFiles} files open`);
    await othersAreServed();
    assert.equal(clients.filter((client) => client.closed).length, 0, 'connections that were closed');
    // One of them wakes up.
    assert.ok((await request(clients[count >> 1]!, ApiKeys.ApiVersions, 0, {})).apiKeys.length > 0);
    destroyAll(clients);
  });
  t.diagnostic(`${Math.round(growth / count)} bytes of resident memory a connection`);
  assert.ok(growth < slackBytes + count * 10_000, `${growth} bytes`);
});

test('10,000 requests are pipelined and their answers not read', async () => {
  const count = 10_000;
  const topics = Array.from({ length: 200 }, (_, index) => ({ name: `none-${index}` }));
  const frames = Array.from({ length: count }, (_, index) => requestFrame(ApiKeys.Metadata, 9, { topics, allowAutoTopicCreation: false }, index));
  const all = Buffer.concat(frames);
  const client = await WireClient.connect(broker.address);
  const growth = await growthDuring(async () => {
    client.socket.pause();
    client.send(all);
    await takesNoMore([client]);
  });
  assert.ok(growth < slackBytes, `${growth} bytes for ${all.length} bytes of requests`);
  client.socket.resume();
  for (let index = 0; index < count; index++) {
    const reply = await client.next(patienceMs);
    assert.equal(reply.kind, 'frame');
    assert.equal(reply.kind === 'frame' && decodeCorrelationId(reply.bytes), index);
  }
  client.destroy();
});

test('slow readers leave 1 GB of fetched records lying', async (t) => {
  const storedBytes = await fillLargeTopic(50);
  const fetch = {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 2 ** 31 - 1,
    topics: [{ topic: 'large', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 2 ** 31 - 1 }] }],
    forgottenTopicsData: [],
  };
  const frame = requestFrame(ApiKeys.Fetch, 11, fetch);
  const readers: WireClient[] = [];
  const growth = await growthsDuring(async () => {
    readers.push(...(await connectAll(22)));
    for (const reader of readers) {
      reader.socket.pause();
      // The second waits for the first: one fetch of a connection at a time.
      reader.send(Buffer.concat([frame, frame]));
    }
    await takesNoMore(readers);
  });
  t.diagnostic(
    `asked for ${Math.round((readers.length * 2 * storedBytes) / MIB)} MiB, memory in use grew by ${Math.round(growth.held / MIB)} MiB, resident by ${Math.round(growth.resident / MIB)} MiB`,
  );
  const mayBeHeld = responseBytes + readers.length * MIB + 2 * cacheBytes;
  assert.ok(growth.held < mayBeHeld + slackBytes, `${growth.held} bytes are held`);
  // What was read and given back stays resident until the collector has run.
  assert.ok(growth.resident < 2 * mayBeHeld + slackBytes, `${growth.resident} bytes`);
  for (const reader of readers) reader.socket.resume();
  for (const reader of readers) for (let answers = 0; answers < 2; answers++) await assertRecordsFromTheStart(reader);
  destroyAll(readers);
});

test('random bytes on 500 connections', async () => {
  const growth = await growthDuring(async () => {
    const clients = await connectAll(500);
    for (const client of clients) {
      client.send(randomBytes(2_000));
      client.endSending();
    }
    for (const client of clients) assert.equal((await client.next(patienceMs)).kind, 'closed');
    await othersAreServed();
    destroyAll(clients);
  });
  assert.ok(growth < slackBytes + 500 * 2_000, `${growth} bytes`);
});

/** How much larger the broker ever was meanwhile than before, while a bystander was served. */
async function growthDuring(run: () => Promise<void>): Promise<number> {
  return (await growthsDuring(run)).resident;
}

async function growthsDuring(run: () => Promise<void>): Promise<{ readonly resident: number; readonly held: number }> {
  const first = await broker.measure();
  await withBystander(run, 10);
  const last = await broker.measure();
  return { resident: last.peakRssBytes - first.rssBytes, held: last.heldBytes - first.heldBytes };
}

let bystander: Bystander;

async function withBystander(run: () => Promise<void>, leastServed: number): Promise<void> {
  bystander = await Bystander.begin(broker.address, 'bystander');
  try {
    await run();
    await served(leastServed);
  } finally {
    await bystander.end();
  }
  assert.ok(bystander.longestMs < patienceMs, `a bystander waited ${bystander.longestMs} ms`);
}

/** Requests that began after now were answered. */
function othersAreServed(): Promise<void> {
  return served(bystander.served + 50);
}

/** The broker reads no more of what these send, and others were served all the while. */
async function takesNoMore(clients: readonly WireClient[]): Promise<void> {
  const unsent = () => clients.reduce((sum, { socket }) => sum + socket.writableLength, 0);
  for (let before = -1, steady = 0; steady < 3; steady = unsent() === before ? steady + 1 : 0) {
    before = unsent();
    await othersAreServed();
  }
}

async function served(count: number): Promise<void> {
  for (const giveUpAt = Date.now() + patienceMs; bystander.served < count; await new Promise((resolve) => setTimeout(resolve, 5))) {
    assert.ok(Date.now() < giveUpAt, `a bystander was served only ${bystander.served} times`);
  }
}

async function connectAll(count: number): Promise<WireClient[]> {
  const clients: WireClient[] = [];
  while (clients.length < count) {
    const some = Math.min(200, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => WireClient.connect(broker.address)))));
  }
  return clients;
}

function destroyAll(clients: readonly WireClient[]): void {
  for (const client of clients) client.destroy();
}

async function createTopic(name: string): Promise<void> {
  const client = await WireClient.connect(broker.address);
  const topics = [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [{ name: 'max.message.bytes', value: String(4 * MIB) }] }];
  const answer = await request(client, ApiKeys.CreateTopics, 7, { topics, timeoutMs: patienceMs });
  assert.equal(answer.topics[0]!.errorCode, 0);
  client.destroy();
}

/** Answers the size of what was stored. */
async function fillLargeTopic(batches: number): Promise<number> {
  const client = await WireClient.connect(broker.address);
  const records = buildBatch({ records: [{ key: null, value: Buffer.alloc(MIB, 3), timestampMs: 1_700_000_000_000 }] });
  for (let at = 0; at < batches; at++) {
    const topicData = [{ name: 'large', partitionData: [{ index: 0, records }] }];
    const { responses } = await request(client, ApiKeys.Produce, 9, { acks: -1, timeoutMs: patienceMs, topicData });
    assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0);
  }
  client.destroy();
  return batches * records.length;
}

async function assertRecordsFromTheStart(reader: WireClient): Promise<void> {
  const reply = await reader.next(patienceMs);
  assert.equal(reply.kind, 'frame');
  if (reply.kind !== 'frame') return;
  const partition = decodeResponse(ApiKeys.Fetch, 11, reply.bytes).body.responses[0]!.partitions[0]!;
  assert.equal(partition.errorCode, 0);
  assert.ok((partition.records?.length ?? 0) > MIB, 'at least one batch, however little memory is left');
  assert.equal(partition.records?.readInt32BE(4), 0, 'the first batch begins at offset 0');
}
