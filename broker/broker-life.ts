/**
 * One life of a broker process: an incarnation from its registration to its end (design §4). A broker that finds itself
 * fenced ends this life and begins another; nothing of the old one is believed.
 */
import type { Io } from '../io/io.ts';
import { type Clock, sleep } from '../io/clock.ts';
import { MetaUnavailable } from '../io/meta/meta-store.ts';
import type { Incarnation } from '../cluster/identifiers.ts';
import type { TopicImage } from '../cluster/cluster-image.ts';
import { finalizedStorage, supportedStorage } from '../cluster/storage-versions.ts';
import type { BrokerConfig } from './config.ts';
import { GroupCoordinator } from './coordinator/groups/group-coordinator.ts';
import { groupSettings } from './coordinator/groups/group-settings.ts';
import { Log } from './log/log.ts';
import { logLimits } from './log-limits.ts';
import type { Mutants } from './log/mutants.ts';
import { openStoredLogReader } from './log/stored-log-reader.ts';
import { StoredStates } from './log/stored-states.ts';
import type { TopicLogConfig } from './log/topic-log-config.ts';
import type { WalEnd } from './log/wal/wal-writer.ts';
import { Controller } from './ownership/controller.ts';
import { drain, endGracefully } from './ownership/drain.ts';
import { EndedIncarnations } from './ownership/ended-incarnations.ts';
import { heldObjects } from './ownership/held-objects.ts';
import { HoldUpkeep } from './ownership/hold-upkeep.ts';
import { beginIncarnation, livingGuard, type NodeIdentity, provePointer } from './ownership/incarnation.ts';
import type { Subject } from './ownership/liveness/internal-protocol.ts';
import { Liveness } from './ownership/liveness/liveness.ts';
import { settleRecord } from './ownership/settle-record.ts';
import { incarnationOf, ownersForNew } from './ownership/owner-placement.ts';
import { Mover } from './ownership/moves/mover.ts';
import { MetaMoveRequests } from './ownership/move-requests.ts';
import { MetadataImage } from './ownership/metadata-image.ts';
import { OwnedPartitions } from './ownership/owned-partitions.ts';
import { ProducerIdBlocks } from './ownership/producer-ids.ts';
import { SelfCheck } from './ownership/self-check.ts';
import { MetaStorageFeature } from './ownership/storage-upgrade.ts';
import { takeOverOwnPast } from './ownership/takeover.ts';
import { MetaTopicAdmin } from './ownership/topic-admin.ts';
import { TopicRemoval } from './ownership/topic-removal.ts';
import type { Services } from './server/services.ts';
import { resolveTopicLogConfig } from './topic-config.ts';

export interface BrokerLifeOptions {
  readonly config: BrokerConfig;
  readonly io: Io;
  readonly clusterId: string;
  readonly identity: NodeIdentity;
  readonly signal: AbortSignal;
  /** Whether requests may be answered now changed (see ownership/self-check.ts). */
  readonly onMayAnswer: (mayAnswer: boolean) => void;
  /** The incarnation that lives in this process; undefined: it can write no more. */
  readonly onLiving: (incarnation: Incarnation | undefined) => void;
  readonly mutants?: Mutants;
}

export interface BrokerLife {
  readonly incarnation: Incarnation;
  readonly services: Services;
  readonly groups: GroupCoordinator;
  /** Settles when this incarnation can write no more. */
  readonly ended: Promise<WalEnd>;
  /** Another process lives under this node id: this one must not begin another life, or the two would replace each other for ever. */
  readonly replaced: boolean;
  /** Hands all partitions to other brokers, as far as there are any and `withinMs` suffices. */
  drain(withinMs: number): Promise<void>;
  /** `graceful`: everything appended is stored, with a last checkpoint. Callable twice. */
  close(options: { readonly graceful: boolean }): Promise<void>;
}

const parallelReads = 16;
/** Between two looks for what is left of earlier incarnations. */
const sweepIntervalMs = 10_000;
const internalTopics = new Set(['__consumer_offsets', '__transaction_state', '__share_group_state']);

