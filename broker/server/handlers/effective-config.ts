/** The configuration that holds now: the broker's own, with what was set through the protocol on top. */
import { withDynamicSettings, type BrokerConfig } from '../../config.ts';
import type { Services } from '../services.ts';

/** Recomputed only when the cluster image brought other settings. */
export function effectiveConfigOf(services: Services): () => BrokerConfig {
  let clusterDefaults: Readonly<Record<string, string>> | undefined;
  let ownSettings: Readonly<Record<string, string>> | undefined;
  let effective = services.config;
  return () => {
    const defaultsNow = services.image.brokerConfig('');
    const ownNow = services.image.brokerConfig(String(services.node));
    if (defaultsNow !== clusterDefaults || ownNow !== ownSettings) {
      clusterDefaults = defaultsNow;
      ownSettings = ownNow;
      effective = withDynamicSettings(services.config, defaultsNow, ownNow);
    }
    return effective;
  };
}
