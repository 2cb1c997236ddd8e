/** When partitions did not answer, as clients saw it: from one acknowledgement (or read) to the next. */
import type { Operation } from '../checker/history.ts';

export interface Gap {
  readonly key: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Per key, between two successes that began and ended within the window, and at its edges. */
export function gapsOf(history: readonly Operation[], f: 'send' | 'poll', window: { readonly fromMs: number; readonly toMs: number }): readonly Gap[] {
  const times = new Map<string, number[]>();
  for (const operation of history) {
    if (operation.f !== f) continue;
    let known = times.get(operation.key);
    if (known === undefined) times.set(operation.key, (known = []));
    if (operation.type === 'ok' && operation.t1 !== null && operation.t1 >= window.fromMs && operation.t1 <= window.toMs) known.push(operation.t1);
  }
  const gaps: Gap[] = [];
  for (const [key, known] of times) {
    const edges = [window.fromMs, ...known.sort((a, b) => a - b), window.toMs];
    for (let i = 1; i < edges.length; i++) gaps.push({ key, fromMs: edges[i - 1] as number, toMs: edges[i] as number });
  }
  return gaps;
}

export const lengthOf = ({ fromMs, toMs }: Gap): number => toMs - fromMs;

/** Share of the time of all partitions that lay outside gaps longer than `bearableMs`. */
export function availability(gaps: readonly Gap[], bearableMs: number): number {
  const total = gaps.reduce((sum, gap) => sum + lengthOf(gap), 0);
  const lost = gaps.filter((gap) => lengthOf(gap) > bearableMs).reduce((sum, gap) => sum + lengthOf(gap), 0);
  return total === 0 ? 0 : 1 - lost / total;
}