/** Registers an incarnation, takes over this node's past and opens its partitions; resolves when it can serve. */
export async function beginLife(options: BrokerLifeOptions): Promise<BrokerLife> {
  const { config, io, mutants } = options;
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  options.signal.addEventListener('abort', onAbort);
  const { signal } = abort;
  const startedAtMs = io.clock.monotonicMs();
  const limits = logLimits(config);
  const storage = { ...supportedStorage, max: Math.min(supportedStorage.max, config.storageVersionMax) };
  const reads = { objects: io.objects, clock: io.clock, random: io.random, signal };
  const mutantOption = mutants ? { mutants } : {};

  let end: (end: WalEnd) => void = () => {};
  const ended = new Promise<WalEnd>((resolve) => {
    end = resolve;
  });
  const incarnation = await beginIncarnation({ ...reads, identity: options.identity, meta: io.meta, logger: io.logger, storage, ...mutantOption }).catch(
    (error: unknown) => {
      options.signal.removeEventListener('abort', onAbort);
      throw error;
    },
  );
  options.onLiving(incarnation);
  const logger = io.logger.child({ node: incarnation.node, epoch: incarnation.epoch });
  const stored = openStoredLogReader({ ...io, budgetBytes: config.blockCacheBytes });
  const image: MetadataImage = new MetadataImage({
    meta: io.meta,
    clock: io.clock,
    logger,
    clusterId: options.clusterId,
    isInternalTopic: (name) => internalTopics.has(name),
    onTopicShown: (topic) => {
      owned
        .topicShown(topic)
        .catch((error: unknown) => logger.error('partitions of a new topic could not be opened', { topic: topic.name, error: String(error) }));
    },
    onTopicRemoved: (topic) => {
      groups.onTopicDeleted(topic.name, topic.topicId);
      // That a list lacks it deletes nothing: its tombstone does, which removal looks for.
      removal.wake();
    },
    onBrokerConfigChanged: () => {},
    onPartitionShown: (shown) => owned.partitionShown(shown),
    onPartitionRemoved: (topicId, partition) => owned.partitionRemoved(topicId, partition),
    onTombstoneShown: () => removal.wake(),
    onRecoveryShown: ({ incarnation: claimed, record }) => {
      if (claimed.node === incarnation.node && claimed.epoch === incarnation.epoch && !closing) superseded(`claimed by node ${record.claim.node}`, false);
      removal.wake();
    },
    onClusterChanged: () => {
      mover.wake();
      liveness?.clusterChanged();
    },
  });
  const holds: HoldUpkeep = new HoldUpkeep({ meta: io.meta, clock: io.clock, logger, self: incarnation, image, log: () => log, ...mutantOption });
  const log: Log = new Log({
    objects: io.objects,
    clock: io.clock,
    random: io.random,
    logger,
    metrics: io.metrics,
    incarnation,
    limits,
    stored,
    provePointer: (checkpoint) => provePointer(checkpoint, { meta: io.meta, clock: io.clock, signal, incarnation, ...mutantOption }),
    heldOf: (objects, notOlderThan) => heldObjects(io.meta, objects, mutants?.has('collect-on-stale-holds') ? 0 : notOlderThan),
    checkpoints: holds,
    storageVersion: () => finalizedStorage(image.features?.record),
    onEnd: (walEnd) => {
      options.onLiving(undefined);
      end(walEnd);
    },
    ...mutantOption,
  });
  const newStates = () =>
    new StoredStates({
      ...reads,
      parallel: parallelReads,
      maxProducers: limits.maxProducersPerPartition,
      producerExpirationMs: limits.producerExpirationMs,
      ...(mutants?.has('forget-producer-state-on-recovery') ? { forgetProducers: true } : {}),
    });
  const states = newStates();
  const owned: OwnedPartitions = new OwnedPartitions({
    self: incarnation,
    clock: io.clock,
    log,
    image,
    states,
    logger,
    topicLogConfig: topicConfigs(config),
    onOpened: (partition) => {
      groups.onPartitionOpened(partition);
      mover.wake();
    },
    onClosed: (topicId, partition) => groups.onPartitionClosed(topicId, partition),
    onUnsettled: (shown) => void settleRecord(shown, { meta: io.meta, clock: io.clock, logger, signal, self: incarnation }),
    ...mutantOption,
  });
  const mover: Mover = new Mover({ meta: io.meta, clock: io.clock, logger, signal, self: incarnation, image, log, owned, ...mutantOption });
  const removal: TopicRemoval = new TopicRemoval({
    meta: io.meta,
    clock: io.clock,
    logger,
    self: incarnation,
    image,
    signal,
    closeTopic: (topicId) => owned.closeTopic(topicId),
    checkpoint: () => log.checkpoint(),
  });
  const takeovers = { running: 0, claimedAt: 0 };
  const endedIncarnations = new EndedIncarnations({
    ...reads,
    meta: io.meta,
    image,
    self: incarnation,
    isController: () => controller !== undefined,
    adopt: (ended) => log.adopt(ended),
    onAllEnded: () => {
      if (takeovers.running === 0 && image.revision >= takeovers.claimedAt) log.releaseStateObjects();
    },
    logger,
    catalog: log.catalog,
    isGoing: (object) => log.isGoing(object),
    ...mutantOption,
    intervalMs: Math.max(sweepIntervalMs, limits.collectionDelayMs),
  });
  const admin = new MetaTopicAdmin({
    meta: io.meta,
    clock: io.clock,
    random: io.random,
    logger,
    image,
    self: incarnation,
    place: (topicId, count, wanted) =>
      wanted?.map((node) => incarnationOf(image, node)) ??
      ownersForNew(image, topicId, count, topicId.charCodeAt(0)) ??
      Array.from({ length: count }, () => incarnation),
    opened: (topicId) => owned.opened(topicId),
    onTopicDeleted: () => removal.wake(),
  });
  const groups = new GroupCoordinator({
    clock: io.clock,
    random: io.random,
    logger,
    metrics: io.metrics,
    image,
    partitions: owned,
    admin,
    settings: groupSettings(config),
  });

  let replaced = false;
  const superseded = (reason: string, byOwnNode: boolean) => {
    logger.error('this incarnation was replaced', { reason });
    replaced = byOwnNode;
    options.onLiving(undefined);
    log.retire();
  };
  const selfCheck = new SelfCheck({
    clock: io.clock,
    logger,
    meta: io.meta,
    objects: io.objects,
    self: incarnation,
    nextToCount: () => log.wal.nextToCount,
    onSuperseded: superseded,
    onMayAnswer: options.onMayAnswer,
  });
  let liveness: Liveness | undefined;
  let controller: Controller | undefined;
  const recovery = { ...reads, logger, self: incarnation, wal: log.wal, parallel: parallelReads, meta: io.meta, ...mutantOption };
  const beginControl = (election: number) => {
    void controller?.close();
    controller = new Controller(
      {
        ...recovery,
        image,
        newStates,
        open: (acquired) => owned.open(acquired),
        isDead: (dead) => liveness?.isDead(dead) === true,
        onTakeovers: (running, claimedAt) => {
          takeovers.running = running;
          takeovers.claimedAt = Math.max(claimedAt, takeovers.claimedAt);
        },
        onDeposed: () => liveness?.stepDown(),
      },
      election,
    );
  };
  const beginLiveness = () =>
    new Liveness({
      clock: io.clock,
      random: io.random,
      logger,
      metrics: io.metrics,
      transport: io.transport,
      meta: io.meta,
      self: incarnation,
      guard: livingGuard(incarnation),
      peers: () => subjectsOf(image, incarnation),
      controller: () => image.controller,
      isLive: (other) => image.isLive(other),
      onDead: (dead, reason) => void controller?.dead(dead, reason),
      onElected: ({ modRevision }) => beginControl(modRevision),
      onDeposed: () => {
        void controller?.close();
        controller = undefined;
      },
    });
  let closing: Promise<void> | undefined;
  const close = ({ graceful }: { readonly graceful: boolean }): Promise<void> => {
    closing ??= (async () => {
      selfCheck.close();
      await liveness?.close();
      // A takeover may wait for a store that is away: until the log and the reads end.
      const controls = controller?.close();
      await groups.close();
      await log.shutDown({ graceful, withinMs: config.shutdownTimeoutMs });
      if (graceful && owned.count === 0) await endGracefully({ meta: io.meta, clock: io.clock, logger, self: incarnation, image });
      options.onLiving(undefined);
      options.signal.removeEventListener('abort', onAbort);
      abort.abort();
      owned.close();
      await controls;
      await stored.close();
      await mover.close();
      await removal.close();
      await holds.close();
      await endedIncarnations.close();
      await image.close();
    })();
    return closing;
  };
  try {
    await startImage(image, io.clock, logger, signal);
    const {
      ended: past,
      unreadable,
      inDoubt,
    } = await takeOverOwnPast({
      ...recovery,
      states,
      guards: [],
      place: (orphans) => orphans.map(() => incarnation),
      open: (acquired) => owned.open(acquired),
    });
    for (const partition of inDoubt) owned.refuse(partition);
    log.allowCollection(() => (owned.failedCount > 0 || unreadable.length > 0 ? 'own' : 'everything'));
    removal.wake();
    liveness = beginLiveness();
    endedIncarnations.start();
    logger.info('incarnation serves', { partitions: log.partitionCount, recovered: past.length, tookMs: Math.round(io.clock.monotonicMs() - startedAtMs) });
    afterTakeover(log, past, logger).catch((error: unknown) => logger.error('the first checkpoint after a takeover failed', { error: String(error) }));
  } catch (error) {
    await close({ graceful: false });
    throw error;
  }
  const services: Services = {
    io: { ...io, logger },
    config,
    node: incarnation.node,
    image,
    partitions: owned,
    admin,
    producerIds: new ProducerIdBlocks({ meta: io.meta, clock: io.clock, random: io.random }),
    moves: new MetaMoveRequests({ meta: io.meta, image }),
    storage: new MetaStorageFeature({ supported: storage, meta: io.meta, clock: io.clock, signal, image }),
  };
  return {
    incarnation,
    services,
    groups,
    ended,
    get replaced() {
      return replaced;
    },
    drain: (withinMs) =>
      drain({ meta: io.meta, clock: io.clock, logger, self: incarnation, image, signal, wake: () => mover.wake(), left: () => log.partitionCount, withinMs }),
    close,
  };
}

