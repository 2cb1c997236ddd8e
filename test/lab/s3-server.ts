/** Real S3 servers on loopback: versitygw (a thin layer over a folder, never fsyncs) and MinIO (fsyncs). Pinned versions. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { goProgram } from './cache.ts';
import { freePort, Program } from './program.ts';

export type S3ServerKind = 'versitygw' | 'minio';

export interface S3Server {
  readonly kind: S3ServerKind;
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly program: Program;
}

const accessKeyId = 'labkey';
const secretAccessKey = 'labsecret1';

/** versitygw before 1.8.0 let several of N concurrent conditional PUTs win. */
const versions = { versitygw: 'v1.8.0', minio: 'v0.0.0-20260212201848-7aac2a2c5b7c' };

export async function startS3Server(kind: S3ServerKind, folder: string): Promise<S3Server> {
  const port = await freePort();
  const data = join(folder, 's3');
  mkdirSync(data, { recursive: true });
  const program = await Program.start({ ...commandOf(kind, port, data), logFile: join(folder, `${kind}.log`), port, startTimeoutMs: 60_000 });
  const server: S3Server = { kind, endpoint: `http://127.0.0.1:${port}`, bucket: 'automq', accessKeyId, secretAccessKey, program };
  await createBucket(server);
  return server;
}

/** Builds the server without starting it. */
export function s3ServerProgram(kind: S3ServerKind): string {
  return kind === 'versitygw'
    ? goProgram('versitygw', 'github.com/versity/versitygw/cmd/versitygw', versions.versitygw)
    : goProgram('minio', 'github.com/minio/minio', versions.minio);
}

function commandOf(kind: S3ServerKind, port: number, data: string) {
  const address = `127.0.0.1:${port}`;
  const command = s3ServerProgram(kind);
  if (kind === 'versitygw')
    return { command, args: ['--port', address, '--access', accessKeyId, '--secret', secretAccessKey, '--keep-alive', '--quiet', 'posix', data] };
  const env = { MINIO_ROOT_USER: accessKeyId, MINIO_ROOT_PASSWORD: secretAccessKey, MINIO_BROWSER: 'off', MINIO_SCANNER_SPEED: 'slowest', MINIO_UPDATE: 'off' };
  return { command, args: ['server', '--quiet', '--address', address, data], env };
}

/** MinIO takes connections a moment before it can create buckets. */
async function createBucket(server: S3Server): Promise<void> {
  const credentials = { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey };
  const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true, credentials, maxAttempts: 20 });
  try {
    await client.send(new CreateBucketCommand({ Bucket: server.bucket }));
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'BucketAlreadyOwnedByYou') throw error;
  } finally {
    client.destroy();
  }
}
