/**
 * The storage version (design §11): one number for everything that brokers store and other brokers read. Writers stay at the version that is
 * finalized, so that until then a roll can go back; Kafka's tools see it as a feature (KIP-584). docs/design/0006-versions.md.
 *
 *   1  the first
 *   2  state objects say what could not be read when they were written (docs/design/0005-damage.md)
 */
import type { FeaturesRecord } from './meta-records.ts';

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** As `kafka-features` names it. */
export const storageFeature = 'automq.storage';

/** What this program reads; it can write each of them. */
export const supportedStorage: VersionRange = { min: 1, max: 2 };

/** Of a node that does not say: programs said nothing before there was a second version. */
const unsaidStorage: VersionRange = { min: 1, max: 1 };

export interface NodeVersions {
  readonly node: number;
  readonly versions: VersionRange | undefined;
}

/** Clusters begin without the key; whoever finds nothing writes what every program reads. */
export function finalizedStorage(record: FeaturesRecord | undefined): number {
  return record?.finalized ?? 1;
}

/** Why a broker must not join; undefined when it may. One that cannot read what may be there would take whole partitions for damaged. */
export function joinProblem(record: FeaturesRecord | undefined, supports: VersionRange): string | undefined {
  const reads = `this program reads ${supports.min} to ${supports.max}`;
  const finalized = finalizedStorage(record);
  if (finalized > supports.max)
    return `the cluster is finalized at storage version ${finalized}, ${reads}: stored objects may be of a version that it does not know. Start a newer program; a finalized version cannot be taken back`;
  if (finalized < supports.min)
    return `the cluster is at storage version ${finalized}, ${reads}: start the program that wrote it, finalize a newer version (kafka-features upgrade --feature ${storageFeature}=${supports.min}), then start this one`;
  const next = record?.upgradingTo;
  if (next !== undefined && next > supports.max)
    return `the cluster is about to be finalized at storage version ${next}, ${reads}. Start a newer program, or withdraw that: kafka-features upgrade --feature ${storageFeature}=${finalized}`;
  return undefined;
}

/** Why `wanted` cannot be finalized while these brokers live; undefined when it can. */
export function upgradeProblem(wanted: number, live: readonly NodeVersions[]): string | undefined {
  for (const { node, versions } of live) {
    const { min, max } = versions ?? unsaidStorage;
    if (wanted < min || wanted > max) return `Broker ${node} supports ${storageFeature} ${min} to ${max} only; restart it with another program first.`;
  }
  return undefined;
}
