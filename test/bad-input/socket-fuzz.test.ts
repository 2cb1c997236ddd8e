/**
 * Plausible requests of every API and version that the broker serves, half of them damaged in one to three places, over sockets: each is
 * answered or its connection closed within 5 s; nothing fails inside; no answer says UNKNOWN_SERVER_ERROR; at the end the broker holds no more
 * than before. 2,000 requests, or a fifth of AUTOMQ_FUZZ_CASES (make fuzz); AUTOMQ_FUZZ_SEED replays another history.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { apiOf } from '../../broker/protocol/apis.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { decodeResponse } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { Pick, mutate } from '../fuzz/mutate.ts';
import { BrokerChild } from './broker-child.ts';
import { requestFrame, sized } from './frames.ts';
import { errorLines } from './observation.ts';
import { measureWhenFreed } from './open-files.ts';
import { type FuzzedApi, type Known, plausibleFrame } from './plausible-request.ts';
import { request } from './stage.ts';
import { WireClient } from './wire-client.ts';

const MIB = 1_048_576;
const cases = Math.ceil(Number(process.env['AUTOMQ_FUZZ_CASES'] ?? 10_000) / 5);
const seed = Number(process.env['AUTOMQ_FUZZ_SEED'] ?? 1);
const parallel = 8;
const patienceMs = 5_000;
/** These wait for something to happen, for as long as the request says. */
const waiting = new Set<number>([ApiKeys.Fetch, ApiKeys.JoinGroup, ApiKeys.SyncGroup]);
const waitingMs = 300;
const probeId = 0x7fff_fffe;
const topicNames = ['fuzz-0', 'fuzz-1', 'fuzz-compacted'];
const doomed = ['fuzz-2', 'fuzz-3', 'fuzz-4', 'fuzz-5'];

let broker: BrokerChild;

before(async () => {
  // What is kept for good reasons is kept short here, so that the rest can be seen.
  broker = await BrokerChild.start({
    'log.cache.bytes': String(MIB),
    'block.cache.bytes': String(MIB),
    'merge.threshold.objects': '50',
    'merge.interval.ms': '1000',
    'checkpoint.interval.ms': '1000',
    'gc.delay.ms': '0',
  });
});

after(() => broker.stop());

test(`${cases} requests, half of them damaged`, async (t) => {
  const fuzz = await Fuzz.begin(broker);
  // What is compiled once, and the state that a few requests can make, is there after some.
  await fuzz.run(cases / 4);
  await fuzz.cleanUp();
  const started = await measureWhenFreed(broker, await broker.measure());
  await fuzz.run(cases - cases / 4);
  await fuzz.cleanUp();
  const end = await measureWhenFreed(broker, started);
  t.diagnostic(`seed ${seed}: ${JSON.stringify(Object.fromEntries(fuzz.outcomes))}; holds ${Math.round((end.heldBytes - started.heldBytes) / 1024)} KiB more`);
  assert.deepEqual(fuzz.problems, []);
  assert.equal(end.handlerFailures, 0);
  assert.ok(end.openFiles <= started.openFiles, `${end.openFiles} open files, ${started.openFiles} before`);
  assert.ok(end.heldBytes - started.heldBytes < 16 * MIB, `${end.heldBytes - started.heldBytes} bytes more than before`);
  assert.ok((fuzz.outcomes.get('answered') ?? 0) > cases / 4, 'too few requests came through');
  assert.ok((fuzz.outcomes.get('closed') ?? 0) > cases / 20, 'too few requests were bad');
  assert.ok((fuzz.outcomes.get('waits') ?? 0) < cases / 20, 'too many requests wait');
});

class Fuzz {
  readonly outcomes = new Map<string, number>();
  readonly problems: string[] = [];
  readonly #broker: BrokerChild;
  readonly #apis: readonly FuzzedApi[];
  #known: Known;
  readonly #pick = new Pick(seed);
  #at = 0;

  static async begin(broker: BrokerChild): Promise<Fuzz> {
    const client = await WireClient.connect(broker.address);
    const { apiKeys } = await request(client, ApiKeys.ApiVersions, 0, {});
    await groupsAreServed(client);
    client.destroy();
    const apis = apiKeys.map(({ apiKey, maxVersion, minVersion }) => {
      const { key, name, minVersion: first } = apiOf(apiKey)!;
      return { key, name, maxVersion, minVersion: Math.max(first, minVersion) };
    });
    return new Fuzz(broker, apis, await knownTopics(broker));
  }

  private constructor(broker: BrokerChild, apis: readonly FuzzedApi[], known: Known) {
    this.#broker = broker;
    this.#apis = apis;
    this.#known = known;
  }

