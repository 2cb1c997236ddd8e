/**
 * Objects in a bucket of Amazon S3 or of any server that speaks its protocol and has atomic conditional PUT (`If-None-Match: *`).
 * One attempt per call, judged by answer-meaning.ts; the caller repeats. Bodies are not hashed: they go as UNSIGNED-PAYLOAD, guarded by the
 * CRC-32C that the log knows anyway.
 */
import { DeleteObjectsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Clock } from '../clock.ts';
import { CallEnd } from './call-end.ts';
import { checkKey, checkKeyPrefix, checkRange } from './object-key.ts';
import type {
  ByteRange,
  CallOptions,
  CreateOutcome,
  DeleteOutcome,
  HeadOutcome,
  ListOutcome,
  ObjectBody,
  ObjectStore,
  ReadOutcome,
  Refused,
  Unknown,
} from './object-store.ts';
import {
  clockOffsetMs,
  contentRange,
  errorOf,
  failureOf,
  isErrorDocument,
  type S3Error,
  sizeOfUnsatisfiable,
  wantsNewCredentials,
} from './s3/answer-meaning.ts';
import { BrokenCall, BucketClient, type BucketLocation, type BucketRequest, maxDocumentBytes, type SendOptions } from './s3/bucket-client.ts';
import type { AnswerHead } from './s3/http-answer.ts';

export interface S3ObjectStoreOptions extends BucketLocation {
  readonly clock: Clock;
  readonly maxSockets?: number;
  readonly maxWaiting?: number;
  /** Of an attempt that moves few bytes; big ones get more, see `slowestBytesPerMs`. */
  readonly deadlineMs?: number;
  readonly maxIdleMs?: number;
  /** The largest object that is read whole. */
  readonly maxReadBytes?: number;
}

type Answer = { readonly kind: 'answer'; readonly head: AnswerHead; readonly body: Buffer } | Unknown;

/** What S3 and most others call "only if absent": the one place that says it. */
const onlyIfAbsent = { 'if-none-match': '*' };
/** A transfer slower than 4 MB/s is given up at its deadline. */
const slowestBytesPerMs = 4000;
const keysPerDelete = 1000;
const deletesAtATime = 8;
const defaults = { maxSockets: 64, maxWaiting: 4096, deadlineMs: 10_000, maxIdleMs: 8_000, maxReadBytes: 1024 * 1024 * 1024 };

export class S3ObjectStore implements ObjectStore {
  readonly #bucket: string;
  readonly #clock: Clock;
  readonly #client: BucketClient;
  readonly #deadlineMs: number;
  readonly #maxReadBytes: number;
  readonly #running = new Set<Promise<unknown>>();
  /** Some servers have no multi-object delete. */
  #deletesMany = true;
  #closed = false;

  constructor(given: S3ObjectStoreOptions) {
    const options = { ...defaults, ...given };
    this.#bucket = options.bucket;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
    this.#maxReadBytes = options.maxReadBytes;
    this.#client = new BucketClient(options, options.clock, options);
  }

  get openConnections(): number {
    return this.#client.openConnections;
  }

