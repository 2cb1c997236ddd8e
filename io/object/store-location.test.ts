import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { openObjectStore } from './open-object-store.ts';
import { isRemote, parseStoreLocation } from './store-location.ts';

for (const [setting, location] of [
  ['memory:', { kind: 'memory' }],
  ['./data', { kind: 'folder', folder: './data' }],
  ['data/objects', { kind: 'folder', folder: 'data/objects' }],
  ['/var/lib/automq', { kind: 'folder', folder: '/var/lib/automq' }],
  ['file:///var/lib/auto%20mq', { kind: 'folder', folder: '/var/lib/auto mq' }],
  ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
  ['s3://my.bucket-1/team/a/', { kind: 's3', bucket: 'my.bucket-1', prefix: 'team/a' }],
  [
    's3://bucket/p?endpoint=http://127.0.0.1:9000&region=eu-central-1&pathStyle=false',
    { kind: 's3', bucket: 'bucket', prefix: 'p', endpoint: 'http://127.0.0.1:9000', region: 'eu-central-1', pathStyle: false },
  ],
] as const)
  test(`"${setting}" is understood`, () => {
    assert.deepEqual(parseStoreLocation(setting), location);
  });

for (const [setting, problem] of [
  ['', /empty/],
  ['gs://bucket', /unknown kind of object store "gs:"/],
  ['http://user:secret@host/bucket', /unknown kind of object store "http:" in "http:\/\/host\/bucket"/],
  ['file://host/path', /names no folder/],
  ['s3://', /cannot be the name of a bucket/],
  ['s3://Bucket', /cannot be the name of a bucket/],
  ['s3://b', /cannot be the name of a bucket/],
  ['s3://key:secret@bucket', /credentials do not belong into the URL/],
  ['s3://bucket/a//b', /prefix/],
  ['s3://bucket/a%20b', /prefix/],
  ['s3://bucket?endpiont=http://x', /unknown parameter "endpiont".*endpoint, region, pathStyle/],
  ['s3://bucket?endpoint=localhost:9000', /endpoint/],
  ['s3://bucket?endpoint=http://host/path', /endpoint/],
  ['s3://bucket?pathStyle=yes', /pathStyle must be true or false/],
] as const)
  test(`"${setting}" is refused with what is allowed`, () => {
    assert.throws(
      () => parseStoreLocation(setting),
      (error: Error) => problem.test(error.message) && /allowed are a folder/.test(error.message) && !/secret/.test(error.message),
    );
  });

test('only buckets elsewhere are remote', () => {
  for (const near of [
    'memory:',
    './data',
    's3://bucket?endpoint=http://127.0.0.1:1',
    's3://bucket?endpoint=http://localhost:1',
    's3://bucket?endpoint=http://[::1]:1',
  ])
    assert.equal(isRemote(parseStoreLocation(near)), false, near);
  for (const far of ['s3://bucket', 's3://bucket?endpoint=https://minio.example.com']) assert.equal(isRemote(parseStoreLocation(far)), true, far);
});

test('a folder that cannot be one is refused with its path', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'automq-location-'));
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  await assert.rejects(openObjectStore(file, { clock: systemClock, random: systemRandom }), {
    name: 'StoreSettingError',
    message: new RegExp(`${file} cannot be an object store`),
  });
  await rm(folder, { recursive: true });
});

test('a bucket is opened without asking it', async () => {
  const store = await openObjectStore('s3://bucket/prefix?endpoint=http://127.0.0.1:1', { clock: systemClock, random: systemRandom });
  await store.close();
});
