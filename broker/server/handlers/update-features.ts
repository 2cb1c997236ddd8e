/**
 * UpdateFeatures: finalizes the version of a feature (KIP-584, `kafka-features upgrade`). The one feature there is is the storage version.
 *
 * v1 upgrade type instead of "allow downgrade", validate only (KIP-778) · v2 one outcome for all of it, no results (KIP-1022).
 */
import { storageFeature } from '../../../cluster/storage-versions.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { AdminOutcome, Services } from '../services.ts';

type UpdateRequest = RequestOf<typeof ApiKeys.UpdateFeatures>;
type UpdateResponse = ResponseInputOf<typeof ApiKeys.UpdateFeatures>;

const UPGRADE = 1;
const UNSAFE_DOWNGRADE = 3;

export function updateFeaturesHandler(services: Services): HandlerOf<typeof ApiKeys.UpdateFeatures> {
  return {
    apiKey: ApiKeys.UpdateFeatures,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    handle: (request, { apiVersion, connection }) => update(services, request, apiVersion, connection.principal),
  };
}

async function update({ storage }: Services, { featureUpdates, validateOnly }: UpdateRequest, apiVersion: number, by: string): Promise<UpdateResponse> {
  for (const { feature, maxVersionLevel, upgradeType, allowDowngrade } of featureUpdates) {
    if (feature !== storageFeature) return failed(refused(`This cluster does not support the feature ${feature}; it has ${storageFeature}.`));
    if (upgradeType < UPGRADE || upgradeType > UNSAFE_DOWNGRADE) return failed(refused('The given upgrade type is not known.'));
    const wantsLess = apiVersion === 0 ? allowDowngrade : upgradeType !== UPGRADE;
    if (wantsLess && maxVersionLevel > storage.finalized) return failed(refused(`A downgrade from ${storage.finalized} to ${maxVersionLevel} is none.`));
    const outcome = await storage.finalize(maxVersionLevel, { by, validateOnly });
    if (outcome.kind === 'error') return failed(outcome);
  }
  const results = featureUpdates.map(({ feature }) => ({ feature, errorCode: ErrorCodes.NONE, errorMessage: null }));
  return { errorCode: ErrorCodes.NONE, errorMessage: null, ...(apiVersion < 2 ? { results } : {}) };
}

type Failure = Extract<AdminOutcome<object>, { kind: 'error' }>;

function refused(message: string): Failure {
  return { kind: 'error', error: ErrorCodes.INVALID_UPDATE_VERSION, message };
}

/** Clients take an error of the whole answer in all versions. */
function failed({ error, message }: Failure): UpdateResponse {
  return { errorCode: error, errorMessage: message };
}
