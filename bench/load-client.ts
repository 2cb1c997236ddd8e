/** The load client (load/load.c): compiled when needed, run to its end, its one line of JSON read. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { builtOnce, cacheFolder, projectFolder } from '../test/lab/cache.ts';

export interface LatencyMs {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadResult {
  /** What was acknowledged or received inside the measured window. */
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly mbPerSecond: number;
  readonly recordsPerSecond: number;
  /** Records acknowledged altogether, warm-up included. */
  readonly acked: number;
  readonly errors: number;
  readonly error?: string;
  readonly ack?: LatencyMs;
  readonly e2e?: LatencyMs;
  readonly clientCpuSeconds: number;
}

export type LoadMode = 'create' | 'produce' | 'consume' | 'e2e';

/** Compiles it with the system's librdkafka (Debian: librdkafka-dev, gcc). */
export function loadClient(): string {
  const source = join(projectFolder, 'bench', 'load', 'load.c');
  return builtOnce(join(cacheFolder, 'bin', 'load'), readFileSync(source, 'utf8'), (work) => {
    try {
      execFileSync('cc', ['-O2', '-o', join(work, 'load'), source, '-lrdkafka', '-lm', '-lpthread'], { stdio: 'inherit' });
    } catch (error) {
      throw new Error('the load client does not compile: it needs a C compiler and librdkafka with its headers (Debian: gcc librdkafka-dev)', { cause: error });
    }
    renameSync(join(work, 'load'), join(cacheFolder, 'bin', 'load'));
  });
}

/** Runs it; rejects when a record was lost or an error was seen, since a figure with errors is none. */
export async function runLoad(mode: LoadMode, bootstrap: string, args: readonly string[]): Promise<LoadResult> {
  const { code, stdout, stderr } = await capture(loadClient(), [mode, '-b', bootstrap, ...args]);
  if (mode === 'create' && code === 0)
    return { records: 0, bytes: 0, seconds: 0, mbPerSecond: 0, recordsPerSecond: 0, acked: 0, errors: 0, clientCpuSeconds: 0 };
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (code !== 0 || !line.startsWith('{')) throw new Error(`load ${mode} ${args.join(' ')} ended with ${code}: ${line}\n${stderr}`);
  return JSON.parse(line) as LoadResult;
}

function capture(command: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