  create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    checkKey(key);
    const headers: Record<string, string> = { ...onlyIfAbsent, 'content-length': String(body.sizeBytes) };
    if (body.crc32c !== undefined) headers['x-amz-checksum-crc32c'] = base64OfCrc(body.crc32c);
    const request: BucketRequest = { method: 'PUT', key, headers, body: body.chunks, placeBody: placeDocument };
    return this.#run<CreateOutcome>(options, body.sizeBytes, async (end) => {
      const answer = await this.#send(request, end);
      if (answer.kind !== 'answer') return answer;
      const { status } = answer.head;
      if (status >= 200 && status < 300)
        return isErrorDocument(answer.body) ? this.#failure({ ...errorOf(answer.head, answer.body), status: 500 }, answer.head) : { kind: 'created' };
      if (status === 412) return { kind: 'exists' };
      return this.#failure(errorOf(answer.head, answer.body), answer.head);
    });
  }

  read(key: string, range?: ByteRange, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    if (range) checkRange(range);
    return this.#run<ReadOutcome>(options, range ? range.end - range.start : 0, async (end) => {
      if (!range) return this.#get(key, undefined, options?.into, end);
      if (range.end === range.start) return this.#sizeOnly(key, end);
      return this.#get(
        key,
        { header: `bytes=${range.start}-${range.end - 1}`, of: (size) => ({ start: Math.min(range.start, size), end: Math.min(range.end, size) }) },
        options?.into,
        end,
      );
    });
  }

  readTail(key: string, length: number, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    checkRange({ start: 0, end: length });
    return this.#run<ReadOutcome>(options, length, async (end) => {
      if (length === 0) return this.#sizeOnly(key, end);
      return this.#get(key, { header: `bytes=-${length}`, of: (size) => ({ start: Math.max(0, size - length), end: size }) }, options?.into, end);
    });
  }

  /** A GET of one byte: unlike a HEAD, its refusal says why, so a missing bucket is not taken for a missing object. */
  head(key: string, options?: CallOptions): Promise<HeadOutcome> {
    checkKey(key);
    return this.#run<HeadOutcome>(options, 0, (end) => this.#head(key, end));
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteOutcome> {
    for (const key of keys) checkKey(key);
    return this.#run<DeleteOutcome>(options, 0, (end) => this.#delete(keys, end));
  }

  list(prefix: string, after?: string, options?: CallOptions): Promise<ListOutcome> {
    checkKeyPrefix(prefix);
    return this.#run<ListOutcome>(options, 0, (end) => this.#list(prefix, after, end));
  }

  /** Ends what runs; its calls settle as unknown. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#client.close();
    await Promise.allSettled(this.#running);
  }

  async #run<Outcome>(options: CallOptions | undefined, sizeBytes: number, work: (end: CallEnd) => Promise<Outcome>): Promise<Outcome | Unknown | Refused> {
    if (this.#closed) return { kind: 'refused', cause: 'the store is closed' };
    const end = CallEnd.of(this.#clock, options, this.#deadlineMs + sizeBytes / slowestBytesPerMs);
    const running = work(end);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      end.release();
    }
  }

  async #send(request: BucketRequest, end: CallEnd): Promise<Answer> {
    try {
      const outcome = await this.#client.send(request, end);
      return outcome.kind === 'answer' ? outcome : { kind: 'unknown', cause: outcome.cause };
    } catch (error) {
      // No endpoint, no credentials: it may be a metadata service that is slow today.
      return { kind: 'unknown', cause: (error as Error).message };
    }
  }

  async #get(key: string, range: WantedRange | undefined, into: Buffer | undefined, end: CallEnd): Promise<ReadOutcome> {
    const placeBody = (head: AnswerHead, sizeBytes: number) => {
      if (head.status >= 300) return placeDocument(head, sizeBytes);
      if (sizeBytes > this.#maxReadBytes) return undefined;
      return into && into.length >= sizeBytes ? into : Buffer.allocUnsafeSlow(sizeBytes);
    };
    const answer = await this.#send({ method: 'GET', key, headers: range ? { range: range.header } : {}, body: [], placeBody }, end);
    if (answer.kind !== 'answer') return answer;
    const { head, body } = answer;
    if (head.status === 206) return range ? partialRead(head, body, range) : { kind: 'unknown', cause: 'a part was answered where all was asked for' };
    if (head.status === 200) return wholeRead(head, body, range);
    if (head.status === 416 && range) {
      const sizeBytes = sizeOfUnsatisfiable(head, body);
      return sizeBytes === undefined ? this.#sizeOnly(key, end) : { kind: 'found', bytes: Buffer.alloc(0), sizeBytes };
    }
    return this.#absentOr(head, body);
  }

  async #sizeOnly(key: string, end: CallEnd): Promise<ReadOutcome> {
    const found = await this.#head(key, end);
    return found.kind === 'found' ? { kind: 'found', bytes: Buffer.alloc(0), sizeBytes: found.sizeBytes } : found;
  }

  async #head(key: string, end: CallEnd): Promise<HeadOutcome> {
    const placeBody = (head: AnswerHead, sizeBytes: number) => (head.status === 200 && sizeBytes > 1 ? undefined : placeDocument(head, sizeBytes));
    const answer = await this.#send({ method: 'GET', key, headers: { range: 'bytes=0-0' }, body: [], placeBody }, end);
    if (answer.kind !== 'answer') return answer;
    const { head, body } = answer;
    if (head.status === 206) {
      const sizeBytes = contentRange(head)?.sizeBytes;
      return sizeBytes === undefined ? { kind: 'unknown', cause: 'an answer without its range' } : { kind: 'found', sizeBytes };
    }
    // Not even the first byte can be had: the object is empty.
    if (head.status === 416) return { kind: 'found', sizeBytes: sizeOfUnsatisfiable(head, body) ?? 0 };
    if (head.status === 200) return { kind: 'found', sizeBytes: head.framing.kind === 'length' ? head.framing.sizeBytes : body.length };
    return this.#absentOr(head, body);
  }

  #absentOr(head: AnswerHead, body: Buffer): { readonly kind: 'missing' } | Unknown | Refused {
    const error = errorOf(head, body);
    // Only a 404 that is about the object: without its bucket nothing can be said about an object.
    if (head.status === 404 && error.code === 'NoSuchKey') return { kind: 'missing' };
    return this.#failure(error, head);
  }

  #failure(error: S3Error, head: AnswerHead | undefined): Unknown | Refused {
    if (wantsNewCredentials(error)) this.#client.dropCredentials();
    const offsetMs = head && clockOffsetMs(error, head, this.#clock.wallMs());
    if (offsetMs !== undefined) this.#client.correctClock(offsetMs);
    return failureOf(error);
  }

  async #delete(keys: readonly string[], end: CallEnd): Promise<DeleteOutcome> {
    const left: string[] = [];
    let failure: Unknown | Refused | undefined;
    for (let first = 0; first < keys.length; first += keysPerDelete) {
      const outcome = await this.#deleteSome(keys.slice(first, first + keysPerDelete), end);
      left.push(...outcome.left);
      failure ??= outcome.failure;
    }
    if (left.length === 0) return { kind: 'deleted' };
    return failure && left.length === keys.length ? failure : { kind: 'partial', left };
  }

  async #deleteSome(keys: readonly string[], end: CallEnd): Promise<Deletion> {
    if (!this.#deletesMany || keys.length === 1) return this.#deleteSingly(keys, end);
    try {
      const command = new DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Quiet: true, Objects: keys.map((Key) => ({ Key })) } });
      const answer = await end.race(this.#client.sdk.send(command, { end } satisfies SendOptions as object));
      if (!answer) return { left: keys, failure: { kind: 'unknown', cause: end.cause ?? 'the call ended' } };
      const { Errors = [] } = answer;
      const errors = Errors.filter(({ Key, Code }) => Key !== undefined && Code !== 'NoSuchKey');
      const [first] = errors;
      const failure = first && this.#failure({ status: 500, code: first.Code ?? '', message: first.Message ?? '' }, undefined);
      return { left: errors.map(({ Key }) => Key ?? ''), failure };
    } catch (error) {
      const failed = sdkError(error);
      if (failed && [400, 405, 501].includes(failed.status)) {
        const singly = await this.#deleteSingly(keys, end);
        if (singly.left.length === 0) this.#deletesMany = false;
        return singly;
      }
      return { left: keys, failure: failed ? this.#failure(failed, undefined) : { kind: 'unknown', cause: (error as Error).message } };
    }
  }

  async #deleteSingly(keys: readonly string[], end: CallEnd): Promise<Deletion> {
    const left: string[] = [];
    let failure: Unknown | Refused | undefined;
    let next = 0;
    const deleteNext = async () => {
      while (next < keys.length) {
        const key = keys[next++]!;
        const answer = await this.#send({ method: 'DELETE', key, headers: {}, body: [], placeBody: placeDocument }, end);
        if (answer.kind === 'answer' && answer.head.status >= 200 && answer.head.status < 300) continue;
        const outcome = answer.kind === 'answer' ? this.#absentOr(answer.head, answer.body) : answer;
        if (outcome.kind === 'missing') continue;
        failure ??= outcome;
        left.push(key);
      }
    };
    await Promise.all(Array.from({ length: Math.min(deletesAtATime, keys.length) }, deleteNext));
    return { left, failure };
  }

  async #list(prefix: string, after: string | undefined, end: CallEnd): Promise<ListOutcome> {
    try {
      const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ...(after ? { StartAfter: after } : {}) });
      const answer = await end.race(this.#client.sdk.send(command, { end } satisfies SendOptions as object));
      if (!answer) return { kind: 'unknown', cause: end.cause ?? 'the call ended' };
      const { Contents = [], IsTruncated = false } = answer;
      const objects = Contents.flatMap(({ Key, Size }) => (Key === undefined ? [] : [{ key: Key, sizeBytes: Size ?? 0 }]));
      return { kind: 'page', objects, more: IsTruncated };
    } catch (error) {
      const failed = sdkError(error);
      return failed ? this.#failure(failed, undefined) : { kind: 'unknown', cause: (error as Error).message };
    }
  }
}

interface Deletion {
  readonly left: readonly string[];
  readonly failure: Unknown | Refused | undefined;
}

interface WantedRange {
  readonly header: string;
  /** What it means for an object of this size. */
  of(sizeBytes: number): ByteRange;
}

