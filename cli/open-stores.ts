/** Opens the stores that a configuration names, and the bucket in them: whose it is, and whether its store keeps its word. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BrokerConfig } from '../broker/config.ts';
import { openBucket } from '../broker/log/bucket-root.ts';
import { sleep } from '../io/clock.ts';
import type { Logger } from '../io/logger.ts';
import type { Metrics } from '../io/metrics.ts';
import type { MetaStore } from '../io/meta/meta-store.ts';
import { openMetaStore } from '../io/meta/open-meta-store.ts';
import { meteredObjectStore, noPrices, s3Prices } from '../io/object/metered-object-store.ts';
import type { ObjectStore } from '../io/object/object-store.ts';
import { openObjectStore } from '../io/object/open-object-store.ts';
import { isRemote, parseStoreLocation, type StoreLocation } from '../io/object/store-location.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { StartRefused } from './start-refusal.ts';

export async function openObjects(config: BrokerConfig, metrics: Metrics): Promise<ObjectStore> {
  const location = storeLocation(config);
  const store = await openObjectStore(location, { clock: systemClock, random: systemRandom, maxSockets: config.s3MaxSockets });
  return meteredObjectStore(store, { metrics, clock: systemClock, prices: isRemote(location) ? s3Prices : noPrices });
}

export function openMeta(config: BrokerConfig, logger: Logger): Promise<MetaStore> {
  const url = config.metadataUrl || pathToFileURL(join(config.dataFolder, 'metadata')).href;
  return openMetaStore({ url }, { clock: systemClock, random: systemRandom, logger });
}

/** Answers the cluster's id. A store that does not answer yet is waited for until `signal` aborts. */
export async function identifyCluster(objects: ObjectStore, logger: Logger, signal: AbortSignal | undefined): Promise<string> {
  for (;;) {
    const outcome = await openBucket({ objects, clock: systemClock, random: systemRandom });
    if (outcome.kind === 'opened') {
      if (outcome.made) logger.info('new bucket: the store was proved to keep its word, and is ours now', { clusterId: outcome.clusterId });
      return outcome.clusterId;
    }
    if (outcome.kind === 'refused' || signal?.aborted) throw new StartRefused(outcome.text);
    logger.warn(`${outcome.text}; trying again`);
    await sleep(systemClock, 1_000, signal);
  }
}

/** What the URL leaves open comes from the settings. */
function storeLocation(config: BrokerConfig): StoreLocation {
  const location = parseStoreLocation(config.storageUrl || join(config.dataFolder, 'objects'));
  if (location.kind !== 's3') return location;
  const { s3Endpoint: endpoint, s3Region: region, s3PathStyle: pathStyle } = config;
  return { ...(endpoint ? { endpoint } : {}), ...(region ? { region } : {}), ...(endpoint ? { pathStyle } : {}), ...location };
}