/** Live brokers besides this one that say where they can be asked. */
function subjectsOf(image: MetadataImage, self: Incarnation): readonly Subject[] {
  return image.brokers().flatMap(({ node }): Subject[] => {
    const record = node === self.node ? undefined : image.node(node);
    return record?.internal ? [{ incarnation: { node, epoch: record.epoch }, ...record.internal }] : [];
  });
}

/** A first checkpoint frees the next recovery from reading what this one read. */
async function afterTakeover(log: Log, past: readonly Incarnation[], logger: Io['logger']): Promise<void> {
  if (past.length === 0 || log.partitionCount === 0) return;
  const proven = await log.checkpoint();
  if (!proven) logger.warn('the first checkpoint after a takeover is not proven');
}

async function startImage(image: MetadataImage, clock: Clock, logger: Io['logger'], signal: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await image.start();
    } catch (error) {
      if (!(error instanceof MetaUnavailable) || signal.aborted) throw error;
      if (attempt % 25 === 0) logger.warn('waiting for the metadata store', { error: error.message });
      await sleep(clock, 200, signal);
    }
  }
}

/** Parsed topic configuration, kept until the topic's image is replaced. */
function topicConfigs(config: BrokerConfig): (topic: TopicImage | undefined) => TopicLogConfig {
  const defaults = resolveTopicLogConfig({}, config);
  const parsed = new WeakMap<TopicImage, TopicLogConfig>();
  return (topic) => {
    if (!topic) return defaults;
    let resolved = parsed.get(topic);
    if (!resolved) {
      resolved = resolveTopicLogConfig(topic.config, config);
      parsed.set(topic, resolved);
    }
    return resolved;
  };
}
