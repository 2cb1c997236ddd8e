/**
 * A bounded number of calls of one class at a time: catch-up reads, merges and deletes get their own, so that they cannot take the
 * sockets of the tail path (design §7). Waiting counts against a call's own deadline.
 */
import type { Clock } from '../clock.ts';
import { CallEnd } from './call-end.ts';
import type { CallOptions, ObjectStore, Unknown } from './object-store.ts';
import { type SlotLimits, Slots } from './slots.ts';

export interface LimitedObjectStoreOptions extends SlotLimits {
  readonly clock: Clock;
  /** How long a call without a deadline of its own may wait for its turn. */
  readonly maxWaitMs: number;
}

export function limitedObjectStore(store: ObjectStore, options: LimitedObjectStoreOptions): ObjectStore {
  const slots = new Slots(options);
  const limited = async <Outcome>(call: CallOptions | undefined, make: (call: CallOptions | undefined) => Promise<Outcome>): Promise<Outcome | Unknown> => {
    const startMs = options.clock.monotonicMs();
    const end = CallEnd.of(options.clock, call, options.maxWaitMs);
    const noSlot = await slots.take(end);
    end.release();
    if (noSlot !== undefined) return { kind: 'unknown', cause: noSlot };
    try {
      if (call?.deadlineMs === undefined) return await make(call);
      return await make({ ...call, deadlineMs: Math.max(1, call.deadlineMs - (options.clock.monotonicMs() - startMs)) });
    } finally {
      slots.free();
    }
  };
  return {
    create: (key, body, call) => limited(call, (left) => store.create(key, body, left)),
    read: (key, range, call) => limited(call, (left) => store.read(key, range, left)),
    readTail: (key, length, call) => limited(call, (left) => store.readTail(key, length, left)),
    head: (key, call) => limited(call, (left) => store.head(key, left)),
    delete: (keys, call) => limited(call, (left) => store.delete(keys, left)),
    list: (prefix, after, call) => limited(call, (left) => store.list(prefix, after, left)),
    close: () => store.close(),
  };
}
