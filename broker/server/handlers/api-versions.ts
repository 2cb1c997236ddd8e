/**
 * ApiVersions: which APIs and versions this broker serves, computed from the registered handlers.
 *
 * v1 throttle time · v2 throttling before the answer · v3 flexible, client software name and version (KIP-511), features (KIP-584)
 * · v4 supported features may begin at version 0 (KIP-1014). An unknown version is answered by the server in v0.
 */
import { storageFeature } from '../../../cluster/storage-versions.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { AdvertisedRange } from '../request-router.ts';
import type { StorageFeature } from '../services.ts';

const softwareText = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/;

/** Of Kafka's own features none is finalized: what group.version 1 and transaction.version 2 promise is not served yet. */
export function apiVersionsHandler(advertised: () => readonly AdvertisedRange[], storage?: StorageFeature): HandlerOf<typeof ApiKeys.ApiVersions> {
  return {
    apiKey: ApiKeys.ApiVersions,
    minVersion: 0,
    maxVersion: 4,
    concurrency: 'serial',
    handle(request, { apiVersion, connection }) {
      const { clientSoftwareName, clientSoftwareVersion } = request;
      if (apiVersion >= 3) {
        if (!softwareText.test(clientSoftwareName) || !softwareText.test(clientSoftwareVersion)) return { errorCode: ErrorCodes.INVALID_REQUEST, apiKeys: [] };
        connection.clientSoftwareName = clientSoftwareName;
        connection.clientSoftwareVersion = clientSoftwareVersion;
      }
      return { errorCode: ErrorCodes.NONE, apiKeys: advertised(), finalizedFeaturesEpoch: storage?.epoch ?? 0, ...(storage ? featuresOf(storage) : {}) };
    },
  };
}

function featuresOf({ supported, finalized }: StorageFeature) {
  return {
    supportedFeatures: [{ name: storageFeature, minVersion: supported.min, maxVersion: supported.max }],
    finalizedFeatures: [{ name: storageFeature, minVersionLevel: finalized, maxVersionLevel: finalized }],
  };
}
