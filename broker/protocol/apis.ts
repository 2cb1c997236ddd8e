/** The APIs of the protocol: their keys, names and versions, and which encoding a version has. */
import type { MessageCodecs } from './codecs.ts';
import { codecsOf } from './codecs.ts';
import { type ApiKey, ApiKeys, type ApiName } from './messages.gen.ts';

export interface Api {
  readonly key: ApiKey;
  readonly name: ApiName;
  readonly minVersion: number;
  /** Latest version in the schema. */
  readonly maxVersion: number;
  /** Kafka does not advertise `maxVersion` yet. */
  readonly latestUnstable: boolean;
  /** First version in the flexible encoding (KIP-482); Infinity when there is none. */
  readonly flexibleFrom: number;
  readonly request: MessageCodecs;
  readonly response: MessageCodecs;
}

/** By ascending key. */
export const apis: readonly Api[] = (Object.keys(ApiKeys) as ApiName[])
  .map((name) => {
    const request = codecsOf(`${name}Request`);
    const response = codecsOf(`${name}Response`);
    const { versions, latestUnstable, flexibleFrom } = request.schema;
    return { key: ApiKeys[name], name, minVersion: versions.first, maxVersion: versions.last, latestUnstable, flexibleFrom, request, response };
  })
  .sort((a, b) => a.key - b.key);

const byKey: readonly (Api | undefined)[] = Array.from({ length: 1 + Math.max(...apis.map((api) => api.key)) }, (_, key) =>
  apis.find((api) => api.key === key),
);

/** The API of a key read from the wire; undefined when it is none that clients may use. */
export function apiOf(key: number): Api | undefined {
  return byKey[key];
}
