/**
 * S3ObjectStore against the real servers that AUTOMQ_TEST_S3 names (`make test-stores` starts versitygw and MinIO): the contract, and what only
 * a server can show.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { bucketRootKey, openBucket } from '../../broker/log/bucket-root.ts';
import { crc32c } from '../../std/crc32c.ts';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { objectStoreContract } from './object-store-contract.ts';
import { objectBody } from './object-store.ts';
import { prefixedObjectStore } from './prefixed-object-store.ts';
import { S3ObjectStore, type S3ObjectStoreOptions } from './s3-object-store.ts';

for (const text of (process.env['AUTOMQ_TEST_S3'] ?? '').split(' ').filter((part) => part !== '')) {
  const url = new URL(text);
  const options: S3ObjectStoreOptions = {
    endpoint: url.origin,
    bucket: url.pathname.slice(1),
    credentials: { accessKeyId: url.username, secretAccessKey: url.password },
    clock: systemClock,
  };
  objectStoreContract(`S3ObjectStore at ${url.host}`, () => Promise.resolve({ store: new S3ObjectStore(options) }));

  describe(`S3ObjectStore at ${url.host}`, () => {
    let store: S3ObjectStore;
    const key = `contract/${randomBytes(6).toString('hex')}`;
    before(() => {
      store = new S3ObjectStore(options);
    });
    after(async () => {
      await store.delete([key]);
      await store.close();
    });

    test('a body that does not match its CRC-32C is not created, one that does is', async () => {
      const bytes = randomBytes(200_000);
      const right = crc32c(bytes);
      const outcome = await store.create(key, objectBody([bytes], (right ^ 1) >>> 0));
      assert.equal(outcome.kind, 'refused', JSON.stringify(outcome));
      assert.deepEqual(await store.head(key), { kind: 'missing' });
      assert.deepEqual(await store.create(key, objectBody([bytes.subarray(0, 5), bytes.subarray(5)], right)), { kind: 'created' });
    });

    test('calls one after the other share a connection', async () => {
      const own = new S3ObjectStore(options);
      for (let round = 0; round < 5; round++) {
        await own.read(key, { start: round, end: round + 10 });
        await own.read(`${key}-none`);
        await own.list(key);
      }
      assert.equal(own.openConnections, 1);
      await own.close();
      assert.equal(own.openConnections, 0);
    });

    test('the store is proved to keep its word, and its bucket gets one root', async () => {
      const own = prefixedObjectStore(store, `${key}-proof`);
      const made = await openBucket({ objects: own, clock: systemClock, random: systemRandom });
      assert.ok(made.kind === 'opened' && made.made, JSON.stringify(made));
      assert.deepEqual(await openBucket({ objects: own, clock: systemClock, random: systemRandom }), { ...made, made: false });
      await own.delete([bucketRootKey]);
      assert.deepEqual(await own.list(''), { kind: 'page', objects: [], more: false });
    });

    test('a missing bucket and wrong credentials are refused with words that help', async () => {
      const nowhere = new S3ObjectStore({ ...options, bucket: 'no-such-bucket-here' });
      for (const outcome of [await nowhere.create(key, objectBody([])), await nowhere.read(key), await nowhere.head(key), await nowhere.list('')]) {
        assert.equal(outcome.kind, 'refused', JSON.stringify(outcome));
        assert.match(JSON.stringify(outcome), /bucket does not exist/);
      }
      await nowhere.close();
      const stranger = new S3ObjectStore({ ...options, credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } });
      for (const outcome of [await stranger.create(key, objectBody([])), await stranger.read(key), await stranger.list('')])
        assert.equal(outcome.kind, 'refused', JSON.stringify(outcome));
      await stranger.close();
    });
  });
}
