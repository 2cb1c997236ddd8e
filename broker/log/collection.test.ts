import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../io/logger.ts';
import { MemoryMetrics } from '../../io/memory-metrics.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { ManualClock } from '../server/testing/manual-clock.ts';
import { Collection } from './collection.ts';
import type { ObjectKey } from './format/object-keys.ts';

test('what could not be collected because nobody said what is held is collected later', async () => {
  const clock = new ManualClock();
  const objects = new MemoryObjectStore();
  const key = 'wal/1/000000000001/000000000001' as ObjectKey;
  await objects.create(key, { chunks: [Buffer.from('x')], sizeBytes: 1 });
  let answers = 0;
  const heldOf = () => (answers++ === 0 ? Promise.reject(new Error('refused')) : Promise.resolve(new Set<ObjectKey>()));
  const metrics = new MemoryMetrics();
  const collection = new Collection({ objects, clock, logger: silentLogger, metrics, delayMs: 10, batchSize: 10, isReached: () => false, heldOf });
  collection.add([key], 5);
  await clock.advance(20);
  await collection.run();
  assert.equal((await objects.head(key)).kind, 'found');
  assert.ok(collection.has(key));
  await clock.advance(5_000);
  await collection.run();
  assert.equal((await objects.head(key)).kind, 'missing');
  assert.ok(!collection.has(key));
});
