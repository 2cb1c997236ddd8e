/**
 * Broker settings that kafka-reassign-partitions sets with `--throttle` and removes with `--verify` (KIP-73, KIP-113). They are accepted and not kept:
 * a move copies nothing, so there is nothing to slow down.
 */
import { long, type ValueType } from '../../config-value.ts';

export const throttleSettings: ReadonlyMap<string, ValueType<unknown>> = new Map([
  ['leader.replication.throttled.rate', long({ min: 0 })],
  ['follower.replication.throttled.rate', long({ min: 0 })],
  ['replica.alter.log.dirs.io.max.bytes.per.second', long({ min: 0 })],
]);
