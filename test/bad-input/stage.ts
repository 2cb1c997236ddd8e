/** Gives every case what it may name: a topic and a group of its own, led and coordinated before the first case begins. */
import { setTimeout as delay } from 'node:timers/promises';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { decodeResponse } from '../../broker/protocol/frames.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type ResponseOf } from '../../broker/protocol/messages.gen.ts';
import type { BadInput, Place } from './bad-input.ts';
import { requestFrame } from './frames.ts';
import { errorName } from './observation.ts';
import { type Address, WireClient } from './wire-client.ts';

const answerMs = 30_000;
const readyMs = 60_000;
/** Topics in one CreateTopics request. */
const topicsAtOnce = 50;

/** `run` keeps two runs on one broker apart. */
export async function setStage(address: Address, cases: readonly BadInput[], run: string): Promise<readonly Place[]> {
  const client = await WireClient.connect(address);
  try {
    const names = cases.map((_, index) => `bad-${run}-${index}`);
    for (let start = 0; start < cases.length; start += topicsAtOnce) await createTopics(client, cases.slice(start, start + topicsAtOnce), names.slice(start));
    const ids = await topicsWithLeaders(client, names);
    const places = names.map((topic, index) => ({ topic, topicId: ids.get(topic)!, group: `group-${run}-${index}`, unknown: `unknown-${run}-${index}` }));
    await groupsWithCoordinator(
      client,
      places.map(({ group }) => group),
    );
    await producerIdsGiven(client);
    return places;
  } finally {
    client.destroy();
  }
}

/** Asks and decodes; throws when the connection ends or nothing comes. */
export async function request<K extends ApiKey>(client: WireClient, apiKey: K, version: number, body: RequestInputOf<K>): Promise<ResponseOf<K>> {
  client.send(requestFrame(apiKey, version, body));
  const reply = await client.next(answerMs);
  if (reply.kind !== 'frame') throw new Error(`API ${apiKey} v${version}: ${reply.kind}`);
  return decodeResponse(apiKey, version, reply.bytes).body;
}

async function createTopics(client: WireClient, cases: readonly BadInput[], names: readonly string[]): Promise<void> {
  const topics = cases.map(({ topic }, index) => ({
    name: names[index]!,
    numPartitions: topic?.partitions ?? 1,
    replicationFactor: 1,
    assignments: [],
    configs: Object.entries(topic?.configs ?? {}).map(([name, value]) => ({ name, value })),
  }));
  const answer = await request(client, ApiKeys.CreateTopics, 7, { topics, timeoutMs: answerMs });
  for (const { name, errorCode, errorMessage } of answer.topics) {
    if (errorCode !== ErrorCodes.NONE) throw new Error(`topic ${name}: ${errorName(errorCode)} ${errorMessage ?? ''}`);
  }
}

async function topicsWithLeaders(client: WireClient, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  for (const giveUpAt = Date.now() + readyMs; ; await delay(50)) {
    const answer = await request(client, ApiKeys.Metadata, 12, { topics: names.map((name) => ({ name })), allowAutoTopicCreation: false });
    const late = answer.topics.filter(({ errorCode, partitions }) => errorCode !== ErrorCodes.NONE || partitions.some(({ leaderId }) => leaderId < 0));
    if (late.length === 0) return new Map(answer.topics.map(({ name, topicId }) => [name ?? '', topicId]));
    if (Date.now() > giveUpAt) throw new Error(`no leader after ${readyMs} ms: ${late.map(({ name }) => name).join(', ')}`);
  }
}

/** The topic behind the groups is made at the first question, and read before they are served. */
async function groupsWithCoordinator(client: WireClient, groups: readonly string[]): Promise<void> {
  for (const giveUpAt = Date.now() + readyMs; ; await delay(50)) {
    const { coordinators } = await request(client, ApiKeys.FindCoordinator, 4, { keyType: 0, coordinatorKeys: groups });
    const asked = groups.map((groupId) => ({ groupId, topics: null }));
    const answer = await request(client, ApiKeys.OffsetFetch, 8, { groupId: '', topics: null, groups: asked, requireStable: false });
    const late = [...coordinators, ...answer.groups].filter(({ errorCode }) => errorCode !== ErrorCodes.NONE);
    if (late.length === 0) return;
    if (Date.now() > giveUpAt) throw new Error(`${late.length} groups without coordinator after ${readyMs} ms: ${errorName(late[0]!.errorCode)}`);
  }
}

async function producerIdsGiven(client: WireClient): Promise<void> {
  for (const giveUpAt = Date.now() + readyMs; ; await delay(50)) {
    const { errorCode } = await request(client, ApiKeys.InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 60_000 });
    if (errorCode === ErrorCodes.NONE) return;
    if (Date.now() > giveUpAt) throw new Error(`no producer ids after ${readyMs} ms: ${errorName(errorCode)}`);
  }
}
