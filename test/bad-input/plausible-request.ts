/**
 * Requests of any API in any version that a broker takes seriously: from the schemas, with names, ids and numbers that exist, or nearly.
 * Random fields alone would end at the first unknown topic.
 */
import { encodeRequest } from '../../broker/protocol/frames.ts';
import { type FieldLayout, layoutOf, type StructLayout, zeroUuid } from '../../broker/protocol/layout.ts';
import type { ApiKey, ApiName } from '../../broker/protocol/messages.gen.ts';
import type { PrimitiveType } from '../../broker/protocol/schema/grammar.ts';
import { schemaOf } from '../../broker/protocol/schema/messages.ts';
import { mutate, type Pick } from '../fuzz/mutate.ts';
import { batch, forged, records } from './corpus/batches.ts';
import { testClientId } from './frames.ts';

/** What exists in the broker. */
export interface Known {
  readonly topics: readonly { readonly name: string; readonly topicId: string }[];
  /** Names that may come and go. */
  readonly doomed: readonly string[];
}

export interface FuzzedApi {
  readonly name: ApiName;
  readonly key: ApiKey;
  readonly minVersion: number;
  readonly maxVersion: number;
}

const badNames = ['', '.', '..', 'a b', 'ü', 'no-such-topic', 'x'.repeat(250)];
const words = ['', 'range', 'consumer', 'retention.ms', 'cleanup.policy', 'delete', 'compact', '1000', '-1', 'no.such', 'zstd', 'nobody'];
const numbers = [0, 1, -1, 2, 3, 5, 7, 100, -2, -3];
const extremes = [2 ** 31 - 1, -(2 ** 31), 2 ** 53 - 1, 65_536, 1_000_000];
/** What most fields of these names hold in requests that get somewhere. */
const likely: Readonly<Record<string, readonly (number | string | null)[]>> = {
  acks: [-1, -1, 1, 0],
  committedLeaderEpoch: [-1, 0],
  configOperation: [0, 0, 1, 2],
  count: [4, 5],
  currentLeaderEpoch: [-1, 0],
  endpointType: [1],
  fetchOffset: [0, 0, 1, 5],
  generationId: [-1, 1, 2],
  generationIdOrMemberEpoch: [-1, -1, 1],
  groupInstanceId: [null, null, 'i0', 'i1'],
  isolationLevel: [0, 1],
  keyType: [0],
  lastFetchedEpoch: [-1, 0],
  leaderEpoch: [0, 1],
  logStartOffset: [-1],
  memberEpoch: [-1],
  memberId: ['', '', 'nobody'],
  minBytes: [0, 1],
  numPartitions: [1, 2, -1],
  offset: [0, 1, -1],
  partition: [0, 0, 1, 2],
  partitionIndex: [0, 0, 1, 2],
  producerEpoch: [-1, 0],
  producerId: [-1, -1, 1],
  protocolName: ['range'],
  protocolType: ['consumer'],
  replicaId: [-1],
  replicationFactor: [1, -1],
  resourceType: [2, 2, 4],
  sessionEpoch: [-1, 0, 0, 1],
  sessionId: [0],
  sessionTimeoutMs: [6_000],
  timestamp: [-1, -2, -3, 0, 1_700_000_000_001],
  transactionalId: [null],
};
const settings: readonly (readonly [string, string])[] = [
  ['retention.ms', '1000000'],
  ['cleanup.policy', 'delete'],
  ['max.message.bytes', '500000'],
  ['compression.type', 'gzip'],
  ['message.timestamp.type', 'LogAppendTime'],
];
const bounds: Readonly<Partial<Record<PrimitiveType, number>>> = { int8: 2 ** 7, int16: 2 ** 15, int32: 2 ** 31, uint16: 2 ** 15, uint32: 2 ** 31 };
const batches = [batch(), batch({ compression: 'gzip' }), batch({ compression: 'zstd' }), batch({ records: records(40) })];

