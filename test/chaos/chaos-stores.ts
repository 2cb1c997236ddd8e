/**
 * The stores of a fault run, each a server that can be killed and started again: etcd (3.4 or a current one) or the embedded metadata
 * store served over a socket; versitygw, MinIO, or a folder, which has no server.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { silentLogger } from '../../io/logger.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import { openMetaStore } from '../../io/meta/open-meta-store.ts';
import { type MetaServer, serveMetaStore } from '../../io/meta/remote/serve-meta-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';
import { tcpTransport } from '../../io/tcp-transport.ts';
import { etcdProgram } from '../lab/etcd.ts';
import { type S3Server, startS3Server } from '../lab/s3-server.ts';
import { EtcdProcess } from '../stores/etcd-process.ts';
import { lastingPort } from './ports.ts';

export const metadataKinds = ['etcd', 'etcd-3.4', 'served'] as const;
export type MetadataKind = (typeof metadataKinds)[number];
export const objectKinds = ['versitygw', 'minio', 'folder'] as const;
export type ObjectKind = (typeof objectKinds)[number];

/** A server that brokers reach through proxies. */
export interface ChaosStore {
  readonly port: number;
  /** What brokers are told, when they reach it at `port`. */
  readonly settings: (port: number) => readonly string[];
  readonly env: Readonly<Record<string, string>>;
  kill(): Promise<void>;
  /** On the same data; `port` may differ afterwards. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface ChaosMetadata extends ChaosStore {
  /** As an operator reaches it. */
  readonly client: MetaStore;
}

const io = { clock: systemClock, random: systemRandom, logger: silentLogger };

export async function startMetadata(kind: MetadataKind, folder: string): Promise<ChaosMetadata> {
  return kind === 'served' ? startServed(join(folder, 'metadata')) : startEtcd(kind);
}

async function startEtcd(kind: 'etcd' | 'etcd-3.4'): Promise<ChaosMetadata> {
  const server = await EtcdProcess.start(etcdProgram(kind === 'etcd' ? 'current' : 'debian'));
  const client = await openMetaStore({ url: `etcd://127.0.0.1:${server.clientPort}` }, io);
  return {
    port: server.clientPort,
    client,
    env: {},
    settings: (port) => [`--metadata.url=etcd://127.0.0.1:${port}`],
    kill: () => server.kill(),
    start: () => server.start(),
    async close() {
      await client.close();
      await server.destroy();
    },
  };
}

async function startServed(folder: string): Promise<ChaosMetadata> {
  mkdirSync(folder, { recursive: true });
  const port = await lastingPort();
  const identity = 'chaos';
  const store = await openMetaStore({ url: pathToFileURL(folder).href }, io);
  const serve = () => serveMetaStore(store, { ...io, host: '127.0.0.1', port, identity, transport: tcpTransport() });
  let server: MetaServer | undefined = await serve();
  return {
    port,
    client: store,
    env: {},
    settings: (at) => [`--metadata.url=tcp://127.0.0.1:${at}/${identity}`],
    async kill() {
      await server?.close();
      server = undefined;
    },
    async start() {
      server ??= await serve();
    },
    async close() {
      await server?.close();
      await store.close();
    },
  };
}

/** Undefined for a folder: there is nothing to kill and no link to cut. */
export async function startObjects(kind: ObjectKind, folder: string): Promise<ChaosStore | undefined> {
  if (kind === 'folder') return undefined;
  let server: S3Server = await startS3Server(kind, folder);
  const { bucket } = server;
  return {
    get port() {
      return Number(new URL(server.endpoint).port);
    },
    env: { AWS_ACCESS_KEY_ID: server.accessKeyId, AWS_SECRET_ACCESS_KEY: server.secretAccessKey },
    settings: (port) => [`--storage.url=s3://${bucket}/chaos`, `--s3.endpoint=http://127.0.0.1:${port}`, '--s3.region=us-east-1'],
    kill: () => server.program.kill9(),
    async start() {
      server = await startS3Server(kind, folder);
    },
    close: () => server.program.kill9(),
  };
}
