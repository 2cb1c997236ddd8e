/**
 * Serves a metadata store of this process to other processes of this machine: `automq up` hosts the embedded one this way, so that
 * any of its brokers may be killed. There is no encryption and no password: listen on loopback only.
 */
import type { Clock } from '../../clock.ts';
import { silentLogger, type Logger } from '../../logger.ts';
import type { Random } from '../../random.ts';
import type { Transport } from '../../transport.ts';
import type { MetaStore } from '../meta-store.ts';
import { type ClientLimits, ServedClient } from './served-client.ts';
import { ServedLeases } from './served-leases.ts';

export interface ServeMetaOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of the stored state, the same after a restart: revisions and watches of clients go on only where it is the same. */
  readonly identity: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  readonly clients?: number;
  readonly leases?: number;
  readonly clientLimits?: ClientLimits;
}

export interface MetaServer {
  readonly port: number;
  /** What clients connect to: `tcp://host:port/identity`. */
  readonly url: string;
  /** Cuts all clients and ends their leases; the store stays open. Callable twice. */
  close(): Promise<void>;
}

const defaultClients = 256;
const defaultLeases = 10_000;
const defaultClientLimits: ClientLimits = { calls: 2_000, watches: 100, unreadBytes: 256 * 1024 * 1024 };

/** Rejects with a `ListenError` when the port is taken. */
export async function serveMetaStore(store: MetaStore, options: ServeMetaOptions): Promise<MetaServer> {
  const { host, identity, transport, clock, random, logger = silentLogger, clients: mostClients = defaultClients } = options;
  const leases = new ServedLeases({ store, clock, run: random.bytes(6).toString('hex'), most: options.leases ?? defaultLeases });
  const clients = new Set<ServedClient>();
  const listener = await transport.listen({ host, port: options.port }, (connection) => {
    if (clients.size >= mostClients) {
      logger.warn('a client of the metadata store is one too many', { client: connection.remote, clients: mostClients });
      connection.setHandler({ onData: () => {}, onDrain: () => {}, onClose: () => {} });
      connection.destroy();
      return;
    }
    const limits = options.clientLimits ?? defaultClientLimits;
    const client = new ServedClient(connection, { store, leases, logger, identity, limits, onClose: (ended) => clients.delete(ended) });
    clients.add(client);
  });
  let closed: Promise<void> | undefined;
  return {
    port: listener.port,
    url: `tcp://${host}:${listener.port}/${identity}`,
    close: () => {
      closed ??= (async () => {
        await listener.close();
        for (const client of clients) client.close();
        await leases.close();
      })();
      return closed;
    },
  };
}
