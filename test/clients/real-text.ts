/** Tens of megabytes of text that somebody really wrote: the package lists of this machine, else its documentation. */
import { execFileSync } from 'node:child_process';
import { closeSync, createReadStream, mkdtempSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const listFolder = '/var/lib/apt/lists';
const documentation = ['/usr/share/doc', '/usr/share/common-licenses', '/usr/share/perl', '/usr/lib/python3', '/usr/include'];

export interface RealText {
  readonly file: string;
  readonly folder: string;
  readonly lineCount: number;
  remove(): void;
}

export async function realText(): Promise<RealText> {
  const folder = mkdtempSync(join(tmpdir(), 'automq-text-'));
  const file = join(folder, 'text');
  const lists = packageLists();
  // apt's own program unpacks whatever compression this machine's lists have.
  if (lists.length > 0) writeOutput(file, '/usr/lib/apt/apt-helper', ['cat-file', ...lists]);
  else
    writeOutput(file, 'bash', [
      '-c',
      `find ${documentation.join(' ')} -type f -size -200k 2>/dev/null | sort | xargs grep -lI . 2>/dev/null | xargs cat | iconv -f utf8 -t utf8 -c | cut -c1-4000 | head -c 50000000; echo`,
    ]);
  if (statSync(file).size < 1_000_000) throw new Error(`this machine has no large text: ${statSync(file).size} bytes`);
  return { file, folder, lineCount: await countLines(file), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Equal for files that hold the same lines the same number of times, in any order. Empty lines are left out on demand: kcat does not send them. */
export function linesDigest(file: string, options: { readonly withEmptyLines: boolean }): string {
  const select = options.withEmptyLines ? 'cat' : "grep -v '^$'";
  return (
    execFileSync('bash', ['-c', `${select} "$1" | LC_ALL=C sort | sha256sum`, 'digest', file], { encoding: 'utf8', maxBuffer: 1 << 20 }).split(' ')[0] ?? ''
  );
}

async function countLines(file: string): Promise<number> {
  let count = 0;
  for await (const chunk of createReadStream(file)) for (const byte of chunk as Buffer) if (byte === 10) count++;
  return count;
}

function packageLists(): string[] {
  try {
    return readdirSync(listFolder)
      .filter((name) => name.includes('_Packages'))
      .map((name) => join(listFolder, name));
  } catch {
    return [];
  }
}

function writeOutput(file: string, command: string, args: readonly string[]): void {
  const output = openSync(file, 'w');
  try {
    execFileSync(command, args, { stdio: ['ignore', output, 'inherit'] });
  } finally {
    closeSync(output);
  }
}
