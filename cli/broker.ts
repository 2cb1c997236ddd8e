/** `automq broker`: one broker in the foreground, as a container runs it. Logs are lines on standard output. */
import { parseArgs } from 'node:util';
import type { BrokerConfig } from '../broker/config.ts';
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
  --end-with-stdin  end as on SIGTERM when standard input ends: for a program that starts brokers and may die

Examples
  automq broker --storage.url=s3://my-bucket/kafka --metadata.url=etcd://etcd-0:2379,etcd-1:2379
  automq broker --config server.properties --node.id=1
  AUTOMQ_STORAGE_URL=s3://my-bucket/kafka AUTOMQ_S3_ENDPOINT=http://minio:9000 automq broker

On SIGTERM it takes no new requests, answers those under way, and ends with 0. All data is in the object store: nothing of
the machine it ran on is needed again.
`;

/** After shutdown.timeout.ms, for what it does not cover. */
const graceMs = 5_000;
const orphanMs = 2_000;

async function run(args: readonly string[]): Promise<number> {
  const { file, checkOnly, endWithStdin, flags } = splitArguments(args);
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
  const signalled = endRequested(() => {});
  const end = endWithStdin ? Promise.race([signalled, inputEnded(orphanEndMs(result.config))]) : signalled;
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
  else serving.logger.info('ending', { cause: reason });
  await serving.close();
  return reason instanceof Error ? 1 : 0;
}

export const broker: Command = { help, run };

/** Whoever held it is gone: a graceful end that hangs is cut short. */
function inputEnded(endWithinMs: number): Promise<string> {
  return new Promise((resolve) => {
    const onEnd = () => {
      setTimeout(() => process.exit(1), endWithinMs).unref();
      resolve('standard input ended');
    };
    process.stdin.once('end', onEnd).once('error', onEnd).resume();
    // A broker that has closed everything ends, whoever still holds its input. A file has no unref.
    (process.stdin as { unref?: () => void }).unref?.();
  });
}

/** A metadata store that was served by whoever held our input went with him: what needs it can only wait, and nothing acknowledged does. */
function orphanEndMs({ metadataUrl, shutdownTimeoutMs }: BrokerConfig): number {
  return metadataUrl.startsWith('tcp://') ? orphanMs : shutdownTimeoutMs + graceMs;
}

interface OwnArguments {
  readonly file: string | undefined;
  readonly checkOnly: boolean;
  readonly endWithStdin: boolean;
  readonly flags: readonly string[];
}

/** Our own options apart; all others are settings, whatever their names. */
function splitArguments(args: readonly string[]): OwnArguments {
  const isOwn = (arg: string, index: number) => /^--(?:config|check-config|end-with-stdin)(?:=|$)/.test(arg) || args[index - 1] === '--config';
  const { values } = parseArgs({
    args: args.filter(isOwn),
    options: { config: { type: 'string' }, 'check-config': { type: 'boolean', default: false }, 'end-with-stdin': { type: 'boolean', default: false } },
  });
  const flags = args.filter((arg, index) => !isOwn(arg, index));
  return { file: values.config, checkOnly: values['check-config'], endWithStdin: values['end-with-stdin'], flags };
}
