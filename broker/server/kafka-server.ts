/**
 * The Kafka server: listens, keeps connections within their limits, closes idle ones, stops gracefully. What a connection
 * does is in client-connection.ts; what a request means, in handlers/.
 */
import type { Timer } from '../../io/clock.ts';
import type { Io } from '../../io/io.ts';
import type { Listener } from '../../io/transport.ts';
import type { InvariantError } from '../../std/invariant.ts';
import { ReusedMemory } from '../../std/reused-memory.ts';
import type { BrokerConfig } from '../config.ts';
import { KafkaConnection, type ConnectionSurroundings } from './client-connection.ts';
import { FlushTurn } from './flush-turn.ts';
import { LimitedLog } from './limited-log.ts';
import { RequestMemory } from './request-memory.ts';
import type { RequestRouter } from './request-router.ts';
import type { ResponseMemory } from './response-memory.ts';
import { observeServer, serverMetrics, type CloseReason, type ServerMetrics } from './server-metrics.ts';

export interface KafkaServerOptions {
  readonly io: Pick<Io, 'clock' | 'transport' | 'logger' | 'metrics'>;
  readonly config: BrokerConfig;
  readonly router: RequestRouter;
  /** Shared with the Fetch handler, which makes smaller answers when little is left. */
  readonly responseMemory: ResponseMemory;
  /** A handler found a bug that makes going on unsafe. The connection is closed already. */
  onInvariantBroken(error: InvariantError): void;
}

export interface BoundListener {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

const SWEEP_MS = 1000;
const MEMORY_RELIEF_MS = 10_000;
/** Enough for what the log cache gives back at once. Larger requests than these are rare, smaller ones cheap. */
const REUSED = { maxFreeBytes: 32 * 1024 * 1024, smallestBytes: 16 * 1024, largestBytes: 2 * 1024 * 1024 };
const FAULT_LINES = 10;
const FAULT_INTERVAL_MS = 10_000;

export class KafkaServer {
  private readonly options: KafkaServerOptions;
  private readonly metrics: ServerMetrics;
  private readonly around: ConnectionSurroundings;
  private readonly gate = { open: true };
  private readonly connections = new Set<KafkaConnection>();
  private readonly perHost = new Map<string, number>();
  private readonly listeners: Listener[] = [];
  private nextId = 1;
  private sweep: Timer | undefined;
  private stopped: Promise<void> | undefined;
  private onEmpty: (() => void) | undefined;

  constructor(options: KafkaServerOptions) {
    const { clock, logger, metrics } = options.io;
    const { config } = options;
    this.options = options;
    this.metrics = serverMetrics(metrics);
    const requestMemory = new RequestMemory({ limitBytes: config.queuedMaxRequestBytes, reliefMs: MEMORY_RELIEF_MS, clock });
    this.around = {
      gate: this.gate,
      clock,
      requestMemory,
      reusedMemory: new ReusedMemory(REUSED),
      router: options.router,
      responseMemory: options.responseMemory,
      metrics: this.metrics,
      flushTurn: new FlushTurn(clock),
      log: new LimitedLog({ lines: FAULT_LINES, intervalMs: FAULT_INTERVAL_MS, clock, logger }),
      limits: {
        maxFrameBytes: config.socketRequestMaxBytes,
        maxInFlight: config.connectionMaxInFlightRequests,
        maxRequestBytes: config.connectionMaxRequestBytes,
        maxUnsentBytes: config.connectionMaxResponseBytes,
      },
      onInvariantBroken: (error) => options.onInvariantBroken(error),
      onClose: (connection) => this.forget(connection),
    };
    observeServer(metrics, {
      connections: () => this.connections.size,
      inFlight: () => this.countInFlight(),
      requestMemory,
      responseMemory: options.responseMemory,
    });
  }

  /** Listens on all configured listeners; rejects, with none left open, when one is taken. */
  async start(): Promise<readonly BoundListener[]> {
    const bound: BoundListener[] = [];
    try {
      for (const { name, host, port } of this.options.config.listeners) {
        const listener = await this.options.io.transport.listen({ host: host === '' ? '0.0.0.0' : host, port }, (socket) => this.accept(name, socket));
        this.listeners.push(listener);
        bound.push({ name, host, port: listener.port });
      }
    } catch (error) {
      for (const listener of this.listeners) await listener.close();
      throw error;
    }
    this.scheduleSweep();
    return bound;
  }

  /** Stops accepting, answers what is under way within shutdown.timeout.ms, closes. */
  close(): Promise<void> {
    this.stopped ??= this.stop();
    return this.stopped;
  }

  /** While requests may not be answered they wait, unread, in their connections. */
  setMayAnswer(mayAnswer: boolean): void {
    this.gate.open = mayAnswer;
    if (mayAnswer) for (const connection of this.connections) connection.resume();
  }

  get openConnections(): number {
    return this.connections.size;
  }

  private accept(listenerName: string, socket: Parameters<Parameters<Io['transport']['listen']>[1]>[0]): void {
    const connection = new KafkaConnection(this.nextId++, listenerName, socket, this.around);
    this.connections.add(connection);
    const fromHost = (this.perHost.get(connection.host) ?? 0) + 1;
    this.perHost.set(connection.host, fromHost);
    const refusal = this.refusal(fromHost);
    if (refusal !== undefined) connection.close(refusal);
  }

  private refusal(fromHost: number): CloseReason | undefined {
    const { config } = this.options;
    if (this.stopped !== undefined) return 'stopping';
    return this.connections.size > config.maxConnections || fromHost > config.maxConnectionsPerIp ? 'too-many' : undefined;
  }

  private forget(connection: KafkaConnection): void {
    if (!this.connections.delete(connection)) return;
    const left = (this.perHost.get(connection.host) ?? 1) - 1;
    if (left === 0) this.perHost.delete(connection.host);
    else this.perHost.set(connection.host, left);
    if (this.connections.size === 0) this.onEmpty?.();
  }

  private scheduleSweep(): void {
    this.sweep = this.around.clock.setTimer(SWEEP_MS, () => {
      const nowMs = this.around.clock.monotonicMs();
      const { connectionsMaxIdleMs, requestReceiveTimeoutMs } = this.options.config;
      for (const connection of this.connections) connection.checkTimeouts(nowMs, connectionsMaxIdleMs, requestReceiveTimeoutMs);
      this.scheduleSweep();
    });
  }

  private async stop(): Promise<void> {
    for (const listener of this.listeners) await listener.close();
    this.sweep?.cancel();
    for (const connection of this.connections) connection.stop();
    await this.emptyOrTimeout();
    for (const connection of this.connections) connection.close('stopping');
    this.around.requestMemory.close();
  }

  private emptyOrTimeout(): Promise<void> {
    if (this.connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.around.clock.setTimer(this.options.config.shutdownTimeoutMs, resolve);
      this.onEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private countInFlight(): number {
    let count = 0;
    for (const connection of this.connections) count += connection.inFlight;
    return count;
  }
}
