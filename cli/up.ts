/**
 * `automq up`: a cluster for one machine, its data in a folder, kept between runs. One broker lives in this process; of several, each is a
 * process of its own (up/run-cluster.ts), and commands reach them while they run.
 */
import { ListenError } from '../io/transport.ts';
import { type Command, UsageError } from './command.ts';
import { readConfig } from './config-input.ts';
import { endRequested } from './end-request.ts';
import { type Serving, startServing } from './serving.ts';
import { refusalText } from './start-refusal.ts';
import { controlCommands, runControlCommand } from './up/control-command.ts';
import { runCluster } from './up/run-cluster.ts';
import { readUpOptions, type UpOptions } from './up/up-options.ts';

const help = `Usage: automq up [options] [--KEY=VALUE …]
       automq up status|add [--data FOLDER]
       automq up drain|undrain|stop|kill|restart N [--data FOLDER]

Starts a local cluster in this terminal and says what to try next. Ctrl-C ends it cleanly, a second Ctrl-C at once.

  --brokers N     so many brokers, each a process of its own, over one object store: on this port and those that follow
  --port N        where clients connect, on 127.0.0.1               (9092)
  --data FOLDER   where all data is kept between runs               (./data)
  --config FILE   a properties file with more settings
  --etcd HOST:PORT[,HOST:PORT]   keep the metadata in an etcd instead of in the data folder
  --quiet         say nothing but warnings
  --KEY=VALUE     any setting of a broker: --num.partitions=16

Without --brokers or --etcd, the one broker lives in this very process. With --brokers, this process hosts the metadata and starts a broker
again that dies; the machine's memory is divided by N at the start. Commands for such a cluster, from another terminal:

  status          who runs, where, since when it is draining, and how many partitions it owns   (--json for programs)
  add             one more broker, under the next node id
  drain N         broker N gives its partitions away and gets no new ones; undrain N takes that back
  stop N          broker N ends as on SIGTERM, and stays down
  kill N          broker N ends as by kill -9, and stays down
  restart N       ends broker N when it runs, and starts it

Examples
  automq up
  automq up --port 9093 --data /var/tmp/automq
  automq up --storage.url=s3://my-bucket --s3.endpoint=http://127.0.0.1:9000     data in an S3 server instead
  automq up --brokers 3                                                          on ports 9092, 9093 and 9094
  automq up kill 1                                                               and see what your clients say
  automq up --brokers 3 --etcd 127.0.0.1:2379 --storage.url=s3://my-bucket
`;

const host = '127.0.0.1';
const usualMetricsPort = 9404;

async function run(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  if (Object.hasOwn(controlCommands, name)) return runControlCommand(name, rest);
  if (name !== '' && !name.startsWith('-')) throw new UsageError(`no such command ${name}. There are: ${Object.keys(controlCommands).join(', ')}.`);
  const options = readUpOptions(args);
  return options.brokers === undefined ? runOne(options) : runCluster({ ...options, brokers: options.brokers });
}

async function runOne({ port, data, file, quiet, settings }: UpOptions): Promise<number> {
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
