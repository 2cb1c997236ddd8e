/**
 * IncrementalAlterConfigs (KIP-339), and AlterConfigs, its predecessor, which replaces all settings of a resource at once.
 *
 * Both: the last version but one is not flexible, nothing else differs.
 */
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import {
  alterResource,
  Operations,
  refused,
  type AlteredResource,
  type AlterationOptions,
  type AlterationResult,
  type ConfigOperation,
} from './config-alteration.ts';
import { doubledKeys } from './doubled-keys.ts';
import { effectiveConfigOf } from './effective-config.ts';

export function incrementalAlterConfigsHandler(services: Services): HandlerOf<typeof ApiKeys.IncrementalAlterConfigs> {
  const alterAll = alteration(services);
  return {
    apiKey: ApiKeys.IncrementalAlterConfigs,
    minVersion: 0,
    maxVersion: 1,
    concurrency: 'serial',
    handle: async ({ resources, validateOnly }) => ({ responses: await alterAll(resources, { validateOnly, replaceAll: false }) }),
  };
}

export function alterConfigsHandler(services: Services): HandlerOf<typeof ApiKeys.AlterConfigs> {
  const alterAll = alteration(services);
  return {
    apiKey: ApiKeys.AlterConfigs,
    minVersion: 0,
    maxVersion: 2,
    concurrency: 'serial',
    async handle({ resources, validateOnly }) {
      const asOperations = resources.map((resource) => ({
        ...resource,
        configs: resource.configs.map((config) => ({ ...config, configOperation: Operations.SET })),
      }));
      return { responses: await alterAll(asOperations, { validateOnly, replaceAll: true }) };
    },
  };
}

type AskedResource = AlteredResource & { readonly configs: readonly ConfigOperation[] };
type ResourceResult = AlteredResource & AlterationResult;

function alteration(services: Services): (resources: readonly AskedResource[], options: AlterationOptions) => Promise<ResourceResult[]> {
  const configNow = effectiveConfigOf(services);
  return async (resources, options) => {
    const doubled = doubledKeys(resources.map(keyOf));
    const results: ResourceResult[] = [];
    for (const { resourceType, resourceName, configs } of resources) {
      const resource = { resourceType, resourceName };
      const isDoubled = doubled.has(keyOf(resource));
      const result = isDoubled
        ? refused(ErrorCodes.INVALID_REQUEST, 'Each resource must appear at most once.')
        : await alterResource(services, configNow(), resource, configs, options);
      results.push({ ...resource, ...result });
    }
    return results;
  };
}

function keyOf({ resourceType, resourceName }: AlteredResource): string {
  return `${resourceType}/${resourceName}`;
}