/** A short or shifted part is not an answer (F35). */
function partialRead(head: AnswerHead, body: Buffer, range: WantedRange): ReadOutcome {
  const answered = contentRange(head);
  if (!answered) return { kind: 'unknown', cause: 'a part without its range' };
  const wanted = range.of(answered.sizeBytes);
  if (answered.start !== wanted.start || answered.end !== wanted.end || body.length !== wanted.end - wanted.start)
    return { kind: 'unknown', cause: `asked for ${range.header}, answered ${head.headers.get('content-range')} with ${body.length} bytes` };
  return { kind: 'found', bytes: body, sizeBytes: answered.sizeBytes };
}

/** A server may answer all where a part was asked for. */
function wholeRead(head: AnswerHead, body: Buffer, range: WantedRange | undefined): ReadOutcome {
  if (head.framing.kind === 'length' && head.framing.sizeBytes !== body.length)
    return { kind: 'unknown', cause: `an object of ${head.framing.sizeBytes} bytes is too large to be read whole` };
  // Without a length a body that was cut off looks like a complete one.
  if (head.framing.kind === 'until-close') return { kind: 'unknown', cause: 'an object without its length' };
  const { start, end } = range ? range.of(body.length) : { start: 0, end: body.length };
  return { kind: 'found', bytes: body.subarray(start, end), sizeBytes: body.length };
}

/** Room for an answer that is not an object. */
function placeDocument(_head: AnswerHead, sizeBytes: number): Buffer | undefined {
  return sizeBytes <= maxDocumentBytes ? Buffer.allocUnsafeSlow(sizeBytes) : undefined;
}

/** What the server said, when it was the server that refused. */
function sdkError(error: unknown): S3Error | undefined {
  if (error instanceof BrokenCall) return undefined;
  const { name, message, $metadata } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  return status === undefined ? undefined : { status, code: name, message };
}

function base64OfCrc(crc32c: number): string {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(crc32c);
  return bytes.toString('base64');
}
