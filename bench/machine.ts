/** What the figures were measured on, and what its disk and its S3 server can do by themselves: shown beside the brokers' figures. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { projectFolder } from '../test/lab/cache.ts';
import type { S3Server } from '../test/lab/s3-server.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly commit: string;
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: gitCommit(),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** MB/s of 8 MiB writes, each followed by fdatasync: what a store that keeps its word can reach on this disk. */
export function diskRate(folder: string, seconds: number): number {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'disk-rate');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(8 << 20, 0xa5);
  const start = performance.now();
  let bytes = 0;
  try {
    while (performance.now() - start < seconds * 1000) {
      bytes += writeSync(file, block);
      fdatasyncSync(file);
    }
    return bytes / 1e6 / ((performance.now() - start) / 1000);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

export interface PutLatency {
  readonly sizeBytes: number;
  readonly p50: number;
  readonly p99: number;
}

/** PutObject through the AWS SDK, one at a time: what an acknowledgement cannot be faster than. */
export async function putLatencies(server: S3Server, count: number): Promise<PutLatency[]> {
  const credentials = { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey };
  const client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const results: PutLatency[] = [];
  for (const sizeBytes of [1_024, 65_536, 1_048_576]) {
    const body = Buffer.alloc(sizeBytes, 0x5a);
    const times: number[] = [];
    for (let i = 0; i < count + 50; i++) {
      const start = performance.now();
      await client.send(new PutObjectCommand({ Bucket: server.bucket, Key: `put-latency/${sizeBytes}/${i}`, Body: body, IfNoneMatch: '*' }));
      if (i >= 50) times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    results.push({ sizeBytes, p50: times[Math.floor(count * 0.5)] ?? 0, p99: times[Math.floor(count * 0.99)] ?? 0 });
  }
  client.destroy();
  return results;
}

function gitCommit(): string {
  try {
    const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: projectFolder, encoding: 'utf8' }).trim();
    const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], { cwd: projectFolder, encoding: 'utf8' }).trim();
    return changed ? `${commit} with changes` : commit;
  } catch {
    return (JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as { version: string }).version;
  }
}
