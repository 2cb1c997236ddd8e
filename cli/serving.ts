/**
 * A broker of this process with the real ways out: stores, sockets, clock, logs, metrics and the HTTP endpoints
 * /metrics, /healthz (the event loop turns) and /readyz (started; an outage of a store later does not change it, design §11).
 */
import { setMaxListeners } from 'node:events';
import { startBroker } from '../broker/broker.ts';
import type { BrokerConfig } from '../broker/config.ts';
import { type HttpServer, startHttpServer, textAnswer } from '../io/http-server.ts';
import type { Logger } from '../io/logger.ts';
import { PrometheusMetrics } from '../io/prometheus-metrics.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { tcpTransport } from '../io/tcp-transport.ts';
import { ListenError } from '../io/transport.ts';
import { winstonLogger } from '../io/winston-logger.ts';
import { endOnBugs } from './end-request.ts';
import { identifyCluster, openMeta, openObjects } from './open-stores.ts';

export interface Serving {
  /** host:port of the first listener, with the real port. */
  readonly bootstrap: string;
  readonly metricsUrl: string | undefined;
  readonly logger: Logger;
  /** Settles when the broker stopped because of a bug or a damaged store. */
  readonly failed: Promise<Error>;
  /** Answers what is under way, then lets go of everything. */
  close(): Promise<void>;
}

export interface ServingOptions {
  /** Take any free port for /metrics when the configured one is taken. */
  readonly anyMetricsPort?: boolean;
  /** Gives up waiting for a store. */
  readonly signal?: AbortSignal;
}

/** One abort signal ends many calls at once; a thousand of them would be a leak. */
setMaxListeners(1000);

/** What was opened is closed again when a later step fails. */
export async function startServing(config: BrokerConfig, options: ServingOptions = {}): Promise<Serving> {
  const logger = winstonLogger({ level: config.loggerLevel, format: config.loggerFormat });
  endOnBugs(logger);
  const opened: { close(): Promise<void> }[] = [];
  const closeAll = async () => {
    for (const each of opened.splice(0).toReversed()) await each.close();
  };
  try {
    const metrics = new PrometheusMetrics();
    let isReady = () => false;
    const http = await startEndpoints(config, options, { metrics, isReady: () => isReady() });
    if (http) opened.push(http);
    const objects = await openObjects(config, metrics);
    opened.push(objects);
    const meta = await openMeta(config, logger);
    opened.push(meta);
    const clusterId = await identifyCluster(objects, logger, options.signal);
    const transport = tcpTransport({ onAcceptError: (error) => logger.error('a connection could not be accepted', { error: error.message }) });
    const broker = await startBroker(config, { clock: systemClock, random: systemRandom, logger, objects, meta, transport, metrics }, { clusterId });
    opened.push(broker);
    isReady = () => broker.ready;
    const [listener] = broker.listeners;
    logger.info('serving', { listeners: broker.listeners.map(({ name, host, port }) => `${name}://${host}:${port}`).join(','), clusterId });
    return {
      bootstrap: `${listener?.host ?? ''}:${listener?.port ?? 0}`,
      metricsUrl: http && `http://${http.host}:${http.port}/metrics`,
      logger,
      failed: broker.failed,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

interface Observed {
  readonly metrics: PrometheusMetrics;
  readonly isReady: () => boolean;
}

async function startEndpoints(config: BrokerConfig, options: ServingOptions, { metrics, isReady }: Observed): Promise<HttpServer | undefined> {
  if (config.metricsListener === '') return undefined;
  const routes = {
    '/metrics': async () => ({ status: 200, ...(await metrics.render()) }),
    '/healthz': () => Promise.resolve(textAnswer(200, 'the event loop turns')),
    '/readyz': () => Promise.resolve(isReady() ? textAnswer(200, 'ready') : textAnswer(503, 'not ready')),
  };
  const { host, port } = hostAndPort(config.metricsListener);
  try {
    return await startHttpServer({ host, port, routes });
  } catch (error) {
    if (!options.anyMetricsPort || !(error instanceof ListenError)) throw error;
    return startHttpServer({ host, port: 0, routes });
  }
}

function hostAndPort(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1') || '0.0.0.0', port: Number(text.slice(colon + 1)) };
}
