import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectObject } from './inspect.ts';
import { kib, LogOnMemory } from './testing/log-on-memory.ts';

const inspect = (on: LogOnMemory, key: string, maxWholeBytes = 1 << 20) =>
  on.until(inspectObject(key, { objects: on.objects, clock: on.clock, random: on.random, signal: new AbortController().signal, maxWholeBytes }));

test('an object is told by its key: group, checkpoint, stream object, the root', async () => {
  const on = new LogOnMemory();
  const partition = on.create(4);
  for (let i = 0; i < 20; i++) await on.append(partition, 4 * kib, 1_000 + i);
  const group = (await inspect(on, 'wal/0/000000000001/000000000001'))!.join('\n');
  assert.match(group, /group, format version 1, number 1 of node 0, epoch 1/);
  assert.match(group, /\/4, leader epoch 0: offsets 0 to 0, bytes 0 to \d+, newest 1000 ms/);
  await on.merge();
  assert.match((await inspect(on, 'data/0/000000000001/000000000001'))!.join('\n'), /stream, .*\n.*\n.*\n1 slices\n.*\/4, leader epoch 0: offsets 0 to 19/);
  await on.checkpoint();
  assert.match(
    (await inspect(on, on.pointer!))!.join('\n'),
    /checkpoint.*\n.*\n1 pages\n {2}page 0: .*\n.*\n1 partitions\n.*\/4, leader epoch 0: offsets 0 to 19/,
  );
  await on.objects.create('cluster', { chunks: [Buffer.from('{"clusterId":"x"}\u001b[2J')], sizeBytes: 21 });
  assert.match((await inspect(on, 'cluster'))!.join('\n'), /\{"clusterId":"x"\}\\u001b\[2J/);
});

test('what is missing, too large, or none of ours', async () => {
  const on = new LogOnMemory();
  assert.equal(await inspect(on, 'wal/0/000000000001/000000000001'), undefined);
  for (let i = 0; i < 3_000; i++) on.create(i);
  await on.checkpoint();
  assert.match((await inspect(on, on.pointer!, 10))!.join('\n'), /content not read/);
  await on.objects.create('photo', { chunks: [Buffer.alloc(1000)], sizeBytes: 1000 });
  assert.deepEqual(await inspect(on, 'photo'), ['1000 bytes', 'trailer DAMAGED: no magic number at the end of the object']);
});
