/** ListConfigResources: what configuration can belong to (KIP-1142). v0 knows client metrics only, of which there are none; v1 all types. */
import { ErrorCodes } from '../../protocol/errors.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { ResourceTypes } from './config-resources.ts';

export function listConfigResourcesHandler(services: Services): HandlerOf<typeof ApiKeys.ListConfigResources> {
  const known: ReadonlySet<number> = new Set(Object.values(ResourceTypes));
  return {
    apiKey: ApiKeys.ListConfigResources,
    minVersion: 0,
    maxVersion: 1,
    concurrency: 'serial',
    handle({ resourceTypes }, { apiVersion }) {
      if (resourceTypes.some((type) => !known.has(type))) return { errorCode: ErrorCodes.UNSUPPORTED_VERSION, configResources: [] };
      const asked = apiVersion === 0 ? new Set<number>([ResourceTypes.CLIENT_METRICS]) : resourceTypes.length === 0 ? known : new Set(resourceTypes);
      const brokers = services.image.brokers().map(({ node }) => String(node));
      const topics = services.image.topics().map(({ name }) => name);
      const configResources = [
        ...named(asked, ResourceTypes.BROKER_LOGGER, brokers),
        ...named(asked, ResourceTypes.BROKER, brokers),
        ...named(asked, ResourceTypes.TOPIC, topics),
      ];
      return { errorCode: ErrorCodes.NONE, configResources };
    },
  };
}

function named(asked: ReadonlySet<number>, resourceType: number, names: readonly string[]): { readonly resourceName: string; readonly resourceType: number }[] {
  return asked.has(resourceType) ? names.map((resourceName) => ({ resourceName, resourceType })) : [];
}