  async run(count: number): Promise<void> {
    const end = this.#at + count;
    const worker = async () => {
      while (this.#at < end && this.problems.length < 20) await this.#one(this.#at++);
    };
    await Promise.all(Array.from({ length: parallel }, worker));
  }

  /** Removes topics and groups, for what the requests made is no leak. */
  async cleanUp(): Promise<void> {
    const client = await WireClient.connect(this.#broker.address);
    const { topics } = await request(client, ApiKeys.Metadata, 9, { topics: null });
    const names = topics.filter(({ isInternal }) => !isInternal).map(({ name }) => name ?? '');
    await request(client, ApiKeys.DeleteTopics, 5, { topics: [], topicNames: names, timeoutMs: 30_000 });
    const { groups } = await request(client, ApiKeys.ListGroups, 3, { statesFilter: [], typesFilter: [] });
    await request(client, ApiKeys.DeleteGroups, 2, { groupsNames: groups.map(({ groupId }) => groupId) });
    client.destroy();
    this.#known = await knownTopics(this.#broker);
  }

  async #one(at: number): Promise<void> {
    const api = this.#pick.of(this.#apis);
    const version = api.minVersion + this.#pick.below(api.maxVersion - api.minVersion + 1);
    const good = plausibleFrame(api, version, this.#pick, this.#known);
    const frame = this.#pick.below(2) === 0 ? good : sized(mutate(good.subarray(4), this.#pick, good));
    const problem = await this.#send(frame);
    if (problem) this.problems.push(`request ${at} of seed ${seed}, ${api.name} v${version}: ${problem}\n${frame.subarray(0, 2_000).toString('hex')}`);
  }

  /** With a request behind it whose answer shows that the connection serves on. */
  async #send(frame: Buffer): Promise<string | undefined> {
    const client = await WireClient.connect(this.#broker.address);
    try {
      client.send(Buffer.concat([frame, requestFrame(ApiKeys.ApiVersions, 0, {}, probeId)]));
      const apiKey = frame.length >= 6 ? frame.readInt16BE(4) : -1;
      for (let answers = 0; answers < 3; answers++) {
        const reply = await client.next(waiting.has(apiKey) ? waitingMs : patienceMs);
        if (reply.kind === 'closed') return this.#count('closed');
        if (reply.kind === 'silent') return waiting.has(apiKey) ? this.#count('waits') : 'neither answered nor closed';
        if (reply.bytes.readInt32BE(0) === probeId) return this.#count('answered');
        const problem = problemOf(frame, reply.bytes);
        if (problem) return problem;
      }
      return 'more answers than requests';
    } finally {
      client.destroy();
    }
  }

  #count(outcome: string): undefined {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

function problemOf(frame: Buffer, answer: Buffer): string | undefined {
  const apiKey = frame.readInt16BE(4);
  const api = apiOf(apiKey);
  const sent = frame.readInt16BE(6);
  if (!api) return `an answer to API key ${apiKey}`;
  // The answer to a version that the broker lacks is of version 0.
  const version = apiKey === ApiKeys.ApiVersions && (sent < api.minVersion || sent > api.maxVersion) ? 0 : sent;
  const { body, correlationId } = decodeResponse(apiKey as ApiKey, version, answer);
  if (correlationId !== frame.readInt32BE(8)) return `answer ${correlationId} to ${frame.readInt32BE(8)}`;
  const errors = errorLines(body);
  return errors.some((line) => line.includes('UNKNOWN_SERVER_ERROR')) ? errors.join(', ') : undefined;
}

async function groupsAreServed(client: WireClient): Promise<void> {
  for (const giveUpAt = Date.now() + 30_000; Date.now() < giveUpAt; ) {
    await request(client, ApiKeys.FindCoordinator, 3, { keyType: 0, key: 'g0' });
    const { errorCode } = await request(client, ApiKeys.OffsetFetch, 5, { groupId: 'g0', topics: [], groups: [] });
    if (errorCode === ErrorCodes.NONE) return;
  }
  throw new Error('no group is served');
}

/** Makes them when they are not there. */
async function knownTopics(broker: BrokerChild): Promise<Known> {
  const client = await WireClient.connect(broker.address);
  const topics = topicNames.map((name) => ({
    name,
    numPartitions: 3,
    replicationFactor: 1,
    assignments: [],
    configs: name.endsWith('compacted') ? [{ name: 'cleanup.policy', value: 'compact' }] : [],
  }));
  await request(client, ApiKeys.CreateTopics, 7, { topics, timeoutMs: 30_000 });
  const answer = await request(client, ApiKeys.Metadata, 12, { topics: topicNames.map((name) => ({ name })), allowAutoTopicCreation: false });
  client.destroy();
  return { topics: answer.topics.map(({ name, topicId }) => ({ name: name ?? '', topicId })), doomed };
}
