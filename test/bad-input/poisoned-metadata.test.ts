/**
 * Values in the metadata store that fit no schema (B66): that key is ignored with an alarm, the rest works. And nothing is given up for
 * it: once the value is mended, every record is there again, however long the broker lived with the bad one.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LivesOnMemory } from '../../broker/testing/lives-on-memory.ts';
import { keys } from '../../cluster/meta-records.ts';
import type { TopicId } from '../../cluster/identifiers.ts';

const values: Readonly<Record<string, string>> = {
  nothing: '',
  'no JSON': '{"epoch": 1',
  null: 'null',
  'a list': '[]',
  'an empty object': '{}',
  'other types': '{"epoch":"1","partitions":"3","topicId":7,"owner":5,"leaderEpoch":true,"state":{},"next":"0","claim":[],"fenced":1,"config":"no"}',
  'numbers out of range': `{"epoch":-1,"partitions":1e300,"topicId":"${'A'.repeat(22)}","config":{},"owner":{"node":-1,"epoch":0.5},"leaderEpoch":-1,"state":"","next":-5}`,
  '1 MB': `"${'x'.repeat(1_000_000)}"`,
  'deep nesting': `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
};
const recordsEach = 10;
/** Many merges, checkpoints and collections. */
const restMs = 30_000;

describe('poisoned metadata', () => {
  for (const [what, value] of Object.entries(values)) {
    test(`the producer ids: ${what}`, () => givesNoProducerIdTwice(value));
    test(`its own registration: ${what}`, () => refusesToStart(value));
    test(`keys that should not be there: ${what}`, () => survivesStrangers(value));
  }
  for (const what of ['nothing', 'other types', '1 MB'] as const) {
    const value = values[what] ?? '';
    test(`a partition record: ${what}`, () => survives((topicId) => keys.partition(topicId, 1), value, { unserved: 1 }));
    test(`a topic: ${what}`, () => survives(() => keys.topic('rides'), value, { unserved: 'all' }));
    test(`a recovery record: ${what}`, () => survives(() => keys.recovery(0, 1), value, { unserved: 'all' }));
  }
});

/** Poisons a key of one topic between two lives, lives on, mends it. */
async function survives(keyOf: (topicId: TopicId) => string, value: string, { unserved }: { readonly unserved: number | 'all' }): Promise<void> {
  const { on, topicId, other } = await twoTopics();
  // The second life finds the first one's records only where the key of the second is written by its beginning.
  on.kill();
  if (keyOf(topicId) === keys.recovery(0, 1)) {
    await on.begin();
    on.kill();
  }
  const key = keyOf(topicId);
  const good = (await on.meta.get(key))?.value;
  assert.ok(good !== undefined, key);
  await put(on, key, value);
  await on.begin();
  const more = key === keys.recovery(0, 1) ? 0 : recordsEach;
  if (more > 0) await appendTo(on, other, more);
  if (unserved !== 'all') assert.notEqual(on.life.services.partitions.find(topicId, unserved).kind, 'owned');
  await on.rest(restMs);
  on.kill();
  await put(on, key, good);
  await on.begin();
  await on.rest(2_000);
  assert.equal((await readAllOf(on, topicId)).length, recordsEach);
  assert.equal((await readAllOf(on, other)).length, recordsEach + more);
}

async function survivesStrangers(value: string): Promise<void> {
  const { on, topicId, other } = await twoTopics();
  const strangers = [
    'partitions/x/0',
    `partitions/${topicId}/9999999999`,
    `partitions/${topicId}/-1`,
    'topics/',
    'topics/../..',
    'nodes/x',
    'nodes/99999999999999',
    'recoveries/0/x',
    'tombstones/x',
    `tombstones/${'x'.repeat(22)}`,
    'config/brokers/',
    'config/brokers/default',
    'nothing/of/ours',
  ];
  for (const key of strangers) await put(on, key, value);
  await appendTo(on, other, recordsEach);
  await on.rest(2_000);
  on.kill();
  await on.begin();
  await on.rest(2_000);
  assert.equal((await readAllOf(on, topicId)).length, recordsEach);
  assert.equal((await readAllOf(on, other)).length, 2 * recordsEach);
  const created = await on.createTopic('more', 1);
  await appendTo(on, created, 1, 1);
}

async function givesNoProducerIdTwice(value: string): Promise<void> {
  const { on } = await twoTopics();
  const first = await on.until(on.life.services.producerIds.next());
  on.kill();
  const good = (await on.meta.get(keys.producerIds))?.value ?? '';
  await put(on, keys.producerIds, value);
  await on.begin();
  await assert.rejects(on.until(on.life.services.producerIds.next()), /producer-ids/);
  await put(on, keys.producerIds, good);
  assert.ok((await on.until(on.life.services.producerIds.next())) > first);
}

async function refusesToStart(value: string): Promise<void> {
  const { on, topicId } = await twoTopics();
  on.kill();
  const good = (await on.meta.get(keys.node(0)))?.value ?? '';
  await put(on, keys.node(0), value);
  await assert.rejects(on.begin(), /nodes\/0 in the metadata store/);
  await put(on, keys.node(0), good);
  await on.begin();
  assert.equal((await readAllOf(on, topicId)).length, recordsEach);
}

async function twoTopics(): Promise<{ readonly on: LivesOnMemory; readonly topicId: TopicId; readonly other: TopicId }> {
  const on = await LivesOnMemory.start();
  const topicId = await on.createTopic('rides', 2);
  const other = await on.createTopic('other', 2);
  await appendTo(on, topicId, recordsEach);
  await appendTo(on, other, recordsEach);
  return { on, topicId, other };
}

async function appendTo(on: LivesOnMemory, topicId: TopicId, records: number, partitions = 2): Promise<void> {
  for (let index = 0; index < records; index++) await on.append(on.log(topicId, index % partitions), 300);
}

async function readAllOf(on: LivesOnMemory, topicId: TopicId): Promise<number[]> {
  return [...(await on.readAll(on.log(topicId, 0))), ...(await on.readAll(on.log(topicId, 1)))];
}

async function put(on: LivesOnMemory, key: string, value: string): Promise<void> {
  const { committed } = await on.until(on.meta.txn({ compare: [], then: [{ kind: 'put', key, value }] }));
  assert.ok(committed);
}
