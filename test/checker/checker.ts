/**
 * Says whether a history keeps the contract (faults.md §1): per partition the version order is put together from
 * all acknowledgements and reads, then every check is one pass over it. Names are Jepsen's where it has one.
 */
import { checkContent } from './content-checks.ts';
import { evidenceOf } from './evidence.ts';
import { checkGroups } from './group-checks.ts';
import type { Operation, Violation } from './history.ts';
import { checkOrder } from './order-checks.ts';
import { checkPolls } from './poll-checks.ts';

export interface CheckOptions {
  /** Partitions with retention: their log start may move by itself. */
  readonly mayExpire: (key: string) => boolean;
  /** Stored objects were damaged on purpose: what is unreadable may stay unseen, but nothing else is forgiven. */
  readonly damaged: boolean;
  /** How long a stale owner may answer with an older prefix (C5); 0 when there is one broker. */
  readonly staleBoundMs: number;
}

/** All violations, per partition in the order of keys. */
export function checkHistory(history: readonly Operation[], options: CheckOptions): readonly Violation[] {
  const byKey = new Map<string, Operation[]>();
  for (const operation of history) {
    if (operation.f === 'fault') continue;
    const operations = byKey.get(operation.key);
    if (operations) operations.push(operation);
    else byKey.set(operation.key, [operation]);
  }
  const violations: Violation[] = [];
  for (const key of [...byKey.keys()].sort()) {
    const report = (name: string, detail: string) => void violations.push({ name, key, detail });
    const operations = byKey.get(key) ?? [];
    const evidence = evidenceOf(key, operations, violations);
    checkContent(evidence, options, report);
    checkOrder(evidence, options, report);
    checkPolls(evidence, options, report);
    checkGroups(operations, options, report);
  }
  return violations;
}
