/**
 * One client's connection: frames in, requests started in their order, answers out in the same order.
 *
 * Requests are pipelined: the next is started while earlier ones wait, where the handlers allow it. Reading stops while
 * too many requests or bytes of this connection are under way, while its reader leaves too many answer bytes lying, and
 * while the broker's request memory is full; it goes on as soon as that has passed. Nothing a client does ends more than
 * its own connection.
 */
import type { Clock } from '../../io/clock.ts';
import type { Connection } from '../../io/transport.ts';
import { InvariantError } from '../../std/invariant.ts';
import type { ReusedMemory } from '../../std/reused-memory.ts';
import { ErrorCodes } from '../protocol/errors.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse, type RequestHeader } from '../protocol/frames.ts';
import { ApiKeys, type ApiKey, type ResponseInputOf } from '../protocol/messages.gen.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import { Exchange, ExchangeQueue } from './exchange-queue.ts';
import type { FlushTurn } from './flush-turn.ts';
import { FrameReader, type Frame } from './frame-reader.ts';
import { closeConnection, noAnswer, type ClientConnection, type RequestContext } from './handler.ts';
import type { LimitedLog } from './limited-log.ts';
import type { PausedReader, RequestMemory } from './request-memory.ts';
import type { RequestRouter, Route } from './request-router.ts';
import type { ResponseMemory } from './response-memory.ts';
import type { CloseReason, ServerMetrics } from './server-metrics.ts';

export interface ConnectionLimits {
  readonly maxFrameBytes: number;
  readonly maxInFlight: number;
  readonly maxRequestBytes: number;
  readonly maxUnsentBytes: number;
}

/** What all connections of a server share. */
export interface ConnectionSurroundings {
  /** While it is closed no request is started: the broker does not know whether it may answer. */
  readonly gate: { readonly open: boolean };
  readonly clock: Clock;
  readonly router: RequestRouter;
  readonly limits: ConnectionLimits;
  readonly requestMemory: RequestMemory;
  readonly reusedMemory: ReusedMemory;
  readonly responseMemory: ResponseMemory;
  readonly flushTurn: FlushTurn;
  readonly metrics: ServerMetrics;
  readonly log: LimitedLog;
  /** A handler broke an invariant: whoever started the broker stops it. */
  onInvariantBroken(error: InvariantError): void;
  onClose(connection: KafkaConnection): void;
}

export class KafkaConnection implements ClientConnection, PausedReader {
  readonly id: number;
  readonly listener: string;
  readonly host: string;
  readonly principal = 'User:ANONYMOUS';
  clientSoftwareName = '';
  clientSoftwareVersion = '';
  /** `stopping`: starts nothing more. `ending`: the last answers leave. */
  private phase: 'open' | 'stopping' | 'ending' | 'closed' = 'open';
  private readonly around: ConnectionSurroundings;
  private readonly socket: Connection;
  private readonly reader: FrameReader;
  private readonly exchanges = new ExchangeQueue();
  /** A whole frame whose turn has not come. */
  private held: Frame | undefined;
  private lastActivityMs: number;
  /** When the incomplete frame under way began, or reading was resumed since. */
  private frameSinceMs = 0;
  private paused = false;
  private waitingForMemory = false;
  private flushAdded = false;
  private unsentBytes = 0;
  private readonly closeListeners = new Set<() => void>();

  constructor(id: number, listener: string, socket: Connection, around: ConnectionSurroundings) {
    this.id = id;
    this.listener = listener;
    this.socket = socket;
    this.around = around;
    this.host = socket.remote.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    this.lastActivityMs = around.clock.monotonicMs();
    const reader = new FrameReader({ maxFrameBytes: around.limits.maxFrameBytes, memory: around.requestMemory, reused: around.reusedMemory });
    this.reader = reader;
    socket.setHandler({
      onData: (chunk) => this.received(chunk.length, () => reader.push(chunk)),
      receiver: {
        place: () => (this.phase === 'open' ? reader.place() : undefined),
        onPlaced: (sizeBytes) => this.received(sizeBytes, () => reader.placed(sizeBytes)),
        onBorrowed: (chunk) => this.received(chunk.length, () => reader.pushBorrowed(chunk)),
      },
      onDrain: () => this.drained(),
      onClose: () => this.ended(),
    });
  }

  get closed(): boolean {
    return this.phase === 'closed';
  }

  get inFlight(): number {
    return this.exchanges.length;
  }

  get missingBytes(): number {
    return this.reader.missingBytes;
  }

  onClose(listener: () => void): () => void {
    this.closeListeners.add(listener);
    return () => this.closeListeners.delete(listener);
  }

  /** Closes when nothing happened for too long. Requests that wait for their handler are no idleness; an unread answer is. */
  checkTimeouts(nowMs: number, idleMs: number, receiveMs: number): void {
    const unsentBefore = this.unsentBytes;
    this.countUnsent();
    if (this.unsentBytes < unsentBefore) this.lastActivityMs = nowMs;
    if (this.paused && !this.waitingForMemory) this.pump();
    const waitingForHandler = this.exchanges.length > 0 && this.unsentBytes === 0;
    if (!waitingForHandler && !this.waitingForMemory && nowMs - this.lastActivityMs > idleMs) this.close('idle');
    else if (this.reader.midFrame && !this.paused && nowMs - this.frameSinceMs > receiveMs) this.fault('slow-request', 'request did not arrive in time');
  }

