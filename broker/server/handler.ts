/**
 * The shape of a request handler. A handler file opens with notes on what each version changed (KIPs), then exports a
 * function that takes what it needs (`Services`, a coordinator) and returns a `Handler`.
 *
 * Two stages: what `handle` does before it returns runs in the order of the connection's requests, synchronously; a
 * returned promise is the second stage, and may end in any order: the server sends answers in request order.
 * Request and answer are the plain objects of broker/protocol. ApiVersions is computed from the registered handlers.
 * Bytes in a request are views on its frame, which may be large: copy what is kept beyond the answer.
 */
import type { ApiKey, RequestOf, ResponseInputOf } from '../protocol/messages.gen.ts';

/** The handler of one API, by its key: `HandlerOf<typeof ApiKeys.Metadata>`. */
export type HandlerOf<K extends ApiKey> = Handler<RequestOf<K>, ResponseInputOf<K>>;

export interface Handler<Request, Response> {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** What ApiVersions says instead of `minVersion` (Produce: 0); requests below `minVersion` close the connection all the same. */
  readonly advertisedMinVersion?: number;
  /**
   * `serial` (Kafka's own rule: one request of a connection at a time): starts once everything before it on the connection
   * was answered. `pipelined`: starts while earlier pipelined requests still wait, so everything that fixes its order must
   * happen before `handle` returns (Produce, OffsetCommit).
   */
  readonly concurrency: 'serial' | 'pipelined';
  /** Waits for something to happen rather than for work (long polls, JoinGroup): a stopping server does not wait for it. */
  readonly longPoll?: true;
  handle(request: Request, context: RequestContext): Outcome<Response> | Promise<Outcome<Response>>;
  /** The answer when `handle` threw: a bug of ours. Without it the connection is closed. */
  failed?(request: Request, context: RequestContext): Response;
}

/** What a registry holds; methods compare bivariantly, so every handler fits. */
export type AnyHandler = Handler<never, unknown>;

export type Outcome<Response> = Response | typeof noAnswer | typeof closeConnection;

/** Nothing is sent (Produce with acks = 0). */
export const noAnswer: unique symbol = Symbol('no answer');
/** Kafka closes the connection where an error has no answer to travel in (an error under acks = 0). */
export const closeConnection: unique symbol = Symbol('close connection');

export interface RequestContext {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** As the client wrote it, null included: never a metric label, escaped in logs. */
  readonly clientId: string | null;
  readonly connection: ClientConnection;
  /** Monotonic milliseconds when the request was complete in memory. */
  readonly receivedAtMs: number;
  /** Bytes of the frame. */
  readonly sizeBytes: number;
}

/** One client connection as handlers see it. */
export interface ClientConnection {
  /** Unique in this process. */
  readonly id: number;
  /** Name of the listener it came in on (`PLAINTEXT`, …). */
  readonly listener: string;
  readonly host: string;
  /** Kafka's principal; `User:ANONYMOUS` without authentication. */
  readonly principal: string;
  /** From ApiVersions 3+ (KIP-511), else empty. */
  clientSoftwareName: string;
  clientSoftwareVersion: string;
  readonly closed: boolean;
  /** Calls `listener` once when the connection is gone, so that what waits for it can stop. Returns how to forget it. */
  onClose(listener: () => void): () => void;
}
