/**
 * Clients that hold a connection by doing almost nothing (B03, F61, F64): they send a byte now and then, never end a request, say nothing, or
 * do not read. With short limits, each is closed, its memory and files are free again, and a bystander noticed nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { BrokerChild, type Measurement } from './broker-child.ts';
import { Bystander } from './bystander.ts';
import { int32, requestFrame } from './frames.ts';
import { measureWhenFreed } from './open-files.ts';
import { request } from './stage.ts';
import { WireClient } from './wire-client.ts';

const patienceMs = 15_000;
const receiveMs = 1_500;
const idleMs = 2_500;

let broker: BrokerChild;
let started: Measurement;
let bystander: Bystander;

before(async () => {
  broker = await BrokerChild.start({ 'request.receive.timeout.ms': String(receiveMs), 'connections.max.idle.ms': String(idleMs) });
  const client = await WireClient.connect(broker.address);
  await request(client, ApiKeys.CreateTopics, 7, {
    topics: [{ name: 'bystander', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: patienceMs,
  });
  client.destroy();
  bystander = await Bystander.begin(broker.address, 'bystander');
  started = await measureWhenFreed(broker, await broker.measure());
});

after(async () => {
  const end = await measureWhenFreed(broker, started);
  await bystander.end();
  await broker.stop();
  assert.equal(end.openFiles, started.openFiles);
  assert.equal(end.handlerFailures, 0);
  assert.ok(bystander.longestMs < patienceMs, `a bystander waited ${bystander.longestMs} ms`);
});

describe('slow clients', { concurrency: true }, () => {
  test('1,000 connections send the largest request byte by byte', async () => {
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => WireClient.connect(broker.address)));
    for (const client of clients) client.send(int32(100 << 20));
    const drip = setInterval(() => {
      for (const client of clients) if (!client.closed) client.send(Buffer.of(1));
    }, 100);
    try {
      await allClosed(clients);
    } finally {
      clearInterval(drip);
    }
  });

  test('half of a request comes, then nothing', async () => {
    const frame = requestFrame(ApiKeys.Metadata, 9, { topics: null });
    const clients = await Promise.all(Array.from({ length: 20 }, () => WireClient.connect(broker.address)));
    clients.forEach((client, index) => client.send(frame.subarray(0, 1 + (index % (frame.length - 1)))));
    await allClosed(clients);
  });

  test('nothing comes at all', async () => {
    await allClosed(await Promise.all(Array.from({ length: 20 }, () => WireClient.connect(broker.address))));
  });

  test('a request was answered, then nothing comes', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => WireClient.connect(broker.address)));
    for (const client of clients) await request(client, ApiKeys.ApiVersions, 0, {});
    await allClosed(clients);
  });

  test('answers are not read', async () => {
    const topics = Array.from({ length: 2_000 }, (_, index) => ({ name: `none-${index}` }));
    const frame = requestFrame(ApiKeys.Metadata, 9, { topics, allowAutoTopicCreation: false });
    const clients = await Promise.all(Array.from({ length: 5 }, () => WireClient.connect(broker.address)));
    for (const client of clients) {
      client.socket.pause();
      client.send(Buffer.concat(Array.from({ length: 400 }, () => frame)));
    }
    // A client that does not read does not see its end either: its files show it.
    const freed = await measureWhenFreed(broker, started);
    assert.equal(freed.openFiles, started.openFiles);
    for (const client of clients) client.destroy();
  });

  test('a request comes byte by byte and is answered', async () => {
    const client = await WireClient.connect(broker.address);
    const frame = requestFrame(ApiKeys.Metadata, 9, { topics: [{ name: 'bystander' }], allowAutoTopicCreation: false });
    for (const byte of frame) await client.sent(Buffer.of(byte));
    assert.equal((await client.next(patienceMs)).kind, 'frame');
    client.destroy();
  });
});

async function allClosed(clients: readonly WireClient[]): Promise<void> {
  for (const client of clients) assert.equal((await client.next(patienceMs)).kind, 'closed');
  for (const client of clients) client.destroy();
}