  /** Starts nothing more; closes once what is under way was answered. */
  stop(): void {
    if (this.phase === 'open') this.phase = 'stopping';
    this.endIfStopped();
  }

  /** Closes, whatever is under way; answers that are ready go out if the peer reads. */
  close(reason: CloseReason): void {
    if (this.closed) return;
    this.around.metrics.closed.add(1, reason);
    this.writeReady();
    if (this.socket.pendingWriteBytes() === 0) this.socket.end();
    else this.socket.destroy();
    this.ended();
  }

  resume(): void {
    this.waitingForMemory = false;
    this.pump();
  }

  abandon(): void {
    this.fault('memory', 'memory for requests is full and this request did not arrive in time');
  }

  /** Writes the answers whose turn it is, all at once. */
  flush(): void {
    this.flushAdded = false;
    if (this.closed || !this.writeReady()) return;
    this.pump();
    this.endIfStopped();
  }

  private received(sizeBytes: number, take: () => void): void {
    if (this.phase !== 'open') return;
    const nowMs = this.around.clock.monotonicMs();
    this.lastActivityMs = nowMs;
    if (!this.reader.midFrame) this.frameSinceMs = nowMs;
    this.around.metrics.receivedBytes.add(sizeBytes);
    take();
    this.pump();
    this.flush();
  }

  private drained(): void {
    this.lastActivityMs = this.around.clock.monotonicMs();
    this.pump();
  }

  private ended(): void {
    if (this.closed) return;
    this.phase = 'closed';
    this.around.requestMemory.forget(this);
    this.around.requestMemory.end(this.exchanges.requestBytes);
    this.exchanges.clear();
    this.held?.release();
    this.held = undefined;
    this.reader.close();
    this.around.responseMemory.change(this.unsentBytes, 0);
    this.unsentBytes = 0;
    for (const listener of this.closeListeners) listener();
    this.closeListeners.clear();
    this.around.onClose(this);
  }

  /** Starts what may be started, then reads on or stops reading. */
  private pump(): void {
    if (this.phase !== 'open') return;
    this.countUnsent();
    let blocked = false;
    while (this.phase === 'open' && !blocked) {
      const frame = this.mayStart() ? (this.held ?? this.nextFrame()) : undefined;
      if (frame === undefined) blocked = !this.mayStart();
      if (frame === undefined) break;
      blocked = !this.start(frame);
      this.held = blocked ? frame : undefined;
    }
    if (this.phase !== 'open') return;
    this.readOrPause(blocked);
    if (this.exchanges.headIsReady) this.flushLater();
  }

  private mayStart(): boolean {
    const { limits, responseMemory, gate } = this.around;
    if (!gate.open) return false;
    const { exchanges } = this;
    if (this.unsentBytes > (responseMemory.freeBytes === 0 ? 0 : limits.maxUnsentBytes)) return false;
    return exchanges.length === 0 || (exchanges.length < limits.maxInFlight && exchanges.requestBytes < limits.maxRequestBytes);
  }

  private nextFrame(): Frame | undefined {
    const next = this.reader.next();
    if (next.kind === 'frame') {
      this.around.requestMemory.frameCompleted(this);
      return next;
    }
    if (next.kind === 'refused') {
      this.fault('frame-size', 'request is beyond socket.request.max.bytes, or what speaks here is no Kafka client', { sizeBytes: next.sizeBytes });
    }
    return undefined;
  }

  private readOrPause(blocked: boolean): void {
    const { requestMemory, clock } = this.around;
    const full = !blocked && requestMemory.isFullFor(this);
    if (blocked || full) {
      if (!this.paused) this.socket.pauseReading();
      this.paused = true;
      if (!full || this.waitingForMemory) return;
      this.waitingForMemory = true;
      requestMemory.wait(this);
    } else if (this.paused) {
      this.paused = false;
      if (this.waitingForMemory) requestMemory.forget(this);
      this.waitingForMemory = false;
      this.frameSinceMs = clock.monotonicMs();
      this.socket.resumeReading();
    }
  }

  /** False: its turn has not come. */
  private start(frame: Frame): boolean {
    const route = frame.bytes.length >= 2 ? this.around.router.find(frame.bytes.readInt16BE(0)) : undefined;
    if (!this.exchanges.mayFollow(route === undefined || route.handler.concurrency === 'serial')) return false;
    try {
      const header = decodeRequestHeader(frame.bytes);
      if (route === undefined || header.apiVersion < route.handler.minVersion || header.apiVersion > route.handler.maxVersion)
        this.unsupported(frame, header, route);
      else this.run(frame, header, route, decodeRequest(route.api.key, header.apiVersion, frame.bytes, header.bodyOffset).body);
    } catch (error) {
      frame.release();
      if (error instanceof ProtocolError) this.fault('bad-request', 'request cannot be read', { why: error.message });
      else this.fault('failed', 'request failed unexpectedly', { error });
    }
    return true;
  }

