/**
 * A broker: puts the modules together and keeps lives going. A fenced life is followed by another under a new node
 * epoch; a broken invariant ends the process loudly (`failed`), for nothing that it says could be believed.
 */
import type { Io } from '../io/io.ts';
import { sleep } from '../io/clock.ts';
import { ForwardOnlyMetaStore, wentBackAdvice } from '../io/meta/forward-only-meta-store.ts';
import type { Incarnation, NodeId } from '../cluster/identifiers.ts';
import { keys, nodeRecord, parseRecord } from '../cluster/meta-records.ts';
import { beginLife, type BrokerLife } from './broker-life.ts';
import type { BrokerConfig } from './config.ts';
import { withFreePorts } from './listener-ports.ts';
import type { Mutants } from './log/mutants.ts';
import { type NodeIdentity, StorageVersionRefused } from './ownership/incarnation.ts';
import { InternalListener } from './ownership/liveness/internal-listener.ts';
import { createHandlers } from './server/handlers/create-handlers.ts';
import { type BoundListener, KafkaServer } from './server/kafka-server.ts';
import { RequestRouter } from './server/request-router.ts';
import { ResponseMemory } from './server/response-memory.ts';

export interface Broker {
  /** Where it listens now. */
  readonly listeners: readonly BoundListener[];
  /** Started, own incarnation registered, partitions served. It does not say that the stores are reachable at this moment (design §11). */
  readonly ready: boolean;
  /** Settles when the broker has stopped because of a bug or a damaged store; never after `close`. */
  readonly failed: Promise<Error>;
  /** Graceful: answers what is under way, stores what was appended. Callable twice. */
  close(): Promise<void>;
}

export interface BrokerOptions {
  readonly clusterId: string;
  readonly mutants?: Mutants;
}

/** Doubles from attempt to attempt: each leaves an object and a key behind. */
const restartMs = 100;
const maxRestartMs = 30_000;

interface Serving {
  readonly life: BrokerLife;
  readonly server: KafkaServer;
  readonly listeners: readonly BoundListener[];
}

/** Resolves when the broker serves; rejects when it cannot begin. */
export async function startBroker(asked: BrokerConfig, given: Io, options: BrokerOptions): Promise<Broker> {
  const io: Io = {
    ...given,
    meta: new ForwardOnlyMetaStore(given.meta, (seen, answered) => given.logger.error(wentBackAdvice, { seenRevision: seen, answeredRevision: answered })),
  };
  const config = await withFreePorts(asked, io.transport);
  const abort = new AbortController();
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const internal = await openInternalListener(config, io);
  const begin = () => beginServing(config, io, { ...options, internal, signal: abort.signal, fail });
  let serving: Serving | undefined = await begin().catch(async (error: unknown) => {
    await internal?.close();
    throw error;
  });
  let lastListeners = serving.listeners;
  const running = keepServing();

  /** Follows one life with the next until `close`. */
  async function keepServing(): Promise<void> {
    for (;;) {
      const current = serving;
      if (!current) return;
      const end = await Promise.race([current.life.ended, aborted(abort.signal)]);
      if (!end) {
        // One that began while `close` found none.
        await current.server.close();
        await current.life.close({ graceful: true });
        return;
      }
      io.logger.warn('this incarnation ended, beginning another', { ...current.life.incarnation, ...end });
      serving = undefined;
      await current.server.close();
      await current.life.close({ graceful: false });
      if (current.life.replaced || (await isReplaced(io, current.life.incarnation))) {
        fail(new Error(`another process runs as node ${current.life.incarnation.node}: this one stops. Give every broker its own node.id`));
        return;
      }
      for (let attempt = 0; !abort.signal.aborted && !serving; attempt++) {
        try {
          serving = await begin();
          lastListeners = serving.listeners;
        } catch (error) {
          if (abort.signal.aborted) return;
          // Somebody finalized a version meanwhile that this program cannot read.
          if (error instanceof StorageVersionRefused) return fail(error);
          io.logger.error('a new incarnation could not begin, trying again', { error: String(error) });
          await sleep(io.clock, Math.min(maxRestartMs, restartMs * 2 ** attempt), abort.signal);
        }
      }
    }
  }

  let closing: Promise<void> | undefined;
  return {
    get listeners() {
      return lastListeners;
    },
    get ready() {
      return serving !== undefined && closing === undefined;
    },
    failed,
    close() {
      closing ??= (async () => {
        const current = serving;
        // Clients hear from us where their partitions went.
        await current?.life.drain(config.shutdownTimeoutMs);
        await current?.server.close();
        await current?.life.close({ graceful: true });
        abort.abort();
        await running;
        await internal?.close();
      })();
      return closing;
    },
  };
}

