/** A Kafka server on fakes, with handlers of the test's own choice beside ApiVersions. */
import { silentLogger, type LogFields, type Logger } from '../../../io/logger.ts';
import { MemoryMetrics } from '../../../io/memory-metrics.ts';
import type { InvariantError } from '../../../std/invariant.ts';
import { brokerConfig } from '../../config.ts';
import { ApiKeys } from '../../protocol/messages.gen.ts';
import type { AnyHandler, HandlerOf, Outcome, RequestContext } from '../handler.ts';
import { apiVersionsHandler } from '../handlers/api-versions.ts';
import { KafkaServer } from '../kafka-server.ts';
import { RequestRouter } from '../request-router.ts';
import { ResponseMemory } from '../response-memory.ts';
import { FakeTransport } from './fake-transport.ts';
import { ManualClock } from './manual-clock.ts';
import { requestFrame } from './request-context.ts';

type Heartbeat = HandlerOf<typeof ApiKeys.Heartbeat>;

/** Heartbeat stands in for any request: the group id is its payload, the error code its answer. */
export class HeldRequest {
  readonly groupId: string;
  readonly context: RequestContext;
  readonly outcome: Promise<Outcome<{ errorCode: number }>>;
  resolve: (outcome: Outcome<{ errorCode: number }>) => void = () => {};
  reject: (error: unknown) => void = () => {};

  constructor(groupId: string, context: RequestContext) {
    this.groupId = groupId;
    this.context = context;
    this.outcome = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

export interface ServerFixtureOptions {
  readonly settings?: Readonly<Record<string, string>>;
  readonly concurrency?: 'serial' | 'pipelined';
  readonly longPoll?: true;
  /** Instead of holding every request. */
  readonly handle?: Heartbeat['handle'];
  readonly failed?: NonNullable<Heartbeat['failed']>;
}

export class ServerFixture {
  readonly clock = new ManualClock();
  readonly metrics = new MemoryMetrics();
  readonly transport = new FakeTransport();
  readonly started: HeldRequest[] = [];
  readonly logged: [string, LogFields | undefined][] = [];
  readonly brokenInvariants: InvariantError[] = [];
  readonly responseMemory: ResponseMemory;
  readonly server: KafkaServer;

  constructor(options: ServerFixtureOptions = {}) {
    const config = brokerConfig({ listeners: 'PLAINTEXT://127.0.0.1:0', ...options.settings });
    this.responseMemory = new ResponseMemory(config.queuedMaxResponseBytes);
    const router: RequestRouter = new RequestRouter([this.heartbeat(options), apiVersionsHandler(() => router.advertised())]);
    const logger: Logger = { ...silentLogger, warn: (message, fields) => void this.logged.push([message, fields]) };
    const io = { clock: this.clock, transport: this.transport, metrics: this.metrics, logger };
    this.server = new KafkaServer({
      io,
      config,
      router,
      responseMemory: this.responseMemory,
      onInvariantBroken: (error) => void this.brokenInvariants.push(error),
    });
  }

  static async start(options: ServerFixtureOptions = {}): Promise<ServerFixture> {
    const fixture = new ServerFixture(options);
    await fixture.server.start();
    return fixture;
  }

  /** The groups whose requests were started, in order. */
  get startedGroups(): string[] {
    return this.started.map((request) => request.groupId);
  }

  closedBecause(reason: string): number {
    return this.metrics.value('automq_connections_closed_total', reason);
  }

  private heartbeat(options: ServerFixtureOptions): AnyHandler {
    const handler: Heartbeat = {
      apiKey: ApiKeys.Heartbeat,
      minVersion: 0,
      maxVersion: 4,
      concurrency: options.concurrency ?? 'pipelined',
      handle: options.handle ?? ((request, context) => this.hold(request.groupId, context)),
      ...(options.longPoll === undefined ? {} : { longPoll: options.longPoll }),
      ...(options.failed === undefined ? {} : { failed: options.failed }),
    };
    return handler;
  }

  private hold(groupId: string, context: RequestContext): Promise<Outcome<{ errorCode: number }>> {
    const held = new HeldRequest(groupId, context);
    this.started.push(held);
    return held.outcome;
  }
}

export function heartbeatFrame(groupId: string, correlationId = 1): Buffer {
  return requestFrame(ApiKeys.Heartbeat, 4, { groupId, generationId: 1, memberId: 'm' }, { correlationId });
}

export function apiVersionsFrame(correlationId = 1): Buffer {
  return requestFrame(ApiKeys.ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' }, { correlationId });
}