  /** Kafka closes the connection, except that ApiVersions is answered in version 0 so that newer clients can step down (KIP-511). */
  private unsupported(frame: Frame, header: RequestHeader, route: Route | undefined): void {
    if (route !== undefined && header.apiKey === ApiKeys.ApiVersions) {
      this.answer(this.open(frame, header, route, 0), { errorCode: ErrorCodes.UNSUPPORTED_VERSION, apiKeys: this.around.router.advertised() });
      return;
    }
    frame.release();
    const { apiKey, apiVersion, clientId } = header;
    this.fault('unsupported', 'request is unknown or its version is not supported', { apiKey, apiVersion, clientId });
  }

  private run(frame: Frame, header: RequestHeader, route: Route, request: unknown): void {
    const exchange = this.open(frame, header, route, header.apiVersion);
    const { apiKey, apiVersion, correlationId, clientId } = header;
    const { receivedAtMs, sizeBytes } = exchange;
    const context: RequestContext = { apiKey, apiVersion, correlationId, clientId, connection: this, receivedAtMs, sizeBytes };
    try {
      const outcome: unknown = route.handler.handle(request as never, context);
      if (outcome instanceof Promise) {
        outcome.then(
          (value: unknown) => this.answer(exchange, value),
          (error: unknown) => this.handlerFailed(exchange, request, context, error),
        );
      } else this.answer(exchange, outcome);
    } catch (error) {
      this.handlerFailed(exchange, request, context, error);
    }
  }

  private open(frame: Frame, header: RequestHeader, route: Route, version: number): Exchange {
    const exchange = new Exchange({ route, version, correlationId: header.correlationId, receivedAtMs: this.around.clock.monotonicMs(), frame });
    this.exchanges.add(exchange);
    this.around.requestMemory.start(exchange.sizeBytes);
    return exchange;
  }

  private answer(exchange: Exchange, outcome: unknown): void {
    if (this.closed) return;
    if (outcome === closeConnection) {
      this.close('handler');
      return;
    }
    try {
      const chunks =
        outcome === noAnswer ? [] : encodeResponse(exchange.route.api.key, exchange.version, exchange.correlationId, outcome as ResponseInputOf<ApiKey>);
      this.exchanges.setAnswer(exchange, chunks);
    } catch (error) {
      this.failed(exchange.route, error);
      return;
    }
    this.countUnsent();
    if (this.exchanges.headIsReady) this.flushLater();
  }

  private handlerFailed(exchange: Exchange, request: unknown, context: RequestContext, error: unknown): void {
    const { handler, api } = exchange.route;
    if (this.closed || handler.failed === undefined || error instanceof InvariantError) {
      this.failed(exchange.route, error);
      return;
    }
    this.around.metrics.handlerFailures.add(1, api.name);
    this.around.log.warn('request handler failed', { api: api.name, connection: this.id, error });
    try {
      this.answer(exchange, handler.failed(request as never, context));
    } catch (second) {
      this.failed(exchange.route, second);
    }
  }

  /** A bug of ours that has no answer to travel in: the client must ask again on another connection. */
  private failed(route: Route, error: unknown): void {
    this.around.metrics.handlerFailures.add(1, route.api.name);
    this.fault('failed', 'request failed unexpectedly', { api: route.api.name, error });
    if (error instanceof InvariantError) this.around.onInvariantBroken(error);
  }

  private writeReady(): boolean {
    const { metrics, clock, requestMemory } = this.around;
    const ready = this.exchanges.takeReady();
    if (ready.length === 0) return false;
    const chunks: Uint8Array[] = [];
    const nowMs = clock.monotonicMs();
    for (const exchange of ready) {
      const { name } = exchange.route.api;
      for (const chunk of exchange.answer ?? []) chunks.push(chunk);
      metrics.requests.add(1, name);
      metrics.requestSeconds.observe((nowMs - exchange.receivedAtMs) / 1000, name);
      metrics.sentBytes.add(exchange.answerBytes);
      requestMemory.end(exchange.sizeBytes);
      exchange.releaseFrame();
    }
    if (chunks.length > 0) this.socket.write(chunks);
    return true;
  }

  private flushLater(): void {
    if (this.flushAdded) return;
    this.flushAdded = true;
    this.around.flushTurn.add(this);
  }

  private countUnsent(): void {
    const now = this.exchanges.answerBytes + this.socket.pendingWriteBytes();
    this.around.responseMemory.change(this.unsentBytes, now);
    this.unsentBytes = now;
  }

  private endIfStopped(): void {
    if (this.phase !== 'stopping' || this.exchanges.hasWork) return;
    this.phase = 'ending';
    this.around.metrics.closed.add(1, 'stopping');
    this.socket.end();
  }

  private fault(reason: CloseReason, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.closed) return;
    this.around.log.warn(message, { ...fields, reason, connection: this.id, remote: this.socket.remote });
    this.close(reason);
  }
}
