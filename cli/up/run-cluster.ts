/**
 * `automq up --brokers N`: this process hosts the metadata store (or names an etcd) and supervises N brokers, each a process of its own,
 * over one object store. Any of them may be killed; when this process goes, they end by themselves.
 */
import { resolve } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { FolderLocked, lockFolder } from '../../io/meta/folder-lock.ts';
import { openMetaStore } from '../../io/meta/open-meta-store.ts';
import { pathToFileURL } from 'node:url';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import { serveMetaStore } from '../../io/meta/remote/serve-meta-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { tcpTransport } from '../../io/tcp-transport.ts';
import { ListenError } from '../../io/transport.ts';
import { winstonLogger } from '../../io/winston-logger.ts';
import { readConfig } from '../config-input.ts';
import { endOnBugs, endRequested } from '../end-request.ts';
import { refusalText, StartRefused } from '../start-refusal.ts';
import { controlSocketPath, metadataFolder, metadataIdentity, upFolder } from './cluster-folder.ts';
import { answerControl } from './control-command.ts';
import { serveControl } from './control-socket.ts';
import { host } from './free-ports.ts';
import { LocalCluster } from './local-cluster.ts';
import type { UpOptions } from './up-options.ts';

/** Beyond shutdown.timeout.ms, for what it does not cover. */
const graceMs = 5_000;

interface Opened {
  close(): Promise<void>;
}

const logger = winstonLogger({ level: 'warn', format: 'pretty' });

export async function runCluster(options: UpOptions & { readonly brokers: number }): Promise<number> {
  const { brokers, quiet, data } = options;
  const isSet = (key: string) => options.settings.some((setting) => setting.startsWith(`--${key}=`));
  const shared = [`--data.folder=${data}`, ...(isSet('group.initial.rebalance.delay.ms') ? [] : ['--group.initial.rebalance.delay.ms=0']), ...options.settings];
  const result = readConfig({ file: options.file, flags: shared, brokers });
  if (result.kind === 'refused') {
    console.error(`automq up: ${result.text}`);
    return 2;
  }
  for (const warning of result.warnings) console.error(`warning: ${warning}`);
  endOnBugs(logger);
  const opened: Opened[] = [];
  const closeAll = async () => {
    for (const each of opened.splice(0).toReversed()) await each.close();
  };
  let cluster: LocalCluster | undefined;
  const end = endRequested(() => {
    cluster?.killNow();
    console.error('ended at once; what was acknowledged is safe');
  });
  try {
    const controlPath = controlSocketPath(data);
    opened.push(await lockData(data));
    const { meta, metadataUrl } = await openMetadata(options, opened);
    cluster = new LocalCluster({
      port: options.port,
      data,
      settings: [`--metadata.url=${metadataUrl}`, ...shared, ...result.planned],
      file: options.file === undefined ? undefined : resolve(options.file),
      // Somebody who chose the heap himself knows why.
      nodeOptions: /max[-_]old[-_]space[-_]size/.test(process.env['NODE_OPTIONS'] ?? '')
        ? []
        : [`--max-old-space-size=${Math.floor(result.heapBytes / 1_048_576)}`],
      meta,
      endWithinMs: result.config.shutdownTimeoutMs + graceMs,
      say: (line) => console.error(line),
    });
    opened.push(cluster);
    // Before the start, so that a broker that hangs in it can be killed.
    const running = cluster;
    opened.push(await serveControl(controlPath, (request) => answerControl(request, running, { metadataUrl, data })));
    const started = await Promise.race([cluster.start(brokers).then(() => 'started' as const), end]);
    if (started === 'started') {
      if (!quiet) console.log(welcome(cluster.bootstrap, data, metadataUrl));
      await end;
    }
  } catch (error) {
    await closeAll();
    const text = refusalText(error);
    if (text === undefined) throw error;
    console.error(`automq up: ${text}${error instanceof ListenError ? '\nTake other ports with --port, or end that process first.' : ''}`);
    return 1;
  }
  if (!quiet) console.log('\nending: every broker answers what is under way first (Ctrl-C again ends at once)');
  await closeAll();
  if (!quiet) console.log(`ended; the data stays in ${data}`);
  return 0;
}

/** One supervising process in a data folder, also when its metadata lies elsewhere. */
async function lockData(data: string): Promise<Opened> {
  // Who may enter it may command the cluster.
  await mkdir(upFolder(data), { recursive: true, mode: 0o700 });
  try {
    const lock = await lockFolder(upFolder(data), { clock: systemClock, random: systemRandom });
    return { close: () => lock.release() };
  } catch (error) {
    throw error instanceof FolderLocked ? new StartRefused(error.message, { cause: error }) : error;
  }
}

async function openMetadata({ data, etcd }: UpOptions, opened: Opened[]): Promise<{ readonly meta: MetaStore; readonly metadataUrl: string }> {
  const io = { clock: systemClock, random: systemRandom, logger };
  const meta = await openMetaStore({ url: etcd ?? pathToFileURL(metadataFolder(data)).href }, io);
  opened.push(meta);
  if (etcd !== undefined) return { meta, metadataUrl: etcd };
  const server = await serveMetaStore(meta, { ...io, host, port: 0, identity: await metadataIdentity(data), transport: tcpTransport() });
  opened.push(server);
  return { meta, metadataUrl: server.url };
}

function welcome(bootstrap: string, data: string, metadataUrl: string): string {
  const named = data === resolve('data') ? '' : ` --data ${data}`;
  return `
automq serves Kafka clients on ${bootstrap}
  data      ${data}   (kept between runs; delete the folder to start afresh)
  logs      ${upFolder(data)}/broker-N.log
  metadata  ${metadataUrl}

Try, in another terminal:
  kafka-topics.sh --bootstrap-server ${bootstrap} --create --topic rides --partitions 16
  echo 'hello, log' | kcat -b ${bootstrap} -t rides -P
  kcat -b ${bootstrap} -t rides -C -e
and do to the brokers what happens to brokers:
  automq up status${named}       who runs, where, and owns how many partitions
  automq up kill 1${named}       kill -9; automq up restart 1 brings it back
  automq up add${named}          one more broker
  automq up drain 0${named}      its partitions move away; then automq up stop 0

Ctrl-C ends them all.`;
}
