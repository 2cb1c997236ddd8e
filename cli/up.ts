/** `automq up`: a cluster for one machine. Today that is one broker with its stores in a folder, kept between runs. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ListenError } from '../io/transport.ts';
import { type Command, UsageError } from './command.ts';
import { readConfig } from './config-input.ts';
import { endRequested } from './end-request.ts';
import { type Serving, startServing } from './serving.ts';
import { refusalText } from './start-refusal.ts';

const help = `Usage: automq up [options] [--KEY=VALUE …]

Starts a local cluster in this terminal and says what to try next. Ctrl-C ends it cleanly, a second Ctrl-C at once.

  --port N        where clients connect, on 127.0.0.1               (9092)
  --data FOLDER   where all data is kept between runs               (./data)
  --config FILE   a properties file with more settings
  --quiet         say nothing but warnings
  --KEY=VALUE     any setting of a broker: --num.partitions=16

Examples
  automq up
  automq up --port 9093 --data /var/tmp/automq
  automq up --storage.url=s3://my-bucket --s3.endpoint=http://127.0.0.1:9000     data in an S3 server instead
`;

const host = '127.0.0.1';
const usualMetricsPort = 9404;

async function run(args: readonly string[]): Promise<number> {
  const { port, data, file, quiet, settings } = readOptions(args);
  const set = (key: string, value: string) => (settings.some((flag) => flag.startsWith(`--${key}=`)) ? [] : [`--${key}=${value}`]);
  const own = [
    ...set('listeners', `PLAINTEXT://${host}:${port}`),
    ...set('data.folder', data),
    ...set('metrics.listener', `${host}:${usualMetricsPort}`),
    ...set('logger.format', 'pretty'),
    ...set('logger.level', 'warn'),
    ...set('group.initial.rebalance.delay.ms', '0'),
  ];
  const result = readConfig({ file, flags: [...own, ...settings] });
  if (result.kind === 'refused') {
    console.error(`automq up: ${result.text}`);
    return 2;
  }
  for (const warning of result.warnings) console.error(`warning: ${warning}`);
  let serving: Serving;
  const waiting = new AbortController();
  const end = endRequested(() => console.error('ended at once; what was acknowledged is safe'));
  void end.then(() => waiting.abort());
  try {
    serving = await startServing(result.config, { anyMetricsPort: true, signal: waiting.signal });
  } catch (error) {
    const text = refusalText(error);
    if (text === undefined) throw error;
    console.error(`automq up: ${text}${error instanceof ListenError ? '\nTake another port with --port, or end that process first.' : ''}`);
    return 1;
  }
  if (!quiet) console.log(welcome({ bootstrap: serving.bootstrap, data, metrics: serving.metricsUrl }));
  const reason = await Promise.race([end, serving.failed]);
  if (reason instanceof Error) console.error(`automq up: the broker cannot go on: ${reason.message}`);
  else if (!quiet) console.log('\nending: requests under way are answered first (Ctrl-C again ends at once)');
  await serving.close();
  if (!quiet) console.log(`ended; the data stays in ${data}`);
  return reason instanceof Error ? 1 : 0;
}

export const up: Command = { help, run };

function readOptions(args: readonly string[]) {
  const own = {
    port: { type: 'string', default: '9092' },
    data: { type: 'string', default: 'data' },
    config: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  } as const;
  const isOwn = (arg: string, index: number) => /^--(?:port|data|config|quiet)(?:=|$)/.test(arg) || /^--(?:port|data|config)$/.test(args[index - 1] ?? '');
  const { values } = parseArgs({ args: args.filter(isOwn), options: own });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`--port ${values.port}: a number from 1 to 65535`);
  return { port, data: resolve(values.data), file: values.config, quiet: values.quiet, settings: args.filter((arg, index) => !isOwn(arg, index)) };
}

function welcome({ bootstrap, data, metrics }: { readonly bootstrap: string; readonly data: string; readonly metrics: string | undefined }): string {
  return `
automq serves Kafka clients on ${bootstrap}
  data      ${data}   (kept between runs; delete the folder to start afresh)${metrics ? `\n  metrics   ${metrics}` : ''}

Try, in another terminal:
  echo 'hello, log' | kcat -b ${bootstrap} -t greetings -P
  kcat -b ${bootstrap} -t greetings -C -e
or with the tools of Apache Kafka:
  kafka-topics.sh --bootstrap-server ${bootstrap} --create --topic rides --partitions 16
  kafka-console-producer.sh --bootstrap-server ${bootstrap} --topic rides
  kafka-console-consumer.sh --bootstrap-server ${bootstrap} --topic rides --from-beginning
or with nothing but Node:
  node dist/cli/automq.js bench --bootstrap ${bootstrap}

Ctrl-C ends it.`;
}
