/** One damaged object takes down its partitions and nothing else (F36, docs/design/0005-damage.md). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TopicId } from '../cluster/identifiers.ts';
import { LivesOnMemory } from './testing/lives-on-memory.ts';

const count = 40;

describe('a damaged object', () => {
  test('of checkpoint pages: other partitions are served, nothing is deleted, and whole objects bring everything back', async () => {
    const { on, topicId } = await written();
    await on.rest(2_000);
    await on.append(on.log(topicId, 0), 100);
    on.kill();
    const pointer = await newestCheckpoint(on);
    const mend = await damage(on, pointer, 0);
    for (let life = 0; life < 3; life++) {
      await on.begin();
      const served = servedOf(on, topicId);
      assert.ok(served.length > 0 && served.length < count, `${served.length}`);
      for (const partition of served) await on.append(on.log(topicId, partition), 100);
      await on.rest(20_000);
      for (const partition of served) assert.ok((await on.readAll(on.log(topicId, partition))).length >= 2 + life);
      if (life % 2 === 0) on.kill();
      else await on.end();
    }
    const refused = await withLife(on, () => Array.from({ length: count }, (_, i) => i).filter((i) => !servedOf(on, topicId).includes(i)));
    await mend();
    await on.begin();
    assert.equal(servedOf(on, topicId).length, count);
    for (const partition of refused) assert.deepEqual(await on.readAll(on.log(topicId, partition)), partition === 0 ? [0, 1] : [0]);
    for (let partition = 0; partition < count; partition++) await on.append(on.log(topicId, partition), 100);
    await on.rest(20_000);
    await on.end();
  });

  test('of the WAL: partitions that were idle after it are refused, those that went on are served', async () => {
    const { on, topicId } = await written();
    await on.rest(2_000);
    for (const partition of [1, 2, 1, 3]) await on.append(on.log(topicId, partition), 100);
    on.kill();
    // The group of partition 2, behind the checkpoint.
    const pointer = await newestCheckpoint(on);
    const behind = (await on.keys()).filter((key) => key.startsWith('wal/') && key > pointer && key.slice(0, 19) === pointer.slice(0, 19));
    const mend = await damage(on, behind[1]!, -70);
    await on.begin();
    assert.deepEqual(servedOf(on, topicId), [1, 3]);
    assert.deepEqual(await on.readAll(on.log(topicId, 1)), [0, 1, 2]);
    await on.rest(20_000);
    await on.end();
    await mend();
    await on.begin();
    assert.equal(servedOf(on, topicId).length, count);
    assert.deepEqual(await on.readAll(on.log(topicId, 2)), [0, 1]);
    assert.deepEqual(await on.readAll(on.log(topicId, 9)), [0]);
    await on.end();
  });
});

async function withLife<T>(on: LivesOnMemory, look: () => T): Promise<T> {
  await on.begin();
  const seen = look();
  on.kill();
  return seen;
}

function servedOf(on: LivesOnMemory, topicId: TopicId): number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => {
    const found = on.life.services.partitions.find(topicId, i);
    assert.ok(found.kind === 'owned' || found.kind === 'failed', found.kind);
    return found.kind === 'owned';
  });
}

async function written(): Promise<{ readonly on: LivesOnMemory; readonly topicId: TopicId }> {
  const on = await LivesOnMemory.start();
  const topicId = await on.createTopic('rides', count);
  for (let partition = 0; partition < count; partition++) await on.append(on.log(topicId, partition), 100);
  return { on, topicId };
}

async function newestCheckpoint(on: LivesOnMemory): Promise<string> {
  const entry = await on.meta.get('nodes/0');
  const { checkpoint } = JSON.parse(entry!.value) as { checkpoint: string };
  assert.ok(checkpoint);
  return checkpoint;
}

async function damage(on: LivesOnMemory, key: string, at: number): Promise<() => Promise<void>> {
  const found = await on.objects.read(key);
  assert.ok(found.kind === 'found');
  const whole = Buffer.from(found.bytes);
  const bytes = Buffer.from(whole);
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x55;
  const put = async (body: Buffer) => {
    await on.objects.delete([key]);
    await on.objects.create(key, { chunks: [body], sizeBytes: body.length, crc32c: 0 });
  };
  await put(bytes);
  return () => put(whole);
}
