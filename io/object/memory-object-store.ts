/**
 * Objects in this process's memory, for tests and as the ground of the simulation's store. Answers in a microtask and in the
 * order of the calls, so that a seed replays; it never fails by itself.
 */
import { checkKey, checkKeyPrefix, checkRange } from './object-key.ts';
import type {
  ByteRange,
  CallOptions,
  CreateOutcome,
  DeleteOutcome,
  HeadOutcome,
  ListedObject,
  ListOutcome,
  ObjectBody,
  ObjectStore,
  ReadOutcome,
} from './object-store.ts';

const defaultPageSize = 1000;

export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, Buffer>();
  readonly #pageSize: number;

  constructor({ pageSize = defaultPageSize }: { readonly pageSize?: number } = {}) {
    this.#pageSize = pageSize;
  }

  create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    checkKey(key);
    if (options?.signal?.aborted) return gaveUp();
    if (this.#objects.has(key)) return Promise.resolve({ kind: 'exists' });
    this.#objects.set(key, Buffer.concat(body.chunks, body.sizeBytes));
    return Promise.resolve({ kind: 'created' });
  }

  read(key: string, range?: ByteRange, options?: CallOptions): Promise<ReadOutcome> {
    if (range) checkRange(range);
    return this.#read(key, (size) => ({ start: Math.min(range?.start ?? 0, size), end: Math.min(range?.end ?? size, size) }), options);
  }

  readTail(key: string, length: number, options?: CallOptions): Promise<ReadOutcome> {
    checkRange({ start: 0, end: length });
    return this.#read(key, (size) => ({ start: Math.max(0, size - length), end: size }), options);
  }

  head(key: string, options?: CallOptions): Promise<HeadOutcome> {
    checkKey(key);
    if (options?.signal?.aborted) return gaveUp();
    const stored = this.#objects.get(key);
    return Promise.resolve(stored ? { kind: 'found', sizeBytes: stored.length } : { kind: 'missing' });
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteOutcome> {
    for (const key of keys) checkKey(key);
    if (options?.signal?.aborted) return gaveUp();
    for (const key of keys) this.#objects.delete(key);
    return Promise.resolve({ kind: 'deleted' });
  }

  list(prefix: string, after = '', options?: CallOptions): Promise<ListOutcome> {
    checkKeyPrefix(prefix);
    if (options?.signal?.aborted) return gaveUp();
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const objects = keys.slice(0, this.#pageSize).map((key): ListedObject => ({ key, sizeBytes: this.#objects.get(key)?.length ?? 0 }));
    return Promise.resolve({ kind: 'page', objects, more: keys.length > objects.length });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #read(key: string, choose: (sizeBytes: number) => ByteRange, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    if (options?.signal?.aborted) return gaveUp();
    const stored = this.#objects.get(key);
    if (!stored) return Promise.resolve({ kind: 'missing' });
    const { start, end } = choose(stored.length);
    return Promise.resolve({ kind: 'found', bytes: placed(stored.subarray(start, end), options?.into), sizeBytes: stored.length });
  }
}

/** A copy, as from every other store: whoever writes into what was read must not change the object. */
function placed(bytes: Buffer, into: Buffer | undefined): Buffer {
  const target = into && into.length >= bytes.length ? into.subarray(0, bytes.length) : Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(target);
  return target;
}

function gaveUp(): Promise<{ readonly kind: 'unknown'; readonly cause: string }> {
  return Promise.resolve({ kind: 'unknown', cause: 'the caller gave up' });
}
