/** Runs a command to its end: input from a text or file, output as text or into a file, killed when it takes too long. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface CommandOptions {
  readonly stdin?: string | Buffer;
  readonly stdinFile?: string;
  /** Standard output goes there, and is empty in the result. */
  readonly stdoutFile?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCommand(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const input = options.stdinFile === undefined ? undefined : openSync(options.stdinFile, 'r');
  const output = options.stdoutFile === undefined ? undefined : openSync(options.stdoutFile, 'w');
  try {
    return await new Promise<CommandResult>((resolve, reject) => {
      const env = { ...process.env, ...options.env };
      const child = spawn(command, args, {
        stdio: [input ?? 'pipe', output ?? 'pipe', 'pipe'],
        timeout: options.timeoutMs ?? 120_000,
        killSignal: 'SIGKILL',
        env,
      });
      const stdout: Buffer[] = [];
      const stderr: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
      child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
      child.once('error', reject);
      child.stdin?.on('error', () => {}); // A tool that ends early closes its input; its exit code tells.
      child.once('close', (code) =>
        resolve({ code: code ?? 128, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') }),
      );
      child.stdin?.end(options.stdin ?? '');
    });
  } finally {
    if (input !== undefined) closeSync(input);
    if (output !== undefined) closeSync(output);
  }
}
