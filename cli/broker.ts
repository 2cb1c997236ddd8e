/** `automq broker`: one broker in the foreground, as a container runs it. Logs are lines on standard output. */
import { parseArgs } from 'node:util';
import type { Command } from './command.ts';
import { readConfig } from './config-input.ts';
import { endRequested } from './end-request.ts';
import { type Serving, startServing } from './serving.ts';
import { refusalText } from './start-refusal.ts';

const help = `Usage: automq broker [--config FILE] [--KEY=VALUE …]

Runs one broker until SIGTERM or SIGINT. Settings come from a file in the style of Kafka's server.properties, from environment
variables (AUTOMQ_NODE_ID is node.id) and from flags; what stands further right wins. docs/configuration.md lists all settings.

  --config FILE     a properties file
  --KEY=VALUE       any setting: --node.id=3 --listeners=PLAINTEXT://:9092
  --check-config    only read the configuration, say what is wrong with it, and end

Examples
  automq broker --storage.url=s3://my-bucket/kafka --metadata.url=etcd://etcd-0:2379,etcd-1:2379
  automq broker --config server.properties --node.id=1
  AUTOMQ_STORAGE_URL=s3://my-bucket/kafka AUTOMQ_S3_ENDPOINT=http://minio:9000 automq broker

On SIGTERM it takes no new requests, answers those under way, and ends with 0. All data is in the object store: nothing of
the machine it ran on is needed again.
`;

async function run(args: readonly string[]): Promise<number> {
  const { file, checkOnly, flags } = splitArguments(args);
  const result = readConfig({ file, flags });
  if (result.kind === 'refused') {
    console.error(`automq broker: ${result.text}`);
    return 2;
  }
  if (checkOnly) {
    for (const warning of result.warnings) console.error(`warning: ${warning}`);
    console.log('the configuration is valid');
    return 0;
  }
  const waiting = new AbortController();
  const end = endRequested(() => {});
  void end.then(() => waiting.abort());
  let serving: Serving;
  try {
    serving = await startServing(result.config, { signal: waiting.signal });
  } catch (error) {
    const text = refusalText(error);
    if (text === undefined) throw error;
    console.error(`automq broker: ${text}`);
    return 1;
  }
  for (const warning of result.warnings) serving.logger.warn(warning);
  const reason = await Promise.race([end, serving.failed]);
  if (reason instanceof Error) serving.logger.error('the broker cannot go on', { error: reason.stack ?? reason.message });
  else serving.logger.info('ending', { signal: reason });
  await serving.close();
  return reason instanceof Error ? 1 : 0;
}

export const broker: Command = { help, run };

/** Our own options apart; all others are settings, whatever their names. */
function splitArguments(args: readonly string[]): { readonly file: string | undefined; readonly checkOnly: boolean; readonly flags: readonly string[] } {
  const isOwn = (arg: string, index: number) => /^--(?:config|check-config)(?:=|$)/.test(arg) || args[index - 1] === '--config';
  const { values } = parseArgs({ args: args.filter(isOwn), options: { config: { type: 'string' }, 'check-config': { type: 'boolean', default: false } } });
  return { file: values.config, checkOnly: values['check-config'], flags: args.filter((arg, index) => !isOwn(arg, index)) };
}
