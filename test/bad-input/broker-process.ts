/** The program that broker-child.ts forks. */
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startBroker } from '../../broker/broker.ts';
import { brokerConfig } from '../../broker/config.ts';
import { type Logger, silentLogger } from '../../io/logger.ts';
import { openEmbeddedMetaStore } from '../../io/meta/embedded-meta-store.ts';
import { MemoryObjectStore } from '../../io/object/memory-object-store.ts';
import { PrometheusMetrics } from '../../io/prometheus-metrics.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { tcpTransport } from '../../io/tcp-transport.ts';
import type { Measurement, Message, Question } from './broker-child.ts';

const settings = JSON.parse(process.argv[2] ?? '{}') as Readonly<Record<string, string>>;
const config = brokerConfig({
  'node.id': '1',
  listeners: 'PLAINTEXT://127.0.0.1:0',
  'metrics.listener': '',
  'group.initial.rebalance.delay.ms': '0',
  'offsets.topic.num.partitions': '16',
  ...settings,
});
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const metrics = new PrometheusMetrics({ processMetrics: false });
const broker = await startBroker(
  config,
  {
    clock: systemClock,
    random: systemRandom,
    logger: errorsOnly(),
    objects: new MemoryObjectStore(),
    meta: await openEmbeddedMetaStore({ clock: systemClock, random: systemRandom }),
    transport: tcpTransport(),
    metrics,
  },
  { clusterId: 'bad-input' },
);
void broker.failed.then((error) => {
  console.error('the broker failed:', error);
  process.exit(70);
});

let peakRssBytes = 0;
setInterval(() => {
  peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
}, 20).unref();

process.on('message', (question: Question) => {
  if (question.ask === 'measure') void measure().then((measured) => tell({ say: 'measured', ...measured }));
  else void broker.close().then(() => process.exit(0));
});
process.on('disconnect', () => process.exit(1));
tell({ say: 'listening', port: broker.listeners[0]!.port });

function tell(message: Message): void {
  process.send?.(message);
}

async function measure(): Promise<Measurement> {
  const before = process.memoryUsage.rss();
  const peak = Math.max(peakRssBytes, before);
  // Twice: finalizers of the first round let go of what the second frees.
  collectGarbage();
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const { rss, heapUsed, external } = process.memoryUsage();
  peakRssBytes = rss;
  return { rssBytes: rss, peakRssBytes: peak, heldBytes: heapUsed + external, openFiles: openFiles(), handlerFailures: await failures() };
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return process.getActiveResourcesInfo().length;
  }
}

async function failures(): Promise<number> {
  const { body } = await metrics.render();
  const lines = body.split('\n').filter((line) => /^automq_request_failures_total[{ ]/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Lines about clients are what the corpus is made for; a failure of ours must be seen. */
function errorsOnly(): Logger {
  return {
    ...silentLogger,
    child: () => errorsOnly(),
    error: (message, fields) => console.error(message, fields),
    warn: (message, fields) => {
      if (/handler failed|unexpectedly/.test(message)) console.error(message, fields);
    },
  };
}
