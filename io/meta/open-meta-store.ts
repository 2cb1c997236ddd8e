/**
 * The metadata store that a setting names: `etcd://host:port,host:port` (`etcds://` with TLS), `tcp://host:port` (an embedded one that
 * another process of this machine serves), `file:///folder`, or `memory:`.
 */
import { fileURLToPath } from 'node:url';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import { tcpTransport } from '../tcp-transport.ts';
import { openEmbeddedMetaStore } from './embedded-meta-store.ts';
import type { EtcdTls } from './etcd-endpoints.ts';
import { EtcdMetaStore } from './etcd-meta-store.ts';
import { etcdVersionWarning } from './etcd-version.ts';
import { MetaRefused, type MetaStore } from './meta-store.ts';
import { RemoteMetaStore } from './remote/remote-meta-store.ts';

export interface MetaStoreSettings {
  readonly url: string;
  /** For etcd: */
  readonly user?: string;
  readonly password?: string;
  readonly tls?: EtcdTls;
  /** For etcd and one that is served by another process: */
  readonly callDeadlineMs?: number;
}

export type MetaStoreAddress =
  | { readonly kind: 'etcd'; readonly endpoints: readonly string[] }
  | { readonly kind: 'served'; readonly host: string; readonly port: number; readonly identity: string | undefined }
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'memory' };

/**
 * Opens it; rejects with `MetaRefused` when the setting is wrong, or the folder is in use or damaged. A server that cannot
 * be reached now is no reason to fail: a broker that is started before it waits.
 */
export async function openMetaStore(
  settings: MetaStoreSettings,
  io: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): Promise<MetaStore> {
  const address = parseMetaStoreUrl(settings.url);
  if (address.kind === 'memory') return openEmbeddedMetaStore(io);
  if (address.kind === 'folder') return openEmbeddedMetaStore({ ...io, folder: address.folder });
  if (address.kind === 'served') return new RemoteMetaStore({ ...io, ...address, transport: tcpTransport(), callDeadlineMs: settings.callDeadlineMs });
  const store = new EtcdMetaStore({ ...io, ...settings, endpoints: address.endpoints });
  void warnAboutVersion(store, io.logger);
  return store;
}

export function parseMetaStoreUrl(url: string): MetaStoreAddress {
  const etcd = /^(etcds?):\/\/(.+)$/.exec(url);
  if (etcd) {
    const scheme = etcd[1] === 'etcds' ? 'https' : 'http';
    return {
      kind: 'etcd',
      endpoints: (etcd[2] as string)
        .replace(/\/$/, '')
        .split(',')
        .map((host) => `${scheme}://${host.trim()}`),
    };
  }
  const served = /^tcp:\/\/([^\s/@]+):(\d{1,5})(?:\/([\w-]*))?$/.exec(url);
  if (served) return { kind: 'served', host: (served[1] as string).replace(/^\[(.*)\]$/, '$1'), port: Number(served[2]), identity: served[3] || undefined };
  if (url === 'memory:') return { kind: 'memory' };
  if (url.startsWith('file:///')) return { kind: 'folder', folder: fileURLToPath(url) };
  throw new MetaRefused(
    `not a metadata store: ${url.replace(/\/\/[^/]*@/, '//')}; expected etcd://host:port,host:port, etcds://host:port, tcp://host:port, file:///folder or memory:`,
  );
}

async function warnAboutVersion(store: EtcdMetaStore, logger: Logger): Promise<void> {
  try {
    const warning = etcdVersionWarning(await store.version());
    if (warning) logger.warn(warning);
  } catch (error) {
    logger.warn('the metadata store does not answer yet', { error });
  }
}
