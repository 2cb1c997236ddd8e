/** Which handler takes a request, from its API key and version; what ApiVersions advertises follows from the same table. */
import { apiOf, type Api } from '../protocol/apis.ts';
import type { AnyHandler } from './handler.ts';

export interface Route {
  readonly api: Api;
  readonly handler: AnyHandler;
}

export interface AdvertisedRange {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

export class RequestRouter {
  private readonly routes: (Route | undefined)[] = [];

  constructor(handlers: readonly AnyHandler[]) {
    for (const handler of handlers) {
      const api = apiOf(handler.apiKey);
      if (api === undefined) throw new Error(`no API has key ${handler.apiKey}`);
      if (this.routes[handler.apiKey] !== undefined) throw new Error(`two handlers for ${api.name}`);
      if (handler.minVersion < api.minVersion || handler.maxVersion > api.maxVersion) throw new Error(`${api.name}: versions beyond the schema`);
      this.routes[handler.apiKey] = { api, handler };
    }
  }

  find(apiKey: number): Route | undefined {
    return this.routes[apiKey];
  }

  /** By ascending key, as Kafka lists them. */
  advertised(): AdvertisedRange[] {
    const ranges: AdvertisedRange[] = [];
    for (const route of this.routes) {
      if (route === undefined) continue;
      const { apiKey, minVersion, maxVersion, advertisedMinVersion } = route.handler;
      ranges.push({ apiKey, minVersion: advertisedMinVersion ?? minVersion, maxVersion });
    }
    return ranges;
  }
}