interface BeginOptions extends BrokerOptions {
  readonly internal: InternalListener | undefined;
  readonly signal: AbortSignal;
  readonly fail: (error: Error) => void;
}

async function beginServing(config: BrokerConfig, io: Io, options: BeginOptions): Promise<Serving> {
  const { internal, signal, fail } = options;
  let server: KafkaServer | undefined;
  let mayAnswer = true;
  const life = await beginLife({
    onMayAnswer: (now) => {
      mayAnswer = now;
      server?.setMayAnswer(now);
    },
    onLiving: (incarnation) => internal?.setSelf(incarnation),
    config,
    io,
    clusterId: options.clusterId,
    identity: identityOf(config, internal?.port),
    signal,
    ...(options.mutants ? { mutants: options.mutants } : {}),
  });
  try {
    const responseMemory = new ResponseMemory(config.queuedMaxResponseBytes);
    const router: RequestRouter = new RequestRouter([
      ...createHandlers(life.services, { responseMemory, advertised: () => router.advertised() }),
      ...life.groups.handlers(),
    ]);
    server = new KafkaServer({ io: life.services.io, config, router, responseMemory, onInvariantBroken: fail });
    server.setMayAnswer(mayAnswer);
    return { life, server, listeners: await server.start() };
  } catch (error) {
    await life.close({ graceful: false });
    throw error;
  }
}

/** Whether a later incarnation of the node is registered: a seal alone does not say who wrote it. */
async function isReplaced(io: Io, { node, epoch }: Incarnation): Promise<boolean> {
  try {
    const entry = await io.meta.get(keys.node(node));
    const newest = entry && parseRecord(nodeRecord, entry.value);
    return newest !== undefined && newest.epoch > epoch;
  } catch {
    return false;
  }
}

const internalLimits = { maxConnections: 1_000, maxProbes: 32 };

/** Where other brokers ask whether this one lives; none when the setting is empty. */
async function openInternalListener(config: BrokerConfig, io: Io): Promise<InternalListener | undefined> {
  const at = hostAndPort(config.internalListener);
  if (!at) return undefined;
  return InternalListener.open({ clock: io.clock, logger: io.logger, transport: io.transport, node: config.nodeId as NodeId, ...at, ...internalLimits });
}

function identityOf(config: BrokerConfig, internalPort: number | undefined): NodeIdentity {
  const advertised = config.advertisedListeners?.[0] ?? config.listeners[0];
  const host = reachable(advertised?.host) ?? '127.0.0.1';
  const internalHost = reachable(config.internalAdvertisedHost) ?? reachable(hostAndPort(config.internalListener)?.host) ?? host;
  return {
    node: config.nodeId as NodeId,
    host,
    port: advertised?.port ?? 9092,
    rack: config.brokerRack,
    internal: internalPort === undefined ? undefined : { host: internalHost, port: config.internalAdvertisedPort || internalPort },
  };
}

function reachable(host: string | undefined): string | undefined {
  return host === undefined || host === '' || host === '0.0.0.0' || host === '::' ? undefined : host;
}

function hostAndPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return undefined;
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1') || '0.0.0.0', port: Number(text.slice(colon + 1)) };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
