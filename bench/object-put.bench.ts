/**
 * What our object stores cost beside the AWS SDK: PUT and GET of several sizes, one call at a time, p50/p99 and CPU-milliseconds of this process.
 *   node dist/bench/object-put.bench.js http://KEY:SECRET@HOST:PORT/BUCKET [MB EACH]     (a server: test/lab/with-servers.ts)
 *   node dist/bench/object-put.bench.js /some/folder [MB EACH]
 */
import { randomBytes } from 'node:crypto';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { FolderObjectStore } from '../io/object/folder-object-store.ts';
import { type ObjectStore, objectBody } from '../io/object/object-store.ts';
import { S3ObjectStore } from '../io/object/s3-object-store.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { crc32c } from '../std/crc32c.ts';

const [target, megabytesEach = '64'] = process.argv.slice(2);
if (!target) {
  console.error('usage: object-put.bench http://KEY:SECRET@HOST:PORT/BUCKET|FOLDER [MB EACH]');
  process.exit(2);
}
const run = randomBytes(4).toString('hex');
const written: string[] = [];
const remote = target.startsWith('http') ? new URL(target) : undefined;
const store = await open();
for (const sizeBytes of [4096, 65_536, 1024 * 1024, 8 * 1024 * 1024]) await compare(sizeBytes);
await store.delete(written);
await store.close();

async function open(): Promise<ObjectStore> {
  if (!remote) return FolderObjectStore.open({ folder: target ?? '', clock: systemClock, random: systemRandom });
  const credentials = { accessKeyId: remote.username, secretAccessKey: remote.password };
  return new S3ObjectStore({ endpoint: remote.origin, bucket: remote.pathname.slice(1), credentials, clock: systemClock });
}

async function compare(sizeBytes: number): Promise<void> {
  const count = Math.max(8, Math.min(500, Math.floor((Number(megabytesEach) * 1e6) / sizeBytes)));
  // As the log has it: slices as they came from sockets, their CRC known.
  const whole = randomBytes(sizeBytes);
  const chunks = Array.from({ length: Math.ceil(sizeBytes / 16_384) }, (_, index) => whole.subarray(index * 16_384, (index + 1) * 16_384));
  const body = objectBody(chunks, crc32c(whole));
  const into = Buffer.alloc(sizeBytes);
  const key = (kind: string, index: number) => {
    const name = `bench/${run}/${kind}/${sizeBytes}/${index}`;
    if (kind !== 'warm') written.push(name);
    return name;
  };
  for (let index = 0; index < 5; index++) await store.create(`bench/${run}/warm/${sizeBytes}/${index}`, body);
  written.push(...Array.from({ length: 5 }, (_, index) => `bench/${run}/warm/${sizeBytes}/${index}`));

  const created = Array.from({ length: count }, (_, index) => key('ours', index));
  await measure('put, our store', sizeBytes, created, async (name) => expectKind(await store.create(name, body), 'created'));
  await measure('get, our store, kept buffer', sizeBytes, created, async (name) =>
    expectKind(await store.read(name, { start: 0, end: sizeBytes }, { into }), 'found'),
  );
  await measure('get, our store, fresh buffer', sizeBytes, created, async (name) => expectKind(await store.read(name, { start: 0, end: sizeBytes }), 'found'));
  if (!remote) return;

  const credentials = { accessKeyId: remote.username, secretAccessKey: remote.password };
  const sdk = new S3Client({
    endpoint: remote.origin,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const bucket = remote.pathname.slice(1);
  const names = created.map((_, index) => key('sdk', index));
  await measure('put, AWS SDK', sizeBytes, names, (name) =>
    sdk.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body: Buffer.concat(chunks), IfNoneMatch: '*' })),
  );
  await measure('get, AWS SDK', sizeBytes, names, async (name) =>
    (await sdk.send(new GetObjectCommand({ Bucket: bucket, Key: name }))).Body?.transformToByteArray(),
  );
  sdk.destroy();
}

async function measure(label: string, sizeBytes: number, names: readonly string[], call: (name: string) => Promise<unknown>): Promise<void> {
  const millis: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (const name of names) {
    const start = performance.now();
    await call(name);
    millis.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = (user + system) / 1000;
  const megabytes = (names.length * sizeBytes) / 1e6;
  millis.sort((a, b) => a - b);
  const at = (share: number) => (millis[Math.min(millis.length - 1, Math.floor(millis.length * share))] ?? 0).toFixed(2).padStart(7);
  const perCall = (cpuMs / names.length).toFixed(2).padStart(6);
  console.log(
    `${label.padEnd(29)} ${String(sizeBytes / 1024).padStart(5)} KiB  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  CPU ${perCall} ms a call, ${(cpuMs / megabytes).toFixed(2)} ms/MB`,
  );
}

function expectKind(outcome: { readonly kind: string }, kind: string): void {
  if (outcome.kind !== kind) throw new Error(`expected ${kind}: ${JSON.stringify(outcome)}`);
}
