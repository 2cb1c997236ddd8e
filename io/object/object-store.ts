/**
 * The shared object store as the broker sees it: immutable objects under string keys.
 *
 * Every call makes ONE attempt and has its own deadline; whoever calls decides about retries
 * (design §3, "One numbered PUT, and what its answers mean"). Outcomes are values, because each
 * demands something else of the caller; a method throws only for bugs.
 */
export interface ObjectStore {
  /** Creates `key` only if nothing exists there (`If-None-Match: *`). The body's buffers belong to the store until the promise settles. */
  create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome>;
  /** Reads bytes [start, end) (whole object without a range). Short objects answer what they have; `size` is the object's whole size. */
  read(key: string, range?: ByteRange, options?: CallOptions): Promise<ReadOutcome>;
  /** Reads the last `length` bytes (the whole object when it is shorter). */
  readTail(key: string, length: number, options?: CallOptions): Promise<ReadOutcome>;
  head(key: string, options?: CallOptions): Promise<HeadOutcome>;
  /** Deletes many keys; a missing key counts as deleted. */
  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteOutcome>;
  /** One page of keys that begin with `prefix`, after `after`, in ascending order of their UTF-8 bytes. A hint only: correctness never uses it. */
  list(prefix: string, after?: string, options?: CallOptions): Promise<ListOutcome>;
  close(): Promise<void>;
}

/** Buffers that make up one object, in order. */
export interface ObjectBody {
  readonly chunks: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** CRC-32C of all bytes when the caller knows it already (S3 then verifies it for free). */
  readonly crc32c?: number;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface CallOptions {
  /** Overrides the store's own deadline of one attempt, milliseconds; it includes waiting for a socket. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /**
   * Reads only: where the bytes go when they fit; else the store allocates. It belongs to the store until the promise settles. Whoever keeps
   * and reuses such a buffer saves most of the cost of reading: a fresh one is paid for in page faults.
   */
  readonly into?: Buffer;
}

/** `unknown`: applied, not applied, or applied later. `refused`: will not work soon (permission, no bucket, read-only, full); provably not applied. */
export type Unknown = { readonly kind: 'unknown'; readonly cause: string };
export type Refused = { readonly kind: 'refused'; readonly cause: string };
export type CreateOutcome = { readonly kind: 'created' } | { readonly kind: 'exists' } | Unknown | Refused;
export type ReadOutcome = { readonly kind: 'found'; readonly bytes: Buffer; readonly sizeBytes: number } | { readonly kind: 'missing' } | Unknown | Refused;
export type HeadOutcome = { readonly kind: 'found'; readonly sizeBytes: number } | { readonly kind: 'missing' } | Unknown | Refused;
export type DeleteOutcome = { readonly kind: 'deleted' } | { readonly kind: 'partial'; readonly left: readonly string[] } | Unknown | Refused;
export type ListOutcome = { readonly kind: 'page'; readonly objects: readonly ListedObject[]; readonly more: boolean } | Unknown | Refused;

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** An `ObjectBody` of these chunks. */
export function objectBody(chunks: readonly Uint8Array[], crc32c?: number): ObjectBody {
  let sizeBytes = 0;
  for (const chunk of chunks) sizeBytes += chunk.byteLength;
  return crc32c === undefined ? { chunks, sizeBytes } : { chunks, sizeBytes, crc32c };
}
