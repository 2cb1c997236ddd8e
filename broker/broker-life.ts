/**
 * One life of a broker process: an incarnation from its registration to its end (design §4). A broker that finds itself
 * fenced ends this life and begins another; nothing of the old one is believed.
 */
import type { Io } from '../io/io.ts';
import { type Clock, sleep } from '../io/clock.ts';
import { MetaUnavailable } from '../io/meta/meta-store.ts';
import type { Incarnation } from '../cluster/identifiers.ts';
import type { TopicImage } from '../cluster/cluster-image.ts';
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
import { EndedIncarnations } from './ownership/ended-incarnations.ts';
import { beginIncarnation, type NodeIdentity, provePointer } from './ownership/incarnation.ts';
import { MetaMoveRequests } from './ownership/move-requests.ts';
import { MetadataImage } from './ownership/metadata-image.ts';
import { OwnedPartitions } from './ownership/owned-partitions.ts';
import { ProducerIdBlocks } from './ownership/producer-ids.ts';
import { SelfCheck } from './ownership/self-check.ts';
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
  const reads = { objects: io.objects, clock: io.clock, random: io.random, signal };
  const mutantOption = mutants ? { mutants } : {};

  let end: (end: WalEnd) => void = () => {};
  const ended = new Promise<WalEnd>((resolve) => {
    end = resolve;
  });
  const incarnation = await beginIncarnation({ ...reads, identity: options.identity, meta: io.meta, logger: io.logger, ...mutantOption }).catch(
    (error: unknown) => {
      options.signal.removeEventListener('abort', onAbort);
      throw error;
    },
  );
  const logger = io.logger.child({ node: incarnation.node, epoch: incarnation.epoch });
  const stored = openStoredLogReader({ ...io, budgetBytes: config.blockCacheBytes });
  const log = new Log({
    objects: io.objects,
    clock: io.clock,
    random: io.random,
    logger,
    metrics: io.metrics,
    incarnation,
    limits,
    stored,
    provePointer: (checkpoint) => provePointer(checkpoint, { meta: io.meta, clock: io.clock, signal, incarnation }),
    onEnd: end,
    ...mutantOption,
  });
  let takenOver = false;
  const image = new MetadataImage({
    meta: io.meta,
    clock: io.clock,
    logger,
    clusterId: options.clusterId,
    isInternalTopic: (name) => internalTopics.has(name),
    onTopicShown: (topic) => admin.topicShown(topic),
    onTopicRemoved: (topic) => {
      groups.onTopicDeleted(topic.name, topic.topicId);
      admin.topicRemoved(topic.topicId);
      // That a list lacks it deletes nothing: its tombstone does, which removal looks for.
      if (takenOver) removal.wake();
    },
    onBrokerConfigChanged: () => {},
    onPartitionShown: () => {},
    onRecoveryShown: () => {},
    onClusterChanged: () => {},
  });
  const states = new StoredStates({
    ...reads,
    parallel: parallelReads,
    maxProducers: limits.maxProducersPerPartition,
    producerExpirationMs: limits.producerExpirationMs,
    ...(mutants?.has('forget-producer-state-on-recovery') ? { forgetProducers: true } : {}),
  });
  const owned = new OwnedPartitions({
    log,
    image,
    states,
    logger,
    topicLogConfig: topicConfigs(config),
    onOpened: (partition) => groups.onPartitionOpened(partition),
    onClosed: (topicId, partition) => groups.onPartitionClosed(topicId, partition),
  });
  const removal = new TopicRemoval({
    meta: io.meta,
    clock: io.clock,
    logger,
    self: incarnation,
    signal,
    closeTopic: (topicId, count) => owned.closeTopic(topicId, count),
    checkpoint: () => log.checkpoint(),
  });
  const endedIncarnations = new EndedIncarnations({
    ...reads,
    meta: io.meta,
    logger,
    catalog: log.catalog,
    intervalMs: Math.max(sweepIntervalMs, limits.collectionDelayMs),
  });
  const admin = new MetaTopicAdmin({
    meta: io.meta,
    clock: io.clock,
    random: io.random,
    logger,
    image,
    self: incarnation,
    open: (acquired) => owned.open(acquired),
    closeTopic: (topicId, count) => owned.closeTopic(topicId, count),
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
  const selfCheck = new SelfCheck({
    clock: io.clock,
    logger,
    meta: io.meta,
    objects: io.objects,
    self: incarnation,
    nextToCount: () => log.wal.nextToCount,
    onSuperseded: (reason, byOwnNode) => {
      logger.error('this incarnation was replaced', { reason });
      replaced = byOwnNode;
      log.retire();
    },
    onMayAnswer: options.onMayAnswer,
  });
  let closing: Promise<void> | undefined;
  const close = ({ graceful }: { readonly graceful: boolean }): Promise<void> => {
    closing ??= (async () => {
      selfCheck.close();
      await groups.close();
      await log.shutDown({ graceful, withinMs: config.shutdownTimeoutMs });
      options.signal.removeEventListener('abort', onAbort);
      abort.abort();
      await stored.close();
      await removal.close();
      await endedIncarnations.close();
      await image.close();
    })();
    return closing;
  };
  try {
    await startImage(image, io.clock, logger, signal);
    const { ended: past, unreadable } = await takeOverOwnPast({
      ...reads,
      logger,
      self: incarnation,
      wal: log.wal,
      parallel: parallelReads,
      meta: io.meta,
      states,
      isOpen: (topicId, partition) => owned.isSettled(topicId, partition),
      open: (acquired) => owned.open(acquired),
      ...mutantOption,
    });
    states.forget();
    log.allowCollection(() => (owned.failedCount > 0 || unreadable.length > 0 ? 'own' : 'everything'));
    takenOver = true;
    removal.wake();
    logger.info('incarnation serves', { partitions: log.partitionCount, recovered: past.length, tookMs: Math.round(io.clock.monotonicMs() - startedAtMs) });
    afterTakeover(log, past, logger)
      .then(() => endedIncarnations.sweep(past))
      .catch((error: unknown) => logger.error('the first checkpoint after a takeover failed', { error: String(error) }));
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
  };
  return {
    incarnation,
    services,
    groups,
    ended,
    get replaced() {
      return replaced;
    },
    close,
  };
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
