#!/usr/bin/env node
/** The automq program: picks the subcommand. Each lies in its own file and is loaded only when it runs. */
import { readFileSync } from 'node:fs';
import { type Command, UsageError } from './command.ts';
import { letHeapGrow } from './heap-growth.ts';

const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  up: { summary: 'a local cluster in this terminal, data in a folder', load: async () => (await import('./up.ts')).up },
  broker: { summary: 'one broker, for a container: settings from a file, environment and flags', load: async () => (await import('./broker.ts')).broker },
  storage: { summary: 'look into the object store, and test whether a store is fit', load: async () => (await import('./storage.ts')).storage },
  bench: { summary: 'a simple load against any Kafka-compatible broker', load: async () => (await import('./bench.ts')).bench },
};

const help = `automq: Kafka-compatible streaming over shared object storage

Usage: automq COMMAND [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
  .join('\n')}

  automq COMMAND --help     what it does, with examples
  automq --version

Start with:  automq up
`;

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = commands[args[0] ?? ''];
    process.stdout.write(asked ? (await asked.load()).help : help);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    console.log(version());
    return 0;
  }
  const command = commands[name];
  if (!command) {
    console.error(`automq: there is no command "${name}". There are: ${Object.keys(commands).join(', ')}.`);
    return 2;
  }
  const { help: commandHelp, run } = await command.load();
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(commandHelp);
    return 0;
  }
  letHeapGrow();
  return run(args).catch((error: unknown) => {
    if (!isUsageError(error)) throw error;
    console.error(`automq ${name}: ${error.message}\nautomq ${name} --help shows how.`);
    return 2;
  });
}

/** Ours, or one of node:util's parseArgs. */
function isUsageError(error: unknown): error is Error {
  return error instanceof UsageError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
}

function version(): string {
  // dist/cli/automq.js, two folders below package.json.
  const { name, version: number } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { name: string; version: string };
  return `${name} ${number} (Node ${process.version})`;
}

process.exitCode = await main(process.argv.slice(2));