/** A whole frame that our decoder accepts. */
export function plausibleFrame(api: FuzzedApi, version: number, pick: Pick, known: Known): Buffer {
  const layout = layoutOf(schemaOf(`${api.name}Request`)!, version);
  const passing = api.name === 'DeleteTopics' || api.name === 'CreateTopics';
  const body = new Plausible(pick, passing ? { ...known, topics: known.doomed.map((name) => ({ name, topicId: zeroUuid })) } : known).struct(layout);
  return Buffer.concat(encodeRequest(api.key, version, pick.below(1_000_000), testClientId, body as never));
}

class Plausible {
  readonly #pick: Pick;
  readonly #known: Known;

  constructor(pick: Pick, known: Known) {
    this.#pick = pick;
    this.#known = known;
  }

  struct(layout: StructLayout): Readonly<Record<string, unknown>> {
    if (layout.name.endsWith('Config') && !this.#oneIn(4)) return this.#setting(layout);
    return Object.fromEntries(layout.fields.filter(({ present }) => present).map((field) => [field.name, this.#field(field)]));
  }

  /** Name and value of a setting belong together. */
  #setting(layout: StructLayout): Readonly<Record<string, unknown>> {
    const [name, value] = this.#pick.of(settings);
    return { ...Object.fromEntries(layout.fields.filter(({ present }) => present).map((field) => [field.name, this.#field(field)])), name, value };
  }

  #field(field: FieldLayout): unknown {
    const usual = likely[field.name];
    if (usual !== undefined && !field.isArray && !this.#oneIn(6)) {
      const value = this.#pick.of(usual);
      if (value !== null || field.nullable) return value;
    }
    if (field.nullable && this.#oneIn(6)) return null;
    if (!field.isArray) return this.#element(field.type, field.name);
    return Array.from({ length: this.#pick.of([0, 1, 1, 1, 2, 3]) }, () => this.#element(field.type, field.name));
  }

  #element(type: PrimitiveType | StructLayout, name: string): unknown {
    if (typeof type === 'object') return this.struct(type);
    switch (type) {
      case 'bool':
        return this.#oneIn(2);
      case 'float64':
        return this.#pick.of([0, 1.5, -1, Number.NaN, Number.POSITIVE_INFINITY]);
      case 'uuid':
        return this.#topicId();
      case 'string':
        return this.#string(name);
      case 'bytes':
        return Buffer.alloc(this.#pick.of([0, 1, 20]), this.#pick.below(256));
      case 'records':
        return this.#records();
      case 'int8':
      case 'int16':
      case 'uint16':
      case 'int32':
      case 'uint32':
      case 'int64':
        return this.#number(type, name);
      default:
        return type satisfies never;
    }
  }

  /** Times are short, so that whoever waits for something waits not for long. */
  #number(type: PrimitiveType, name: string): number {
    if (/wait|timeout/i.test(name)) return this.#pick.of([0, 10, 20, 6_000]);
    const value = this.#oneIn(10) ? this.#pick.of(extremes) : this.#pick.of(numbers);
    if (type === 'uint16' || type === 'uint32') return Math.abs(value) % (bounds[type] ?? 1);
    const bound = bounds[type] ?? Number.POSITIVE_INFINITY;
    return Math.max(-bound, Math.min(bound - 1, value));
  }

  #string(name: string): string {
    if (/topic|^name$|resourceName/i.test(name)) return this.#oneIn(5) ? this.#pick.of([...badNames, ...words]) : this.#pick.of(this.#known.topics).name;
    if (/group|key|transactional/i.test(name)) return this.#pick.of(['g0', 'g1', 'g2', 'g3', '', 'retention.ms']);
    return this.#pick.of(words);
  }

  #topicId(): string {
    if (this.#oneIn(5)) return this.#pick.of([zeroUuid, 'x'.repeat(21).concat('A')]);
    return this.#pick.of(this.#known.topics).topicId;
  }

  #records(): Buffer {
    const good = Buffer.from(this.#pick.of(batches));
    if (this.#oneIn(2)) return good;
    const damaged = mutate(good, this.#pick, this.#pick.of(batches));
    // With the checksum mended, what is wrong is found later.
    return damaged.length > 61 && this.#oneIn(2) ? forged(() => {}, damaged) : damaged;
  }

  #oneIn(chances: number): boolean {
    return this.#pick.below(chances) === 0;
  }
}
