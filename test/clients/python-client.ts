/** kafka-python (pure Python) and confluent-kafka (a current librdkafka), pinned, in a virtual environment in the cache folder. */
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { builtOnce, cacheFolder, projectFolder, run } from '../lab/cache.ts';
import { runCommand } from '../lab/run-command.ts';
import { compressions, headers, type ReceivedRecord, type Reader, type Writer } from './client.ts';

const folder = join(projectFolder, 'test', 'clients', 'python');

export type PythonLibrary = 'kafka-python' | 'confluent-kafka';

/** The interpreter that has the libraries. A virtual environment knows its own path, so packages go into a plain folder. */
function packages(): string {
  const target = join(cacheFolder, 'python-packages');
  const requirements = join(folder, 'requirements.txt');
  return builtOnce(target, readFileSync(requirements, 'utf8'), (work) => {
    run('python3', ['-m', 'venv', join(work, 'venv')]);
    run(join(work, 'venv', 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', '--target', join(work, 'packages'), '-r', requirements]);
    renameSync(join(work, 'packages'), target);
  });
}

export function pythonWriter(library: PythonLibrary): Writer {
  return {
    name: library,
    compressions,
    setsTimestamps: true,
    write: async (bootstrap, topic, compression, records) => {
      await python({ library, do: 'write', bootstrap, topic, compression, headers, records });
    },
  };
}

export function pythonReader(library: PythonLibrary): Reader {
  return {
    name: library,
    compressions,
    read: async (bootstrap, topics, count) => {
      const output = await python({ library, do: 'read', bootstrap, topics, count });
      return output
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as ReceivedRecord);
    },
  };
}

/** Sends each line of a file as one record, without its line feed. */
export async function writeLines(library: 'confluent-kafka', bootstrap: string, topic: string, file: string): Promise<void> {
  await python({ library, do: 'lines', bootstrap, topic, file });
}

/** The program of this folder; its order is the first line of standard input. */
export function pythonCommand(): { readonly command: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  return { command: 'python3', args: [join(folder, 'client.py')], env: { PYTHONPATH: packages(), PYTHONDONTWRITEBYTECODE: '1' } };
}

async function python(order: Readonly<Record<string, unknown>>): Promise<string> {
  const { command, args, env } = pythonCommand();
  const { code, stdout, stderr } = await runCommand(command, args, { stdin: `${JSON.stringify(order)}\n`, env });
  if (code !== 0) throw new Error(`${String(order['library'])} ${String(order['do'])} ended with ${code}:\n${stderr.slice(-3000)}`);
  return stdout;
}
