/**
 * Names of stored objects (design §3, §6). Numbers are padded so that a LIST shows them in order.
 *
 *   cluster                              the root object: whose bucket this is
 *   wal/<node>/<node epoch>/<number>     an incarnation's WAL: groups, checkpoints, handovers, state objects, at last a seal
 *   data/<node>/<node epoch>/<number>    stream objects and stream set objects
 */
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';

export type ObjectKey = string & { readonly __brand: 'ObjectKey' };

export function walKey(incarnation: Incarnation, number: number): ObjectKey {
  return `${walPrefix(incarnation)}${pad(number)}` as ObjectKey;
}

export function dataKey(incarnation: Incarnation, number: number): ObjectKey {
  return `${dataPrefix(incarnation)}${pad(number)}` as ObjectKey;
}

export function walPrefix({ node, epoch }: Incarnation): string {
  return `wal/${node}/${pad(epoch)}/`;
}

export function dataPrefix({ node, epoch }: Incarnation): string {
  return `data/${node}/${pad(epoch)}/`;
}

/** Of all objects of a node, whichever its incarnation. */
export function objectPrefixes(node: NodeId): readonly string[] {
  return [`wal/${node}/`, `data/${node}/`];
}

export interface ParsedKey {
  readonly area: 'wal' | 'data';
  readonly incarnation: Incarnation;
  readonly number: number;
}

/** What a key names; undefined for anything that is not a WAL or data object. */
export function parseKey(key: string): ParsedKey | undefined {
  const match = /^(wal|data)\/(\d{1,10})\/(\d{12})\/(\d{12})$/.exec(key);
  if (!match) return undefined;
  const [, area, node, epoch, number] = match;
  return { area: area as 'wal' | 'data', incarnation: { node: Number(node) as NodeId, epoch: Number(epoch) }, number: Number(number) };
}

function pad(number: number): string {
  return String(number).padStart(12, '0');
}
